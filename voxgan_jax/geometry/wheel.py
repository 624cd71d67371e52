"""What a pot made on the wheel has: an upright axis (the grid's last one) and rings about it.

Functions on arrays of NumPy or JAX alike, and without JAX of their own: a process that only draws
and writes pots need not load it. `rings` builds on them what models are trained with.
"""

import math
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

RING_WIDTH = 0.5
"""In voxels. Re-revolving a pot's own mean profile gives IoU 0.92 with it, and 0.875 with 1."""

_MARGIN = 4
"""A pot fills the cube at most, but its axis may lie off the middle by this much (in voxels)."""

ROUND_WITHIN = 0.35
"""In voxels: a height whose centroid lies further than this from the median has a handle, or the
like, and no say in where the axis is. Round heights scatter by rounding alone, at most by this."""


def num_rings(resolution: int, width: float = RING_WIDTH) -> int:
    """How many rings serve a cube of this side: a multiple of 8, as `ProfileNet` wants it."""
    return 8 * math.ceil((resolution / 2 + _MARGIN) / width / 8)


def find_axes(occupied: Bool[Any, "b d h w"]) -> Float[Any, "b 2"]:
    """Where each pot's axis stands in d and h, to a fraction of a voxel.

    Each height of a pot of revolution has its centroid on the axis. Handles and spouts draw some
    heights' centroids aside; the axis is the mean of those near their median (both weighted by the
    voxels of the height). The middle of the pot's box will not do: rounding to voxels moves it by
    up to half a voxel. Of an empty grid the axis is the middle of the grid.
    """
    xp = occupied.__array_namespace__()
    dtype = xp.result_type(float)
    size = occupied.sum(axis=(1, 2)).astype(dtype)
    axes = []
    for axis, across in ((1, 2), (2, 1)):
        side = occupied.shape[axis]
        # Whole numbers below 2²⁴: the sums are exact in single precision too.
        count = occupied.sum(axis=across).astype(dtype)
        centroid = (count * xp.arange(side, dtype=dtype)[None, :, None]).sum(axis=1)
        centroid = centroid / xp.maximum(size, 1.0)
        off = xp.abs(centroid - _weighted_median(centroid, size))
        near = xp.where(off < ROUND_WITHIN, size, 0.0)
        mean = (near * centroid).sum(axis=1) / xp.maximum(near.sum(axis=1), 1.0)
        axes.append(xp.where(size.any(axis=1), mean, (side - 1) / 2))
    return xp.stack(axes, axis=1)


def find_axis(occupied: Bool[np.ndarray, "d h w"]) -> tuple[float, float]:
    """`find_axes` of one pot.

    Raises:
        ValueError: no voxel is occupied.
    """
    if not occupied.any():
        raise ValueError("no voxel is occupied, so there is no axis")
    d, h = find_axes(occupied[None])[0].tolist()
    return d, h


def _weighted_median(values: Float[Any, "b n"], weights: Float[Any, "b n"]) -> Float[Any, "b 1"]:
    """The lowest value up to which, itself included, half of the weight lies."""
    xp = values.__array_namespace__()
    order = xp.argsort(values, axis=1)
    reached = xp.cumsum(xp.take_along_axis(weights, order, axis=1), axis=1)
    half = (2.0 * reached >= reached[:, -1:]).argmax(axis=1)
    chosen = xp.take_along_axis(order, half[:, None], axis=1)
    return xp.take_along_axis(values, chosen, axis=1)


def radii(shape: tuple[int, int], axes: Float[Any, "n 2"]) -> Float[Any, "n d h"]:
    """How far each column of a grid stands from each axis, in voxels.

    Args:
        shape: of the grid's first two axes.
        axes: in voxels from the centre of voxel 0.
    """
    xp = axes.__array_namespace__()
    square_d, square_h = (
        xp.square(xp.arange(side, dtype=axes.dtype)[None, :] - axes[:, axis, None])
        for axis, side in enumerate(shape)
    )
    return xp.sqrt(square_d[:, :, None] + square_h[:, None, :])


def ring_shares(radius: Float[Any, "*columns"], count: int) -> Float[Any, "*columns {count}"]:
    """How much of each column belongs to each of so many rings: linear splatting.

    Ring k has the radius k; a column between two rings is shared out between them in proportion.
    The shares of a column sum to 1, or to less beyond the last ring, where nothing is kept.

    Args:
        radius: in widths of a ring.
    """
    xp = radius.__array_namespace__()
    ring = xp.arange(count, dtype=radius.dtype).reshape(*[1] * radius.ndim, count)
    return xp.maximum(1.0 - xp.abs(radius[..., None] - ring), 0.0)


def nearest_rings(resolution: int, width: float = 1.0) -> Int[np.ndarray, "d h"]:
    """The one ring that each column of a cube belongs to, whole, about the cube's middle.

    Coarser than `ring_shares`, but a sum over such rings counts whole voxels: what rules and
    baselines that count voxels were fitted with.

    Args:
        width: of a ring, in voxels.
    """
    middle = np.full((1, 2), (resolution - 1) / 2)
    return np.rint(radii((resolution, resolution), middle)[0] / width).astype(np.int32)
