"""A restored pot as what it is, a half section that was turned, and what stands off it.

The half section is read from the grid of probabilities about the pot's axis. Parts that are not
round, such as handles, are found by how far from it voxels lie, and are surfaces of voxels.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool
from scipy import ndimage
from skimage import measure

from voxgan_jax.geometry import half_section, lathe, profile_targets, solids, surface, wheel
from voxgan_jax.geometry.clay_level import level_of
from voxgan_jax.inference import bridge
from voxgan_jax.inference.answer import GIVEN, Belief, Labels

_OFF = 1.0
"""In voxels: what lies further from the turned pot's surface is no part of it, or missing in it."""
_LEAST = 8
"""Voxels: smaller parts that stand off are the grid's roughness."""
_ROUND = 0.02
"""Up to this share of a pot's voxels may be missing that the turned pot has."""


class Section(NamedTuple):
    """A pot's half section, as `half_section` has it, of a cube that the pot's box begins in.

    `axis` is where it stands in d and h. `parts` are the voxels of what stands off it, in the box,
    and some under them.
    """

    distance: half_section.Distances
    axis: tuple[float, float]
    parts: Bool[np.ndarray, "d h w"]


def section_of(
    labels: Labels, belief: Belief, axis: tuple[float, float] | None = None
) -> Section | None:
    """The half section of a completed pot; None where the pot is not round.

    Args:
        labels: as `inference.answer.mark` gives them.
        belief: probabilities, more than 0.5 where a voxel was added.
        axis: where it stands in d and h; None: where the pot's clay has it.
    """
    occupied = labels > 0
    axis = axis or wheel.find_axis(occupied)
    side = max(labels.shape)
    box = tuple(map(slice, labels.shape))
    cube = np.zeros((side,) * 3, np.float32)
    cube[box] = np.where(labels == GIVEN, np.float32(1), belief)
    shares = profile_targets.share(cube, axis)
    cube[box] = occupied
    # Where the model doubts, walls would grow thin at one half.
    level = level_of(shares, profile_targets.share(cube, axis))
    lines = profile_targets.outline(shares + np.float32(0.5 - level))
    distance = half_section.signed_distance(lines, side)
    turned = lathe.field(distance, side, axis)[box]
    missing = (turned < -_OFF) & ~occupied
    if missing.sum() > _ROUND * occupied.sum():
        return None
    parts = _parts(occupied, occupied & (turned > _OFF))
    whole = len(lathe.smooth_outline(distance)) < 2
    # What holds together only on one side would fall apart.
    if not whole and bridge.count((turned < 0) | parts) > bridge.count(occupied):
        return None
    return Section(distance, axis, parts)


def _parts(
    occupied: Bool[np.ndarray, "d h w"], off: Bool[np.ndarray, "d h w"]
) -> Bool[np.ndarray, "d h w"]:
    """The bodies of what stands off that are big enough, with what of the pot lies under them."""
    every = np.ones((3, 3, 3), bool)
    places = np.asarray(measure.label(off, connectivity=3))
    big = np.bincount(places.ravel()) >= _LEAST
    big[0] = False
    if not big.any():
        return np.zeros_like(occupied)
    return np.asarray(ndimage.binary_dilation(big[places], every, 2, mask=occupied))


def mesh(section: Section, matrix: surface.Matrix) -> solids.Mesh:
    """The turned pot with what stands off it, in facets no longer than a voxel; watertight."""
    pot = lathe.mesh(section.distance, matrix, axis=section.axis, spacing=1.0)
    body = solids.solid(pot.vertices, pot.faces)
    if section.parts.any():
        parts, _ = surface.of_voxels(section.parts, matrix)
        body += solids.solid(parts.vertices, parts.faces)
    return solids.mesh(body, surface.step_of(matrix))[0]
