"""Between a grid and its rings about a vertical axis: a fixed linear map and its exact adjoint.

A pot that was made on the wheel is a solid of revolution, so that all there is to know about it is
its profile: for each height and radius, how much of the ring is clay. Each column of the grid lies
between two rings and is shared out between them in proportion (linear splatting). `ring_sums` adds
voxels up over rings with these weights; `revolve` reads a profile with the same ones, which is
linear interpolation in the radius.
"""

import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

RING_WIDTH = 0.5
"""In voxels. Re-revolving a pot's own mean profile gives IoU 0.92 with it, and 0.875 with 1."""

_ASIDE = 0.35
"""Heights whose centroid lies further than this from the median (voxels) are not round."""

_MARGIN = 4
"""A pot fills the cube at most, but its axis may lie off the middle by this much (in voxels)."""


def num_rings(resolution: int, width: float = RING_WIDTH) -> int:
    """How many rings serve a cube of this side: a multiple of 8, as `ProfileNet` wants it."""
    return 8 * math.ceil((resolution / 2 + _MARGIN) / width / 8)


def centre_axis(resolution: int) -> Float[Array, "1 2"]:
    """The vertical line through the middle of the cube: the axis of a centred pot of even width."""
    return jnp.full((1, 2), (resolution - 1) / 2, jnp.float32)


def round_axis(complete: Float[Array, "b d h w 1"]) -> Float[Array, "b 2"]:
    """Where each complete pot's axis stands, to a fraction of a voxel.

    Each height of a pot of revolution has its centroid on the axis. Handles and spouts draw some
    heights' centroids aside; the axis is the mean of those near their median (both weighted by the
    voxels of the height). The middle of the pot's box will not do: rounding to voxels moves it by
    up to half a voxel. Of an empty grid the axis is the middle of the grid.
    """
    _, d, h, _, _ = complete.shape
    clay = (complete[..., 0] > 0).astype(jnp.float32)
    size = clay.sum(axis=(1, 2))
    axes = []
    for across, side in ((2, d), (1, h)):
        where = jnp.arange(side, dtype=jnp.float32)
        centroid = jnp.einsum("bsw,s->bw", clay.sum(axis=across), where, precision="highest")
        centroid = centroid / jnp.maximum(size, 1.0)
        middle = _weighted_median(centroid, size)
        near = jnp.where(jnp.abs(centroid - middle) < _ASIDE, size, 0.0)
        mean = (near * centroid).sum(axis=1) / jnp.maximum(near.sum(axis=1), 1.0)
        axes.append(jnp.where(size.any(axis=1), mean, (side - 1) / 2))
    return jnp.stack(axes, axis=1)


def find_axis(occupied: Bool[np.ndarray, "d h w"]) -> tuple[float, float]:
    """Where a pot's axis stands in d and h: the mean of its heights' centroids, as `round_axis`.

    A height whose centroid is drawn aside by a handle has no say.

    Raises:
        ValueError: no voxel is occupied.
    """
    size = occupied.sum(axis=(0, 1))
    if not size.any():
        raise ValueError("no voxel is occupied, so there is no axis")
    axis = []
    for across in (1, 0):
        side = np.arange(occupied.shape[1 - across])
        centroid = side @ occupied.sum(axis=across) / np.maximum(size, 1)
        order = np.argsort(centroid)
        reached = np.cumsum(size[order])
        middle = centroid[order][np.argmax(2 * reached >= reached[-1])]
        near = np.where(np.abs(centroid - middle) < _ASIDE, size, 0)
        axis.append(float(near @ centroid / near.sum()))
    return axis[0], axis[1]


def _weighted_median(
    values: Float[Array, "b n"], weights: Float[Array, "b n"]
) -> Float[Array, "b 1"]:
    order = jnp.argsort(values, axis=1)
    reached = jnp.cumsum(jnp.take_along_axis(weights, order, axis=1), axis=1)
    half = (2.0 * reached >= reached[:, -1:]).argmax(axis=1)
    chosen = jnp.take_along_axis(order, half[:, None], axis=1)
    return jnp.take_along_axis(values, chosen, axis=1)


def ring_weights(
    resolution: int, axis: Float[Array, "n 2"], *, width: float = RING_WIDTH
) -> Float[Array, "n column ring"]:
    """How much of each column of the cube belongs to each ring about an axis.

    Ring k has the radius k·width. The weights of a column sum to 1, or to less beyond the last
    ring, where nothing is kept.

    Args:
        axis: where it stands in the first two axes of the grid, in voxels from the centre of voxel
            0; one for all examples (n = 1) or one each.
    """
    cell = jnp.arange(resolution, dtype=jnp.float32)[None, :]
    square_d = jnp.square(cell - axis[:, :1])
    square_h = jnp.square(cell - axis[:, 1:])
    radius = jnp.sqrt(square_d[:, :, None] + square_h[:, None, :]) / width
    ring = jnp.arange(num_rings(resolution, width), dtype=jnp.float32)
    distance = jnp.abs(radius.reshape(len(axis), -1, 1) - ring[None, None, :])
    return jnp.maximum(1.0 - distance, 0.0)


def ring_sums(
    volume: Float[Array, "b d h w 1"], weights: Float[Array, "n column ring"]
) -> Float[Array, "b w ring"]:
    """The voxels of each height summed over each ring. `n` is 1 or b."""
    b, d, h, w, _ = volume.shape
    columns = volume.reshape(b, d * h, w)
    if len(weights) == 1:
        return jnp.einsum("bpw,pr->bwr", columns, weights[0], precision="highest")
    return jnp.einsum("bpw,bpr->bwr", columns, weights, precision="highest")


def ring_sizes(weights: Float[Array, "n column ring"]) -> Float[Array, "n 1 ring"]:
    """How many voxels each ring has, the same at each height."""
    return weights.sum(axis=1, keepdims=True)


def revolve(
    profile: Float[Array, "b w ring"], weights: Float[Array, "n column ring"]
) -> Float[Array, "b d h w 1"]:
    """A profile turned about the axis of the weights: the adjoint of `ring_sums`. `n` is 1 or b."""
    b, w, _ = profile.shape
    side = math.isqrt(weights.shape[1])
    if len(weights) == 1:
        columns = jnp.einsum("bwr,pr->bpw", profile, weights[0], precision="highest")
    else:
        columns = jnp.einsum("bwr,bpr->bpw", profile, weights, precision="highest")
    return columns.reshape(b, side, side, w, 1)


def missing_means(
    complete: Float[Array, "b d h w 1"],
    partial: Float[Array, "b d h w 1"],
    weights: Float[Array, "n column ring"],
) -> tuple[Float[Array, "b w ring"], Float[Array, "b w ring"]]:
    """Of each ring's voxels that are not given: the mean of `complete`, and how many there are.

    `partial` must lie within `complete`. Sums are linear, so no grid of what is missing is made.
    """
    given = ring_sums(partial, weights)
    # Not below 0 by rounding where all is given.
    size = jnp.maximum(ring_sizes(weights) - given, 0.0)
    return (ring_sums(complete, weights) - given) / jnp.maximum(size, 1e-6), size
