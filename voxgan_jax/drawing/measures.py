"""What is measured on a profile: sizes, what it holds, how thick the wall is.

Base and rim are measured where the outer line of the wall, from half a wall's thickness away led on
straight, meets the plane that the pot stands on, or that of its highest point: what one measures at
a foot and a lip whose edges were not rounded, chamfered or worn. They are no less than the resting
surface, and no more than is reached within that half thickness. On synthetic pots this is right
within half a voxel (tests/test_measures.py).
"""

import dataclasses
from typing import Annotated

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from voxgan_jax.drawing.profile import RING, Profile, crossing, outer_radii
from voxgan_jax.geometry.clay_level import FINE, finer

Region = Bool[np.ndarray, "rows rings"]

NO_SCALE = "no scale given; 1 voxel taken as 1 mm"
"""What is said where nobody told how big a voxel is."""

_USUAL_WALL = 2.0
"""Voxels, of a pot whose wall is not known, as it holds nothing."""
_BLUR = 0.5
"""By so much, in voxels, voxels round an edge."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measures:
    """What is measured on a pot.

    Of what is nowhere round there are only height and volume; wall and capacity are None also where
    the pot holds nothing, as its base is open or has a hole, say.
    """

    height_mm: Annotated[float, "from the lowest point to the highest"]
    rim_diameter_mm: Annotated[float | None, "outside, in the plane of the highest point"]
    base_diameter_mm: Annotated[float | None, "outside, in the plane on which it stands"]
    max_diameter_mm: Annotated[float | None, "outside, the greatest"]
    wall_mm: Annotated[float | None, "the median distance from inside to outside"]
    volume_ml: Annotated[float, "of the clay"]
    capacity_ml: Annotated[float | None, "what it holds up to the rim"]
    round_share: Annotated[float, "how much of the clay lies where a turned pot would have it"]


_UNKNOWN = dict.fromkeys(
    ("rim_diameter_mm", "base_diameter_mm", "max_diameter_mm", "wall_mm", "capacity_ml")
)
"""Of what is nowhere round."""


def measure(profile: Profile) -> Measures:
    """What is measured on a profile, rounded: mm to 2 digits after the point, ml to 3."""
    step = profile.step_mm
    volume = round(profile.clay_ml, 3)
    if not np.isfinite(profile.outer).any():
        height = round((len(profile.clay) - 4) * step, 2)
        return Measures(height_mm=height, volume_ml=volume, round_share=0.0, **_UNKNOWN)
    dense = finer(profile.clay)
    fine = dense > profile.level
    held = _held(fine)
    cell = step / FINE
    capacity = wall = None
    if held.any() and not _leaks(fine, held):
        radius = np.arange(fine.shape[1]) * cell * RING
        capacity = float((held @ radius).sum() * 2 * np.pi * cell * cell * RING / 1000)
        wall = _wall(fine, held, cell)
    low, high = _extent(profile.clay, profile.level)
    edge = outer_radii(dense, profile.level) * RING / FINE
    base, rim = _ends(edge, low, high, _USUAL_WALL if wall is None else wall / step)
    return Measures(
        height_mm=round((high - low) * step, 2),
        rim_diameter_mm=round(2 * rim * step, 2),
        base_diameter_mm=round(2 * base * step, 2),
        max_diameter_mm=round(2 * float(np.nanmax(profile.outer)), 2),
        wall_mm=None if wall is None else round(wall, 2),
        volume_ml=volume,
        capacity_ml=None if capacity is None else round(capacity, 3),
        round_share=round(profile.round_share, 3),
    )


def _extent(clay: Float[np.ndarray, "rows rings"], level: float) -> tuple[float, float]:
    """The lowest and the highest clay, in rows."""
    inside = clay > level
    columns = np.flatnonzero(inside.any(axis=0))
    last = [int(np.flatnonzero(inside[:, ring])[-1]) for ring in columns]
    first = [int(np.flatnonzero(inside[:, ring])[0]) for ring in columns]
    tops = [crossing(clay[:, c], r, r + 1, level) for c, r in zip(columns, last, strict=True)]
    feet = [crossing(clay[:, c], r, r - 1, level) for c, r in zip(columns, first, strict=True)]
    return min(feet), max(tops)


def _ends(
    outer: Float[np.ndarray, "rows"], low: float, high: float, wall: float
) -> tuple[float, float]:
    """The outer radii of base and rim in voxels (`_end`), of heights `low` and `high` in rows."""
    rows = (np.arange(len(outer)) + 0.5) / FINE - 0.5
    known = np.isfinite(outer)
    # A pot may be so flat that both ends are one.
    reach = min(max(wall / 2, 1.0), (high - low) / 4)
    base, rim = (_end(away[known], outer[known], reach) for away in (rows - low, high - rows))
    return base, rim


def _end(away: Float[np.ndarray, "rows"], outer: Float[np.ndarray, "rows"], reach: float) -> float:
    """The outer radius of a pot's end, as if a rounding or chamfer within `reach` were not there.

    The outer line beyond `reach`, fitted straight, is led on to the end. What it gives holds
    between two bounds, so that a low foot or a lip counts and not the wall beyond it: the radius
    within half a voxel of the end, and the greatest as far past reach, both led to the end at a
    slope which the line has before and beyond reach.

    Args:
        away: distances of rows from the end, in voxels.
        outer: the rows' outer radii, likewise.
    """
    near, clear = away <= reach, away >= 1 / FINE
    beyond = (away >= reach) & (away <= reach + max(reach, 1.5))
    if (near & clear).sum() < 2 or beyond.sum() < 2:
        return float(outer.max())
    slope, led = np.polyfit(away[beyond], outer[beyond], 1)
    # The last quarter is blurred.
    before = np.polyfit(away[near & clear], outer[near & clear], 1)[0]
    shared = np.sign(slope) * min(abs(slope), abs(before)) if slope * before > 0 else 0.0
    bounds = outer - shared * away
    least = bounds[away <= _BLUR].max(initial=0.0)
    return float(np.clip(led, least, bounds[away <= reach + _BLUR].max()))


def _held(clay: Region) -> Region:
    """Where water stands when the pot is full: the air above its floor, up to where it runs out."""
    from skimage import measure

    nothing = np.zeros_like(clay)
    column = clay[:, 0]
    floor = int(np.argmax(column))
    if not column.any() or not (~column[floor:]).any():
        return nothing
    start = floor + int(np.argmax(~column[floor:]))

    def filled(surface: int) -> Region:
        air = ~clay & (np.arange(len(clay)) < surface)[:, None]
        rooms = np.asarray(measure.label(air, connectivity=1))
        return np.asarray(rooms == rooms[start, 0]) if surface > start else nothing

    low, high = start, len(clay)
    while high - low > 1:
        middle = (low + high) // 2
        full = filled(middle)
        low, high = (low, middle) if full[:, -1].any() else (middle, high)
    return filled(low)


def _leaks(clay: Region, held: Region) -> bool:
    """Whether the water is a puddle on a base with a hole: the wall stands higher above it than
    the water is deep."""
    wet = np.flatnonzero(held.any(axis=1))
    top = int(np.flatnonzero(clay.any(axis=1))[-1])
    return top - int(wet[-1]) > len(wet)


def _wall(clay: Region, held: Region, cell: float) -> float:
    """The median distance in mm from the water's edge to the air outside."""
    outside = np.pad(~clay & ~held, ((0, 0), (0, 1)), constant_values=True)
    # What is above the water is not outside the wall.
    top = int(np.flatnonzero(held.any(axis=1))[-1])
    outside[top + 1 :] = False
    away = np.asarray(ndimage.distance_transform_edt(~outside, sampling=(cell, cell * RING)))
    edge = clay[:top] & ndimage.binary_dilation(held, np.ones((3, 3), bool))[:top]
    return float(np.median(away[:, :-1][:top][edge])) if edge.any() else 0.0
