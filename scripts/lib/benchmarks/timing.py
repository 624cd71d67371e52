"""Timing things side by side, and the rows of numbers that come of it."""

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Run = Callable[[int], Any]
"""Does something so many times and waits for the last of them to end."""

Row = dict[str, Any]


def interleaved(
    runs: Mapping[str, Run],
    rounds: int,
    *,
    min_seconds: float = 0.0,
    give_up: float = math.inf,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Seconds that one time of each run takes, measured in turns so that all see the same machine.

    Each runs twice beforehand, once cold and once to see how long it takes. Then in every round
    each runs as often as fills `min_seconds`, by that time; a round begins one further along the
    row.

    Args:
        give_up: a run whose time beforehand is over so many times the shortest is not run again;
            that time is all there is of it.
    """
    for run in runs.values():
        run(1)
    first = {}
    for name, run in runs.items():
        start = clock()
        run(1)
        first[name] = max(clock() - start, 1e-9)
    slowest = give_up * min(first.values(), default=0.0)
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    names = [name for name in runs if first[name] <= slowest]
    for turn in range(rounds):
        shift = turn % max(len(names), 1)
        for name in names[shift:] + names[:shift]:
            count = max(1, math.ceil(min_seconds / first[name]))
            start = clock()
            runs[name](count)
            seconds[name].append((clock() - start) / count)
    return {name: values or [first[name]] for name, values in seconds.items()}


def repeated(once: Callable[[], Any], wait: Callable[[Any], Any]) -> Run:
    """A run that calls `once` so many times and then `wait` with what the last call returned."""

    def run(times: int) -> None:
        result = None
        for _ in range(times):
            result = once()
        wait(result)

    return run


def row(name: str, unit: str, values: Sequence[float], **more: Any) -> Row:
    """The median and the spread of some values, under a name; `more` stands beside them."""
    return {
        "name": name,
        "unit": unit,
        "median": statistics.median(values),
        "min": min(values),
        "max": max(values),
        "runs": len(values),
    } | more


def table(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """A Markdown table of the rows' `columns`; numbers to four digits, what is missing left empty.

    Columns that are empty in every row are left out.
    """
    columns = [name for name in columns if any(line.get(name) is not None for line in rows)]
    cells = [[_cell(line.get(name)) for name in columns] for line in rows]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    lines = [_line(columns, widths), "|" + "|".join("-" * (width + 2) for width in widths) + "|"]
    return "\n".join(lines + [_line(line, widths) for line in cells])


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return "| " + " | ".join(padded) + " |"
