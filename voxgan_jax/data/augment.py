"""Turned and mirrored pots: the eight symmetries of the square about the axis of height (D4)."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, UInt8

from voxgan_jax.training import parallel

NUM_SYMMETRIES = 8


def symmetries(
    labels: UInt8[Array, "b side side h"], ids: Int[Array, " b"]
) -> UInt8[Array, "b side side h"]:
    """Turn and mirror each pot about the axis of height, the last one.

    A pot stays in the box that it fills, turned with it: the result is what `grid.place` makes of
    the turned pot, under either placement. Mirrored about the middle of the cube instead, a pot of
    odd size would move by a cell, since its odd remainder lies at the end. (Pooled pots are
    turned after pooling, so which cells were pooled may differ by one.)

    Args:
        ids: 0…7; bit 2 exchanges the first two axes, then bit 0 mirrors the first and bit 1 the
            second. 0 changes nothing.
    """
    side = labels.shape[1]
    occupied = labels > 0
    # Where the box begins plus where it ends: mirrored in it, cell i comes from this minus i.
    sum_d = _box_sum(occupied.any(axis=(2, 3)))
    sum_h = _box_sum(occupied.any(axis=(1, 3)))
    exchanged, mirror_d, mirror_h = ((ids >> bit & 1 == 1)[:, None] for bit in (2, 0, 1))
    cell = jnp.arange(side)[None, :]
    first = jnp.where(exchanged, sum_h, sum_d)
    second = jnp.where(exchanged, sum_d, sum_h)
    # Cells outside the box come from outside the box, round the edge of the cube.
    from_first = jnp.where(mirror_d, (first - cell) % side, cell)[:, :, None]
    from_second = jnp.where(mirror_h, (second - cell) % side, cell)[:, None, :]
    turned = exchanged[:, :, None]
    row = jnp.arange(labels.shape[0])[:, None, None]
    # One gather of whole columns does all three.
    return labels[
        row, jnp.where(turned, from_second, from_first), jnp.where(turned, from_first, from_second)
    ]


def augment_batch(
    batch: Mapping[str, Any], rng: jax.Array, step: Int[Array, ""], axis_name: str | None = None
) -> dict[str, Any]:
    """The batch with every pot under a random one of the eight symmetries; the rest unchanged.

    Args:
        batch: `labels` uint8 (b, d, h, w) with d = h, and anything else.
        rng, step: a key and the run's step, from which the draw follows.
        axis_name: the mapped axis that divides the batch, if any: the symmetries are drawn for the
            whole batch and each device takes its own rows' ones.
    """
    parts = 1 if axis_name is None else jax.lax.axis_size(axis_name)
    count = batch["labels"].shape[0] * parts
    ids = jax.random.randint(jax.random.fold_in(rng, step), (count,), 0, NUM_SYMMETRIES)
    ids = parallel.own_rows(ids, axis_name)
    return {**batch, "labels": symmetries(batch["labels"], ids)}


def _box_sum(occupied: Bool[Array, "b side"]) -> Int[Array, "b 1"]:
    """First plus last occupied cell; of nothing at all, those of the whole axis."""
    first = jnp.argmax(occupied, axis=1)
    last = occupied.shape[1] - 1 - jnp.argmax(occupied[:, ::-1], axis=1)
    return (first + last)[:, None]
