"""Between a grid and its rings about a vertical axis: a fixed linear map and its exact adjoint.

A pot that was made on the wheel is a solid of revolution, so that all there is to know about it is
its profile: for each height and radius, how much of the ring is clay. Each column of the grid lies
between two rings and is shared out between them in proportion (linear splatting). `ring_sums` adds
voxels up over rings with these weights; `revolve` reads a profile with the same ones, which is
linear interpolation in the radius. In JAX, for what is trained; `wheel` has the geometry.
"""

import math

import jax.numpy as jnp
from jaxtyping import Array, Float

from voxgan_jax.geometry import wheel

Volume = Float[Array, "b d h w 1"]
Profile = Float[Array, "b w ring"]
Weights = Float[Array, "n column ring"]


def centre_axis(resolution: int) -> Float[Array, "1 2"]:
    """The vertical line through the middle of the cube: the axis of a centred pot of even width."""
    return jnp.full((1, 2), (resolution - 1) / 2, jnp.float32)


def round_axis(complete: Volume) -> Float[Array, "b 2"]:
    """Where each complete pot's axis stands, to a fraction of a voxel: see `wheel.find_axes`."""
    return wheel.find_axes(complete[..., 0] > 0)


def ring_weights(
    resolution: int, axis: Float[Array, "n 2"], *, width: float = wheel.RING_WIDTH
) -> Weights:
    """How much of each column of the cube belongs to each ring about an axis.

    Ring k has the radius k·width; see `wheel.ring_shares`.

    Args:
        axis: where it stands in the first two axes of the grid, in voxels from the centre of voxel
            0; one for all examples (n = 1) or one each.
    """
    radius = wheel.radii((resolution, resolution), axis) / width
    return wheel.ring_shares(radius.reshape(len(axis), -1), wheel.num_rings(resolution, width))


def ring_sums(volume: Volume, weights: Weights) -> Profile:
    """The voxels of each height summed over each ring. `n` is 1 or b."""
    b, d, h, w, _ = volume.shape
    columns = volume.reshape(b, d * h, w)
    if len(weights) == 1:
        return jnp.einsum("bpw,pr->bwr", columns, weights[0], precision="highest")
    return jnp.einsum("bpw,bpr->bwr", columns, weights, precision="highest")


def ring_sizes(weights: Weights) -> Float[Array, "n 1 ring"]:
    """How many voxels each ring has, the same at each height."""
    return weights.sum(axis=1, keepdims=True)


def revolve(profile: Profile, weights: Weights) -> Volume:
    """A profile turned about the axis of the weights: the adjoint of `ring_sums`. `n` is 1 or b."""
    b, w, _ = profile.shape
    side = math.isqrt(weights.shape[1])
    if len(weights) == 1:
        columns = jnp.einsum("bwr,pr->bpw", profile, weights[0], precision="highest")
    else:
        columns = jnp.einsum("bwr,bpr->bpw", profile, weights, precision="highest")
    return columns.reshape(b, side, side, w, 1)


def missing_means(complete: Volume, partial: Volume, weights: Weights) -> tuple[Profile, Profile]:
    """Of each ring's voxels that are not given: the mean of `complete`, and how many there are.

    `partial` must lie within `complete`. Sums are linear, so no grid of what is missing is made.
    """
    given = ring_sums(partial, weights)
    # Not below 0 by rounding where all is given.
    size = jnp.maximum(ring_sizes(weights) - given, 0.0)
    return (ring_sums(complete, weights) - given) / jnp.maximum(size, 1e-6), size
