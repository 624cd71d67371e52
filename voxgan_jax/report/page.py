"""The page of a restored pot: one HTML file that needs no network and nothing beside it.

It shows the pot in 3D, its section drawing, what was measured and how far to trust it, and says
plainly what of it is a guess. Where there is no WebGL it still shows all but the 3D view.
"""

import importlib.resources
import json
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from voxgan_jax.files import write_whole
from voxgan_jax.inference.answer import GIVEN, INFERRED
from voxgan_jax.report import page_lists, page_meshes, page_text, volumes
from voxgan_jax.report.page_text import escape

if TYPE_CHECKING:
    import trimesh

POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"
"""What a browser lets the page do: nothing but what is in it."""

_PAPER = (170, 150)
"""mm of a printed page that a drawing may fill."""
_SCALES = (1, 2, 3, 4, 5, 10, 20, 50)
_ICONS = {
    "left": ("Turn left", "M14 6l-6 6 6 6"),
    "right": ("Turn right", "M10 6l6 6-6 6"),
    "up": ("Tilt up", "M6 14l6-6 6 6"),
    "down": ("Tilt down", "M6 10l6 6 6-6"),
    "in": ("Nearer", "M12 6v12M6 12h12"),
    "out": ("Further away", "M6 12h12"),
    "reset": ("Reset the view", "M6 9a7 7 0 1 1-1 5M6 4v5h5"),
}


class View(NamedTuple):
    """What a page shows.

    `pot` is the restored pot in mm, `labels` those of its faces (`outputs.NAMES`); `original` the
    scan and `missing` the missing piece in the same coordinates, None where there is none. `matrix`
    maps the grid's indices to these coordinates, the rim at low w. `report` is what `NAME.json`
    holds; what it lacks the page leaves out. `files` are names of files beside the page, `drawing`
    the section as SVG text (`section.drawing`).
    """

    name: str
    pot: "trimesh.Trimesh"
    labels: Int[np.ndarray, "faces"]
    original: "trimesh.Trimesh | None"
    missing: "trimesh.Trimesh | None"
    hypotheses: Sequence["trimesh.Trimesh"]
    matrix: Float[np.ndarray, "4 4"]
    report: Mapping[str, Any]
    files: Sequence[str] = ()
    drawing: str = ""


def write_page(path: str | pathlib.Path, view: View) -> None:
    """Write the page, whole or not at all."""
    write_whole(path, page(view))


def asset(name: str) -> str:
    """A file of the package's folder `viewer`."""
    folder = importlib.resources.files("voxgan_jax") / "viewer"
    return (folder / name).read_text(encoding="utf-8")


def head(title: str, style: str) -> str:
    """How each of our pages begins: it may load nothing. Both arguments are HTML already."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>"""


def page(view: View) -> str:
    """The page as HTML."""
    name, report = escape(view.name), view.report
    parts = _parts(view)
    scaled = page_text.scaled(report)
    scene = page_meshes.place(view.pot, view.labels, view.matrix)
    scene |= {"parts": parts, "scaled": scaled}
    return f"""{head(f"{name}: restored pot", asset("page.css"))}
<body>
<div class="sheet">
<header>
<p class="kicker">Restored pot</p>
<h1>{name}</h1>
<p class="lede">{escape(page_text.statement(report))}</p>
{page_text.shares(report)}
</header>
<main>
<div class="columns">
<div>
{_viewer(parts)}
</div>
<div>
{page_text.measures(report)}
{page_text.confidence(report)}
{page_text.placement(report)}
</div>
</div>
<div class="columns wide">
<div>
{_drawing(view.drawing, scaled)}
</div>
<div>
{page_text.missing(report)}
{page_lists.hypotheses(report)}
{page_lists.files(view.files)}
</div>
</div>
{page_lists.limits(report)}
{page_lists.details(report)}
</main>
<footer class="note"><p>Made by voxgan_jax {escape(str(report.get("version", "")))}. All that is
inferred is a plausible pot, not a find: mark it as such wherever you show it.</p></footer>
</div>
<script type="application/json" id="meshes">{script_json(scene)}</script>
<script>
{asset("three_viewer.min.js")}</script>
</body>
</html>
"""


def script_json(value: Any) -> str:
    """JSON that may stand in a script element, whatever its strings hold."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _parts(view: View) -> list[dict[str, Any]]:
    """The meshes of the view, the pot first."""
    groups = {
        label: (volumes.NAMES[label], page_meshes.colour_of(label)) for label in volumes.NAMES
    }
    parts = [page_meshes.pack("pot", view.pot, groups, view.labels, page_meshes.POT)]
    for name, mesh, label in (
        ("original", view.original, GIVEN),
        ("missing", view.missing, INFERRED),
    ):
        if mesh is not None and len(mesh.faces):
            colour = page_meshes.colour_of(label)
            parts.append(page_meshes.plain(name, mesh, colour, page_meshes.PIECE))
    budget = page_meshes.HYPOTHESES // max(len(view.hypotheses), 3)
    for index, mesh in enumerate(view.hypotheses):
        colour = page_meshes.hypothesis_colour(index)
        parts.append(page_meshes.plain(f"hypothesis-{index + 1}", mesh, colour, budget))
    return parts


def _viewer(parts: Sequence[Mapping[str, Any]]) -> str:
    """The stage of the 3D view and its switches."""
    buttons = "".join(
        f'<button type="button" data-act="{act}" aria-label="{title}" title="{title}">'
        f'<svg viewBox="0 0 24 24" aria-hidden="true"><path d="{path}"/></svg></button>'
        for act, (title, path) in _ICONS.items()
    )
    titles = {"pot": "Restored pot", "original": "Original", "missing": "Missing piece"}
    switches = kinds = ""
    for part in parts:
        name = part["id"]
        title = titles.get(name) or name.replace("-", " ").capitalize()
        groups = part["groups"]
        swatch = "" if name == "pot" else _swatch(groups[0]["colour"])
        switches += _switch(f'data-part="{name}"', swatch + title, checked=name == "pot")
        if name == "pot" and len(groups) > 1:
            for group in groups:
                text = _swatch(group["colour"]) + escape(group["name"])
                kinds += _switch(f'data-label="{group["label"]}"', text, checked=True)
    if kinds:
        kinds = f'<fieldset class="switches"><legend>Of the pot</legend>{kinds}</fieldset>'
    cut = _switch("data-cut", "Cut open")
    return f"""<section id="viewer" aria-label="3D view">
<div class="stage">
<canvas tabindex="0" role="application" aria-label="3D view of the pot"
 aria-describedby="keys"></canvas>
<div class="failed" role="status"><p>This browser shows no 3D view (WebGL 2 is not to be had).</p>
<p class="soft">The drawing, all numbers and the files are on this page.</p></div>
<noscript><p class="note">The 3D view needs JavaScript; all else is below.</p></noscript>
<div class="ruler" data-scale aria-hidden="true"><span></span></div>
<div class="turn" role="group" aria-label="Turn the view">{buttons}</div>
</div>
<fieldset class="switches"><legend>Show</legend>{switches}</fieldset>
{kinds}
<fieldset class="switches"><legend>View</legend>{cut}</fieldset>
<p class="keys note" id="keys"><span class="mouse">Drag to turn; click and scroll to zoom. Keys:
arrows turn, <kbd>+</kbd> and <kbd>−</kbd> zoom, <kbd>0</kbd> resets the view.</span><span
class="touch">Swipe sideways to turn; two fingers zoom and tilt.</span></p>
</section>"""


def _swatch(colour: str) -> str:
    return f'<span class="swatch" style="background:{colour}"></span>'


def _switch(data: str, text: str, *, checked: bool = False) -> str:
    mark = " checked" if checked else ""
    # A browser would otherwise keep the state of a switch when the page is loaded again.
    return f'<label><input type="checkbox" autocomplete="off" {data}{mark}>{text}</label>'


def _drawing(drawing: str, scaled: bool) -> str:
    """The section drawing, printed at a round scale where there is a scale."""
    if not drawing:
        return ""
    size = re.search(r'width="([\d.]+)mm" height="([\d.]+)mm"', drawing)
    printed, scale = "100%", ""
    if size:
        width, height = (float(side) for side in size.groups())
        for times in _SCALES:
            if width / times <= _PAPER[0] and height / times <= _PAPER[1]:
                printed = f"{width / times:.2f}mm"
                if scaled:
                    scale = f'<p class="print-only note">Printed at 1:{times}.</p>'
                break
    return f"""<section class="block drawing"><h2>Section</h2>
<figure style="--printed:{printed}">{drawing}
<figcaption>Left the wall cut open, averaged about the axis, filled where the sherd shows it and
hatched where it is inferred; right the outside, the sherd shaded in its place, dashed lines
inferred.</figcaption>{scale}</figure></section>"""
