"""A restored pot in finer voxels than the model's: its half section, or its field, read more often.

What is given stays: a scan is voxelised anew, given voxels are divided.
"""

import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy import ndimage

from voxgan_jax.data import grid
from voxgan_jax.geometry import lathe, surface, voxelise
from voxgan_jax.geometry.solids import Mesh
from voxgan_jax.inference.answer import GIVEN, Belief, Labels
from voxgan_jax.inference.round_pot import Section


def labels_of(
    labels: Labels,
    belief: Belief,
    matrix: surface.Matrix,
    factor: int,
    section: Section | None = None,
    scan: Mesh | None = None,
) -> UInt8[np.ndarray, "_ _ _"]:
    """The labels of the voxels of a box so many times as fine along each axis.

    Args:
        labels, belief, matrix: as `meshes.surfaces` takes them.
        section: of a round pot.
        scan: in mm; None divides the given voxels.
    """
    if factor == 1:
        return labels
    box = tuple(slice(0, factor * side) for side in labels.shape)
    if section is None:
        field = surface.smooth(labels > 0, belief, labels == GIVEN)
        inside = _above(field, surface.find_level(field, labels > 0), factor)
    else:
        side = factor * max(labels.shape)
        inside = lathe.field(section.distance, side, section.axis)[box] < 0
        if section.parts.any():
            field = surface.smooth(section.parts)
            inside |= _above(field, surface.find_level(field, section.parts), factor)
    given = labels == GIVEN
    added = np.where(given, np.uint8(0), labels)
    # Of what was added the nearest has a say in what is new.
    nearest = ndimage.distance_transform_edt(
        added == 0, return_distances=False, return_indices=True
    )
    found = np.where(inside, grid.upsample(added[tuple(np.asarray(nearest))], factor), np.uint8(0))
    if scan is None:
        found[grid.upsample(given, factor)] = GIVEN
    else:
        _mark(found, scan, matrix, factor)
    return found


def _above(field: Float[np.ndarray, "_ _ _"], level: float, factor: int) -> Bool[np.ndarray, "..."]:
    """Where a field of `surface.smooth`, read linearly, is above a level; without its border."""
    finer = ndimage.zoom(field, factor, order=1, mode="nearest", grid_mode=True)
    border = 2 * factor
    return np.asarray(finer)[border:-border, border:-border, border:-border] > level


def _mark(found: Labels, scan: Mesh, matrix: surface.Matrix, factor: int) -> None:
    """Label as given the voxels of a scan, in place, in the part of the box that it reaches."""
    turned = scan.copy()
    turned.apply_transform(np.linalg.inv(matrix))
    low = np.maximum(np.floor(turned.bounds[0] + 0.5), 0).astype(int) * factor
    high = np.minimum(np.ceil(turned.bounds[1] + 0.5).astype(int) * factor, found.shape)
    if (high > low).all():
        shape = (high - low).tolist()
        cells = voxelise.voxelise(turned, (low / factor - 0.5).tolist(), 1 / factor, shape)
        found[tuple(map(slice, low, high))][cells] = GIVEN
