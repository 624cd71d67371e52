"""The page of a batch: every restored pot in a row, with its drawing and what was measured."""

import pathlib
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

from voxgan_jax.files import write_whole
from voxgan_jax.inference.confidence import WORDS
from voxgan_jax.report import page, page_text
from voxgan_jax.report.page_text import escape

_COLUMNS = (
    ("", ""),
    ("Name", "name"),
    ("Height", "number"),
    ("Diameter", "number"),
    ("Capacity", "number"),
    ("Confidence", "number"),
    ("Inferred", "number"),
)


def index_page(
    path: str | pathlib.Path, rows: Sequence[Mapping[str, Any]], total: int | None = None
) -> None:
    """Write the overview of a batch, whole or not at all.

    Args:
        rows: of each file its `name`, and either `page`, the path of its page from this one's
            folder ("" where it has none), `drawing`, SVG text, and `report`, as `page.View` has
            it, or `error`, why it failed.
        total: how many files there are to be, where the batch has not ended.
    """
    write_whole(path, index(rows, total))


def index(rows: Sequence[Mapping[str, Any]], total: int | None = None) -> str:
    """The overview as HTML."""
    done = [row for row in rows if "error" not in row]
    failed = [row for row in rows if "error" in row]
    left = max(0, (total or 0) - len(rows))
    count = "One pot" if len(done) == 1 else f"{len(done)} pots"
    said = f"{len(done)} of {total} pots restored so far" if left else f"{count} restored"
    said += f", {_files(len(failed))} failed" if failed else ""
    return f"""{page.head(said, page.asset("page.css") + page.asset("index_page.css"))}
<body>
<div class="sheet">
<header>
<p class="kicker">Restored pots</p>
<h1>{said}</h1>
<p class="lede">Of each pot a part is a guess by a model; do not cite it as a find.</p>
{_unfinished(left)}{_scale(done)}
</header>
<main>
{_table(done)}
{_failures(failed)}
</main>
</div>
<script>
{page.asset("index_page.js")}</script>
</body>
</html>
"""


def _unfinished(left: int) -> str:
    """What to do about the files that are left."""
    if not left:
        return ""
    return (
        f'<p class="note"><strong>Not finished:</strong> {_files(left)} to go. While the work goes'
        " on, this page is written anew every minute or so: load it again. If the work was stopped,"
        " the same command goes on where it was.</p>\n"
    )


def _scale(rows: Sequence[Mapping[str, Any]]) -> str:
    """A note where there are pots whose sizes are only voxels."""
    if all(page_text.scaled(row.get("report") or {}) for row in rows):
        return ""
    return (
        '<p class="note">Sizes marked * are in voxels: no scale was given, and a voxel was taken'
        " for 1 mm.</p>"
    )


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return ""
    heads = "".join(_head(title, kind) for title, kind in _COLUMNS)
    return f"""<p class="filter"><label for="filter">Filter by name or confidence</label>
<input id="filter" type="search" autocomplete="off" spellcheck="false">
<span id="found" class="soft" role="status"></span></p>
<table id="pots" aria-label="Restored pots">
<thead><tr>{heads}</tr></thead>
<tbody>
{"".join(map(_row, rows))}</tbody>
</table>"""


def _head(title: str, kind: str) -> str:
    if not title:
        return '<th scope="col"><span class="unseen">Section</span></th>'
    button = f'<button type="button">{title}</button>'
    return f'<th scope="col" class="{kind}" aria-sort="none">{button}</th>'


def _row(row: Mapping[str, Any]) -> str:
    name, report = str(row["name"]), row.get("report") or {}
    found = report.get("measures") or {}
    share = page_text.share(report)
    link = escape("./" + urllib.parse.quote(str(row.get("page", f"{name}.html"))))
    shown, title = f'<span aria-hidden="true">{row.get("drawing", "")}</span>', escape(name)
    if row.get("page") != "":
        shown = f'<a href="{link}" tabindex="-1" aria-hidden="true">{row.get("drawing", "")}</a>'
        title = f'<a href="{link}">{title}</a>'
    mark = "" if page_text.scaled(report) else "*"
    sizes = "".join(
        _cell(title, found.get(key), _size(found.get(key), unit, mark))
        for title, key, unit in (
            ("Height", "height_mm", "mm"),
            ("Diameter", "max_diameter_mm", "mm"),
            ("Capacity", "capacity_ml", "ml"),
        )
    )
    trust_value, trust_text = _trust(report)
    inferred = "" if share is None else page_text.percent(share)
    return (
        f'<tr><td class="thumb">{shown}</td>'
        f'<th scope="row" data-value="{escape(name)}">{title}</th>'
        f"{sizes}{_cell('Confidence', trust_value, trust_text)}"
        f"{_cell('Inferred', share, escape(inferred))}</tr>\n"
    )


def _trust(report: Mapping[str, Any]) -> tuple[float | None, str]:
    """The confidence: what it sorts by, first the word and then the expected IoU, and its HTML."""
    found, place = report.get("confidence") or {}, report.get("placement") or {}
    word, expected = str(found.get("word", "")), found.get("expected_iou")
    if expected is None:
        return None, escape(word)
    rank = WORDS[::-1].index(word) if word in WORDS else 0
    if place.get("word", "high") == "high":
        note = f'<span class="soft">{expected:.2f}</span>'
    else:
        note = f'<span class="soft" title="if it lay there as placed">≤\xa0{expected:.2f}</span>'
    return rank + expected, f"{escape(word)} {note}"


def _size(value: float | None, unit: str, mark: str) -> str:
    if value is None:
        return ""
    return escape(page_text.number(value, unit)).replace(" ", "&nbsp;") + mark


def _cell(title: str, value: Any, text: str) -> str:
    """A cell that sorts by its value and, on a phone, says its title."""
    key = "" if value is None else f"{float(value):.6g}"
    empty = '<span class="soft">–</span>'
    return f'<td class="number" data-title="{title}" data-value="{key}">{text or empty}</td>'


def _failures(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return ""
    items = "".join(
        f"<li><strong>{escape(str(row['name']))}</strong> {escape(str(row['error']))}</li>"
        for row in rows
    )
    return f'<section class="block failures"><h2>Not restored</h2><ul>{items}</ul></section>'


def _files(number: int) -> str:
    return "one file" if number == 1 else f"{number} files"
