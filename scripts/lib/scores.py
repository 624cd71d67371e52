"""The scores that evaluations wrote: read, averaged over runs, and subtracted, file by file.

An answer may have several runs, one a seed: its scores are averaged file by file first, so the
intervals say how sure a number is for other pots, not for other seeds.
"""

import json
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from scripts.lib import summary
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
    """What `summary.write` wrote to a folder (scores have six digits there).

    Raises:
        OSError: a file is not there.
        ValueError: a file is not what an evaluation writes.
    """
    scores, metrics = (pathlib.Path(folder) / file for file in ("per_file.csv", "metrics.json"))
    try:
        records = summary.read_records(scores)
        settings = json.loads(metrics.read_text(encoding="utf-8"))
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
    runs: dict[str, list[Answer]] = {}
    for answer in answers:
        try:
            if any(answer.place[key] != first.place[key] for key in ("resolution", "pool")):
                raise ValueError(_unlike(""))
            ordered = _in_order(answer.records, first.records)
        except ValueError as error:
            raise ValueError(f"{answer.name!r} and {first.name!r} {error}") from error
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
        records=mean([run.records for run in runs]),
    )


def mean(runs: Sequence[Sequence[Record]]) -> list[Record]:
    """Each file's scores, averaged over runs that differ in their seed."""
    return _combined(runs, [1 / len(runs)] * len(runs))


def difference(run: Sequence[Record], other: Sequence[Record]) -> list[Record]:
    """Each file's scores in `run` less those in `other`: a paired comparison."""
    return _combined([run, other], [1.0, -1.0])


def _combined(runs: Sequence[Sequence[Record]], factors: Sequence[float]) -> list[Record]:
    """The sum of each file's scores over runs, each times its factor, in the first run's order.

    Scores that a run lacks are left out.

    Raises:
        ValueError: the runs scored other files, or another fragment of a file.
    """
    try:
        aligned = [_in_order(run, runs[0]) for run in runs]
    except ValueError as error:
        raise ValueError(f"the runs {error}") from error
    common = min((summary.metrics_of(run) for run in runs), key=len)
    return [
        Record(
            *rows[0][: len(summary.FACTS)],
            **{
                name: sum(f * getattr(row, name) for f, row in zip(factors, rows, strict=True))
                for name in common
            },
        )
        for rows in zip(*aligned, strict=True)
    ]


def _in_order(run: Sequence[Record], wanted: Sequence[Record]) -> list[Record]:
    """The records of a run in the order of another's, by file and fragment.

    Raises:
        ValueError: they are not the same; its text goes on from "they".
    """
    scored = {record[:4]: record for record in run}
    keys = [record[:4] for record in wanted]
    differ = sorted(key[0] for key in scored.keys() ^ set(keys))
    if differ or len(scored) != len(run):
        raise ValueError(_unlike(f" (see {differ[0]})" if differ else ""))
    return [scored[key] for key in keys]


def _unlike(where: str) -> str:
    return (
        f"were not scored on the same files, fragments and cube{where}, so they cannot be compared;"
        " score both with scripts/evaluate.py on one split of the same data"
    )
