"""A profile drawn as archaeologists draw pots: the wall in section left, the outside right.

All lengths are mm of the pot, y down from the rim; where no scale is known they are written in
voxels, of which one is drawn as 1 mm. What the sherd shows is black and drawn in full
lines; what is inferred is hatched and dashed. `currentColor` is the only ink, so the drawing takes
the colour of the page it stands in.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from voxgan_jax.report import outline
from voxgan_jax.report.measures import NO_SCALE, Measures, measure
from voxgan_jax.report.outline import Points
from voxgan_jax.report.profile import Profile
from voxgan_jax.report.render import render

_PAPER = (170, 150)
"""mm of a printed page that a drawing may fill."""
_SIDE, _SIDE_UNSCALED = 32, 38
"""Half of a drawing is so wide at least, in hundredths of the pot's size: the legend fits in and,
without a scale, the line that says so."""
_SCALES = (1, 2, 3, 4, 5, 10, 20, 50)
"""So many times smaller than the pot a drawing may be printed."""


def svg(
    profile: Profile,
    found: Measures | None = None,
    *,
    scaled: bool = True,
    spread: Sequence[Points] = (),
) -> str:
    """The drawing as SVG text, in mm, with title and description, for inline use or a file.

    Args:
        found: the profile's measures, where they are at hand.
        scaled: whether a size in mm is known.
        spread: outlines of other walls that may have been, shown as thin lines.
    """
    found = found or measure(profile)
    wall, known = outline.fields(profile)
    walls = [path for path in outline.halves(wall, profile) if len(path) > 3]
    if not walls or found.rim_diameter_mm is None:
        return render("no_section.svg.j2")
    top = max(float(path[:, 1].max()) for path in walls)
    width = max(float(path[:, 0].max()) for path in walls)
    unit = max(top, 2 * width) / 100
    edges = [outline.edge_of(path, profile.step_mm) for path in walls]
    shown = outline.halves(np.minimum(wall, known), profile)
    patch = outline.patch(profile, np.concatenate(edges))
    bar, part = _scale(2 * width)
    side = max(width + 4 * unit, (_SIDE if scaled else _SIDE_UNSCALED) * unit)
    parts = {
        "wall": path([path * (-1, 1) for path in walls], top, closed=True),
        "spread": path([line * (-1, 1) for line in spread], top),
        "known": path([path * (-1, 1) for path in shown], top, closed=True),
        "outside": _outside(profile, edges, top),
        "sherd": path(patch, top, closed=True),
        "said": _said(profile, found.height_mm, found.rim_diameter_mm, scaled),
        "diameter": _length(found.rim_diameter_mm, scaled),
    }
    return render(
        "section.svg.j2",
        id="s" + hashlib.sha256(repr(parts).encode()).hexdigest()[:10],
        box=(-side, -9 * unit, 2 * side, top + (33 if scaled else 38) * unit),
        unit=unit,
        top=top,
        width=width,
        rim=float(max(edges, key=lambda edge: edge[-1, 1])[-1, 0]),
        bar=bar,
        part=part,
        bar_length=_length(bar, scaled, "g"),
        no_scale="" if scaled else NO_SCALE,
        **parts,
    )


class Print(NamedTuple):
    """How wide a drawing is printed, as a length of CSS, and how many times smaller than the pot;
    0 where it fills the paper at no round scale."""

    width: str
    times: int


def printed(drawing: str) -> Print:
    """The greatest round scale at which a drawing fits on the paper."""
    size = re.search(r'width="([\d.]+)mm" height="([\d.]+)mm"', drawing)
    width, height = map(float, size.groups()) if size else (np.inf, np.inf)
    for times in _SCALES:
        if width / times <= _PAPER[0] and height / times <= _PAPER[1]:
            return Print(f"{width / times:.2f}mm", times)
    return Print("100%", 0)


def path(lines: Sequence[Points], top: float, *, closed: bool = False) -> str:
    """Lines of (radius, height) as the data of one path; empty where none has two points."""
    texts = ["L".join(f"{x:.2f} {top - y:.2f}" for x, y in line) for line in lines if len(line) > 1]
    return "".join(f"M{text}{'Z' if closed else ''}" for text in texts)


def _outside(profile: Profile, edges: Sequence[Points], top: float) -> list[tuple[str, str]]:
    """The right half but for the sherd: the edges and the lines that run round, each with its kind:
    "edge" and "line" where the sherd shows them, else "ghost"."""
    parts = []
    for edge in edges:
        shown = np.interp(edge[:, 1], profile.heights, profile.seen.any(axis=1)) > 0.5
        parts += [("ghost", path([edge], top)), ("edge", path(runs(edge, shown), top))]
        parts += [
            (
                "line" if shown[place] else "ghost",
                f"M0 {top - edge[place, 1]:.2f}H{edge[place, 0]:.2f}",
            )
            for place in [0, *outline.turns(edge, profile.step_mm)]
        ]
    return parts


def runs(line: Points, chosen: Bool[np.ndarray, "_"]) -> list[Points]:
    """The stretches of a line whose points are chosen."""
    ends = np.flatnonzero(np.diff(np.concatenate([[0], chosen.astype(int), [0]])))
    return [line[start:end] for start, end in ends.reshape(-1, 2) if end - start > 1]


def _length(size: float, scaled: bool, form: str = ".1f") -> str:
    """A length in cm, or in voxels where one is taken as 1 mm."""
    return f"{size / 10:{form}} cm" if scaled else f"{size:{form}} voxels"


def _scale(width: float) -> tuple[float, float]:
    """The length of the scale bar in mm, 1, 2 or 5 of a decade, and of its parts."""
    decade = 10 ** np.floor(np.log10(max(width, 1e-6) / 2))
    first = next(size for size in (5, 2, 1) if size * decade <= width / 2)
    return float(first * decade), float(first * decade / (5 if first == 5 else 2))


def _said(profile: Profile, height_mm: float, rim_mm: float, scaled: bool) -> str:
    known = np.isfinite(profile.outer)
    share = 100 * float((profile.given[known] > 0).mean())
    return (
        f"Half section left, outside right. Height {_length(height_mm, scaled)}, rim diameter"
        f" {_length(rim_mm, scaled)}. The sherd shows the wall at {share:.0f} % of the height,"
        " drawn black; the rest, hatched, is inferred." + ("" if scaled else f" Sizes: {NO_SCALE}.")
    )
