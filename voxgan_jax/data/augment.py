"""Pots turned, stretched and moved inside the compiled step, all in one look-up a pot.

Whatever is done to a pot is done to the box that it fills: the box is turned and mirrored about the
axis of height (the eight symmetries of the square, D4), gets other sides, and is put somewhere. The
voxels go with it, each cell taking the label of the nearest cell of the old box. Inside the box the
profile may change too, smoothly and all the way round: a wheel-made pot becomes another such pot.
(Pooled pots are changed after pooling, so which cells were pooled may differ by one.)
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt8

from voxgan_jax.data import grid
from voxgan_jax.devices import parallel
from voxgan_jax.geometry import stretch, symmetry

MAX_SCALE = 0.5
"""Beyond it a box could lose its outermost cells, and small fragments would vanish."""
MAX_WARP = 0.3
"""Beyond it walls could break; heights would fold over from 0.5 on."""
NUM_WAVES = (2, 3)
"""Of how many waves the change of the heights, and that of the widths, is made."""


def from_config(config: Any) -> Callable[..., Any] | None:
    """`augment_batch` with the options of `config.data`; None where they change nothing."""
    stretched = config.scale_radius > 0 or config.scale_height > 0
    if not (config.augment or stretched or config.warp or config.shift):
        return None
    names = ("scale_radius", "scale_height", "warp", "shift", "placement")
    options = {name: config[name] for name in names}
    return functools.partial(augment_batch, turn=config.augment, keep_longest=stretched, **options)


Boxes = tuple[Int[Array, "b 3"], Int[Array, "b 3"]]
"""Where the box that each pot fills starts, and its sides, in cells."""


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
    warp: float = 0.0,
    shift: bool = False,
    placement: str = "center",
) -> dict[str, Any]:
    """The batch with every pot changed at random; all but its labels as it was.

    Args:
        batch: `labels` uint8 (b, d, h, w) with d = h, perhaps `profiles`, their half sections in
            voxels, which are changed alike, and anything else.
        rng, step: a key and the run's step, from which the draw follows.
        axis_name: the mapped axis that divides the batch, if any: chance is drawn for the whole
            batch and each device takes its own rows of it.
        turn: one of the eight symmetries about the axis of height.
        scale_radius, scale_height: s stretches the first two axes together, or the last one, by a
            factor in [1 - s, 1 + s], uniform in its logarithm, and no more than fits the cube. The
            sides stay odd or even, so that a centred pot keeps its axis to the half voxel.
        keep_longest: scale every pot, after this, to the longest side that it had, as the pots of
            the data set all have the same one: it is the proportions that change.
        warp: bend the profile by waves whose amplitudes are uniform in [-warp, warp], see `rebox`:
            longer necks, lower feet, other bellies. Along one of its first two axes, and in
            height, the pot's box stays full; its middle stays where it was.
        shift: each pot at any place where its box fits, all equally likely.
        placement: that of the data, see `grid.place`: a stretched pot lies where this would put it.

    Raises:
        ValueError: a scale outside 0…`MAX_SCALE`, a warp outside 0…`MAX_WARP`, or an unknown
            placement.
    """
    scales = (scale_radius, scale_height)
    if not all(0 <= scale <= MAX_SCALE for scale in scales):
        raise ValueError(
            f"scale_radius {scale_radius} and scale_height {scale_height} must lie in 0…{MAX_SCALE}"
        )
    if not 0 <= warp <= MAX_WARP:
        raise ValueError(f"warp {warp} must lie in 0…{MAX_WARP}")
    if placement not in grid.PLACEMENTS:
        raise ValueError(f"placement {placement!r} is none of {grid.PLACEMENTS}")
    labels = batch["labels"]
    parts = 1 if axis_name is None else jax.lax.axis_size(axis_name)
    rows = labels.shape[0] * parts
    rng = jax.random.fold_in(rng, step)

    def uniform(number: int, count: int, low: float = 0.0, high: float = 1.0) -> jax.Array:
        key = jax.random.fold_in(rng, number)
        drawn = jax.random.uniform(key, (rows, count), minval=low, maxval=high)
        return parallel.own_rows(drawn, axis_name)

    ids = jax.random.randint(rng, (rows,), 0, symmetry.COUNT if turn else 1)
    ids = parallel.own_rows(ids, axis_name)
    old_starts, old_sizes = (_exchanged(values, ids) for values in boxes(labels))
    starts, sizes = old_starts, old_sizes
    limits = jnp.array([labels.shape[1:]], jnp.int32)
    if any(scales):
        low, high = (jnp.log1p(jnp.array([scales]) * sign) for sign in (-1, 1))
        factors = jnp.exp(low + uniform(1, 2) * (high - low))
        sizes = stretched_sizes(old_sizes, factors, limits, keep_longest=keep_longest)
    room = limits - sizes
    if shift:
        starts = (uniform(2, 3) * (room + 1).astype(jnp.float32)).astype(jnp.int32)
    elif placement == "center":
        starts = jnp.clip(starts + (old_sizes - sizes) // 2, 0, room)
    waves = uniform(3, sum(NUM_WAVES), -warp, warp) if warp else None
    changed = {**batch, "labels": rebox(labels, ids, starts, sizes, waves)}
    if "profiles" in batch:
        if warp:
            raise ValueError("config.data.warp bends no half sections: set it to 0")
        moved = (old_starts, old_sizes), (starts, sizes)
        changed["profiles"] = _with_their_boxes(batch["profiles"], *moved)
    return changed


def _with_their_boxes(
    profiles: Float[Array, "b heights rings"], old: Boxes, new: Boxes
) -> Float[Array, "b heights rings"]:
    """Half sections stretched and moved as the boxes of their pots are."""
    (_, old_sizes), (_, sizes) = old, new
    before, after = (
        first[:, 2].astype(jnp.float32) + (size[:, 2].astype(jnp.float32) - 1) / 2
        for first, size in (old, new)
    )
    factors = sizes.astype(jnp.float32) / old_sizes.astype(jnp.float32)
    return stretch.stretched(profiles, factors[:, :2].mean(axis=1), factors[:, 2], before, after)


def boxes(labels: UInt8[Array, "b d h w"]) -> Boxes:
    """The boxes that pots fill; an empty grid's box is all of it."""
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
    waves: Float[Array, "b 5"] | None = None,
) -> UInt8[Array, "b side side h"]:
    """Each pot turned and mirrored, its box then stretched to `sizes` and put at `starts`.

    Args:
        ids: of the symmetries, 0…7; see `symmetry`.
        starts, sizes: of the boxes in the result, inside the grid and 1 or more.
        waves: amplitudes that bend the profile, at most `MAX_WARP` each; all 0 bend nothing. By the
            first two the heights move, the ends held: with u from 0 to 1 over the box, u shows
            u + sum of a_k sin(pi k u) / (pi k), so that what is at u shrinks by 1 + sum of
            a_k cos(pi k u). By the rest the pot is widened about the middle of its box, at u by
            exp(sum of b_k cos(pi k u)), times what makes the farthest voxel touch its side again.
    """
    old_starts, old_sizes = (_exchanged(values, ids) for values in boxes(labels))
    # Distances are counted from the middle of the box in half cells, and what falls between two is
    # rounded inwards: so the changed pot is as symmetric as the pot was.
    middles = [
        2 * (jnp.arange(length)[None, :] - starts[:, axis, None]) - (sizes[:, axis, None] - 1)
        for axis, length in enumerate(labels.shape[1:])
    ]
    sides = [jnp.sign(middle) for middle in middles]
    away = [
        (jnp.abs(middle) * old_sizes[:, axis, None] // sizes[:, axis, None])[:, :, None]
        for axis, middle in enumerate(middles)
    ]
    u = (middles[2] / sizes[:, 2:] + 1) / 2
    if waves is not None:
        # Outside the box the waves go on, but nothing is shown.
        moved = jnp.where((u > 0) & (u < 1), 2 * _moved_heights(u, waves) - 1, 2 * u - 1)
        sides[2] = jnp.sign(moved).astype(jnp.int32)
        away[2] = _floor(jnp.abs(moved) * old_sizes[:, 2:].astype(jnp.float32))[:, :, None]
    old_boxes = [(old_starts[:, axis, None], old_sizes[:, axis, None]) for axis in range(3)]
    height = _source_cells(sides[2], away[2], old_boxes[2])[:, :, 0]
    if waves is not None:
        widths = _widths(u, waves, _reach(labels, height))[:, None, :]
        for axis in range(2):
            ratio = old_sizes[:, axis, None, None] / sizes[:, axis, None, None]
            middle = jnp.abs(middles[axis])[:, :, None].astype(jnp.float32)
            away[axis] = _floor(middle * ratio / widths)
    for axis in range(2):
        mirrored = symmetry.mirrors(ids, axis)[:, None]
        sides[axis] = jnp.where(mirrored, -sides[axis], sides[axis])
    first, second = (_source_cells(sides[axis], away[axis], old_boxes[axis]) for axis in range(2))
    first, second, height = first[:, :, None, :], second[:, None, :, :], height[:, None, None]
    inside = (first >= 0) & (second >= 0) & (height >= 0)
    turned = symmetry.exchanges(ids)[:, None, None, None]
    row = jnp.arange(len(labels))[:, None, None, None]
    index = (row, jnp.where(turned, second, first), jnp.where(turned, first, second), height)
    # Not `mode="fill"`, which takes many times as long on a CPU.
    return jnp.where(inside, labels.at[index].get(mode="clip"), jnp.uint8(0))


def _exchanged(values: Int[Array, "b 3"], ids: Int[Array, " b"]) -> Int[Array, "b 3"]:
    """What belongs to the axes of pots, after these symmetries."""
    return jnp.where(symmetry.exchanges(ids)[:, None], values[:, [1, 0, 2]], values)


def _source_cells(
    side: Int[Array, "b n"],
    away: Int[Array, "b n m"],
    old_box: tuple[Int[Array, "b 1"], Int[Array, "b 1"]],
) -> Int[Array, "b n m"]:
    """The cells of an axis that lie so many half cells from the middle of the old box; -1 outside.

    Args:
        side: -1 before the middle, 1 after it, 0 in it.
    """
    old_start, old_size = (values[:, :, None] for values in old_box)
    odd = old_size % 2
    # The centres of the old cells lie at 0, 2, 4… from an odd box's middle, at 1, 3… from an even.
    centre = 2 * ((away + odd) // 2) + 1 - odd
    cell = old_start + (old_size - 1 + side[:, :, None] * centre) // 2
    return jnp.where(away < old_size, cell, -1)


def _floor(distance: Float[Array, "..."]) -> Int[Array, "..."]:
    """The whole number of half cells in a distance."""
    return jnp.floor(distance).astype(jnp.int32)


def _moved_heights(u: Float[Array, "b h"], waves: Float[Array, "b 5"]) -> Float[Array, "b h"]:
    """What height each height shows, both from 0 to 1; it rises everywhere."""
    amplitudes = waves[:, None, : NUM_WAVES[0]]
    turns = _turns(NUM_WAVES[0])
    return u + (amplitudes * jnp.sin(turns * u[:, :, None]) / turns).sum(axis=2)


def _turns(count: int) -> Float[Array, "1 1 {count}"]:
    """How far each wave comes over the height of the box, in radians: half a turn, one turn, …"""
    return jnp.pi * jnp.arange(1, count + 1, dtype=jnp.float32)[None, None, :]


def _widths(
    u: Float[Array, "b h"], waves: Float[Array, "b 5"], reach: Float[Array, "b h"]
) -> Float[Array, "b h"]:
    """The factor of the widths at each height, by which the pot fills its box and no more."""
    turns = _turns(NUM_WAVES[1])
    amplitudes = waves[:, None, NUM_WAVES[0] :]
    factors = jnp.exp((amplitudes * jnp.cos(turns * u[:, :, None])).sum(axis=2))
    widest = (factors * reach).max(axis=1, keepdims=True)
    # Nothing is shown of an empty grid, whatever its widths.
    return factors / jnp.where(widest > 0, widest, 1)


def _reach(labels: UInt8[Array, "b side side h"], height: Int[Array, "b h"]) -> Float[Array, "b h"]:
    """How far the pot comes, at what each height shows, from the middle of its box to a side.

    1: it touches. `height` is a cell, or -1 where nothing is shown: 0.
    """
    starts, sizes = boxes(labels)
    reach = []
    for axis in range(2):
        start, size = starts[:, axis, None], sizes[:, axis, None]
        away = jnp.abs(2 * (jnp.arange(labels.shape[axis + 1])[None, :] - start) - (size - 1)) + 1
        filled = labels.max(axis=2 - axis) > 0
        reach.append(jnp.where(filled, (away / size)[:, :, None], 0).max(axis=1))
    shown = jnp.take_along_axis(jnp.maximum(*reach), jnp.maximum(height, 0), axis=1)
    return jnp.where(height >= 0, shown, 0)
