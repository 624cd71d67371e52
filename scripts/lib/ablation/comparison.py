"""Several answers scored on the same files: their scores side by side, as Markdown.

An answer may have several runs, one a seed: its scores are averaged file by file first, so the
intervals say how sure a number is for other pots, not for other seeds.
"""

import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from voxgan_jax.evaluation import summary as report
from voxgan_jax.evaluation.protocol import Record

PLACE = ("resolution", "pool", "placement")


class Answer(NamedTuple):
    """One answer's scores on all files, averaged over runs; how pots were placed for it.

    `thresholds` has one for each run.
    """

    name: str
    thresholds: tuple[float, ...]
    place: dict[str, Any]
    records: list[Record]


def read(folder: str | pathlib.Path, name: str) -> Answer:
    """What `report.write` wrote to a folder (scores have six digits there).

    Raises:
        OSError: a file is not there.
        ValueError: a file is not what an evaluation writes.
    """
    scores, summary = (pathlib.Path(folder) / file for file in ("per_file.csv", "metrics.json"))
    try:
        records = report.read_records(scores)
        settings = json.loads(summary.read_text(encoding="utf-8"))
        place = {key: settings[key] for key in PLACE}
        answer = Answer(name, (float(settings["threshold"]),), place, records)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{folder}: not what scripts/evaluate.py writes ({error!r}); score again to it"
        ) from error
    if not records:
        raise ValueError(f"{scores}: no file was scored; score again to this folder")
    return answer


def gather(answers: Sequence[Answer]) -> dict[str, Answer]:
    """By name, runs of one name averaged file by file; all files in the order of the first one.

    Raises:
        ValueError: the answers were scored on different files, fragments or sizes of the cube.
    """
    first = answers[0]
    wanted = {record[:4] for record in first.records}
    runs: dict[str, list[Answer]] = {}
    for answer in answers:
        scored = {record[:4]: record for record in answer.records}
        size = [answer.place[key] == first.place[key] for key in ("resolution", "pool")]
        if scored.keys() != wanted or len(scored) != len(answer.records) or not all(size):
            differ = sorted(key[0] for key in scored.keys() ^ wanted)
            raise ValueError(
                f"{answer.name!r} and {first.name!r} were not scored on the same files, fragments "
                f"and cube{f' (see {differ[0]})' if differ else ''}, so they cannot be compared; "
                "score both with scripts/evaluate.py on one split of the same data"
            )
        ordered = [scored[record[:4]] for record in first.records]
        runs.setdefault(answer.name, []).append(answer._replace(records=ordered))
    return {name: _mean_of_runs(of_name) for name, of_name in runs.items()}


def _mean_of_runs(runs: Sequence[Answer]) -> Answer:
    first = runs[0]
    for run in runs[1:]:
        if run.place != first.place:
            raise ValueError(
                f"the runs of {run.name!r} were scored under different placements, so they cannot "
                "be averaged; give them different --names"
            )
    return first._replace(
        thresholds=tuple(run.thresholds[0] for run in runs),
        records=combine([run.records for run in runs], [1 / len(runs)] * len(runs)),
    )


def combine(runs: Sequence[Sequence[Record]], factors: Sequence[float]) -> list[Record]:
    """The sum of each file's scores over runs, each times its factor: a mean, or a difference.

    The runs hold the same files in one order; scores that a run lacks are left out.
    """
    common = min((report.metrics_of(run) for run in runs), key=len)
    return [
        Record(
            *rows[0][: len(report.FACTS)],
            **{
                name: sum(f * getattr(row, name) for f, row in zip(factors, rows, strict=True))
                for name in common
            },
        )
        for rows in zip(*runs, strict=True)
    ]


def markdown(answers: Mapping[str, Answer], reference: str) -> str:
    """Three tables: all files, by class, and by the fragment's share of its pot.

    Args:
        answers: as `gather` gives them.
        reference: the one that the others' IoU is compared with, file by file.

    Raises:
        ValueError: no answer of the reference's name.
    """
    if reference not in answers:
        known = ", ".join(answers)
        raise ValueError(f"no answer is named {reference!r} (--reference); there are {known}")
    sizes = report.intervals(answers[reference].records)
    notes = (
        f"{sizes['files']} files of {sizes['pots']} pots, one fixed fragment each. In brackets: 95"
        " % intervals, bootstrap over pots; differences are paired by file."
    )
    if any("chamfer" in report.metrics_of(answer.records) for answer in answers.values()):
        notes += " Chamfer distance in voxels, lower is better; surfaces with the fragment kept."
    return "\n\n".join(
        [
            _overall(answers, reference),
            "IoU by class:",
            _by_group(answers, report.by_class, "class"),
            "IoU by the given fragment's share of its pot, in %:",
            _by_group(answers, report.by_share, "share, %"),
            notes + "\n",
        ]
    )


def _overall(answers: Mapping[str, Answer], reference: str) -> str:
    metrics = max((report.metrics_of(answer.records) for answer in answers.values()), key=len)
    titles = [report.TITLES[name] for name in metrics]
    lines = _head(["answer", "placement", "threshold", *titles, f"IoU less {reference}'s"])
    for name, answer in answers.items():
        scores = report.intervals(answer.records)
        cells = [_cell(scores[metric]) if metric in scores else "-" for metric in metrics]
        less = combine([answer.records, answers[reference].records], [1.0, -1.0])
        cells.append("-" if name == reference else _cell(report.intervals(less)["iou"], "{:+.4f}"))
        runs = len(answer.thresholds)
        title = f"{name}, {runs} runs" if runs > 1 else name
        thresholds = ", ".join(f"{value:g}" for value in sorted(set(answer.thresholds)))
        lines.append(_line([title, answer.place["placement"], thresholds, *cells]))
    return "\n".join(lines)


def _by_group(
    answers: Mapping[str, Answer],
    divide: Callable[[Sequence[Record]], dict[str, list[Record]]],
    title: str,
) -> str:
    groups = {name: divide(answer.records) for name, answer in answers.items()}
    lines = _head([title, "files", "pots", *answers])
    for group in next(iter(groups.values())):
        scores = [report.intervals(groups[name][group]) for name in answers]
        size = [str(scores[0]["files"]), str(scores[0]["pots"])]
        lines.append(_line([group or "-", *size, *(_cell(score["iou"]) for score in scores)]))
    return "\n".join(lines)


def _head(cells: Sequence[str]) -> list[str]:
    return [_line(cells), _line(["---"] * len(cells))]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: dict[str, float | None], form: str = "{:.4f}") -> str:
    mean, low, high = (
        "-" if value[key] is None else form.format(value[key]) for key in ("mean", "low", "high")
    )
    return mean if value["low"] is None else f"{mean} ({low} … {high})"
