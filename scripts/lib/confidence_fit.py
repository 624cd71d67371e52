"""Fitting a model's confidence on pots whose truth is known and that it was not trained on."""

from collections.abc import Iterable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy import optimize, special, stats

from voxgan_jax.data import fragments
from voxgan_jax.evaluation.protocol import Sample, batches
from voxgan_jax.inference import confidence
from voxgan_jax.inference.completer import Completer

_TAIL = 0.5
"""Percent: beyond this percentile on either side a feature is out of bounds."""
_RIDGE = 1e-3
"""Weight of the slopes' mean square beside the expected IoU's mean squared error."""


def calibrate(
    completer: Completer, samples: Iterable[Sample], *, batch_size: int = 16
) -> dict[str, Any]:
    """The `confidence` part of a model's card: the rule, and how good it is.

    The rule is fitted on all samples. How good it is (`quality`) is told of rules that
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
    rule = fit(features, iou)
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
    rule = fit([features[index] for index in fitted], [iou[index] for index in fitted])
    return quality(rule, [features[index] for index in tried], [iou[index] for index in tried])


def fit(features: Sequence[confidence.Features], iou: Sequence[float]) -> confidence.Rule:
    """The logistic rule with the least squared error of the expected IoU, and the bounds.

    Bounds are the 0.5th and the 99.5th percentile of each feature in `SUSPICIONS`.

    Args:
        features, iou: of pots that the model was not trained on, at least ten.

    Raises:
        ValueError: fewer than ten.
    """
    if len(features) < 10:
        raise ValueError(f"{len(features)} answers are too few to fit the confidence; give 10")
    table, target = np.array(features), np.asarray(iou)
    mean, scale = table.mean(0), np.maximum(table.std(0), 1e-6)
    standard = (table - mean) / scale

    def loss(weights: Float[np.ndarray, " n"]) -> float:
        error = special.expit(weights[0] + standard @ weights[1:]) - target
        return float(np.square(error).mean() + _RIDGE * np.square(weights[1:]).mean())

    found = optimize.minimize(loss, np.zeros(len(confidence.Features._fields) + 1)).x
    slopes = found[1:] / scale
    low, high = np.percentile(table, [_TAIL, 100 - _TAIL], axis=0)
    column = {name: index for index, name in enumerate(confidence.Features._fields)}
    return confidence.Rule(
        intercept=float(found[0] - slopes @ mean),
        coefficients=dict(zip(confidence.Features._fields, slopes.tolist(), strict=True)),
        bounds={
            name: [float(low[column[name]]), float(high[column[name]])]
            for name in confidence.SUSPICIONS
        },
    )


def quality(
    rule: confidence.Rule, features: Sequence[confidence.Features], iou: Sequence[float]
) -> dict[str, Any]:
    """How good a rule is on answers whose IoU is known.

    Returns:
        The mean absolute error of the expected IoU, its rank correlation with the true one, the
        share called strange, and for each word how often it is said and the mean IoU then.
    """
    judged = [confidence.judge(rule, row) for row in features]
    expected = [row.expected_iou for row in judged]
    words = {}
    for word in confidence.WORDS:
        chosen = [value for value, row in zip(iou, judged, strict=True) if row.word == word]
        words[word] = {
            "share": len(chosen) / len(judged),
            "mean_iou": float(np.mean(chosen)) if chosen else None,
        }
    return {
        "mean_absolute_error": float(np.abs(np.subtract(expected, iou)).mean()),
        "rank_correlation": float(np.corrcoef(stats.rankdata(expected), stats.rankdata(iou))[0, 1]),
        "strange": float(np.mean([row.sentence.startswith(confidence.STRANGE) for row in judged])),
        "words": words,
    }
