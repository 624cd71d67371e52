"""The eight symmetries of the square about the axis of height (D4), numbered 0…7.

Of a symmetry's number bit 2 exchanges a grid's first two axes, then bit 0 mirrors the first and
bit 1 the second. 0 changes nothing.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

COUNT = 8

Cube = Float[Array, "b d d w 1"]
Number = Int[Array, ""]


def exchanges(symmetry: Int[Array, "*n"]) -> Bool[Array, "*n"]:
    """Whether the first two axes change places."""
    return symmetry >> 2 & 1 == 1


def mirrors(symmetry: Int[Array, "*n"], axis: int) -> Bool[Array, "*n"]:
    """Whether that axis (0 or 1) is mirrored, after the exchange."""
    return symmetry >> axis & 1 == 1


def turn(volume: Cube, symmetry: Number) -> Cube:
    """The whole cube under one of the symmetries."""
    volume = jnp.where(exchanges(symmetry), volume.swapaxes(1, 2), volume)
    return _mirror(volume, symmetry)


def turn_back(volume: Cube, symmetry: Number) -> Cube:
    """The inverse of `turn`."""
    volume = _mirror(volume, symmetry)
    return jnp.where(exchanges(symmetry), volume.swapaxes(1, 2), volume)


def _mirror(volume: Cube, symmetry: Number) -> Cube:
    for axis in (0, 1):
        volume = jnp.where(mirrors(symmetry, axis), jnp.flip(volume, axis + 1), volume)
    return volume
