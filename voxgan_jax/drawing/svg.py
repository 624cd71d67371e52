"""A section drawing as SVG: written, read again, and how big it is printed.

`currentColor` is the only ink, so the drawing takes the colour of the page it stands in.
"""

import hashlib
import json
import pathlib
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from voxgan_jax.drawing import plan
from voxgan_jax.drawing.figure import Facts, Figure
from voxgan_jax.drawing.outline import Points
from voxgan_jax.render import render

_PAPER = (170, 150)
"""mm of a printed page that a drawing may fill."""
TIMES = (1, 2, 3, 4, 5, 10, 20, 50)
"""So many times smaller than the pot a drawing may be printed."""


def svg(figure: Figure | None, times: int | None = None) -> str:
    """The drawing of a figure as SVG text, with title and description, for inline use or a file.

    Its coordinates are mm of the pot.

    Args:
        times: how many times smaller than the pot it is; None: as big as the pot.
    """
    made = plan.compose(figure, times)
    facts = json.dumps(figure.facts._asdict(), separators=(",", ":")) if figure else ""
    shapes = [(kind, path(lines, closed=plan.PENS[kind].closed)) for kind, lines in made.shapes]
    return render(
        "section.svg.j2",
        id="s" + hashlib.sha256(repr((shapes, made.words)).encode()).hexdigest()[:10],
        plan=made,
        size=[side / (times or 1) for side in made.box[2:]],
        facts=facts,
        shapes=shapes,
        style=plan,
    )


def read(file: pathlib.Path) -> Figure:
    """The figure of a drawing that `svg` wrote.

    Raises:
        OSError: it cannot be read.
        ValueError: it is none, was changed by another program, or shows no section.
    """
    try:
        root = ET.fromstring(file.read_bytes())
        nodes = [(node.get("class"), node.get("d", "")) for node in root.iterfind(".//{*}path")]
        found = json.loads(root.findtext("{*}metadata") or "{}")
        facts = Facts(**found | {"rim": tuple(map(tuple, found.get("rim", ())))})
        lines = {kind: _lines(text) for kind, text in nodes if kind in plan.FIGURE}
        figure = Figure(lines, facts)
        plan.compose(figure)  # As a trial.
    except (ET.ParseError, ValueError, TypeError, KeyError, ArithmeticError):
        again = "complete the sherd again for a new one"
        raise ValueError(f"{file}: no section as voxgan draws it; {again}") from None
    return figure


def _lines(text: str) -> list[Points]:
    """The lines of a path's data; ValueError where `path` would not write it so."""
    lines = [
        np.array([point.split(" ") for point in line.removesuffix("Z").split("L")], float)
        for line in text.split("M")[1:]
    ]
    if path(lines, closed="Z" in text) != text:
        raise ValueError
    return lines


class Print(NamedTuple):
    """How wide a drawing is printed, as a length of CSS, and how many times smaller than the pot;
    0 where it fills the paper at no round scale."""

    width: str
    times: int


def printed(drawing: str) -> Print:
    """The greatest round scale at which a drawing as big as its pot fits on the paper."""
    size = re.search(r'width="([\d.]+)mm" height="([\d.]+)mm"', drawing)
    width, height = map(float, size.groups()) if size else (np.inf, np.inf)
    for times in TIMES:
        if width / times <= _PAPER[0] and height / times <= _PAPER[1]:
            return Print(f"{width / times:.2f}mm", times)
    return Print("100%", 0)


def path(lines: Sequence[Points], *, closed: bool = False) -> str:
    """Lines as the data of one path; empty where none has two points."""
    texts = ["L".join(f"{x:.2f} {y:.2f}" for x, y in line) for line in lines if len(line) > 1]
    return "".join(f"M{text}{'Z' if closed else ''}" for text in texts)
