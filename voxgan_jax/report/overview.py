"""The overview of a batch: `index.html` and `summary.csv`, while it runs and when it has ended."""

import contextlib
import csv
import io
import operator
import pathlib
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from voxgan_jax import ledger
from voxgan_jax.files import readable, write_whole
from voxgan_jax.inference.confidence import WORDS
from voxgan_jax.render import render
from voxgan_jax.report import sentences
from voxgan_jax.report.record import Report
from voxgan_jax.report.sizes import SIZES

INDEX, SUMMARY = "index.html", "summary.csv"

EVERY = 10.0
"""Seconds from one writing to the next while the batch runs."""

_IDLE = 50
"""So many times as long as writing takes is waited at least before the next."""

_FORMULA = "=+-@\t\r\n|"
"""How text begins that a spreadsheet computes."""

_MEASURES = ("height_mm", "max_diameter_mm", "rim_diameter_mm", "base_diameter_mm", "wall_mm")
_MEASURES += ("volume_ml", "capacity_ml")

_COLUMNS: dict[str, Callable[[Report], float | str | None]] = {
    "name": lambda report: report.name,
    "input": lambda report: report.input and report.input.file,
    **{name: operator.attrgetter(f"measures.{name}") for name in _MEASURES},
    "rim_percent": lambda report: report.rim and report.rim.percent,
    "eve": lambda report: report.rim and report.rim.eve,
    **{
        f"{name}_{end}": lambda report, name=name, side=side: (
            (found := report.spread and getattr(report.spread, name)) and found.most[side]
        )
        for name in SIZES
        for side, end in enumerate(("low", "high"))
    },
    "share_inferred": lambda report: report.share_inferred,
    "missing_mm3": lambda report: report.missing and report.missing.volume_mm3,
    "confidence": lambda report: report.confidence and report.confidence.word,
    "expected_iou": lambda report: report.confidence and report.confidence.expected_iou,
    "placement": lambda report: report.placement and report.placement.word,
    "scale": lambda report: report.scale,
    "warnings": lambda report: "; ".join(report.warnings or ()),
    "error": lambda _: None,
}
"""The columns of the table, and what of a report stands there."""


class Failure(NamedTuple):
    """A file that could not be completed: what its results would be called, its path, and why."""

    name: str
    file: str
    error: str

    @property
    def reason(self) -> str:
        """Why, without the file's path, with which most errors begin."""
        return self.error.removeprefix(f"{self.file}: ")


class Row(NamedTuple):
    """A restored pot in the table: its report, and where its page and its section drawing lie, seen
    from the table's folder; "" where it has none."""

    report: Report
    page: str
    drawing: str

    @property
    def trust(self) -> float | None:
        """What its confidence sorts by: first the word and then the expected IoU."""
        found = self.report.confidence
        return found and WORDS[::-1].index(found.word) + found.expected_iou


class Overview:
    """Collects what becomes of a batch, writing it now and then, and at the end of a `with` block.

    So there is an overview of what was done even where the power failed; as long as files are
    left, it says how many of how many are done.

    Args:
        out_dir: where it is written; None writes nothing.
        total: how many files there are.
        done: reports of those that were completed before.
        clock: tells the time in seconds.
        how: `inputs` and `overwrite` of `ledger.published`.
    """

    def __init__(
        self,
        out_dir: pathlib.Path | None,
        total: int,
        done: Iterable[Report] = (),
        clock: Callable[[], float] = time.monotonic,
        **how: Any,
    ) -> None:
        self.out_dir, self.total, self._how = out_dir, total, how
        self.done, self.failed = list(done), list[Failure]()
        self._clock, self._due = clock, -float("inf")

    def __enter__(self) -> "Overview":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.write()
        elif self.done or self.failed:
            self._try_to_write()

    def refused(self) -> Exception | None:
        """Why it is not written, where its files would replace others; then it never is."""
        try:
            if self.out_dir is not None:
                ledger.refuse(self.out_dir, (INDEX, SUMMARY), **self._how)
        except OSError as error:
            self.out_dir = None
            return error
        return None

    def add(self, report: Report) -> None:
        """A file was completed."""
        self.done.append(report)
        self._write_where_due()

    def fail(self, failure: Failure) -> None:
        """A file could not be completed."""
        self.failed.append(Failure(*map(readable, failure)))
        self._write_where_due()

    def _write_where_due(self) -> None:
        start = self._clock()
        if start < self._due or len(self.done) + len(self.failed) >= self.total:
            return  # At the end it is written anyway.
        self._try_to_write()
        end = self._clock()
        self._due = end + max(EVERY, _IDLE * (end - start))

    def _try_to_write(self) -> None:
        """Write, but let no fault of it stop the batch, nor hide why that stopped."""
        with contextlib.suppress(OSError):
            self.write()

    def write(self) -> None:
        """Write both files, each whole or not at all."""
        if self.out_dir is None:
            return
        done = sorted(self.done, key=lambda report: report.name)
        write_overview(self.out_dir, done, self.failed, self.total, **self._how)


def write_overview(
    out_dir: pathlib.Path,
    done: Sequence[Report],
    failed: Sequence[Failure],
    total: int | None = None,
    **how: Any,
) -> None:
    """Write `index.html` and `summary.csv` of these reports and of the files that failed.

    Args:
        total: how many files there are to be; None: no more than these.
        how: `inputs` and `overwrite` of `ledger.published`.
    """
    rows = []
    for report in done:
        beside = (f"{report.name}{end}" for end in (".html", "_section.svg"))
        rows.append(Row(report, *(name if (out_dir / name).is_file() else "" for name in beside)))
    with ledger.published(out_dir, (INDEX, SUMMARY), **how) as private:
        write_whole(private / INDEX, index(rows, failed, total))
        write_whole(private / SUMMARY, summary(done, failed))


def index(rows: Sequence[Row], failed: Sequence[Failure] = (), total: int | None = None) -> str:
    """The overview as HTML; the arguments are those of `write_overview`."""
    left = max(0, (total or 0) - len(rows) - len(failed))
    return render("index.html.j2", rows=rows, failed=failed, left=left, total=total, say=sentences)


def summary(done: Sequence[Report], failed: Sequence[Failure]) -> str:
    """One line a file, as CSV: what was measured, or why it failed."""
    text = io.StringIO()
    table = csv.DictWriter(text, _COLUMNS, restval="", lineterminator="\n")
    table.writeheader()
    for report in done:
        table.writerow({name: _cell(tell(report)) for name, tell in _COLUMNS.items()})
    for failure in failed:
        said = {"name": failure.name, "input": failure.file, "error": failure.error}
        table.writerow({name: _cell(text) for name, text in said.items()})
    return text.getvalue()


def _cell(value: float | str | None) -> str:
    """Of a number six digits that count, or all before the point; never as 1e+06.

    Text that a spreadsheet would take for a formula has an apostrophe before it.
    """
    if value is None or isinstance(value, str):
        return f"'{value}" if value and value[0] in _FORMULA else value or ""
    digits = max(0, 6 - len(str(int(abs(value)))))
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if digits else text
