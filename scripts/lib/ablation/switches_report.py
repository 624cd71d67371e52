"""What an ablation of the axis-aware model leaves: results.json and a Markdown table."""

import pathlib
import statistics
from collections.abc import Iterable, Mapping
from typing import Any

import jax

from scripts.lib import scores, summary, tables
from scripts.lib.ablation import results, switches
from voxgan_jax.evaluation.protocol import Record
from voxgan_jax.files import write_whole

Scored = Mapping[str, Mapping[int, pathlib.Path]]
"""For each part the folders of its scores, by seed, `switches.FULL` first."""


def collect(titles: Mapping[str, str], scored: Scored) -> dict[str, Any]:
    """The numbers of all parts that were scored, and what they were computed on.

    Args:
        titles: what each part's run is called.

    Returns:
        `parts`: for each `title`, the `scores` and, but for the full model, `over_full`, as
        `summary.intervals` has them, the difference paired by file over the seeds that both have;
        `by_seed`: each seed's mean IoU, seconds and parameters. `hardware` and `jax`.

    Raises:
        OSError, ValueError: scores that are not there, damaged, or of other files.
    """
    full = scored[switches.FULL]
    parts = {}
    for part, of_seeds in scored.items():
        if not of_seeds:
            continue
        row: dict[str, Any] = {"title": titles[part]}
        row["scores"] = summary.intervals(_mean(of_seeds, of_seeds))
        both = [seed for seed in of_seeds if seed in full]
        if part != switches.FULL and both:
            less = scores.difference(_mean(of_seeds, both), _mean(full, both))
            row["over_full"] = summary.intervals(less)
        row["by_seed"] = {str(seed): _run(folder) for seed, folder in of_seeds.items()}
        parts[part] = row
    return {"parts": parts, "hardware": results.hardware(), "jax": jax.__version__}


def _mean(of_seeds: Mapping[int, pathlib.Path], seeds: Iterable[int]) -> list[Record]:
    """Each file's scores, averaged over these seeds."""
    return scores.mean([scores.read(of_seeds[seed], str(seed)).records for seed in seeds])


def _run(folder: pathlib.Path) -> dict[str, Any]:
    records = scores.read(folder, folder.name).records
    return {
        "iou": statistics.fmean(record.iou for record in records),
        "parameters": switches.count_parameters(folder.parent),
        "seconds": results.seconds(folder.parent),
    }


def markdown(numbers: Mapping[str, Any]) -> str:
    """The contents of `table.md`."""
    heads = ["", "parameters", "IoU", "less the full model's", "Dice", "MSE", "IoU of each seed"]
    lines = []
    for row in numbers["parts"].values():
        runs = row["by_seed"].values()
        less = tables.cell(row["over_full"]["iou"], "{:+.4f}") if "over_full" in row else "-"
        iou, *others = (tables.cell(row["scores"][name]) for name in ("iou", "dice", "mse"))
        parameters = f"{next(iter(runs))['parameters']:,}"
        ious = ", ".join(f"{run['iou']:.4f}" for run in runs)
        lines.append([row["title"], parameters, iou, less, *others, ious])
    train, machine = numbers["config"]["train"], numbers["hardware"]
    sizes = next(iter(numbers["parts"].values()))["scores"] if numbers["parts"] else {}
    failed = f"\nFailed: {'; '.join(numbers['failed'])}.\n" if numbers["failed"] else ""
    return tables.table(heads, lines) + (
        f"\n{failed}\nScored on {numbers['split']}: {sizes.get('files', 0)} files of"
        f" {sizes.get('pots', 0)} pots, one fixed fragment a file, answers averaged over"
        f" {numbers['average']} symmetries if not said otherwise. In brackets: 95 % intervals over"
        " pots; seeds are averaged file by file first, differences are paired by file. Each run:"
        f" {train['num_train_steps']} steps of {train['batch_size']} at"
        f" {numbers['config']['data']['resolution']}³, last weights. On {machine['platform']}"
        f" ({', '.join(machine['devices'])}), {machine['cores']} cores, jax {numbers['jax']}.\n\n"
        f"    {numbers['command']}\n"
    )


def write(numbers: Mapping[str, Any], out: pathlib.Path) -> str:
    """Write the table, then `results.json`; returns the table.

    Args:
        numbers: what `collect` gives, with `command`, `split`, `average`, `failed` and `config`.
    """
    text = markdown(numbers)
    write_whole(out / results.TABLE, text)
    results.write(numbers, out)
    return text
