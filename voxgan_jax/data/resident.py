"""A whole split in the devices' memory, its batches drawn inside the compiled step.

No TensorFlow: the pots come from a folder of `.vox` files, a cache file, or a prepared data set.
Each device holds an equal share of them. A batch is a function of (run's key, step) alone, on
whatever devices: the samples of the endless stream are numbered, sample p is in epoch p // n, and
each epoch has an order of its own. So a batch may straddle two epochs, and none is ever short:
`keep_last_batch`, `cache`, `shuffle_buffer` and `num_shards` of `config.data` have no meaning here.
"""

import functools
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging
from jaxtyping import Array, Float, Int, Int32, Shaped, UInt32
from tqdm import tqdm

from voxgan_jax.data import feed, fragments, mixture, source
from voxgan_jax.data.folder import PotFile
from voxgan_jax.devices import parallel
from voxgan_jax.geometry import wheel

Item = dict[str, jax.Array]
"""`labels` uint8 (n, d, h, w), `counts` int32 (n, 256) and, where they are asked for, `profiles`
float16 (n, 2·w, rings), see `profile_targets`; rows divided among the devices."""

# Pots sent to a device at a time.
_BLOCK = 64


def open_feed(config: Any, mesh: jax.sharding.Mesh) -> feed.Feed:
    """Read `config.data.train_split` onto the devices; its one item is the split itself.

    `config.data.synthetic_pots` come behind the real ones, see `mixture.append`.

    Raises:
        FileNotFoundError, CacheError: no data there, or not placed in this way.
        ValueError: no such split, a file that cannot be read or holds no voxel, a batch size that
            does not divide among the devices, a split that does not fit them, or fewer than no
            synthetic pots.
    """
    place = feed.place_options(config)
    data = source.open_data(config.data.dir, **place)
    split, batch_size = config.data.train_split, config.train.batch_size
    read, num_pots = mixture.append(
        functools.partial(data.read, split),
        source.num_pots(data, split),
        config.data.synthetic_pots,
        seed=config.seed,
        kind=config.data.synthetic_kind,
        **place,
    )
    if config.data.synthetic_pots:
        split = f"{split}+{config.data.synthetic_pots} synthetic pots"
        # As runs that knew of no kinds have it.
        split += "" if config.data.synthetic_kind == mixture.KINDS[0] else " of the world"
    feed.check_batch_size(batch_size, mesh.size * config.train.accumulate_steps)
    share = -(-num_pots // mesh.size)
    # pmap wants the rows in a shape of its own, which makes a second copy of them.
    copies = 2 if config.parallel.mode == "pmap" else 1
    require_room(copies * share, config.data.resolution, mesh.local_devices)
    started = time.monotonic()
    item = load(read, num_pots, config.data.resolution, mesh, profiles=config.data.profiles)
    logging.info(
        "%s: %d pots of %s on %d device(s), %.2f GB, in %.1f s.",
        *(data.where, num_pots, split, mesh.size),
        *(item["labels"].nbytes / 1e9, time.monotonic() - started),
    )
    checksum = jax.jit(_checksum, out_shardings=parallel.replicated(mesh))(item["counts"])
    return feed.Feed(
        plan=feed.EpochPlan(-(-num_pots // batch_size), num_pots),
        fingerprint=f"{split}:{num_pots}:{int(checksum):08x}",
        items=lambda step: itertools.repeat(item),
        draw=functools.partial(
            draw,
            num_pots=num_pots,
            batch_size=batch_size,
            choose=functools.partial(fragments.choose, **feed.choose_options(config)),
        ),
    )


def draw(
    item: Item,
    rng: jax.Array,
    step: Int[Array, ""],
    *,
    num_pots: int,
    batch_size: int,
    choose: Callable[..., Any] = fragments.choose,
) -> dict[str, jax.Array]:
    """This device's rows of a step's batch; runs under the axis name `parallel.DATA_AXIS`.

    Args:
        item: this device's share of the split.
        rng, step: a key of the run and its step.
        num_pots, batch_size: over all devices.
        choose: `fragments.choose` with its options bound.
    """
    rng_order, rng_noise = jax.random.split(rng)
    index = sample_indices(rng_order, step, batch_size, num_pots)
    noise = jax.random.uniform(jax.random.fold_in(rng_noise, step), (batch_size, 256))
    given = choose(_fetch(item["counts"], index), parallel.own_rows(noise, parallel.DATA_AXIS))
    rows = {name: _fetch(item[name], index) for name in item if name != "counts"}
    return rows | {"given": given}


def sample_indices(
    rng: jax.Array, step: Int[Array, ""], batch_size: int, num_pots: int
) -> Int[Array, " {batch_size}"]:
    """Which pots are in a step's batch: `batch_size` of the endless stream, each once an epoch.

    The stream is counted in int32: `step * batch_size` stays below 2^31.
    """
    first = step * batch_size
    epoch = first // num_pots
    # As many epochs as a batch can touch, wherever it begins.
    num_epochs = (batch_size + num_pots - 2) // num_pots + 1
    keys = jax.vmap(functools.partial(jax.random.fold_in, rng))(epoch + jnp.arange(num_epochs))
    orders = jax.vmap(lambda key: jax.random.permutation(key, num_pots))(keys)
    return jax.lax.dynamic_slice_in_dim(orders.reshape(-1), first % num_pots, batch_size)


def _fetch(held: Shaped[Array, "n ..."], index: Int[Array, " global_b"]) -> Shaped[Array, "b ..."]:
    """This device's rows of the batch `index`, each from the device that holds it."""
    if jax.lax.axis_size(parallel.DATA_AXIS) == 1:
        return held[index]
    local = index - jax.lax.axis_index(parallel.DATA_AXIS) * len(held)
    # An index past the end gives zeros: those rows come from other devices.
    local = jnp.where((local >= 0) & (local < len(held)), local, len(held))
    picked = held.at[local].get(mode="fill", fill_value=0)
    return jax.lax.psum_scatter(picked, parallel.DATA_AXIS, tiled=True)


def load(
    read: Callable[[slice], Iterator[PotFile]],
    num_pots: int,
    resolution: int,
    mesh: jax.sharding.Mesh,
    *,
    profiles: bool = False,
) -> Item:
    """Pots on the devices of a mesh in equal shares, empty ones added at the end.

    A process reads only what its own devices hold.

    Args:
        read: `read(rows)` gives these pots, one by one.
        profiles: with their half sections, 8 ms a pot.

    Raises:
        ValueError: a pot without voxels.
    """
    rows = parallel.batch_sharding(mesh)
    share = -(-num_pots // mesh.size)
    shape = (share * mesh.size, resolution, resolution, resolution)
    sent = []
    for device, index in rows.addressable_devices_indices_map(shape).items():
        start, stop, _ = (index or (slice(None),))[0].indices(shape[0])
        sent.append(_send(read(slice(start, stop)), share, resolution, device, profiles))
    return {
        name: jax.make_array_from_single_device_arrays(
            (shape[0], *sent[0][name].shape[1:]), rows, [parts[name] for parts in sent]
        )
        for name in sent[0]
    }


def _send(
    pots: Iterator[PotFile], share: int, resolution: int, device: jax.Device, profiles: bool
) -> dict[str, jax.Array]:
    """A device's share of the item; only a few pots are in the host's memory at a time."""
    labels = jnp.zeros((share, resolution, resolution, resolution), jnp.uint8, device=device)
    small: dict[str, np.ndarray] = {"counts": np.zeros((share, 256), np.int32)}
    if profiles:
        shape = 2 * resolution, wheel.num_rings(resolution)
        small["profiles"] = np.zeros((share, *shape), np.float16)
    block = np.zeros((min(share, _BLOCK), *labels.shape[1:]), np.uint8)
    # None: only on a terminal.
    pots = iter(tqdm(pots, "Reading pots", share, unit="pot", disable=None))
    for start in range(0, share, _BLOCK):
        filled = 0
        for pot in itertools.islice(pots, _BLOCK):
            block[filled] = pot.labels
            # `fragments.choose` does not ask for the empty cells; to leave them out is quicker.
            counts = np.bincount(pot.labels[pot.labels > 0], minlength=256)
            if not counts.any():
                raise ValueError(f"{pot.name}: it holds no voxel; take the file out of the data")
            small["counts"][start + filled] = counts
            if profiles:
                small["profiles"][start + filled] = _profile(np.packbits(pot.labels > 0).tobytes())
            filled += 1
        # The block is filled anew after this, so it must have gone.
        labels = jax.block_until_ready(_overwrite(labels, block[:filled], start))
    return {"labels": labels} | jax.device_put(small, device)


# Files of one pot, broken in other ways, follow one another.
@functools.lru_cache(maxsize=4)
def _profile(packed: bytes) -> Float[np.ndarray, "rows rings"]:
    """The half section of a pot in a cube, of which one bit a voxel is given."""
    # Only here: it brings scikit-image, which other runs need not load.
    from voxgan_jax.geometry import profile_targets

    bits = np.unpackbits(np.frombuffer(packed, np.uint8))
    side = round(len(bits) ** (1 / 3))
    return profile_targets.target(bits.astype(bool).reshape(side, side, side)).distance


_overwrite = jax.jit(
    functools.partial(jax.lax.dynamic_update_slice_in_dim, axis=0), donate_argnums=0
)


def require_room(share: int, resolution: int, devices: Sequence[Any]) -> None:
    """Check that each device has room for its share of the pots, where devices tell.

    Raises:
        ValueError: one has not.
    """
    needed = share * (resolution**3 + 4 * 256)
    for device in devices:
        stats = device.memory_stats() or {}
        if "bytes_limit" not in stats:
            continue
        room = stats["bytes_limit"] - stats.get("bytes_in_use", 0)
        if needed > room:
            raise ValueError(
                f"config.data.source=resident: a device's share of {share} pots at {resolution}³"
                f" takes {needed / 1e9:.2f} GB, and {device} has {room / 1e9:.2f} GB left; use more"
                " devices, or config.data.source=tfdata"
            )


def _checksum(counts: Int32[Array, "n 256"]) -> UInt32[Array, ""]:
    """Tells sets of pots apart by their label counts and order; the empty ones add nothing."""
    column = jax.random.bits(jax.random.key(0), (256,), jnp.uint32)
    rows = (counts.astype(jnp.uint32) * column[None, :]).sum(axis=1, dtype=jnp.uint32)
    rows = (rows ^ rows >> 15) * jnp.uint32(0x2C1B3C6D)  # not linear: sums must not cancel
    place = 2 * jnp.arange(len(counts), dtype=jnp.uint32) + 1
    return (rows * place).sum(dtype=jnp.uint32)
