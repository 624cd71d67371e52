"""Pots turned, stretched and moved inside the compiled step, all in one look-up a pot.

Whatever is done to a pot is done to the box that it fills: the box is turned and mirrored about the
axis of height (the eight symmetries of the square, D4), gets other sides, and is put somewhere. The
voxels go with it, each cell taking the label of the nearest cell of the old box. (Pooled pots are
changed after pooling, so which cells were pooled may differ by one.)
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt8

from voxgan_jax.data import grid
from voxgan_jax.training import parallel

NUM_SYMMETRIES = 8
MAX_SCALE = 0.5
"""Beyond it a box could lose its outermost cells, and small fragments would vanish."""


def augment_batch(
    batch: Mapping[str, Any],
    rng: jax.Array,
    step: Int[Array, ""],
    axis_name: str | None = None,
    *,
    turn: bool = True,
    scale_radius: float = 0.0,
    scale_height: float = 0.0,
    keep_longest: bool = False,
    shift: bool = False,
    placement: str = "center",
) -> dict[str, Any]:
    """The batch with every pot changed at random; all but its labels as it was.

    Args:
        batch: `labels` uint8 (b, d, h, w) with d = h, and anything else.
        rng, step: a key and the run's step, from which the draw follows.
        axis_name: the mapped axis that divides the batch, if any: chance is drawn for the whole
            batch and each device takes its own rows of it.
        turn: one of the eight symmetries about the axis of height.
        scale_radius, scale_height: s stretches the first two axes together, or the last one, by a
            factor in [1 - s, 1 + s], uniform in its logarithm, and no more than fits the cube. The
            sides stay odd or even, so that a centred pot keeps its axis to the half voxel.
        keep_longest: scale every pot, after this, to the longest side that it had, as the pots of
            the data set all have the same one: it is the proportions that change.
        shift: each pot at any place where its box fits, all equally likely.
        placement: that of the data, see `grid.place`: a stretched pot lies where this would put it.

    Raises:
        ValueError: a scale outside 0…`MAX_SCALE`, or an unknown placement.
    """
    scales = (scale_radius, scale_height)
    if not all(0 <= scale <= MAX_SCALE for scale in scales):
        raise ValueError(
            f"scale_radius {scale_radius} and scale_height {scale_height} must lie in 0…{MAX_SCALE}"
        )
    if placement not in grid.PLACEMENTS:
        raise ValueError(f"placement {placement!r} is none of {grid.PLACEMENTS}")
    labels = batch["labels"]
    parts = 1 if axis_name is None else jax.lax.axis_size(axis_name)
    rows = labels.shape[0] * parts
    rng = jax.random.fold_in(rng, step)
    ids = jax.random.randint(rng, (rows,), 0, NUM_SYMMETRIES if turn else 1)
    ids = parallel.own_rows(ids, axis_name)
    starts, old_sizes = (_exchanged(values, ids) for values in boxes(labels))
    sizes = old_sizes
    limits = jnp.array([labels.shape[1:]], jnp.int32)
    if any(scales):
        low, high = (jnp.log1p(jnp.array([scales]) * sign) for sign in (-1, 1))
        uniform = jax.random.uniform(jax.random.fold_in(rng, 1), (rows, 2))
        factors = jnp.exp(low + parallel.own_rows(uniform, axis_name) * (high - low))
        sizes = stretched_sizes(old_sizes, factors, limits, keep_longest=keep_longest)
    room = limits - sizes
    if shift:
        uniform = jax.random.uniform(jax.random.fold_in(rng, 2), (rows, 3))
        uniform = parallel.own_rows(uniform, axis_name)
        starts = (uniform * (room + 1).astype(jnp.float32)).astype(jnp.int32)
    elif placement == "center":
        starts = jnp.clip(starts + (old_sizes - sizes) // 2, 0, room)
    return {**batch, "labels": rebox(labels, ids, starts, sizes)}


def boxes(labels: UInt8[Array, "b d h w"]) -> tuple[Int[Array, "b 3"], Int[Array, "b 3"]]:
    """Where the box that each pot fills starts, and its sides, in cells.

    An empty grid's box is all of it.
    """
    from_above, from_side = labels.max(axis=2) > 0, labels.max(axis=1) > 0
    planes = (from_above.any(axis=2), from_side.any(axis=2), from_above.any(axis=1))
    starts = jnp.stack([plane.argmax(axis=1) for plane in planes], axis=1)
    after = jnp.stack([plane.shape[1] - plane[:, ::-1].argmax(axis=1) for plane in planes], axis=1)
    return starts, after - starts


def stretched_sizes(
    sizes: Int[Array, "b 3"],
    factors: Float[Array, "b 2"],
    limits: Int[Array, "1 3"],
    *,
    keep_longest: bool = False,
) -> Int[Array, "b 3"]:
    """The sides of boxes after a stretch, as near to it as sides of the same parity come.

    Args:
        factors: of the first two sides, and of the last.
        limits: no side grows beyond these; the first two are held back together.
        keep_longest: scale all three by what gives the longest side its old length again.
    """
    old = sizes.astype(jnp.float32)
    factors = factors[:, [0, 0, 1]]
    if keep_longest:
        longest = (old * factors).max(axis=1, keepdims=True)
        factors = factors * (old.max(axis=1, keepdims=True) / longest)
    room = limits.astype(jnp.float32) / old
    room = jnp.concatenate([jnp.tile(room[:, :2].min(axis=1, keepdims=True), 2), room[:, 2:]], 1)
    change = jnp.round((jnp.minimum(factors, room) - 1) * old / 2).astype(jnp.int32)
    return sizes + 2 * jnp.clip(change, -((sizes - 1) // 2), (limits - sizes) // 2)


def rebox(
    labels: UInt8[Array, "b side side h"],
    ids: Int[Array, " b"],
    starts: Int[Array, "b 3"],
    sizes: Int[Array, "b 3"],
) -> UInt8[Array, "b side side h"]:
    """Each pot turned and mirrored, its box then stretched to `sizes` and put at `starts`.

    Args:
        ids: 0…7; bit 2 exchanges the first two axes, then bit 0 mirrors the first and bit 1 the
            second. 0 changes nothing.
        starts, sizes: of the boxes in the result, inside the grid and 1 or more.
    """
    old_starts, old_sizes = (_exchanged(values, ids) for values in boxes(labels))
    first, second, height = (
        _source_cells(
            labels.shape[axis + 1],
            (starts[:, axis, None], sizes[:, axis, None]),
            (old_starts[:, axis, None], old_sizes[:, axis, None]),
            mirrored=(ids >> axis & 1 == 1)[:, None] & (axis < 2),
        )
        for axis in range(3)
    )
    first, second, height = first[:, :, None, None], second[:, None, :, None], height[:, None, None]
    inside = (first >= 0) & (second >= 0) & (height >= 0)
    turned = (ids >> 2 & 1 == 1)[:, None, None, None]
    row = jnp.arange(len(labels))[:, None, None, None]
    index = (row, jnp.where(turned, second, first), jnp.where(turned, first, second), height)
    # Not `mode="fill"`, which takes many times as long on a CPU.
    return jnp.where(inside, labels.at[index].get(mode="clip"), jnp.uint8(0))


def _exchanged(values: Int[Array, "b 3"], ids: Int[Array, " b"]) -> Int[Array, "b 3"]:
    """What belongs to the axes of pots, after these symmetries."""
    return jnp.where((ids >> 2 & 1 == 1)[:, None], values[:, [1, 0, 2]], values)


def _source_cells(
    length: int,
    box: tuple[Int[Array, "b 1"], Int[Array, "b 1"]],
    old_box: tuple[Int[Array, "b 1"], Int[Array, "b 1"]],
    mirrored: Bool[Array, "b 1"],
) -> Int[Array, "b {length}"]:
    """For each cell of an axis, the cell of the old box that it shows; -1 outside the box.

    Distances are counted from the middle of the box in half cells, and a tie goes inwards: so the
    stretched pot is as symmetric as the pot was.
    """
    (start, size), (old_start, old_size) = box, old_box
    from_middle = 2 * (jnp.arange(length)[None, :] - start) - (size - 1)
    odd = old_size % 2
    away = jnp.abs(from_middle) * old_size // size
    # The centres of the old cells lie at 0, 2, 4… from an odd box's middle, at 1, 3… from an even.
    centre = 2 * ((away + odd) // 2) + 1 - odd
    side = jnp.where(mirrored, -jnp.sign(from_middle), jnp.sign(from_middle))
    cell = old_start + (old_size - 1 + side * centre) // 2
    return jnp.where(jnp.abs(from_middle) < size, cell, -1)
