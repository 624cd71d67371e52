"""The signed distance of every voxel from a pot's surface, as far as losses look at it."""

import jax.numpy as jnp
from jaxtyping import Array, Float

Volume = Float[Array, "b d h w 1"]

_GRID = (1, 2, 3)


def signed(occupied: Volume, bound: int) -> Volume:
    """The distance of each voxel's middle from the surface in voxels, negative in clay, clipped.

    Exact for the surface that lies half a voxel before the nearest voxel of the other kind, as the
    squares are a sum over the axes (Felzenszwalb and Huttenlocher, Theory of Computing 2012,
    section 2), of which no more than `bound` is asked. Outside the cube there is no clay.

    Args:
        occupied: in {0, 1}.
        bound: where it is clipped, on both sides.
    """
    inside = occupied > 0.5
    reach = bound + 1
    from_clay = _distance(jnp.where(inside, 0.0, jnp.inf), reach)
    # With a rim of nothing all around, to which clay at the cube's border is near.
    open_air = jnp.pad(~inside, [(0, 0), *[(1, 1)] * 3, (0, 0)], constant_values=True)
    from_air = _distance(jnp.where(open_air, 0.0, jnp.inf), reach)[:, 1:-1, 1:-1, 1:-1]
    found = jnp.where(inside, 0.5 - from_air, from_clay - 0.5)
    return jnp.clip(found, -float(bound), float(bound))


def _distance(squares: Volume, reach: int) -> Volume:
    """From 0 where a voxel is of a kind and ∞ elsewhere: how far such a one is, up to `reach`."""
    for axis in _GRID:
        size = squares.shape[axis]
        padding = [(0, 0)] * squares.ndim
        padding[axis] = (reach, reach)
        around = jnp.pad(squares, padding, constant_values=jnp.inf)
        squares = jnp.stack(
            [
                jnp.take(around, jnp.arange(size) + reach + move, axis=axis) + float(move**2)
                for move in range(-reach, reach + 1)
            ]
        ).min(axis=0)
    return jnp.sqrt(jnp.minimum(squares, float(reach**2)))


def slope(distance: Volume) -> Float[Array, "b d-2 h-2 w-2 1"]:
    """The length of a field's gradient by central differences, but at the cube's border."""
    square = jnp.zeros((), distance.dtype)
    for axis in _GRID:
        others = [slice(1, -1) if n in _GRID and n != axis else slice(None) for n in range(5)]
        before, after = list(others), list(others)
        before[axis], after[axis] = slice(None, -2), slice(2, None)
        square = square + jnp.square((distance[tuple(after)] - distance[tuple(before)]) / 2.0)
    # At a slope of nothing the root has no derivative.
    return jnp.sqrt(jnp.maximum(square, 1e-12))
