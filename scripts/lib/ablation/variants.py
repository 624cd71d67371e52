"""The paper's Table 1 with ours beside it: scores over seeds, paired differences, the table.

Intervals draw pots, see `summary`. Scores are averaged over the seeds file by file
before that, so an interval says how sure the numbers are for other pots; how far seeds differ is
told by the scores of each seed, which are listed beside it.
"""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from scripts.lib import scores, summary, tables
from voxgan_jax.evaluation.protocol import Record

PAPER = {
    "baseline": {"iou": 0.5347, "dice": 0.6790, "mse": 0.0509},
    "wide_generator": {"iou": 0.5414, "dice": 0.6842, "mse": 0.0494},
    "spectral_norm": {"iou": 0.5521, "dice": 0.6895, "mse": 0.0488},
    "resnet_sn": {"iou": 0.5864, "dice": 0.7237, "mse": 0.0425},
}
"""Table 1 of "3D Pottery Generation via GANs" (Han and Sun, Peking University, 2026), in order."""

TITLES = {
    "baseline": "baseline",
    "wide_generator": "+ wider generator",
    "wide_generator_code": "wider generator of the public code",
    "spectral_norm": "+ spectral norm",
    "resnet_sn": "+ ResBlocks, lower L1",
    "hinge": "spectral norm, hinge loss",
    "wgan": "Wasserstein critic, clipped",
    "wgan_gp": "Wasserstein critic, gradient penalty",
    "sdf": "signed distance, no adversary",
    "ddpm": "flow from noise, mean of two draws",
}
METRICS = ("iou", "dice", "mse")

Run = Sequence[Record]
"""The scores of one trained model on every file of a split."""


def compare(runs: Mapping[str, Mapping[int, Run]]) -> dict[str, dict[str, Any]]:
    """One row of the table for each model, in the order given.

    Args:
        runs: for each model its runs by seed; none where all failed.

    Returns:
        For each model `paper`; `ours`, intervals as `summary.intervals` gives them; `by_seed`, the
        mean scores of each seed; `over_previous` and `over_baseline`, intervals of the paired
        difference to the model before it and to the baseline. What cannot be told is None.

    Raises:
        ValueError: runs that were not scored on the same files.
    """
    means: dict[str, list[Record]] = {
        model: scores.mean(list(of.values())) if of else [] for model, of in runs.items()
    }
    rows: dict[str, dict[str, Any]] = {}
    previous = None
    for model, of_seeds in runs.items():
        rows[model] = {
            "paper": PAPER.get(model),
            "ours": summary.intervals(means[model]) if means[model] else None,
            "by_seed": {
                str(seed): {
                    name: statistics.fmean(getattr(record, name) for record in run)
                    for name in METRICS
                }
                for seed, run in of_seeds.items()
            },
            "over_previous": _paired(means, model, previous),
            "over_baseline": _paired(means, model, "baseline"),
        }
        previous = model
    return rows


def _paired(means: dict[str, list[Record]], model: str, other: str | None) -> dict[str, Any] | None:
    ours, theirs = means[model], means.get(other or "", [])
    if model == other or not ours or not theirs:
        return None
    return {"to": other} | summary.intervals(scores.difference(ours, theirs))


def table(rows: dict[str, dict[str, Any]], failed: dict[str, list[int]]) -> str:
    """The rows of `compare` as two Markdown tables: scores beside the paper's, and differences.

    Args:
        failed: for each model the seeds that failed.
    """
    names = [summary.TITLES[name] for name in METRICS]
    heads = ["model", *(head for name in names for head in (f"{name}, paper", name)), "seeds"]
    lines = []
    for model, row in rows.items():
        cells = [TITLES.get(model, model)]
        for name in METRICS:
            cells.append(f"{row['paper'][name]:.4f}" if row["paper"] else "-")
            cells.append(tables.cell(row["ours"][name], "{:.4f}") if row["ours"] else "failed")
        seeds = ", ".join(row["by_seed"]) or "-"
        if failed.get(model):
            seeds += f" (failed: {', '.join(map(str, failed[model]))})"
        lines.append([*cells, seeds])
    differences = []
    for model, row in rows.items():
        pairs = [pair for pair in (row["over_previous"], row["over_baseline"]) if pair]
        for pair in {pair["to"]: pair for pair in pairs}.values():
            cells = [tables.cell(pair[name], "{:+.4f}") for name in METRICS]
            titles = [TITLES.get(name, name) for name in (model, pair["to"])]
            differences.append([*titles, *cells])
    text = tables.table(heads, lines)
    if differences:
        text += "\n\n" + tables.table(["difference", "to", *names], differences)
    return text
