"""The paper's Table 1 with ours beside it: scores over seeds, paired differences, the table.

Intervals draw pots, see `report`. Scores are averaged over the seeds file by file before that, so
an interval says how sure the numbers are for other pots; how far seeds differ is told by the
scores of each seed, which are listed beside it.
"""

import pathlib
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from voxgan_jax.evaluation import summary
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
    "spectral_norm": "+ spectral norm",
    "resnet_sn": "+ ResBlocks, lower L1",
}
METRICS = ("iou", "dice", "mse")

Run = Sequence[Record]
"""The scores of one trained model on every file of a split."""


def read_records(path: str | pathlib.Path) -> list[Record]:
    """The `per_file.csv` that an evaluation wrote (scores have six digits there).

    Raises:
        OSError: no such file.
        ValueError: not such a file.
    """
    try:
        return summary.read_records(path)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path}: not the scores of an evaluation ({error}); delete its folder to score again"
        ) from error


def combine(runs: Sequence[Run], factors: Sequence[float]) -> list[Record]:
    """The sum of each file's scores over runs, each times its factor, in the first run's order.

    Raises:
        ValueError: the runs scored other files, or another fragment of a file.
    """
    by_file = [{record[:4]: record for record in run} for run in runs]
    for run, scored in zip(runs, by_file, strict=True):
        if scored.keys() != by_file[0].keys() or len(scored) != len(run):
            raise ValueError(
                "the runs were scored on other files or fragments, so they cannot be compared;"
                " evaluate all of them on the same split of the same data"
            )
    return [
        record._replace(
            **{
                name: sum(
                    factor * getattr(scored[record[:4]], name)
                    for factor, scored in zip(factors, by_file, strict=True)
                )
                for name in summary.METRICS
            }
        )
        for record in runs[0]
    ]


def mean_over_seeds(runs: Sequence[Run]) -> list[Record]:
    """Each file's scores, averaged over runs that differ in their seed."""
    return combine(runs, [1 / len(runs)] * len(runs))


def difference(run: Run, other: Run) -> list[Record]:
    """Each file's scores in `run` less those in `other`: a paired comparison."""
    return combine([run, other], [1.0, -1.0])


def compare(runs: Mapping[str, Mapping[int, Run]]) -> dict[str, dict[str, Any]]:
    """One row of the table for each model, in the order given.

    Args:
        runs: for each model its runs by seed; none where all failed.

    Returns:
        For each model `paper`; `ours`, intervals as `report.intervals` gives them; `by_seed`, the
        mean scores of each seed; `over_previous` and `over_baseline`, intervals of the paired
        difference to the model before it and to the baseline. What cannot be told is None.

    Raises:
        ValueError: runs that were not scored on the same files.
    """
    means: dict[str, list[Record]] = {
        model: mean_over_seeds(list(of.values())) if of else [] for model, of in runs.items()
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
    return {"to": other} | summary.intervals(difference(ours, theirs))


def table(rows: dict[str, dict[str, Any]], failed: dict[str, list[int]]) -> str:
    """The rows of `compare` as two Markdown tables: scores beside the paper's, and differences.

    Args:
        failed: for each model the seeds that failed.
    """
    names = [summary.TITLES[name] for name in METRICS]
    heads = ["model", *(head for name in names for head in (f"{name}, paper", name)), "seeds"]
    lines = [line(heads), line(["---"] * len(heads))]
    for model, row in rows.items():
        cells = [TITLES.get(model, model)]
        for name in METRICS:
            cells.append(f"{row['paper'][name]:.4f}" if row["paper"] else "-")
            cells.append(cell(row["ours"][name], "{:.4f}") if row["ours"] else "failed")
        seeds = ", ".join(row["by_seed"]) or "-"
        if failed.get(model):
            seeds += f" (failed: {', '.join(map(str, failed[model]))})"
        lines.append(line([*cells, seeds]))
    differences = []
    for model, row in rows.items():
        pairs = [pair for pair in (row["over_previous"], row["over_baseline"]) if pair]
        for pair in {pair["to"]: pair for pair in pairs}.values():
            cells = [cell(pair[name], "{:+.4f}") for name in METRICS]
            titles = [TITLES.get(name, name) for name in (model, pair["to"])]
            differences.append(line([*titles, *cells]))
    if differences:
        heads = ["difference", "to", *names]
        lines += ["", line(heads), line(["---"] * len(heads)), *differences]
    return "\n".join(lines)


def line(cells: Sequence[str]) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def cell(value: Mapping[str, float | None], form: str) -> str:
    """A mean with its interval, if it has one, each number as `form` writes it."""
    mean, *bounds = (
        "-" if number is None else form.format(number)
        for number in (value[name] for name in ("mean", "low", "high"))
    )
    return mean if value["low"] is None else f"{mean} ({' … '.join(bounds)})"
