"""Several answers for one sherd: how good the best is, how they differ, whether they keep it."""

import functools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from scipy import ndimage

from scripts.lib import reliability, summary
from voxgan_jax.data import fragments
from voxgan_jax.evaluation import metrics
from voxgan_jax.evaluation.protocol import Predict, Sample, batches

Answers = Callable[
    [Float[Array, "b d h w 1"]], tuple[Float[Array, "k b d h w 1"], Float[Array, "k b"]]
]
"""From the given voxels to K pots, as probabilities, and how much weight each has beside others."""


class Scores(NamedTuple):
    """What K answers to one file come to.

    `single` is the IoU of the one answer without drawing; `best`, `mean` and `first` are those of
    the best of K, of all on average, and of the one with the highest weight; `vote` is that of the
    weighted mean of the probabilities. `tmd` and `uhd` are as in `mutual_difference` and
    `fidelity`.
    """

    name: str
    pot: str
    category: str
    fragment: int
    share: float
    single: float
    best: float
    mean: float
    first: float
    vote: float
    tmd: float
    uhd: float


METRICS = Scores._fields[5:]


class Result(NamedTuple):
    """The scores of all files, and of each a table of its unobserved voxels by probability.

    The probability is the weighted mean of the answers; see `reliability.reliability`.
    """

    scores: list[Scores]
    tables: Float[np.ndarray, "files bin 3"]


def mutual_difference(answers: Bool[Array, "k b d h w 1"]) -> Float[Array, " b"]:
    """Total mutual difference of K answers: sum over them of the mean distance to the others.

    Wu et al. (ECCV 2020, section 4) take Chamfer distance; here it is 1 - IoU, which needs no scale
    and lies in [0, 1], so the sum lies in [0, K]. 0 where there is one answer; two empty ones are
    equal.
    """
    count = len(answers)
    flat = answers.reshape(count, answers.shape[1], -1).astype(jnp.float32)
    shared = jnp.einsum("ibv,jbv->bij", flat, flat)
    volume = flat.sum(axis=-1).T
    union = volume[:, :, None] + volume[:, None, :] - shared
    distance = jnp.where(union > 0, 1.0 - shared / jnp.maximum(union, 1.0), 0.0)
    return distance.sum(axis=(1, 2)) / max(count - 1, 1)


def fidelity(
    given: Bool[np.ndarray, "d h w"], answers: Bool[np.ndarray, "k d h w"]
) -> Float[np.ndarray, ""]:
    """Mean over K answers of the Hausdorff distance from the given voxels to the answer, in voxels.

    The distance of a given voxel is that to the nearest filled one; the largest counts (UHD of Wu
    et al., ECCV 2020). It is 0 where all given voxels are kept. To an empty answer it is the
    diagonal of the grid.
    """
    farthest = [_farthest(given, answer) for answer in answers]
    return np.asarray(np.mean(farthest), np.float64)


def _farthest(given: Bool[np.ndarray, "d h w"], answer: Bool[np.ndarray, "d h w"]) -> float:
    if not (given & ~answer).any():
        return 0.0
    if not answer.any():
        return float(np.linalg.norm(given.shape))
    return float(np.asarray(ndimage.distance_transform_edt(~answer))[given].max())


@functools.partial(jax.jit, static_argnames="threshold")
def _compare(
    single: Float[Array, "b d h w 1"],
    completed: Float[Array, "k b d h w 1"],
    weight: Float[Array, "k b"],
    complete: Float[Array, "b d h w 1"],
    threshold: float,
) -> tuple[dict[str, Float[Array, " b"]], Float[Array, "b d h w 1"], Bool[Array, "k b d h w 1"]]:
    """All scores that need no distances, the mean of the answers, and the answers themselves."""
    completed = completed.astype(jnp.float32)
    weight = weight / jnp.maximum(weight.sum(axis=0, keepdims=True), 1e-12)
    mean = jnp.clip(jnp.einsum("kb,kbdhwc->bdhwc", weight, completed), 0.0, 1.0)
    ious = jax.vmap(lambda answer: metrics.iou(answer, complete, threshold))(completed)
    answers = completed > threshold
    values = {
        "single": metrics.iou(single.astype(jnp.float32), complete, threshold),
        "best": ious.max(axis=0),
        "mean": ious.mean(axis=0),
        "first": jnp.take_along_axis(ious, jnp.argmax(weight, axis=0)[None], axis=0)[0],
        "vote": metrics.iou(mean, complete, threshold),
        "tmd": mutual_difference(answers),
    }
    return values, mean, answers


def evaluate(
    predict: Predict,
    answer: Answers,
    samples: Iterable[Sample],
    *,
    batch_size: int = 4,
    threshold: float = 0.5,
    progress: Callable[[Iterable[Sample]], Iterable[Sample]] = iter,
) -> Result:
    """Score K answers to every sample, in order, beside the single answer of `predict`.

    Args:
        answer: it always sees `batch_size` rows, so it compiles once.
        threshold: above it a voxel counts as filled.
        progress: wraps the samples to show how far it is.

    Raises:
        ValueError: no samples, or an answer that is not finite.
    """
    scores, tables = [], []
    for batch in batches(iter(progress(samples)), batch_size):
        partial, complete = (
            jnp.asarray(part, jnp.float32) for part in fragments.select(batch.labels, batch.given)
        )
        completed, weight = answer(partial)
        values, mean, answers = jax.device_get(
            _compare(predict(partial), completed, weight, complete, threshold)
        )
        if not np.all(np.isfinite(mean)):
            raise ValueError(f"an answer for {batch.samples[0].name} or its batch is not finite")
        for row, sample in enumerate(batch.samples):
            whole = sample.labels > 0
            given = batch.given[row][sample.labels]
            columns = {name: float(column[row]) for name, column in values.items()}
            columns["uhd"] = float(fidelity(given, answers[:, row, ..., 0]))
            scores.append(Scores(*sample[1:], **columns))
            tables.append(reliability.reliability(mean[row, ..., 0][~given], whole[~given]))
    if not scores:
        raise ValueError("no file was scored")
    return Result(scores, np.stack(tables))


def summarise(result: Result, *, seed: int = 0, resamples: int = 2000) -> dict[str, Any]:
    """Mean and 95 % interval of each score, of `gain`, and of the calibration errors.

    `gain` is best less single, file by file. `ece` is over all unobserved voxels, `ece_unsure` over
    those of the bins between the first and the last. Intervals are those of `summary`: pots are
    drawn, not files. Then means by fragment share.
    """
    percent = np.array([100 * record.share for record in result.scores])
    by_share = {}
    for low, high in summary.SHARE_BINS:
        rows = np.flatnonzero((percent >= low) & (percent < (high or np.inf)))
        if rows.size:
            part = Result([result.scores[row] for row in rows], result.tables[rows])
            by_share[f"{low}-{high}" if high else f"{low}+"] = _intervals(part, seed, resamples)
    overall = _intervals(result, seed, resamples)
    return overall | {"seed": seed, "resamples": resamples, "by_share": by_share}


def _intervals(result: Result, seed: int, resamples: int) -> dict[str, Any]:
    scores, tables = result
    index: dict[tuple[str, str], int] = {}
    cluster = [index.setdefault((record.category, record.pot), len(index)) for record in scores]
    values = np.array([[getattr(record, name) for name in METRICS] for record in scores])
    rows = np.concatenate([values, tables.reshape(len(scores), -1)], axis=1)
    sums = np.zeros((len(index), rows.shape[1]))
    np.add.at(sums, cluster, rows)
    counts = np.bincount(cluster).astype(float)
    bins = tables.shape[1]
    names, means = _derived(rows.mean(axis=0)[None], bins)
    low, high = [None] * len(names), [None] * len(names)
    if len(index) > 1:
        drawn = _derived(summary.bootstrap(sums, counts, seed, resamples), bins)[1]
        low, high = np.percentile(drawn, [2.5, 97.5], axis=0).tolist()
    scored: dict[str, Any] = {
        name: {"mean": float(mean), "low": below, "high": above}
        for name, mean, below, above in zip(names, means[0], low, high, strict=True)
    }
    return scored | {"files": len(scores), "pots": len(index)}


def _derived(
    means: Float[np.ndarray, "n columns"], bins: int
) -> tuple[list[str], Float[np.ndarray, "n names"]]:
    """From means of the scores and of the tables to all that is reported."""
    values = means[:, : len(METRICS)]
    table = means[:, len(METRICS) :].reshape(len(means), bins, 3)
    gain = values[:, METRICS.index("best")] - values[:, METRICS.index("single")]
    errors = (gain, reliability.ece(table), reliability.ece(reliability.unsure(table)))
    return [*METRICS, "gain", "ece", "ece_unsure"], np.column_stack([values, *errors])


def table(scored: dict[str, Any]) -> str:
    """The summary as plain text of at most 80 columns."""
    groups = {"all": scored} | {f"{name} %": group for name, group in scored["by_share"].items()}
    lines = [f"{'':<11}{'mean':>8}   95 % interval"]
    for name in (*METRICS, "gain", "ece", "ece_unsure"):
        value = scored[name]
        bounds = " – ".join(_text(value[end]) for end in ("low", "high"))
        lines.append(f"{name:<11}{_text(value['mean']):>8}   {bounds}")
    columns = ("single", "best", "mean", "first", "vote", "tmd", "ece_unsure")
    lines += ["", f"{'share':<8}{'files':>6}" + "".join(f"{name:>9}" for name in columns[:-1])]
    lines[-1] += f"{columns[-1]:>12}"
    for title, group in groups.items():
        cells = "".join(f"{_text(group[name]['mean']):>9}" for name in columns[:-1])
        last = _text(group[columns[-1]]["mean"])
        lines.append(f"{title:<8}{group['files']:>6}{cells}{last:>12}")
    return "\n".join(lines)


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
