"""Fitting a model's confidence on pots whose truth is known and that it was not trained on."""

from collections.abc import Iterable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from voxgan_jax.data import fragments
from voxgan_jax.evaluation.protocol import Sample, batches
from voxgan_jax.inference import confidence
from voxgan_jax.inference.completer import Completer


def calibrate(
    completer: Completer, samples: Iterable[Sample], *, batch_size: int = 16
) -> dict[str, Any]:
    """The `confidence` part of a model's card: the rule, and how good it is.

    The rule is fitted on all samples. How good it is (`confidence.quality`) is told of rules that
    were fitted on one half of the pots and tried on the other, both ways round.

    Raises:
        ValueError: samples of fewer than two pots, or fewer than ten of one half.
    """
    features, iou, pots = [], [], []
    for batch in batches(samples, batch_size):
        partial, complete = fragments.select(batch.labels, batch.given)
        answers = np.asarray(completer.predict(jnp.asarray(partial, jnp.float32)))
        for row, sample in enumerate(batch.samples):
            given, truth = (np.asarray(part[row, ..., 0]) > 0 for part in (partial, complete))
            answer = given | (answers[row, ..., 0] > completer.threshold)
            features.append(confidence.measure(given, answers[row, ..., 0], completer.threshold))
            iou.append(float((answer & truth).sum() / (answer | truth).sum()))
            pots.append((sample.category, sample.pot))
    if len(set(pots)) < 2:
        raise ValueError("the confidence is tried on other pots than it is fitted on; give two")
    rule = confidence.fit(features, iou)
    return rule._asdict() | {
        "files": len(iou),
        "pots": len(set(pots)),
        "mean_iou": float(np.mean(iou)),
        "crossed": [
            _tried(features, iou, _half(pots, side), _half(pots, 1 - side)) for side in (0, 1)
        ],
    }


def _half(pots: Sequence[tuple[str, str]], side: int) -> list[int]:
    """The samples of every other pot."""
    number = {pot: index for index, pot in enumerate(sorted(set(pots)))}
    return [index for index, pot in enumerate(pots) if number[pot] % 2 == side]


def _tried(
    features: Sequence[confidence.Features],
    iou: Sequence[float],
    fitted: Sequence[int],
    tried: Sequence[int],
) -> dict[str, Any]:
    rule = confidence.fit([features[index] for index in fitted], [iou[index] for index in fitted])
    return confidence.quality(
        rule, [features[index] for index in tried], [iou[index] for index in tried]
    )
