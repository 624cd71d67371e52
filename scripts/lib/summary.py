"""What the scores of all files come to, with intervals and break-downs: a dict, a table, files."""

import csv
import io
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from voxgan_jax.evaluation.protocol import Record
from voxgan_jax.files import write_whole

FACTS = ("name", "pot", "category", "fragment", "share")
"""What a record says of its file; the others are scores."""
METRICS = ("iou", "dice", "mse", "missing_iou")
SURFACE_METRICS = ("chamfer", "f_score")
TITLES = {
    "iou": "IoU",
    "dice": "Dice",
    "mse": "MSE",
    "missing_iou": "missing IoU",
    "chamfer": "Chamfer",
    "f_score": "F at 1 voxel",
}
SHARE_BINS = ((0, 5), (5, 10), (10, 20), (20, 30), (30, None))
_BLOCK = 250


def metrics_of(records: Sequence[Record]) -> tuple[str, ...]:
    """The metrics that the records hold, `METRICS` at least."""
    surfaces = bool(records) and records[0].chamfer is not None
    return (*METRICS, *SURFACE_METRICS) if surfaces else METRICS


def summarise(
    records: Sequence[Record], *, threshold: float = 0.5, seed: int = 0, resamples: int = 2000
) -> dict[str, Any]:
    """Mean and 95 % interval of each metric, over all files, by class and by fragment share.

    Each metric is `{"mean", "low", "high"}`. The interval is the percentile bootstrap that draws
    pots, not files, as the files of one pot are not independent. It is None with fewer than two
    pots, and so is the mean where there is no file.

    Args:
        threshold: the one the records were scored with; kept in the summary.
        seed, resamples: of the bootstrap; every group starts from the same seed.

    Raises:
        ValueError: no records.
    """
    if not records:
        raise ValueError("no file was scored, so there is nothing to summarise")

    metrics = metrics_of(records)

    def group(chosen: Sequence[Record]) -> dict[str, Any]:
        return _summarise_group(chosen, metrics, seed, resamples)

    return group(records) | {
        "threshold": threshold,
        "seed": seed,
        "resamples": resamples,
        "by_class": {name: group(chosen) for name, chosen in by_class(records).items()},
        "by_share": {name: group(chosen) for name, chosen in by_share(records).items()},
    }


def by_class(records: Sequence[Record]) -> dict[str, list[Record]]:
    """The records of each class, classes named by numbers in numeric order, before the others."""
    groups: dict[str, list[Record]] = {}
    for record in sorted(records, key=lambda record: _natural(record.category)):
        groups.setdefault(record.category, []).append(record)
    return groups


def by_share(records: Sequence[Record]) -> dict[str, list[Record]]:
    """The records by their fragment's share of the pot in percent, in the bins `SHARE_BINS`."""
    return {
        f"{low}-{high}" if high else f"{low}+": [
            record
            for record in records
            if low <= 100 * record.share and (high is None or 100 * record.share < high)
        ]
        for low, high in SHARE_BINS
    }


def _natural(category: str) -> tuple[bool, int, str]:
    return (False, int(category), "") if category.isdecimal() else (True, 0, category)


def _summarise_group(
    records: Sequence[Record], metrics: Sequence[str], seed: int, resamples: int
) -> dict[str, Any]:
    index: dict[tuple[str, str], int] = {}
    cluster = [index.setdefault((record.category, record.pot), len(index)) for record in records]
    values = np.array([[getattr(record, name) for name in metrics] for record in records])
    size = {"files": len(records), "pots": len(index)}
    if not records:
        return {name: _interval(None, None, None) for name in metrics} | size
    counts = np.bincount(cluster).astype(float)
    sums = np.zeros((len(index), len(metrics)))
    np.add.at(sums, cluster, values)
    low, high = [None] * len(metrics), [None] * len(metrics)
    if len(index) > 1:
        low, high = np.percentile(bootstrap(sums, counts, seed, resamples), [2.5, 97.5], axis=0)
    means = values.mean(axis=0)
    return {
        name: _interval(*row) for name, *row in zip(metrics, means, low, high, strict=True)
    } | size


def intervals(records: Sequence[Record], *, seed: int = 0, resamples: int = 2000) -> dict[str, Any]:
    """The overall part of `summarise`: each metric's mean and 95 % interval, and the counts.

    The scores may be differences of scores.
    """
    return _summarise_group(records, metrics_of(records), seed, resamples)


def _interval(mean: float | None, low: float | None, high: float | None) -> dict[str, Any]:
    row = {"mean": mean, "low": low, "high": high}
    return {name: None if value is None else float(value) for name, value in row.items()}


def bootstrap(
    sums: Float[np.ndarray, "clusters metrics"],
    counts: Float[np.ndarray, " clusters"],
    seed: int,
    resamples: int,
) -> Float[np.ndarray, "resamples metrics"]:
    """Means over files when whole clusters (pots) are drawn with replacement.

    A resample is a vector of how often each cluster was drawn, so its mean is a ratio of two
    products with the clusters' `sums` and `counts`.
    """
    rng = np.random.default_rng(seed)
    clusters = len(counts)
    even = np.full(clusters, 1 / clusters)
    means = []
    for start in range(0, resamples, _BLOCK):
        drawn = rng.multinomial(clusters, even, size=min(_BLOCK, resamples - start))
        means.append((drawn @ sums) / (drawn @ counts)[:, None])
    return np.concatenate(means)


def table(summary: dict[str, Any]) -> str:
    """The summary as plain text of at most 80 columns."""
    lines = [f"{'':<13}{'mean':>8}   95 % interval"]
    surface = [name for name in SURFACE_METRICS if name in summary]
    for name in (*METRICS, *surface):
        mean, bounds = _mean_and_bounds(summary[name])
        lines.append(f"{TITLES[name]:<13}{mean:>8}   {bounds}")
    lines.append(
        f"{summary['files']} files of {summary['pots']} pots, threshold {summary['threshold']:g}; "
        f"{summary['resamples']} resamples of pots"
    )
    row = "{:<16}{:>6}{:>6}   {:<7} {:<16}{:>8}{:>8}{:>9}"
    narrow = "{:<16}{:>6}{:>6}{:>10}{:>14}"
    for title, groups in (("class", summary["by_class"]), ("share, %", summary["by_share"])):
        lines += ["", row.format(title, "files", "pots", "IoU", "", "Dice", "MSE", "missing")]
        for name, group in groups.items():
            others = [_text(group[metric]["mean"]) for metric in METRICS[1:]]
            size = (group["files"], group["pots"])
            lines.append(
                row.format((name or "-")[:15], *size, *_mean_and_bounds(group["iou"]), *others)
            )
        if surface:
            heads = [TITLES[metric] for metric in surface]
            lines += ["", narrow.format(title, "files", "pots", *heads)]
            for name, group in groups.items():
                cells = [_text(group[metric]["mean"]) for metric in surface]
                lines.append(
                    narrow.format((name or "-")[:15], group["files"], group["pots"], *cells)
                )
    return "\n".join(lines)


def _mean_and_bounds(value: dict[str, float | None]) -> tuple[str, str]:
    return _text(value["mean"]), f"{_text(value['low'])} – {_text(value['high'])}"


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def read_records(path: str | pathlib.Path) -> list[Record]:
    """The `per_file.csv` that `write` wrote (scores have six digits there).

    Raises:
        OSError: no such file.
        KeyError, TypeError, ValueError: not such a file.
    """
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        heads, rows = reader.fieldnames or (), list(reader)
    scores = (*METRICS, *(name for name in SURFACE_METRICS if name in heads))
    return [
        Record(
            row["name"],
            row["pot"],
            row["category"],
            int(row["fragment"]),
            *(float(row[name]) for name in ("share", *scores)),
        )
        for row in rows
    ]


def write(
    summary: dict[str, Any], records: Sequence[Record], out_dir: str | pathlib.Path
) -> pathlib.Path:
    """Write `metrics.json` and `per_file.csv` below `out_dir`, whole or not at all.

    Returns:
        The path of `metrics.json`.
    """
    out = pathlib.Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    fields = (*FACTS, *metrics_of(records))
    writer.writerow(fields)
    for record in records:
        row = [getattr(record, name) for name in fields]
        writer.writerow(f"{cell:.6g}" if isinstance(cell, float) else cell for cell in row)
    write_whole(out / "per_file.csv", rows.getvalue())
    # allow_nan=False: a NaN is no JSON, and none may hide in the numbers.
    text = json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False)
    write_whole(out / "metrics.json", text + "\n")
    return out / "metrics.json"
