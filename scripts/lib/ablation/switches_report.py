"""What an ablation of the axis-aware model leaves: results.json and a Markdown table."""

import json
import pathlib
import statistics
from collections.abc import Mapping
from typing import Any

import jax

from scripts.lib.ablation import comparison, switches, variants
from scripts.lib.ablation import report as ablation_report
from voxgan_jax.evaluation import summary

RESULTS, TABLE = "results.json", "table.md"
TIMES = "times.json"

Scored = Mapping[str, Mapping[int, pathlib.Path]]
"""For each part the folders of its scores, by seed, `switches.FULL` first."""


def collect(titles: Mapping[str, str], scored: Scored) -> dict[str, Any]:
    """The numbers of all parts that were scored, and what they were computed on.

    Args:
        titles: what each part's run is called.

    Returns:
        `parts`: for each `title`, the `scores` and, but for the full model, `over_full`, as
        `report.intervals` has them, the difference paired by file over the seeds that both have;
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
        row["scores"] = summary.intervals(_mean(titles[part], of_seeds))
        both = [seed for seed in of_seeds if seed in full]
        if part != switches.FULL and both:
            row["over_full"] = summary.intervals(_less(of_seeds, full, both))
        row["by_seed"] = {str(seed): _run(folder) for seed, folder in of_seeds.items()}
        parts[part] = row
    return {"parts": parts, "hardware": ablation_report.hardware(), "jax": jax.__version__}


def _mean(name: str, of_seeds: Mapping[int, pathlib.Path]) -> list[comparison.Scores]:
    """Each file's scores, averaged over seeds."""
    answers = [comparison.read(folder, name) for folder in of_seeds.values()]
    return comparison.gather(answers)[name].records


def _less(
    ours: Mapping[int, pathlib.Path], full: Mapping[int, pathlib.Path], seeds: list[int]
) -> list[comparison.Scores]:
    """Each file's scores less the full model's, both averaged over these seeds."""
    answers = [comparison.read(full[seed], "full") for seed in seeds]
    answers += [comparison.read(ours[seed], "ours") for seed in seeds]
    gathered = comparison.gather(answers)
    return comparison.combine([gathered["ours"].records, gathered["full"].records], [1.0, -1.0])


def _run(folder: pathlib.Path) -> dict[str, Any]:
    times = folder.parent / TIMES
    records = comparison.read(folder, folder.name).records
    return {
        "iou": statistics.fmean(record.iou for record in records),
        "parameters": switches.count_parameters(folder.parent),
        "seconds": json.loads(times.read_text()) if times.is_file() else {},
    }


def markdown(results: Mapping[str, Any]) -> str:
    """The contents of `table.md`."""
    heads = ["", "parameters", "IoU", "less the full model's", "Dice", "MSE", "IoU of each seed"]
    lines = [variants.line(heads), variants.line(["---"] * len(heads))]
    for row in results["parts"].values():
        runs = row["by_seed"].values()
        less = variants.cell(row["over_full"]["iou"], "{:+.4f}") if "over_full" in row else "-"
        scores = [variants.cell(row["scores"][name], "{:.4f}") for name in ("iou", "dice", "mse")]
        lines.append(
            variants.line(
                [
                    row["title"],
                    f"{next(iter(runs))['parameters']:,}",
                    *(scores[0], less, *scores[1:]),
                    ", ".join(f"{run['iou']:.4f}" for run in runs),
                ]
            )
        )
    train, machine = results["config"]["train"], results["hardware"]
    sizes = next(iter(results["parts"].values()))["scores"] if results["parts"] else {}
    failed = f"\nFailed: {'; '.join(results['failed'])}.\n" if results["failed"] else ""
    return "\n".join(lines) + (
        f"\n{failed}\nScored on {results['split']}: {sizes.get('files', 0)} files of"
        f" {sizes.get('pots', 0)} pots, one fixed fragment a file, answers averaged over"
        f" {results['average']} symmetries if not said otherwise. In brackets: 95 % intervals over"
        " pots; seeds are averaged file by file first, differences are paired by file. Each run:"
        f" {train['num_train_steps']} steps of {train['batch_size']} at"
        f" {results['config']['data']['resolution']}³, last weights. On {machine['platform']}"
        f" ({', '.join(machine['devices'])}), {machine['cores']} cores, jax {results['jax']}.\n\n"
        f"    {results['command']}\n"
    )


def write(results: Mapping[str, Any], out: pathlib.Path) -> str:
    """Write the table, then `results.json`; returns the table.

    Args:
        results: what `collect` gives, with `command`, `split`, `average`, `failed` and `config`.
    """
    text = markdown(results)
    summary.write_whole(out / TABLE, text)
    numbers = json.dumps(results, indent=2, ensure_ascii=False, allow_nan=False)
    summary.write_whole(out / RESULTS, numbers + "\n")
    return text
