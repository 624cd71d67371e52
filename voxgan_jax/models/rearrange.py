"""Rearrangements of a grid's voxels, of which the forms of a convolution are made."""

import functools
import itertools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

# Rearrangements of a grid. Each keeps the rank at 6 or below: XLA has mishandled higher ones.


def space_to_depth(x: Float[Array, "b d h w c"]) -> Float[Array, "b d//2 h//2 w//2 8*c"]:
    """Blocks of 2³ voxels become the channels of one voxel, ordered (d, h, w, channel)."""
    b, d, h, w, c = x.shape
    x = x.reshape(b * (d // 2), 2, h // 2, 2, w // 2, 2 * c).transpose(0, 2, 4, 1, 3, 5)
    return x.reshape(b, d // 2, h // 2, w // 2, 8 * c)


def depth_to_space(x: Float[Array, "b d h w c"]) -> Float[Array, "b 2*d 2*h 2*w c//8"]:
    """The inverse of `space_to_depth`."""
    b, d, h, w, c = x.shape
    x = x.reshape(b * d, h, w, 2, 2, c // 4).transpose(0, 3, 1, 4, 2, 5)
    return x.reshape(b, 2 * d, 2 * h, 2 * w, c // 8)


def pad(x: Float[Array, "b d h w c"]) -> Float[Array, "b d+2 h+2 w+2 c"]:
    """One empty voxel on every side."""
    return jnp.pad(x, ((0, 0), (1, 1), (1, 1), (1, 1), (0, 0)))


def crop(x: Float[Array, "b d h w c"]) -> Float[Array, "b d-2 h-2 w-2 c"]:
    """The inverse of `pad`."""
    return x[:, 1:-1, 1:-1, 1:-1]


# Windows and their sum are linear and each the other's transpose. Saying so keeps the backward
# pass as cheap as the forward one: XLA would otherwise pad every slice to full size by itself.


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def windows(
    x: Float[Array, "b d h w c"], size: int
) -> Float[Array, "b d-{size}+1 h-{size}+1 w-{size}+1 {size}**3*c"]:
    """All windows of `size`³ voxels, each laid out along the channels (d, h, w, channel)."""
    d, h, w = (length - size + 1 for length in x.shape[1:4])
    offsets = itertools.product(range(size), repeat=3)
    return jnp.concatenate([x[:, i : i + d, j : j + h, k : k + w] for i, j, k in offsets], axis=-1)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def overlap_add(
    x: Float[Array, "b d h w kc"], size: int
) -> Float[Array, "b d+{size}-1 h+{size}-1 w+{size}-1 kc//{size}**3"]:
    """The transpose of `windows`: lays each voxel's channels out as a window and adds them up."""
    c, last = x.shape[-1] // size**3, size - 1
    parts = (
        jnp.pad(
            x[..., n * c : (n + 1) * c],
            ((0, 0), (i, last - i), (j, last - j), (k, last - k), (0, 0)),
        )
        for n, (i, j, k) in enumerate(itertools.product(range(size), repeat=3))
    )
    return functools.reduce(jnp.add, parts)


windows.defvjp(lambda x, n: (windows(x, n), None), lambda n, _, g: (overlap_add(g, n),))
overlap_add.defvjp(lambda x, n: (overlap_add(x, n), None), lambda n, _, g: (windows(g, n),))
