"""The profile of a pot: its wall in section, averaged about the axis.

A pot that was made on the wheel is told by one half section. It is averaged over all directions
about the axis; handles and spouts, which stand in few of them, drop out. The base is at high w, as
`scan.formats.read` stands a pot.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from voxgan_jax.geometry import half_section, wheel
from voxgan_jax.geometry.clay_level import Section, level_of
from voxgan_jax.inference.answer import GIVEN, Belief, Labels

_ANGLES = 180
"""Directions about the axis in which a pot is read, 2° apart."""
RING = 0.5
"""The width of a ring in voxels."""
_CRUMB, _FAR = 0.025, 3.0
"""Pieces of the section with a lower share of its volume, and further off the rest than so many
voxels, are left out of it."""


class Profile(NamedTuple):
    """A pot's half section. Rows go from the base up, each a voxel high; two rows of air each end.

    `clay` is the share of each ring that is clay, 1 inside the wall and 0 in the air, in rings half
    a voxel wide from the axis out; the wall ends at `level`. `known` is 1 where the sherd shows the
    wall in some direction. `heights` are the rows' middles in mm above the pot's lowest point,
    `outer` the outer radii there in mm, NaN where there is no clay. `given` is the share of a row's
    clay that the sherd has. `seen` tells in which directions (counterclockwise, seen from above)
    the sherd is what shows outside. `clay_ml` is the volume of all voxels, `round_share` how much
    of it lies within a voxel of the profile's wall.
    """

    clay: Section
    known: Section
    level: float
    heights: Float[np.ndarray, "rows"]
    outer: Float[np.ndarray, "rows"]
    given: Float[np.ndarray, "rows"]
    seen: Bool[np.ndarray, "rows angles"]
    step_mm: float
    clay_ml: float
    round_share: float


def profile_of(labels: Labels, belief: Belief, step_mm: float) -> Profile:
    """The profile of a completed pot about the axis that its clay has (`wheel.find_axis`).

    Args:
        labels: `GIVEN` and what is inferred.
        belief: probabilities, more than 0.5 where a voxel was added; they place the wall more
            finely than the voxels do.
        step_mm: the side of a voxel.

    Raises:
        ValueError: no voxel is occupied.
    """
    centre = wheel.find_axis(labels > 0)
    # From the base up, as one sees it: a grid is the mirror image of what stands in space.
    labels, belief = np.flip(labels, 2), np.flip(belief, 2)
    occupied = labels > 0
    rows = np.flatnonzero(occupied.any(axis=(0, 1)))
    # With two rows above and two below.
    labels, belief = (
        np.pad(part, ((0, 0), (0, 0), (2, 2)))[..., rows[0] : rows[-1] + 5]
        for part in (labels, belief)
    )
    given, occupied = labels == GIVEN, labels > 0
    sure = np.where(given, 1.0, belief).astype(np.float32)
    angles = np.arange(_ANGLES) * (2 * np.pi / _ANGLES)
    clay, voxels, sherd = (
        _polar(part, centre, angles)
        for part in (sure, occupied.astype(np.float32), given.astype(np.float32))
    )
    section, mean = clay.mean(axis=2), voxels.mean(axis=2)
    level = level_of(section, mean)
    known = sherd.max(axis=2)
    section = _without_crumbs(section, known, level)
    volume = mean * np.arange(mean.shape[1])
    near = np.asarray(ndimage.binary_dilation(section > level, np.ones((3, 5), bool)))
    share = given.sum(axis=(0, 1)) / np.maximum(occupied.sum(axis=(0, 1)), 1)
    return Profile(
        clay=section,
        known=known,
        level=level,
        heights=(np.arange(len(section)) - 1.5) * step_mm,
        outer=outer_radii(section, level) * RING * step_mm,
        given=share,
        seen=_seen(voxels, sherd),
        step_mm=step_mm,
        clay_ml=float(occupied.sum()) * step_mm**3 / 1000,
        round_share=float(volume[near].sum() / max(volume.sum(), 1e-9)),
    )


def of_half_section(distance: half_section.Distances, step_mm: float) -> Profile | None:
    """The profile of a pot that is known by its half section alone; None where there is no clay."""
    middle = (distance[::2] + distance[1::2]) / 2
    clay = np.clip(0.5 - middle, 0, 1)[::-1]
    rows = np.flatnonzero((clay > 0.5).any(axis=1))
    if not len(rows):
        return None
    clay = np.pad(clay, ((2, 2), (0, 0)))[rows[0] : rows[-1] + 5]
    nothing = np.zeros_like(clay)
    clay = _without_crumbs(clay, nothing, 0.5)
    ring = 2 * np.pi * np.arange(clay.shape[1]) * RING * RING
    return Profile(
        clay=clay,
        known=nothing,
        level=0.5,
        heights=(np.arange(len(clay)) - 1.5) * step_mm,
        outer=outer_radii(clay, 0.5) * RING * step_mm,
        given=np.zeros(len(clay)),
        seen=np.zeros((len(clay), _ANGLES), bool),
        step_mm=step_mm,
        clay_ml=float((clay @ ring).sum()) * step_mm**3 / 1000,
        round_share=1.0,
    )


def _polar(
    volume: Float[np.ndarray, "d h w"],
    axis: tuple[float, float],
    angles: Float[np.ndarray, "angles"],
) -> Float[np.ndarray, "w rings angles"]:
    """A grid read in rings about the axis, between voxels linearly."""
    d, h, _ = volume.shape
    corners = [np.hypot(x - axis[0], y - axis[1]) for x in (0, d - 1) for y in (0, h - 1)]
    radii = np.arange(int(np.ceil((max(corners) + 2) / RING))) * RING
    padded = np.pad(volume, ((1, 1), (1, 1), (0, 0)))
    found = np.zeros((len(radii), len(angles), volume.shape[2]), np.float32)
    x = np.clip(axis[0] + np.outer(radii, np.cos(angles)) + 1, 0, d + 1)
    y = np.clip(axis[1] + np.outer(radii, np.sin(angles)) + 1, 0, h + 1)
    left, low = np.minimum(x.astype(int), d), np.minimum(y.astype(int), h)
    for across in (0, 1):
        for along in (0, 1):
            weight = np.abs(1 - across - (x - left)) * np.abs(1 - along - (y - low))
            found += weight[..., None].astype(np.float32) * padded[left + across, low + along]
    return found.transpose(2, 0, 1)


def _without_crumbs(clay: Section, known: Section, level: float) -> Section:
    """The section without small pieces that hang in the air far off and are not of the sherd."""
    places, number = ndimage.label(clay > level, np.ones((3, 3)))  # pyright: ignore
    volume = np.bincount(places.ravel(), (clay * np.arange(clay.shape[1])).ravel(), number + 1)
    shown = np.bincount(places.ravel(), known.ravel(), number + 1) > 0
    crumb = ~shown & (volume < _CRUMB * volume[1:].sum())
    crumb[0] = False
    away = ndimage.distance_transform_edt(crumb[places] | (places == 0), sampling=(1, RING))
    crumb[1:] &= np.asarray(ndimage.minimum(away, places, range(1, number + 1))) > _FAR
    return np.where(crumb[places], np.minimum(clay, 0.9 * level), clay).astype(clay.dtype)


def outer_radii(clay: Section, level: float) -> Float[np.ndarray, "rows"]:
    """The outer radius of each row of a section in rings, NaN where there is no clay."""
    outer = np.full(len(clay), np.nan)
    for row in np.flatnonzero((clay > level).any(axis=1)):
        last = int(np.flatnonzero(clay[row] > level)[-1])
        outer[row] = crossing(clay[row], last, last + 1, level)
    return outer


def crossing(ring: Float[np.ndarray, "rings"], clay: int, air: int, level: float) -> float:
    """Where between a ring of clay and one of air beside it the clay ends, in rings."""
    if air >= len(ring):
        return float(clay)
    share = (ring[clay] - level) / max(ring[clay] - ring[air], 1e-6)
    return clay + (air - clay) * float(share)


def _seen(
    voxels: Float[np.ndarray, "rows rings angles"], sherd: Float[np.ndarray, "rows rings angles"]
) -> Bool[np.ndarray, "rows angles"]:
    """Whether the outermost clay in each direction is of the sherd."""
    inside = voxels > 0.5
    last = inside.shape[1] - 1 - np.argmax(inside[:, ::-1], axis=1)
    shown = np.take_along_axis(sherd, last[:, None], axis=1)[:, 0] > 0.5
    return shown & inside.any(axis=1)


def table(profile: Profile) -> str:
    """The profile as CSV: a row for each height that has clay, lengths in mm.

    `inner_radius_mm` is that of the wall that shows outside, 0 where it goes on to the axis;
    `shown` is 1 where the sherd has part of the clay.
    """
    rows = ["height_mm,outer_radius_mm,inner_radius_mm,shown"]
    for row in np.flatnonzero(np.isfinite(profile.outer)):
        ring = profile.clay[row]
        clay = int(np.flatnonzero(ring > profile.level)[-1])
        air = np.flatnonzero(ring[:clay] <= profile.level)
        inner = crossing(ring, int(air[-1]) + 1, int(air[-1]), profile.level) if len(air) else 0.0
        sizes = profile.heights[row], profile.outer[row], inner * RING * profile.step_mm
        rows.append(",".join(f"{size:.3f}" for size in sizes) + f",{int(profile.given[row] > 0)}")
    return "\n".join(rows) + "\n"
