"""Several answers that were scored on the same files: their scores side by side, as Markdown."""

from collections.abc import Callable, Mapping, Sequence

from scripts.lib import summary
from scripts.lib.scores import Answer, difference
from scripts.lib.tables import cell, table
from voxgan_jax.evaluation.protocol import Record


def markdown(answers: Mapping[str, Answer], reference: str) -> str:
    """Three tables: all files, by class, and by the fragment's share of its pot.

    Args:
        answers: as `scores.gather` gives them.
        reference: the one that the others' IoU is compared with, file by file.

    Raises:
        ValueError: no answer of the reference's name.
    """
    if reference not in answers:
        known = ", ".join(answers)
        raise ValueError(f"no answer is named {reference!r} (--reference); there are {known}")
    sizes = summary.intervals(answers[reference].records)
    notes = (
        f"{sizes['files']} files of {sizes['pots']} pots, one fixed fragment each. In brackets: 95"
        " % intervals, bootstrap over pots; differences are paired by file."
    )
    if any("chamfer" in summary.metrics_of(answer.records) for answer in answers.values()):
        notes += " Chamfer distance in voxels, lower is better; surfaces with the fragment kept."
    return "\n\n".join(
        [
            _overall(answers, reference),
            "IoU by class:",
            _by_group(answers, summary.by_class, "class"),
            "IoU by the given fragment's share of its pot, in %:",
            _by_group(answers, summary.by_share, "share, %"),
            notes + "\n",
        ]
    )


def _overall(answers: Mapping[str, Answer], reference: str) -> str:
    metrics = max((summary.metrics_of(answer.records) for answer in answers.values()), key=len)
    titles = [summary.TITLES[name] for name in metrics]
    heads = ["answer", "placement", "threshold", *titles, f"IoU less {reference}'s"]
    rows = []
    for name, answer in answers.items():
        scores = summary.intervals(answer.records)
        cells = [cell(scores[metric]) if metric in scores else "-" for metric in metrics]
        less = difference(answer.records, answers[reference].records)
        cells.append("-" if name == reference else cell(summary.intervals(less)["iou"], "{:+.4f}"))
        runs = len(answer.thresholds)
        title = f"{name}, {runs} runs" if runs > 1 else name
        thresholds = ", ".join(f"{value:g}" for value in sorted(set(answer.thresholds)))
        rows.append([title, answer.place["placement"], thresholds, *cells])
    return table(heads, rows)


def _by_group(
    answers: Mapping[str, Answer],
    divide: Callable[[Sequence[Record]], dict[str, list[Record]]],
    title: str,
) -> str:
    groups = {name: divide(answer.records) for name, answer in answers.items()}
    rows = []
    for group in next(iter(groups.values())):
        scores = [summary.intervals(groups[name][group]) for name in answers]
        size = [str(scores[0]["files"]), str(scores[0]["pots"])]
        rows.append([group or "-", *size, *(cell(score["iou"]) for score in scores)])
    return table([title, "files", "pots", *answers], rows)
