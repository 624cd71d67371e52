"""Half sections stretched inside the compiled step, as the voxels of their pots are."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from voxgan_jax.geometry import half_section

_EDGE = 0.01  # voxels from the clip, where no surface is told of any more
_FLAT = 0.25  # below this squared slope (that of a distance is 1) there is a ridge between surfaces

Sections = Float[Array, "b rows ring"]
Each = Float[Array, " b"]


def stretched(
    distance: Sections, across: Each, up: Each, old_middle: Each, middle: Each
) -> Sections:
    """Signed distances in voxels after the pot's radii grew by `across` and its heights by `up`.

    As exact as the surface is flat: a distance grows by what a stretch does along its own slope.
    In float32.

    Args:
        old_middle, middle: the height in voxels that the stretch starts from, and where this goes.
    """
    _, rows, rings = distance.shape
    distance = distance.astype(jnp.float32)
    height = jnp.asarray(half_section.heights(rows), jnp.float32)[None]
    height = (height - middle[:, None]) / up[:, None] + old_middle[:, None]
    ring = jnp.arange(rings, dtype=jnp.float32)[None] / across[:, None]
    # Both slopes, per voxel, read together with the distance.
    slopes: Any = jnp.gradient(distance, half_section.STEP, axis=(1, 2))
    fields = jnp.stack([distance, *slopes], axis=-1)
    fields = _between(fields, height / half_section.STEP + 0.5)
    fields = _between(fields.swapaxes(1, 2), ring).swapaxes(1, 2)
    found, along_h, along_r = (fields[..., n] for n in range(3))
    square_h, square_r = jnp.square(along_h), jnp.square(along_r)
    square = square_h + square_r
    up, across = up[:, None, None], across[:, None, None]
    shrunk = jnp.sqrt((square_h / up**2 + square_r / across**2) / jnp.maximum(square, _FLAT))
    factor = jnp.where(square > _FLAT, 1.0 / jnp.maximum(shrunk, 1e-3), jnp.sqrt(up * across))
    clip = half_section.CLIP
    grown = jnp.where(jnp.abs(found) < clip - _EDGE, found * factor, jnp.sign(found) * clip)
    return jnp.clip(grown, -clip, clip)


def _between(rows: Float[Array, "b n m c"], at: Float[Array, "b k"]) -> Float[Array, "b k m c"]:
    """Rows between two others, linearly; beyond the last ones these."""
    at = jnp.clip(at, 0.0, rows.shape[1] - 1.0)
    low = jnp.minimum(at.astype(jnp.int32), rows.shape[1] - 2)
    share = (at - low.astype(jnp.float32))[:, :, None, None]
    before, after = (
        jnp.take_along_axis(rows, index[:, :, None, None], axis=1) for index in (low, low + 1)
    )
    return before + share * (after - before)
