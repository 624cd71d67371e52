"""What a sherd shows of its pot's profile, were a line the pot's axis: maps that the locator reads.

About the right axis a sherd is a thin line in (height, radius), and the normals of its walls meet
the axis; about a wrong one the line is blurred, and the normals pass by.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from voxgan_jax.scan.walls import Points, Wall

HEIGHTS, RINGS = 96, 64  # of a map, each a unit wide
_AT_ONCE = 128  # lines

Vectors = Float[np.ndarray, "k 3"]
Values = Float[np.ndarray, "n k"]


class Lines(NamedTuple):
    """Lines that may be axes: a point of each and its unit direction."""

    points: Vectors
    directions: Vectors


class Fill(NamedTuple):
    """Points that fill a sherd evenly, and the volume of each, in mm and mm³."""

    points: Points
    volume: float


def thinned(
    fill: Fill, surface: Wall, rng: np.random.Generator, *, points: int = 1500, walls: int = 500
) -> tuple[Fill, Wall]:
    """Fewer points of both, drawn at random, where there are more."""
    chosen = rng.permutation(len(fill.points))[:points]
    less = Fill(fill.points[chosen], fill.volume * len(fill.points) / len(chosen))
    few = rng.permutation(len(surface.points))[:walls]
    kept = surface._replace(
        points=surface.points[few], normals=surface.normals[few], anchors=surface.anchors[few]
    )
    return less, kept


def maps(fill: Fill, surface: Wall, lines: Lines, unit: float) -> Float[np.ndarray, "k h r 2"]:
    """Volume in each ring of one unit's side, in cubic units, and how well normals meet the axis.

    The middle of a map is half-way between the sherd's lowest and highest point. The second channel
    is the mean sine of the angle by which the normals of the walls' points in the ring leave their
    meridian planes, 0 where there are no such points.

    Args:
        unit: in mm.
    """
    made = np.zeros((len(lines.points), HEIGHTS, RINGS, 2), np.float32)
    for start in range(0, len(made), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        made[some] = _maps(fill, surface, Lines(*(part[some] for part in lines)), unit)
    return made


def _maps(fill: Fill, surface: Wall, lines: Lines, unit: float) -> Float[np.ndarray, "k h r 2"]:
    # Near zero, single precision is enough.
    middle = fill.points.mean(0)
    centre = (lines.points - middle).astype(np.float32)
    direction = lines.directions.astype(np.float32)
    anchors = (surface.anchors - middle).astype(np.float32)
    normals = surface.normals.astype(np.float32)
    radius, height = cylindrical((fill.points - middle).astype(np.float32), centre, direction)
    zero = (height.max(0) + height.min(0)) / 2
    cells, inside = _cells(radius, height - zero, unit)
    size = len(centre) * HEIGHTS * RINGS
    volume = np.bincount(cells[inside], minlength=size) * (fill.volume / unit**3)

    radius, height = cylindrical(anchors, centre, direction)
    # a · ((x − c) × n), the normal's part across the meridian plane, times the radius.
    sine = np.cross(anchors, normals) @ direction.T - normals @ np.cross(direction, centre).T
    sine = np.minimum(np.abs(sine) / np.maximum(radius, 0.5 * unit), 1)
    cells, inside = _cells(radius, height - zero, unit)
    count = np.bincount(cells[inside], minlength=size)
    total = np.bincount(cells[inside], weights=sine[inside], minlength=size)
    both = np.stack([volume, total / np.maximum(count, 1)], -1)
    return both.reshape(-1, HEIGHTS, RINGS, 2).astype(np.float32)


def cylindrical(points: Points, centres: Vectors, directions: Vectors) -> tuple[Values, Values]:
    """Radius and height of every point about every line."""
    height = points @ directions.T - (centres * directions).sum(1)
    square = (points**2).sum(1)[:, None] - 2 * points @ centres.T + (centres**2).sum(1)
    return np.sqrt(np.maximum(square - height**2, 0)), height


def _cells(radius: Values, height: Values, unit: float) -> tuple[np.ndarray, np.ndarray]:
    """The flat index of each point's ring in each line's map, and which points are in it."""
    row = np.floor(height / unit + HEIGHTS / 2).astype(np.int64)
    column = np.floor(radius / unit).astype(np.int64)
    inside = (row >= 0) & (row < HEIGHTS) & (column >= 0) & (column < RINGS)
    first = np.arange(radius.shape[1]) * (HEIGHTS * RINGS)
    return first + row * RINGS + column, inside
