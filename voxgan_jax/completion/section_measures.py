"""What is measured on a profile: sizes, what it holds, how thick the wall is."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from voxgan_jax.completion.section import FINE, RING, Profile, crossing, finer


def found(profile: Profile) -> dict[str, Any]:
    """The measures of a profile, as `section.measures` describes them."""
    step = profile.step_mm
    rows = np.flatnonzero(np.isfinite(profile.outer))
    if not rows.size:
        sizes = ("rim_diameter_mm", "base_diameter_mm", "max_diameter_mm", "wall_mm", "capacity_ml")
        height = {"height_mm": round((len(profile.clay) - 4) * step, 2)}
        rest = {"volume_ml": round(profile.clay_ml, 3), "round_share": 0.0}
        return height | dict.fromkeys(sizes) | rest
    fine = finer(profile.clay) > profile.level
    held = _held(fine)
    cell = step / FINE
    capacity = wall = None
    if held.any():
        radius = np.arange(fine.shape[1]) * cell * RING
        capacity = float((held @ radius).sum() * 2 * np.pi * cell * cell * RING / 1000)
        wall = _wall(fine, held, cell)
    return {
        "height_mm": round(_height(profile.clay, profile.level) * step, 2),
        "rim_diameter_mm": round(2 * float(profile.outer[rows[-1]]), 2),
        "base_diameter_mm": round(2 * float(profile.outer[rows[0]]), 2),
        "max_diameter_mm": round(2 * float(np.nanmax(profile.outer)), 2),
        "wall_mm": None if wall is None else round(wall, 2),
        "volume_ml": round(profile.clay_ml, 3),
        "capacity_ml": None if capacity is None else round(capacity, 3),
        "round_share": round(profile.round_share, 3),
    }


def _height(clay: Float[np.ndarray, "rows rings"], level: float) -> float:
    """From the lowest clay to the highest, in rows."""
    inside = clay > level
    columns = np.flatnonzero(inside.any(axis=0))
    last = [int(np.flatnonzero(inside[:, ring])[-1]) for ring in columns]
    first = [int(np.flatnonzero(inside[:, ring])[0]) for ring in columns]
    tops = [crossing(clay[:, c], r, r + 1, level) for c, r in zip(columns, last, strict=True)]
    feet = [crossing(clay[:, c], r, r - 1, level) for c, r in zip(columns, first, strict=True)]
    return max(tops) - min(feet)


def _held(clay: Bool[np.ndarray, "rows rings"]) -> Bool[np.ndarray, "rows rings"]:
    """Where water stands when the pot is full: the air above its floor, up to where it runs out."""
    from skimage import measure

    nothing = np.zeros_like(clay)
    column = clay[:, 0]
    floor = int(np.argmax(column))
    if not column.any() or not (~column[floor:]).any():
        return nothing
    start = floor + int(np.argmax(~column[floor:]))

    def filled(surface: int) -> Bool[np.ndarray, "rows rings"]:
        air = ~clay & (np.arange(len(clay)) < surface)[:, None]
        rooms = np.asarray(measure.label(air, connectivity=1))
        return np.asarray(rooms == rooms[start, 0]) if surface > start else nothing

    low, high = start, len(clay)
    while high - low > 1:
        middle = (low + high) // 2
        full = filled(middle)
        low, high = (low, middle) if full[:, -1].any() else (middle, high)
    return filled(low)


def _wall(
    clay: Bool[np.ndarray, "rows rings"], held: Bool[np.ndarray, "rows rings"], cell: float
) -> float:
    """The median distance in mm from the water's edge to the air outside."""
    outside = np.pad(~clay & ~held, ((0, 0), (0, 1)), constant_values=True)
    # What is above the water is not outside the wall.
    top = int(np.flatnonzero(held.any(axis=1))[-1])
    outside[top + 1 :] = False
    away = np.asarray(ndimage.distance_transform_edt(~outside, sampling=(cell, cell * RING)))
    edge = clay[:top] & ndimage.binary_dilation(held, np.ones((3, 3), bool))[:top]
    return float(np.median(away[:, :-1][:top][edge])) if edge.any() else 0.0
