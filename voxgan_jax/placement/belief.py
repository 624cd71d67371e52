"""What a pot that the model has made foretells of another of its sherds: in rings and rows.

A turned pot is the same all round, so how a sherd was turned about the axis is left open: its clay
is held against how probable clay is in its ring and row, and what lies beside its walls against how
probable none is.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from voxgan_jax.geometry import wheel
from voxgan_jax.placement import axis_maps, foretold, locator
from voxgan_jax.placement.axis_maps import Lines
from voxgan_jax.placement.foretold import Voxels
from voxgan_jax.placement.view import View

Points = Float[np.ndarray, "_ 3"]
Rings = Float[np.ndarray, "rings rows"]
Values = Float[np.ndarray, "k"]

_POINTS, _WALLS = 800, 300
"""So many points of a sherd's clay and of its walls are held against a pot."""


class Belief(NamedTuple):
    """Logarithms of how probable clay is in each ring and row of a pot, and that there is none.

    Rings are a voxel wide, rows begin at the rim's end of the cube.
    """

    clay: Rings
    none: Rings


class Shown(NamedTuple):
    """What a sherd shows: points in its clay, points on its walls and their normals; in mm."""

    clay: Points
    walls: Points
    normals: Points

    def parts(self, voxel: float) -> tuple[Points, Points]:
        """Points where there is clay, and points beside the walls, where there is none."""
        beside = np.arange(1, foretold.BESIDE + 1)[:, None, None] * (voxel * self.normals)
        return self.clay, (self.walls + beside).reshape(-1, 3)


def shown(view: View) -> Shown:
    """What is held against a pot of a sherd."""
    rng = np.random.default_rng(0)
    fill, surface = axis_maps.thinned(view.fill, view.surface, rng, points=_POINTS, walls=_WALLS)
    return Shown(fill.points, surface.points, surface.normals)


def belief(given: Voxels, answer: Float[np.ndarray, "r r r"]) -> Belief:
    """The pot that a model made of what is given, by its probabilities."""
    side = len(given)
    ring = wheel.nearest_rings(side).ravel()
    member = (np.arange(ring.max() + 1)[:, None] == ring).astype(np.float32)
    total = member @ np.where(given, 1.0, answer).reshape(-1, side)
    share = total / np.maximum(member.sum(1, keepdims=True), 1)
    if not member[0].any():
        share[0] = share[1]  # About the middle of an even side there is no column.
    share = np.clip(share, foretold.DOUBT, 1 - foretold.DOUBT)
    return Belief(np.log(share), np.log(1 - share))


def slid(lines: Lines, voxel: float, sherd: Shown, pot: Belief) -> Float[np.ndarray, "k places"]:
    """How well a sherd is foretold about each line, which points from base to rim, with the line's
    point in each whole row above the cube's bottom: the mean logarithm of the probability."""
    side, rings = pot.clay.shape[1], len(pot.clay)
    rows, k = 2 * side + 1, np.arange(len(lines.points))

    def sums(radius: np.ndarray, height: np.ndarray, values: Rings, edge: float) -> np.ndarray:
        ring = np.minimum(np.rint(radius).astype(int), rings)
        row = np.clip(np.rint(side - 0.5 - height).astype(int), 0, 2 * side)
        cell = (k * (rings + 1) + ring) * rows + row
        count = np.bincount(cell.ravel(), minlength=len(k) * (rings + 1) * rows)
        # In place p row r of the sherd is the pot's row r - p.
        wide = np.full((rings + 1, 3 * side + 1), edge, np.float32)
        wide[:rings, side : 2 * side] = values
        seen = np.lib.stride_tricks.sliding_window_view(wide, rows, axis=1)[:, side::-1]
        seen = seen.transpose(0, 2, 1).reshape(-1, side + 1)
        return count.reshape(len(k), -1).astype(np.float32) @ seen

    return _mean(lines, voxel * locator.CUBE / side, sherd.parts(voxel), pot, sums)


def at(lines: Lines, bottoms: Values, voxel: float, sherd: Shown, pot: Belief) -> Values:
    """The same with the cube's bottom at one height along each line, in mm from its point."""
    side = pot.clay.shape[1]
    step = voxel * locator.CUBE / side

    def sums(radius: np.ndarray, height: np.ndarray, values: Rings, edge: float) -> np.ndarray:
        where = [radius, side - 0.5 - (height - bottoms / step)]
        return np.asarray(ndimage.map_coordinates(values, where, order=1, cval=edge)).sum(0)

    return _mean(lines, step, sherd.parts(voxel), pot, sums)


def _mean(
    lines: Lines,
    step: float,
    parts: tuple[Points, Points],
    pot: Belief,
    sums: Callable[[np.ndarray, np.ndarray, Rings, float], np.ndarray],
) -> np.ndarray:
    """The mean over all that a sherd shows; beyond the cube it is as good as known to be empty."""
    edges = np.log(foretold.DOUBT), np.log(1 - foretold.DOUBT)
    middle = lines.points.mean(0)
    centre = (lines.points - middle).astype(np.float32)
    direction = lines.directions.astype(np.float32)
    found = np.zeros(1)
    for points, values, edge in zip(parts, pot, edges, strict=True):
        # Near zero, single precision is enough.
        near = (points - middle).astype(np.float32)
        radius, height = axis_maps.cylindrical(near, centre, direction)
        found = found + sums(radius / step, height / step, values, float(edge))
    return found / sum(map(len, parts))
