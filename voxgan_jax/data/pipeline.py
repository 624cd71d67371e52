"""tf.data batches for training: sharded by process, cached, shuffled every epoch, resumable.

A batch is a function of (seed, step) alone, so the position of a run is its step: the order of
an epoch follows from (seed, epoch), the fragment of a sample from (seed, epoch, its index). What
travels is one byte a voxel and one truth table a sample, never a float.
"""

import collections
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import numpy as np
import tensorflow as tf
from jaxtyping import Int

from voxgan_jax.data import builder as builder_lib
from voxgan_jax.data import feed, fragments
from voxgan_jax.devices import parallel

# TensorFlow only feeds data: it must leave the accelerators to JAX.
tf.config.set_visible_devices([], "GPU")

Choose = Callable[[Int[np.ndarray, "b 256"], np.ndarray], Any]
"""`fragments.choose` with its options bound: (voxel counts, noise) -> given."""


def open_feed(config: Any, mesh: jax.sharding.Mesh) -> feed.Feed:
    """The training batches of a config from a prepared data set, sent ahead to the devices.

    Raises:
        NotPreparedError, ValueError: no data set that suits the config.
    """
    source = builder_lib.open_prepared(config.data.dir, **feed.place_options(config))
    split, batch_size = config.data.train_split, config.train.batch_size
    plan = feed.plan_epoch(
        builder_lib.num_examples(source, split),
        batch_size,
        keep_last=config.data.keep_last_batch,
        parts=mesh.size * config.train.accumulate_steps,
        num_shards=config.data.num_shards,
    )
    check_shards(config.data.num_shards, jax.process_count())

    def items(step: int) -> Iterator[dict[str, jax.Array]]:
        batches = train_batches(
            source,
            split,
            plan,
            batch_size=batch_size,
            seed=config.seed,
            start_step=step,
            choose=functools.partial(fragments.choose, **feed.choose_options(config)),
            **{name: config.data[name] for name in ("cache", "shuffle_buffer", "num_shards")},
            process_index=jax.process_index(),
            process_count=jax.process_count(),
        )
        return prefetch_to_device(batches, parallel.batch_sharding(mesh))

    return feed.Feed(plan, builder_lib.fingerprint(source, split), items)


def check_shards(num_shards: int, process_count: int) -> None:
    """Raise ValueError where the shards do not divide among the processes."""
    if num_shards % process_count:
        raise ValueError(
            f"config.data.num_shards {num_shards} does not divide among {process_count} processes;"
            f" start the run with --config.data.num_shards={process_count} or a multiple of it"
            " (it decides the order of the data, so a run keeps it)"
        )


def train_batches(
    source: Any,
    split: str,
    plan: feed.EpochPlan,
    *,
    batch_size: int,
    seed: int,
    start_step: int = 0,
    cache: bool = True,
    shuffle_buffer: int = 0,
    choose: Choose = fragments.choose,
    num_shards: int = 1,
    process_index: int = 0,
    process_count: int = 1,
) -> Iterator[feed.Batch]:
    """Endless training batches of this process, from the one that `start_step` would have got.

    Every shard has an order of its own, and a batch has the same number of rows from each, shard
    after shard. A process has its own shards' rows, so all processes together always have the same
    batches, however many they are.

    Args:
        source: a prepared data set, see `builder.open_prepared`.
        plan: `feed.plan_epoch` for the same split, batch size and number of shards.
        batch_size: over all processes.
        cache: hold the decoded split in memory.
        shuffle_buffer: examples to shuffle among, over all shards; 0 means all.
        num_shards: parts of the split, see `builder.as_dataset`.

    Raises:
        ValueError: the shards do not divide among the processes.
    """
    check_shards(num_shards, process_count)
    own = num_shards // process_count
    shards = range(process_index * own, (process_index + 1) * own)
    sources = [_examples(source, split, num_shards, shard, cache) for shard in shards]
    buffer = shuffle_buffer or builder_lib.num_examples(source, split)
    rows, used = batch_size // num_shards, plan.num_used // num_shards

    def shuffled(examples: Any, order: list[int], skipped: int) -> Any:
        order_seed = int(np.random.SeedSequence(order).generate_state(1)[0])
        examples = examples.shuffle(
            -(-buffer // num_shards), seed=order_seed, reshuffle_each_iteration=False
        )
        examples = examples.take(used).skip(skipped * rows)
        return examples.batch(rows, num_parallel_calls=tf.data.AUTOTUNE)

    first_epoch, first_batch = divmod(start_step, plan.num_batches)
    for epoch in itertools.count(first_epoch):
        skipped = first_batch if epoch == first_epoch else 0
        parts = [
            # The order of a single shard is that of a split without shards.
            shuffled(examples, [seed, epoch, shard] if num_shards > 1 else [seed, epoch], skipped)
            for shard, examples in zip(shards, sources, strict=True)
        ]
        batches = tf.data.Dataset.zip(tuple(parts)).map(
            lambda *some: {name: tf.concat([part[name] for part in some], 0) for name in some[0]}
        )
        for raw in batches.prefetch(2).as_numpy_iterator():
            given = choose(raw["counts"], fragment_noise(seed, epoch, raw["index"]))
            yield {"labels": raw["labels"], "given": given}


def _examples(source: Any, split: str, num_shards: int, shard: int, cache: bool) -> Any:
    """One shard with the examples' places in the whole split."""
    examples = builder_lib.as_dataset(source, split, num_shards=num_shards, shard=shard).enumerate()

    def compact(row: tf.Tensor, example: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        values = tf.cast(tf.reshape(example["labels"], [-1]), tf.int32)
        counts = tf.math.bincount(values, minlength=256, maxlength=256, dtype=tf.int32)
        place = {"index": row * num_shards + shard, "labels": example["labels"]}
        return place | {"counts": tf.ensure_shape(counts, [256])}

    examples = examples.map(compact, num_parallel_calls=tf.data.AUTOTUNE)
    return examples.cache() if cache else examples


def fragment_noise(seed: int, epoch: int, index: Int[np.ndarray, " b"]) -> np.ndarray:
    """Uniform noise in [0, 1), float32 (b, 256), a function of nothing but the three arguments."""
    rows = [
        np.random.Generator(np.random.Philox(key=[seed, epoch], counter=[0, 0, 0, int(i)])).random(
            256, dtype=np.float32
        )
        for i in index
    ]
    return np.stack(rows)


def prefetch_to_device(
    batches: Iterable[feed.Batch], sharding: jax.sharding.Sharding | None = None, size: int = 2
) -> Iterator[dict[str, jax.Array]]:
    """Send batches to the device ahead of their use, so that transfer and compute overlap.

    Args:
        batches: this process's rows.
        sharding: how the rows of all processes together are divided among their devices, those of
            process 0 first.
    """
    sent = map(functools.partial(parallel.divide, sharding=sharding), batches)
    queue = collections.deque(itertools.islice(sent, size))
    while queue:
        yield queue.popleft()
        queue.extend(itertools.islice(sent, 1))
