"""Answers that know more than the fragment: what knowing the class, or the truth, would be worth.

They are bounds, not methods; `protocol.Informed` marks them. Like `baselines.retrieve` they give
known pots as they are and do not add the given voxels.
"""

from collections.abc import Callable, Iterable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from scripts.lib import baselines, training_pots
from voxgan_jax.data.folder import PotFile
from voxgan_jax.evaluation.protocol import Batch, Informed


def make_class_mean(train_pots: Iterable[PotFile]) -> tuple[Informed, float]:
    """The mean of the training pots of the pot's class, and one threshold for all classes.

    It is the one of `baselines.MEAN_THRESHOLDS` with the highest mean IoU on the training pots.

    Raises:
        ValueError: no training pot; when it answers, a class without one.
    """
    resolution, bits = 0, {}
    for item in training_pots.first_of_each_pot(train_pots):
        resolution = item.labels.shape[0]
        bits.setdefault(item.category, []).append(training_pots.pack_bits(item.labels))
    if not bits:
        raise ValueError("no training pots to learn the answer from")
    means, ious = {}, []
    for category, rows in bits.items():
        means[category], of_class = baselines.mean_of_bits(np.stack(rows), resolution)
        ious.append(of_class)

    def predict(partial: Float[Array, "b d h w 1"], batch: Batch) -> Float[Array, "b d h w 1"]:
        completed = np.zeros(partial.shape, np.float32)
        for row, sample in enumerate(batch.samples):
            if sample.category not in means:
                raise ValueError(
                    f"{sample.name}: no training pot is of its class {sample.category!r}"
                )
            completed[row] = means[sample.category]
        return jnp.asarray(completed)

    best = np.concatenate(ious).sum(axis=0).argmax()
    return Informed(predict), baselines.MEAN_THRESHOLDS[int(best)]


def make_oracle(train_pots: Iterable[PotFile]) -> tuple[Informed, float]:
    """The training pot whose IoU with the truth is the highest: the most that retrieval can reach.

    Raises:
        ValueError: no training pot.
    """
    bits, resolution = baselines.pack_pots(train_pots)
    volumes = np.bitwise_count(bits).sum(axis=1, dtype=np.int64)

    def predict(partial: Float[Array, "b d h w 1"], batch: Batch) -> Float[Array, "b d h w 1"]:
        best = []
        for truth in training_pots.pack_bits(batch.labels):
            shared = np.bitwise_count(bits & truth).sum(axis=1, dtype=np.int64)
            union = volumes + int(np.bitwise_count(truth).sum(dtype=np.int64)) - shared
            best.append(int(np.argmax(shared / np.maximum(union, 1))))
        voxels = training_pots.unpack_bits(bits[best], (resolution, resolution, resolution))
        return jnp.asarray(voxels, jnp.float32)[..., None]

    return Informed(predict), 0.5


METHODS: dict[str, Callable[[Iterable[PotFile]], tuple[Informed, float]]] = {
    "class_mean": make_class_mean,
    "oracle": make_oracle,
}
"""Each takes training pots as `baselines.make` does: read once, at the evaluation's placement."""
