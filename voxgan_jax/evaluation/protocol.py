"""The fixed protocol: one known fragment per file in, the whole pot as the truth, scores out.

Learned models, answers without learning and those that know more go through the same `evaluate`.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, UInt8

from voxgan_jax.data import fragments
from voxgan_jax.data.folder import PotFile
from voxgan_jax.evaluation import metrics
from voxgan_jax.models import Volume

Predict = Callable[[Volume], Volume]

Score = Callable[..., Mapping[str, Any]]
"""Scores of (partial, completed, complete, threshold) per example, by the fields of `Record`."""


class Sample(NamedTuple):
    """One file under the protocol: `fragment` is given, `share` of the pot's voxels is its part."""

    labels: UInt8[np.ndarray, "d h w"]
    name: str
    pot: str
    category: str
    fragment: int
    share: float


class Batch(NamedTuple):
    """Samples padded to a constant size; `mask` is False for the rows of padding."""

    samples: list[Sample]
    labels: UInt8[np.ndarray, "b d h w"]
    given: Bool[np.ndarray, "b 256"]
    mask: Bool[np.ndarray, " b"]


class Informed(NamedTuple):
    """An answer that is told more than the fragment: the batch with class and whole pot.

    It is no method but a bound for methods; a type of its own keeps it from being taken for one.
    """

    predict: Callable[[Volume, Batch], Volume]


class Record(NamedTuple):
    """The scores of one file, see `metrics`; of surfaces too where these were asked for.

    `share`: of the pot's voxels, the given fragment's. `chamfer` in voxels.
    """

    name: str
    pot: str
    category: str
    fragment: int
    share: float
    iou: float
    dice: float
    mse: float
    missing_iou: float
    chamfer: float | None = None
    f_score: float | None = None


def samples(pot_files: Iterable[PotFile]) -> Iterator[Sample]:
    """Each file with its fixed fragment (`fragments.fixed_fragment`), one at a time.

    Raises:
        ValueError: a pot without voxels.
    """
    for item in pot_files:
        fragment = fragments.fixed_fragment(item.name, fragments.fragment_ids(item.labels))
        counts = fragments.voxel_counts(item.labels)
        share = float(counts[fragment] / counts[1:].sum())
        yield Sample(item.labels, item.name, item.pot, item.category, fragment, share)


def batches(samples: Iterable[Sample], batch_size: int) -> Iterator[Batch]:
    """Groups of `batch_size`, the last filled up with empty grids so that all shapes are equal."""
    left = iter(samples)
    while group := list(islice(left, batch_size)):
        shape = (batch_size, *group[0].labels.shape)
        labels, given = np.zeros(shape, np.uint8), np.zeros((batch_size, 256), bool)
        for row, sample in enumerate(group):
            labels[row] = sample.labels
            given[row] = fragments.given_table([sample.fragment])
        yield Batch(group, labels, given, np.arange(batch_size) < len(group))


_inputs = jax.jit(fragments.volumes)


@functools.partial(jax.jit, static_argnames="threshold")
def scores(
    partial: Volume, completed: Volume, complete: Volume, threshold: float
) -> dict[str, Float[Array, " b"]]:
    """All four metrics per example, in float32."""
    completed = completed.astype(jnp.float32)
    return {
        "iou": metrics.iou(completed, complete, threshold),
        "dice": metrics.dice(completed, complete, threshold),
        "mse": metrics.mse(completed, complete),
        "missing_iou": metrics.missing_iou(partial, completed, complete, threshold),
    }


def evaluate(
    predict: Predict | Informed,
    samples: Iterable[Sample],
    *,
    batch_size: int = 16,
    threshold: float = 0.5,
    score: Score = scores,
    progress: Callable[[Iterable[Sample]], Iterable[Sample]] = iter,
) -> list[Record]:
    """Score every sample once, in order; only one batch is in memory at a time.

    Args:
        predict: from the given voxels in {0, 1} to the completed pot in [0, 1]; it always sees
            `batch_size` rows, so it compiles once.
        threshold: above it a voxel counts as filled, for all scores but the MSE.
        score: others than `scores`.
        progress: wraps the samples to show how far it is, such as `tqdm` with its total bound.

    Raises:
        ValueError: an answer that is not finite.
    """
    records = []
    # A progress bar has a length, so type checkers may look into it; an iterator they leave alone.
    for batch in batches(iter(progress(samples)), batch_size):
        partial, complete = _inputs(jnp.asarray(batch.labels), jnp.asarray(batch.given))
        if isinstance(predict, Informed):
            completed = predict.predict(partial, batch)
        else:
            completed = predict(partial)
        columns = jax.device_get(score(partial, completed, complete, threshold))
        if not np.all(np.isfinite(columns["mse"][batch.mask])):
            raise ValueError(f"the answer for {batch.samples[0].name} or its batch is not finite")
        for row, sample in enumerate(batch.samples):
            values = {name: float(column[row]) for name, column in columns.items()}
            records.append(Record(*sample[1:], **values))
    return records
