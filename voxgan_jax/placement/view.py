"""A sherd as the networks are shown it: points that fill it, its walls, and how thick these are."""

import functools
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from voxgan_jax.geometry import voxelise
from voxgan_jax.geometry.solids import Mesh
from voxgan_jax.placement import axis_fit, locator
from voxgan_jax.placement.axis_fit import Axis, Vector
from voxgan_jax.placement.axis_maps import Fill
from voxgan_jax.scan import walls
from voxgan_jax.scan.walls import Wall

_FINE = 5  # points a wall's thickness that fill a sherd
_MAX_CELLS = 6_000_000  # of the grid of these points
_THIN = 0.45
"""From this logarithm of a voxel's side in units on, walls are thinner than the networks know."""
_SHOWN = 0.25
"""Then they are shown as they would be at this one."""


class View(NamedTuple):
    """A sherd as the networks are shown it: with a wall of `locator.USUAL_WALL` units at least.

    `fill` fills it, `surface` is its walls, in mm; `thickness` is its own wall's, `shown` that
    which they see. `other` is the direction of an axis that contradicts the one that was told.
    """

    fill: Fill
    surface: Wall
    unit: float
    thickness: float
    shown: float
    other: Float[np.ndarray, "3"] | None = None


class Sight:
    """What is seen of a sherd, a mesh in mm in any pose, whatever is told of its pot: found when it
    is asked for, and once."""

    def __init__(self, mesh: Mesh):
        self.mesh = mesh
        self._axes: dict[tuple[object, ...], list[Axis]] = {}

    @functools.cached_property
    def view(self) -> View:
        """It as it is."""
        return viewed(self.mesh)

    def axes(self, direction: Vector | None, widest: float | None) -> list[Axis]:
        """As `axis_fit.find`."""
        key = (None if direction is None else tuple(direction.tolist()), widest)
        if key not in self._axes:
            self._axes[key] = axis_fit.find(self.view.surface, direction, widest)
        return self._axes[key]


def viewed(mesh: Mesh) -> View:
    """A sherd as it is."""
    surface = walls.wall(mesh)
    filled = fill(mesh, surface.thickness)
    # Where two walls were not told apart, a sherd is as thick as twice its volume by its area.
    thickness = surface.thickness or 2 * len(filled.points) * filled.volume / float(mesh.area)
    return View(filled, surface, thickness / locator.USUAL_WALL, thickness, thickness)


def fill(mesh: Mesh, thickness: float | None) -> Fill:
    """Points that fill a sherd evenly."""
    low, high = mesh.bounds
    size = float((high - low).max())
    step = (thickness or size / 20) / _FINE
    step = max(step, (float(np.prod(high - low + 2 * step)) / _MAX_CELLS) ** (1 / 3))
    shape = np.ceil((high - low) / step).astype(int) + 1
    occupied = voxelise.voxelise(mesh, low.tolist(), step, shape.tolist())
    return Fill(low + (np.argwhere(occupied) + 0.5) * step, step**3)


def thick_enough(view: View, least: float) -> View:
    """A sherd as it is, or where the pot's voxel is bigger than the networks know it with such
    walls, with thicker ones: of walls of less than a voxel they see nothing.

    Args:
        least: the voxel's side in mm, or what it is at least; 0 where nothing is known.
    """
    if least < view.unit * np.exp(_THIN):
        return view
    unit, surface = least * np.exp(-_SHOWN), view.surface
    if not surface.thickness:
        return view._replace(unit=unit)
    shown = locator.USUAL_WALL * unit
    points, anchors, inner = (
        walls.thickened(some, surface, shown)
        for some in (surface.points, surface.anchors, view.fill.points)
    )
    return view._replace(
        fill=Fill(inner, view.fill.volume * shown / view.thickness),
        surface=surface._replace(points=points, anchors=anchors, thickness=shown),
        unit=unit,
        shown=shown,
    )
