"""How a drawing lies on paper: pens, dimensions, scale bar, legend, and in which layer each is.

Everything is in mm of the pot, as `figure` has it. What must have its size on paper, pens and
letters, is counted in `Plan.mm`, the length that is 1 mm there. Words are in the language spoken.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from voxgan_jax.drawing.figure import Facts, Figure
from voxgan_jax.drawing.measures import NO_SCALE
from voxgan_jax.drawing.outline import Points
from voxgan_jax.language import told

FIGURE = ("inferred", "spread", "given", "ghost", "edge", "line", "sherd")
"""The kinds of lines that a figure has."""
LAYERS = ("inferred", "section", "outline", "axis", "dimensions", "scale", "text")
"""From the lowest up."""
LETTERS = 2.5
"""The size of text on paper in mm."""
_LETTER = 1.5
"""A letter is no wider than that on average, but a Chinese one, which is as wide as high."""
HATCH, HATCH_PEN = 1.0, 0.18
"""How far apart the lines of a hatching are, at 45°, and how thick, in mm on paper."""
DASH = (1.2, 0.9)
"""A dash and the gap behind it, in mm on paper."""
TINT = 0.13
"""So dark is the sherd's face, from 0 to 1."""
_NAME = 40
"""So many letters of a name are shown."""
_USUAL = 80
"""Where no scale is asked for, the pot is taken to be so many mm long on paper."""
_BAR = 33
"""The scale bar is no longer on paper, in mm."""
NO_SECTION = "It is not round at any height, so it has no section."


class Pen(NamedTuple):
    """How a kind of line is drawn: in which layer, how many mm wide on paper (0: no line)."""

    layer: str
    width: float
    closed: bool = False
    fill: str = ""
    dashed: bool = False
    opacity: float = 1.0


PENS = {
    "inferred": Pen("inferred", 0.25, closed=True, fill="hatch"),
    "spread": Pen("inferred", 0.13, opacity=0.5),
    "given": Pen("section", 0, closed=True, fill="solid"),
    "ghost": Pen("inferred", 0.25, dashed=True, opacity=0.75),
    "edge": Pen("outline", 0.5),
    "line": Pen("outline", 0.25),
    "sherd": Pen("outline", 0.35, closed=True, fill="tint"),
    "axis": Pen("axis", 0.18),
    "measure": Pen("dimensions", 0.18),
    "arc": Pen("dimensions", 0.9),
    "full": Pen("scale", 0, closed=True, fill="solid"),
    "bar": Pen("scale", 0.18, closed=True),
    "key_given": Pen("text", 0, closed=True, fill="solid"),
    "key_inferred": Pen("text", 0.25, closed=True, fill="hatch"),
}
"""The kinds of lines, and how each is drawn."""


Shapes = list[tuple[str, Sequence[Points]]]
"""Lines with their kinds, in the order of drawing."""


class Words(NamedTuple):
    """Text in a layer: its left end ("start"), "middle" or "end" at x and y; upright text reads
    from below."""

    layer: str
    text: str
    x: float
    y: float
    anchor: str = "middle"
    upright: bool = False


class Plan(NamedTuple):
    """A drawing ready for paper.

    `box` is x, y, width and height; `mm` the length that is 1 mm on paper; `said` tells it
    in words.
    """

    box: tuple[float, float, float, float]
    mm: float
    shapes: Shapes
    words: list[Words]
    said: str

    @property
    def paper(self) -> tuple[float, float]:
        """Width and height on paper in mm."""
        return self.box[2] / self.mm, self.box[3] / self.mm


def compose(
    figure: Figure | None, times: int | None = None, *, legend: bool = True, name: str = ""
) -> Plan:
    """A figure with all that stands about it; of None the words that there is no section.

    Args:
        times: how many times smaller than the pot it is printed; pens and letters have their sizes
            then. None: they are in proportion to the pot.
        legend: whether black, hatching and brackets are explained.
        name: stands below; of a long one its end.
    """
    name = name if len(name) <= _NAME else f"…{name[1 - _NAME :]}"
    if figure is None:
        said = told(NO_SECTION)
        words = [Words("text", *line, "start") for line in ((said, 1.0, 5.0), (name, 1.0, 10.0))]
        return Plan((0.0, 0.0, 80.0, 12.0), 1.0, [], words, said)
    facts = figure.facts
    x, y = np.concatenate([line for lines in figure.lines.values() for line in lines]).T
    wide, high, low = float(np.abs(x).max()), float(y.min()), float(y.max())
    base = max(float(line[:, 1].max()) for line in figure.lines["inferred"])
    mm = float(times or max(base, 2 * wide) / _USUAL)
    axis = [np.array([[0, high - 3 * mm], [0, low + 3 * mm]])]
    sizes, lengths = _sizes(facts, (wide, high, low, base), mm)
    keys, notes, (across, down) = _keys(facts, mm, times, legend, name)
    start = np.array([-across / 2, low + 12 * mm])
    side, top = max(wide + 9 * mm, across / 2 + mm), high - 9 * mm
    shapes: Shapes = [(kind, lines) for kind, lines in figure.lines.items() if lines]
    shapes += [("axis", axis), ("measure", sizes)]
    shapes += [(kind, [line + start for line in lines]) for kind, lines in keys]
    words = lengths + [each._replace(x=each.x + start[0], y=each.y + start[1]) for each in notes]
    box = (-side, top, 2 * side, start[1] + down - top)
    return Plan(box, mm, shapes, words, told(_said(facts)))


def _sizes(
    facts: Facts, ends: tuple[float, float, float, float], mm: float
) -> tuple[list[Points], list[Words]]:
    """The dimensions of rim and base, above and below, and of the height beside the outside.

    Args:
        ends: the greatest x of all that is drawn, its least and greatest y, and the y of the base.
    """
    wide, high, low, base = ends
    out, rim, foot = -facts.side, facts.rim_mm / 2, facts.base_mm / 2
    at, held = out * (wide + 5 * mm), bool(facts.rim)
    lines = _dimension((-rim, rim), (0.0, 0.0), high - 5 * mm, mm)
    lines += _dimension((-foot, foot), (base, base), low + 5 * mm, mm)
    lines += [line[:, ::-1] for line in _dimension((0.0, base), (out * rim, out * foot), at, mm)]
    texts = [
        (f"Ø {facts.length(facts.rim_mm)}", held, 0.0, high - 6 * mm),
        (f"Ø {facts.length(facts.base_mm)}", facts.based, 0.0, low + 8.2 * mm),
        (
            *(facts.length(facts.height_mm), held and facts.based),
            *(at + (2.8 if out > 0 else -1.0) * mm, base / 2),
        ),
    ]
    words = [Words("dimensions", told(t if shown else f"({t})"), x, y) for t, shown, x, y in texts]
    return lines, [*words[:2], words[2]._replace(upright=True)]


def _dimension(
    ends: tuple[float, float], edges: tuple[float, float], at: float, mm: float
) -> list[Points]:
    """The lines of a length along x, drawn at the y `at`; what has it ends at the y `edges`."""
    away = mm if at > edges[0] else -mm
    lines = [[(ends[0], at), (ends[1], at)]]
    for x, edge in zip(ends, edges, strict=True):
        lines.append([(x, edge + away), (x, at + away)])
        lines.append([(x - 0.7 * mm, at + 0.7 * mm), (x + 0.7 * mm, at - 0.7 * mm)])
    return [np.array(line, float) for line in lines]


def _keys(
    facts: Facts, mm: float, times: int | None, legend: bool, name: str
) -> tuple[Shapes, list[Words], tuple[float, float]]:
    """What stands below, from 0 on, and how wide and high it is: scale bar, legend, rim, notes."""
    shapes: Shapes = []
    words: list[Words] = []
    length, part = _bar(_BAR * mm)
    cells = [
        _rectangle(3 * mm + n * part, 0.0, part, 1.2 * mm) for n in range(round(length / part))
    ]
    shapes += [("full", cells[::2]), ("bar", [_rectangle(3 * mm, 0.0, length, 1.2 * mm)])]
    words.append(Words("scale", "0", 0.0, 1.6 * mm, "start"))
    said = facts.length(length, "g") + (f" (1:{times})" if times and facts.scaled else "")
    words.append(Words("scale", told(said), 4 * mm + length, 1.6 * mm, "start"))
    y, right = 5 * mm, 0.0
    if legend:
        inferred = "inferred" if facts.rim and facts.based else "inferred; sizes in ( )"
        for kind, text in (("key_given", "from the sherd"), ("key_inferred", inferred)):
            shapes.append((kind, [_rectangle(0.0, y, 4 * mm, 2.4 * mm)]))
            words.append(Words("text", told(text), 5.4 * mm, y + 2.1 * mm, "start"))
            y += 4.2 * mm
        right = max(_end(each, mm) for each in words[-2:]) + 2 * mm
    if facts.rim:
        # From above, what is nearest to who looks at the outside below.
        middle = np.array([right + 3.5 * mm, 8.3 * mm])
        for kind, arcs in (("measure", [(0.0, 360.0)]), ("arc", facts.rim)):
            turns = (np.radians(np.linspace(*arc, 90)) for arc in arcs)
            around = (np.stack([np.sin(turn), np.cos(turn)], 1) for turn in turns)
            shapes.append((kind, [middle + 2.8 * mm * line for line in around]))
        text = f"{100 * facts.rim_share:.0f} % of the rim"
        words.append(Words("dimensions", told(text), right + 8 * mm, 9.2 * mm, "start"))
        y = max(y, 12.5 * mm)
    for text in ("" if facts.scaled else told(NO_SCALE), name):
        if text:
            words.append(Words("text", text, 0.0, y + 2.5 * mm, "start"))
            y += 4.2 * mm
    return shapes, words, (max(_end(each, mm) for each in words), y + mm)


def _rectangle(x: float, y: float, wide: float, high: float) -> Points:
    return np.array([[x, y], [x + wide, y], [x + wide, y + high], [x, y + high], [x, y]])


def _end(words: Words, mm: float) -> float:
    wide = [LETTERS if letter >= "\u2e80" else _LETTER for letter in words.text]
    return words.x + sum(wide) * mm


def _bar(most: float) -> tuple[float, float]:
    """The length of the scale bar in mm, 1, 2 or 5 of a decade, and of its parts."""
    decade = 10 ** np.floor(np.log10(max(most, 1e-6)))
    first = next(size for size in (5, 2, 1) if size * decade <= most * (1 + 1e-9))
    return float(first * decade), float(first * decade / (5 if first == 5 else 2))


def _said(facts: Facts) -> str:
    sides = ("left", "right")[:: -facts.side]
    return (
        f"Half section {sides[0]}, outside {sides[1]}. Height {facts.length(facts.height_mm)}, rim"
        f" diameter {facts.length(facts.rim_mm)}, base diameter {facts.length(facts.base_mm)}. The"
        f" sherd shows the wall at {100 * facts.shown:.0f} % of the height, drawn black"
        + (f", and {100 * facts.rim_share:.0f} % of the rim" if facts.rim else "")
        + "; the rest, hatched, is inferred."
        + ("" if facts.scaled else f" Sizes: {NO_SCALE}.")
    )
