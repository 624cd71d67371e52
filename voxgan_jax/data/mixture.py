"""Synthetic pots behind the real ones of a training split, made as they are asked for."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from voxgan_jax import fields
from voxgan_jax.data import grid
from voxgan_jax.data.folder import PotFile

FRACTURINGS = 4
"""How often each synthetic pot is broken, anew and into another number of fragments."""

FRAGMENTS = range(3, 19)
"""The numbers of fragments that the pots of the real data set are broken into."""

# Real pots are so many voxels long, and none of them has handles.
_LONGEST_SIDE = 64
_HANDLED = 0.0

KINDS = ("iberian", "world")
"""What synthetic pots are like: the data set's (`synthetic.pots`) or any (`pottery.world`)."""

Read = Callable[[slice], Iterator[PotFile]]
"""`read(rows)` gives these broken pots of a split, one by one."""


def append(
    read: Read,
    num_real: int,
    num_synthetic: int,
    *,
    seed: int,
    kind: str = KINDS[0],
    **place: Any,
) -> tuple[Read, int]:
    """A split with `FRACTURINGS` broken pots more for each of `num_synthetic` synthetic ones.

    Args:
        read, num_real: the split and how many broken pots it has.
        seed: the synthetic pots follow from it alone, whatever rows are read.
        kind: of synthetic pots, one of `KINDS`.
        place: resolution, pool, placement; see `grid.place`.

    Returns:
        As `read` and `num_real`, of both kinds together, the real ones first.

    Raises:
        ValueError: no such kind.
    """
    fields.require(KINDS, "config.data.synthetic_kind", kind)
    count = num_real + FRACTURINGS * num_synthetic

    def read_both(rows: slice) -> Iterator[PotFile]:
        wanted = range(count)[rows]
        real = wanted[: len(range(wanted.start, min(wanted.stop, num_real), wanted.step))]
        if real:
            yield from read(slice(real.start, real.stop, real.step))
        for row in wanted[len(real) :]:
            yield broken_pot(row - num_real, seed=seed, kind=kind, **place)

    return read_both, count


def broken_pot(
    number: int,
    *,
    seed: int,
    resolution: int,
    pool: int = 1,
    placement: str = "center",
    kind: str = KINDS[0],
) -> PotFile:
    """A broken pot of the endless row of these, `FRACTURINGS` of each pot one after another.

    None of them is among those that `synthetic.write_dataset` makes of the same seed.
    """
    from voxgan_jax.pottery.fracture import fracture

    k, again = divmod(number, FRACTURINGS)
    occupancy, pieces = _pot(kind, seed, k, min(_LONGEST_SIDE, resolution * pool))
    labels = fracture(np.random.default_rng([seed, k, 3, again]), occupancy, pieces[again])
    name = f"SYNTHETIC_{seed}_{k:05d}"
    return PotFile(
        labels=grid.place(labels, resolution, pool=pool, placement=placement, source=name),
        name=f"{name}-n{pieces[again]:03d}-t{again}.vox",
        pot=name,
        category="synthetic",
        size=labels.shape,
    )


# The next to be asked for is most often the same pot broken again.
@functools.lru_cache(maxsize=1)
def _pot(kind: str, seed: int, k: int, longest_side: int) -> tuple[np.ndarray, list[int]]:
    """A whole pot in its box and the numbers of fragments it is to be broken into."""
    # Only here: they bring SciPy's interpolation, half of what training imports beside JAX.
    from voxgan_jax.data.synthetic import pots
    from voxgan_jax.pottery import world

    rng = np.random.default_rng([seed, k, 2])
    if kind == "world":
        occupancy = world.voxels(rng, world.draw(rng), longest_side)
        low, high = (f(np.argwhere(occupancy), axis=0) for f in (np.min, np.max))
        occupancy = occupancy[tuple(slice(a, b + 1) for a, b in zip(low, high, strict=True))]
    else:
        occupancy = pots.make_pot(rng, resolution=longest_side, handled=_HANDLED)
    return occupancy, rng.choice(FRAGMENTS, FRACTURINGS, replace=False).tolist()
