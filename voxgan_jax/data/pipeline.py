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
from voxgan_jax.training import parallel

# TensorFlow only feeds data: it must leave the accelerators to JAX.
tf.config.set_visible_devices([], "GPU")

Choose = Callable[[Int[np.ndarray, "b 256"], np.ndarray], Any]
"""`fragments.choose` with its options bound: (voxel counts, noise) -> given."""


def plan_split(source: Any, split: str, batch_size: int, **options: Any) -> feed.EpochPlan:
    """`plan_epoch` for a split of a prepared data set."""
    return feed.plan_epoch(builder_lib.num_examples(source, split), batch_size, **options)


def open_feed(config: Any, mesh: jax.sharding.Mesh) -> feed.Feed:
    """The training batches of a config from a prepared data set, sent ahead to the devices.

    Raises:
        NotPreparedError, ValueError: no data set that suits the config.
    """
    source = builder_lib.open_prepared(config.data.dir, **feed.place_options(config))
    split, batch_size = config.data.train_split, config.train.batch_size
    plan = plan_split(
        source, split, batch_size, keep_last=config.data.keep_last_batch, parts=mesh.size
    )

    def items(step: int) -> Iterator[dict[str, jax.Array]]:
        batches = train_batches(
            source,
            split,
            plan,
            batch_size=batch_size,
            seed=config.seed,
            start_step=step,
            cache=config.data.cache,
            shuffle_buffer=config.data.shuffle_buffer,
            choose=functools.partial(fragments.choose, **feed.choose_options(config)),
            process_index=jax.process_index(),
            process_count=jax.process_count(),
        )
        return prefetch_to_device(batches, parallel.batch_sharding(mesh))

    return feed.Feed(plan, builder_lib.fingerprint(source, split), items)


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
    process_index: int = 0,
    process_count: int = 1,
) -> Iterator[feed.Batch]:
    """Endless training batches of this process, from the one that `start_step` would have got.

    Args:
        source: a prepared data set, see `builder.open_prepared`.
        plan: `plan_split` for the same split and batch size.
        batch_size: over all processes.
        cache: hold the decoded split in memory.
        shuffle_buffer: examples to shuffle among; 0 means all.
    """
    local_batch = batch_size // process_count
    examples = builder_lib.as_dataset(source, split).enumerate()
    examples = examples.shard(process_count, process_index)
    examples = examples.map(_compact, num_parallel_calls=tf.data.AUTOTUNE)
    if cache:
        examples = examples.cache()
    buffer = shuffle_buffer or builder_lib.num_examples(source, split)
    first_epoch, first_batch = divmod(start_step, plan.num_batches)
    for epoch in itertools.count(first_epoch):
        skipped = first_batch if epoch == first_epoch else 0
        order_seed = int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])
        batches = (
            examples.shuffle(buffer, seed=order_seed, reshuffle_each_iteration=False)
            .take(plan.num_used // process_count)
            .skip(skipped * local_batch)
            .batch(local_batch, num_parallel_calls=tf.data.AUTOTUNE)
            .prefetch(2)
        )
        for raw in batches.as_numpy_iterator():
            given = choose(raw["counts"], fragment_noise(seed, epoch, raw["index"]))
            yield {"labels": raw["labels"], "given": given}


def _compact(index: tf.Tensor, example: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    values = tf.cast(tf.reshape(example["labels"], [-1]), tf.int32)
    counts = tf.math.bincount(values, minlength=256, maxlength=256, dtype=tf.int32)
    return {"index": index, "labels": example["labels"], "counts": tf.ensure_shape(counts, [256])}


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
    """Send batches to the device ahead of their use, so that transfer and compute overlap."""
    put = functools.partial(jax.device_put, device=sharding)
    queue: collections.deque[dict[str, jax.Array]] = collections.deque()
    iterator = iter(batches)
    for batch in itertools.islice(iterator, size):
        queue.append(put(batch))
    while queue:
        yield queue.popleft()
        for batch in itertools.islice(iterator, 1):
            queue.append(put(batch))
