"""What the training loop takes its batches from, whichever part of the package reads the data."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax

Batch = Mapping[str, Any]
"""`labels` uint8 (b, d, h, w) and `given` bool (b, 256): whether voxels with this id are given."""

Draw = Callable[[Any, jax.Array, jax.Array], Batch]
"""`draw(item, rng, step) -> batch`, see `Feed`."""


class EpochPlan(NamedTuple):
    """How many batches an epoch has and how many examples in all go into them."""

    num_batches: int
    num_used: int


class Feed(NamedTuple):
    """The training batches of a run.

    `fingerprint` tells this data from other data. `items(step)` gives, endlessly and from that
    step on, what the compiled step gets beside the state, on the devices.

    Where `draw` is None an item is a batch, its rows divided among the devices. Otherwise
    `draw(item, rng, step)` gives a device's own rows of the batch; it runs on each device under the
    axis name `parallel.DATA_AXIS`, with the item as `parallel.batch_sharding` divides it.
    """

    plan: EpochPlan
    fingerprint: str
    items: Callable[[int], Iterator[Any]]
    draw: Draw | None = None


def place_options(config: Any) -> dict[str, Any]:
    """How a config places pots, as `grid.place` and `source.open_split` take it."""
    return {name: config.data[name] for name in ("resolution", "pool", "placement")}


def choose_options(config: Any) -> dict[str, Any]:
    """How a config draws the given fragments, as `fragments.choose` takes it."""
    return {name: value for name, value in config.fragments.items() if name != "keep_crumbs"}


def plan_epoch(
    num_examples: int, batch_size: int, *, keep_last: bool, parts: int = 1, num_shards: int = 1
) -> EpochPlan:
    """The batches of an epoch; they do not depend on the number of devices.

    Args:
        num_examples, batch_size: over all processes.
        keep_last: keep the short batch at the end, as the original does.
        parts: devices of all processes, times the micro-batches of each.
        num_shards: parts of the data that give a batch equally many rows each. Those with an
            example more than the others leave one out, another one every epoch.

    Raises:
        ValueError: a batch, or the short one, does not divide, or there is no batch at all.
    """
    check_batch_size(batch_size, parts, num_shards)
    full, rest = divmod(num_examples // num_shards, batch_size // num_shards)
    last = rest * num_shards if keep_last else 0
    if last % parts:
        raise ValueError(
            f"the short batch at the end of an epoch, of {last} examples, does not divide among"
            f" {parts} {_PARTS}; take another number of devices, or start the run with"
            " config.data.keep_last_batch=False, which leaves it out"
        )
    if full == 0 and last == 0:
        raise ValueError(
            f"{num_examples} examples are fewer than one batch of {batch_size};"
            " lower config.train.batch_size or set config.data.keep_last_batch"
        )
    return EpochPlan(full + int(last > 0), full * batch_size + last)


def check_batch_size(batch_size: int, parts: int, num_shards: int = 1) -> None:
    """Raise ValueError where a batch does not divide, with the nearest sizes; see `plan_epoch`."""
    for count, name in ((batch_size, "batch_size"), (parts, _PARTS), (num_shards, _SHARDS)):
        if count < 1:
            raise ValueError(f"{count} {name}: at least 1 is needed")
        if batch_size % count:
            lower = max(batch_size // count, 1) * count
            raise ValueError(
                f"batch_size {batch_size} does not divide among {count} {name};"
                f" the nearest that do are {lower} and {lower + count}"
            )


_PARTS = "devices x micro-batches (config.train.accumulate_steps)"
_SHARDS = "shards (config.data.num_shards)"
