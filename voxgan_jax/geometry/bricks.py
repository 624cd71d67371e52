"""Cubes cut into bricks of 8³ voxels, of which only some are kept: sparse grids of fixed shapes.

Octrees (Riegler, Ulusoy and Geiger, CVPR 2017; Wang et al., SIGGRAPH 2017) hold as many cells as a
shape needs, which differs from pot to pot; compiled programs want shapes that are known before. So
each cube keeps the same number of bricks, those that score best, and what is left of the number is
spent on bricks that would not have been needed.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

SIDE = 8
"""Of a brick, in voxels."""

Grid = Float[Array, "b d d d c"]
Bricks = Float[Array, "b k s s s c"]


class Chosen(NamedTuple):
    """Which bricks of each cube are kept.

    `places` are their numbers, counted along d, h and w; `beside` tells for each which of the kept
    ones lies before and after it along d, h and w, in this order, or how many are kept: none.
    """

    places: Int[Array, "b k"]
    beside: Int[Array, "b k 6"]


def halved(grid: Grid) -> Float[Array, "b d//2 d//2 d//2 c"]:
    """Each 2³ voxels as one, full where any of them is: a thin sherd does not vanish."""
    b, side, c = len(grid), grid.shape[1] // 2, grid.shape[4]
    return grid.reshape(b, side, 2, side, 2, side, 2, c).max(axis=(2, 4, 6))


def doubled(grid: Grid) -> Float[Array, "b 2*d 2*d 2*d c"]:
    """Twice the side, by linear interpolation."""
    shape = (len(grid), *(2 * side for side in grid.shape[1:4]), grid.shape[4])
    return jax.image.resize(grid, shape, "linear")


def cut(grid: Grid) -> Float[Array, "b n 8 8 8 c"]:
    """All bricks of cubes whose side is a multiple of 8."""
    b, side, channels = len(grid), grid.shape[1] // SIDE, grid.shape[4]
    parts = grid.reshape(b, side, SIDE, side, SIDE, side, SIDE, channels)
    return parts.transpose(0, 1, 3, 5, 2, 4, 6, 7).reshape(b, side**3, SIDE, SIDE, SIDE, channels)


def join(bricks: Float[Array, "b n 8 8 8 c"]) -> Grid:
    """The reverse of `cut`."""
    b, count, channels = len(bricks), bricks.shape[1], bricks.shape[5]
    side = round(count ** (1 / 3))
    parts = bricks.reshape(b, side, side, side, SIDE, SIDE, SIDE, channels)
    whole = parts.transpose(0, 1, 4, 2, 5, 3, 6, 7)
    return whole.reshape(b, side * SIDE, side * SIDE, side * SIDE, channels)


def choose(score: Float[Array, "b n"], count: int) -> Chosen:
    """The bricks that score best, so many of each cube."""
    places = jax.lax.top_k(score, count)[1]
    total = score.shape[1]
    side = round(total ** (1 / 3))
    rows = jnp.arange(len(score))[:, None]
    # One place more, for what lies outside the cube.
    slots = jnp.full((len(score), total + 1), count, jnp.int32)
    slots = slots.at[rows, places].set(jnp.arange(count, dtype=jnp.int32)[None])
    beside = []
    for stride in (side**2, side, 1):
        along = (places // stride) % side
        for way in (-1, 1):
            inside = (along + way >= 0) & (along + way < side)
            beside.append(slots[rows, jnp.where(inside, places + way * stride, total)])
    return Chosen(places, jnp.stack(beside, axis=-1))


def take(grid: Grid, chosen: Chosen) -> Bricks:
    """The kept bricks of cubes."""
    return cut(grid)[jnp.arange(len(grid))[:, None], chosen.places]


def put(grid: Grid, bricks: Bricks, chosen: Chosen) -> Grid:
    """Cubes to whose kept bricks these are added."""
    rows = jnp.arange(len(grid))[:, None]
    return join(cut(grid).at[rows, chosen.places].add(bricks))


def with_halo(bricks: Bricks, chosen: Chosen) -> Float[Array, "b k s+2 s+2 s+2 c"]:
    """Bricks with a cell more on all sides, from the kept ones beside; zero where none is.

    Along one axis after the other, so edges and corners come by way of the bricks between.
    """
    rows, last = jnp.arange(len(bricks))[:, None], bricks.shape[2] - 1
    for axis in (2, 3, 4):
        none = jnp.zeros((len(bricks), 1, *bricks.shape[2:]), bricks.dtype)
        every = jnp.concatenate([bricks, none], axis=1)
        first = 2 * (axis - 2)
        # The last cells of the brick before, the first of the one behind.
        before = jnp.take(every, jnp.array([last]), axis=axis)
        behind = jnp.take(every, jnp.array([0]), axis=axis)
        before = before[rows, chosen.beside[..., first]]
        behind = behind[rows, chosen.beside[..., first + 1]]
        bricks = jnp.concatenate([before, bricks, behind], axis=axis)
    return bricks
