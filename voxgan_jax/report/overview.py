"""The overview of a batch: `index.html` and `summary.csv`, while it runs and when it has ended."""

import contextlib
import csv
import io
import pathlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple

from voxgan_jax.files import write_whole
from voxgan_jax.report import naming

INDEX, SUMMARY = "index.html", "summary.csv"

EVERY = 60.0
"""Seconds from one writing to the next while the batch runs."""

_IDLE = 50
"""So many times as long as writing takes is waited at least before the next."""

_MEASURES = (
    "height_mm",
    "max_diameter_mm",
    "rim_diameter_mm",
    "base_diameter_mm",
    "wall_mm",
    "volume_ml",
    "capacity_ml",
)


class Failure(NamedTuple):
    """A file that could not be completed: what its results would be called, its path, and why."""

    name: str
    file: str
    error: str


class Overview:
    """Collects what becomes of a batch, writing it now and then, and at the end of a `with` block.

    So there is an overview of what was done even where the power failed; as long as files are
    left, it says how many of how many are done.

    Args:
        out_dir: where it is written; None writes nothing.
        total: how many files there are.
        done: reports of those that were completed before.
        clock: tells the time in seconds.
    """

    def __init__(
        self,
        out_dir: pathlib.Path | None,
        total: int,
        done: Iterable[Mapping[str, Any]] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.out_dir, self.total = out_dir, total
        self.done, self.failed = list(done), list[Failure]()
        self._clock, self._due = clock, -float("inf")

    def __enter__(self) -> "Overview":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.write()
        elif self.done or self.failed:
            self._try_to_write()

    def add(self, report: Mapping[str, Any]) -> None:
        """A file was completed; its report is as in `NAME.json`."""
        self.done.append(report)
        self._write_where_due()

    def fail(self, failure: Failure) -> None:
        """A file could not be completed."""
        self.failed.append(Failure(*map(naming.readable, failure)))
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
        done = sorted(self.done, key=lambda report: str(report["name"]))
        write_overview(self.out_dir, done, self.failed, self.total)


def write_overview(
    out_dir: pathlib.Path,
    done: Sequence[Mapping[str, Any]],
    failed: Sequence[Failure],
    total: int | None = None,
) -> list[pathlib.Path]:
    """Write `index.html` and `summary.csv` of these reports and of the files that failed.

    Args:
        done: reports as in `NAME.json`.
        total: how many files there are to be; None: no more than these.
    """
    from voxgan_jax.report import index

    rows: list[dict[str, Any]] = []
    for report in done:
        drawing = out_dir / f"{report['name']}_section.svg"
        page = out_dir / f"{report['name']}.html"
        rows.append(
            {
                "name": report["name"],
                "page": f"{report['name']}.html" if page.is_file() else "",
                "drawing": drawing.read_text(encoding="utf-8") if drawing.is_file() else "",
                "report": dict(report),
            }
        )
    rows += [
        # Most errors begin with the file's path, which stands before them already.
        {"name": failure.file, "error": failure.error.removeprefix(f"{failure.file}: ")}
        for failure in failed
    ]
    out_dir.mkdir(parents=True, exist_ok=True)
    index.index_page(out_dir / INDEX, rows, total)
    write_whole(out_dir / SUMMARY, summary(done, failed))
    return [out_dir / INDEX, out_dir / SUMMARY]


def summary(done: Sequence[Mapping[str, Any]], failed: Sequence[Failure]) -> str:
    """One line a file, as CSV: what was measured, or why it failed."""
    columns = (
        "name",
        "input",
        *_MEASURES,
        "share_inferred",
        "missing_mm3",
        "confidence",
        "expected_iou",
        "placement",
        "error",
    )
    text = io.StringIO()
    table = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    table.writeheader()
    for report in done:
        trust, missing = report.get("confidence") or {}, report.get("missing") or {}
        measures = report.get("measures") or {}
        table.writerow(
            {
                "name": report["name"],
                "input": (report.get("input") or {}).get("file", ""),
                **{name: _number(measures.get(name)) for name in _MEASURES},
                "share_inferred": _number(report.get("share_inferred")),
                "missing_mm3": _number(missing.get("volume_mm3")),
                "confidence": trust.get("word", ""),
                "expected_iou": _number(trust.get("expected_iou")),
                "placement": (report.get("placement") or {}).get("word", ""),
            }
        )
    for failure in failed:
        table.writerow({"name": failure.name, "input": failure.file, "error": failure.error})
    return text.getvalue()


def _number(value: float | None) -> str:
    """Six digits that count, or all before the point; never as 1e+06."""
    if value is None:
        return ""
    digits = max(0, 6 - len(str(int(abs(value)))))
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if digits else text
