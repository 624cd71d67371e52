"""The axes about which a sherd may have been turned: many lines are scored, and the best mended.

Where a small sherd's surface fits many lines, its surface alone does not choose among them
(`axis_fit`); what pots look like does, which `locator` knows. So lines in all directions are scored
by it, the best are varied, and each that is left is fitted to the surface.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float

from voxgan_jax.placement import axis_fit, axis_lines
from voxgan_jax.placement.axis_fit import Axis, Vector
from voxgan_jax.placement.axis_maps import Lines
from voxgan_jax.scan.walls import Wall

_DIRECTIONS = 300  # over half a sphere
_DISTANCES = (0.7, 1.4)
"""Lines are tried, too, at these shares of the distance at which the normals meet best."""
_PROMISING = 120
"""In so many directions. On 12 scans, with 24 kept, 147 of 149 such lines lay in these."""

_ROUNDS = ((20, 4.0, 1.0, 0.12), (10, 1.5, 0.4, 0.05))
"""How many lines are kept, and by how much they are varied: degrees, units, share of distance."""

_VARIED = 12  # lines made of each that is kept
_KEPT = 8  # at the end
_APART_DEGREES, _APART_UNITS, _APART_SHARE = 6.0, 2.0, 0.1  # the last: of the distance
_POINTS = 300  # of the sherd, by which the first lines are found

Score = Callable[[Lines], Float[np.ndarray, "k"]]
"""How well the sherd suits each line as its pot's axis, either end up: a logarithm."""


def search(
    surface: Wall, unit: float, widest: float, score: Score, fitted: Sequence[Axis] = ()
) -> list[Axis]:
    """Axes worth a closer look, some of them much the same, in no order.

    Args:
        unit: the length in mm by which lines are told apart, a third of a usual wall.
        widest: a pot's radius in mm, beyond which no line is fitted.
        fitted: axes to look at too, and to vary.
    """
    rng = np.random.default_rng(0)
    middle = surface.points.mean(0)
    lines = _joined([lines_of(fitted), _everywhere(surface, middle)], middle)
    value = score(lines)
    best = len(fitted) + np.argsort(-value[len(fitted) :])[:_PROMISING]
    points, directions = (part[best] for part in lines)
    moved = np.concatenate([middle + share * (points - middle) for share in _DISTANCES])
    more = Lines(moved, np.tile(directions, (len(_DISTANCES), 1)))
    lines, value = _joined([lines, more], middle), np.concatenate([value, score(more)])
    for kept, degrees, aside, share in _ROUNDS:
        best = _apart(lines, value, middle, unit, kept)
        lines, value = Lines(*(part[best] for part in lines)), value[best]
        several = [
            varied(rng, *line, middle, degrees, aside * unit, share, _VARIED)
            for line in zip(*lines, strict=True)
        ]
        more = _joined(several, middle)
        lines, value = _joined([lines, more], middle), np.concatenate([value, score(more)])
    found = list(fitted)
    for index in _apart(lines, value, middle, unit, _KEPT):
        found += _mended(surface, Axis(lines.points[index], lines.directions[index], 0.0), widest)
    return found


def _mended(surface: Wall, line: Axis, widest: float) -> list[Axis]:
    """A line with its direction kept, and fitted; fitted for long only where that is worth much.

    On a coarse surface the best fit lies far from the axis: what pots look like is a better guide.
    """
    kept = axis_fit.refined(surface, line, widest, rounds=1, free=False)
    near = axis_fit.refined(surface, line, widest, rounds=1)
    best = None if near is None else axis_fit.refined(surface, near, widest)
    if near is not None and best is not None and best.error < axis_fit.MUCH_BETTER * near.error:
        near = best
    return [axis for axis in (kept, near) if axis is not None]


def varied(
    rng: np.random.Generator,
    point: Vector,
    direction: Vector,
    middle: Vector,
    degrees: float,
    aside: float,
    share: float,
    count: int,
) -> Lines:
    """Lines near one, tilted and shifted by normally distributed amounts.

    Args:
        degrees, aside: standard deviations of the tilt each way and of the shift in mm.
        share: that of the logarithm of the distance from the middle of the sherd.
    """
    tilt = np.tan(np.clip(rng.normal(0, np.radians(degrees), (count, 2)), -1.4, 1.4))
    turned = direction + tilt @ np.stack(axis_fit.beside(direction))
    away = middle - point
    away = away - (away @ direction) * direction
    distance = float(np.linalg.norm(away))
    away = away / max(distance, 1e-6)
    along = rng.normal(0, aside, count) + distance * np.expm1(rng.normal(0, share, count))
    across = np.outer(rng.normal(0, aside, count), np.cross(direction, away))
    shifted = point - np.outer(along, away) + across
    return Lines(shifted, turned / np.linalg.norm(turned, axis=1, keepdims=True))


def _everywhere(surface: Wall, middle: Vector) -> Lines:
    """In every direction the line that the normals meet best."""
    some = slice(None, None, max(len(surface.points) // _POINTS, 1))
    directions = axis_lines.hemisphere(_DIRECTIONS)
    anchors, normals = surface.anchors[some], surface.normals[some]
    return Lines(axis_lines.nearest_lines(directions, anchors, normals)[1], directions)


def lines_of(axes: Sequence[Axis]) -> Lines:
    """Axes as lines."""
    points = np.array([axis.point for axis in axes]).reshape(-1, 3)
    return Lines(points, np.array([axis.direction for axis in axes]).reshape(-1, 3))


def _joined(several: Sequence[Lines], middle: Vector) -> Lines:
    """All lines, the point of each next to the middle of the sherd."""
    points, directions = (np.concatenate(part) for part in zip(*several, strict=True))
    along = ((middle - points) * directions).sum(1, keepdims=True)
    return Lines(points + along * directions, directions)


def _apart(
    lines: Lines, value: Float[np.ndarray, "k"], middle: Vector, unit: float, n: int
) -> list[int]:
    """The best line, the best that differs from it, and so on."""
    cosine = np.cos(np.radians(_APART_DEGREES))

    def near(best: int) -> Bool[np.ndarray, "k"]:
        aside = np.linalg.norm(lines.points - lines.points[best], axis=1)
        distance = np.linalg.norm(lines.points[best] - middle)
        close = aside < max(_APART_UNITS * unit, _APART_SHARE * distance)
        return (np.abs(lines.directions @ lines.directions[best]) > cosine) & close

    return axis_lines.apart(-value, near, n)
