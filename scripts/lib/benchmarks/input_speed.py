"""How fast training batches come out of tf.data."""

import itertools
import tempfile
import time

from scripts.lib.benchmarks import timing

COLUMNS = ("name", "samples/s", "min", "max", "runs")


def measure(
    data_dir: str | None, *, resolution: int, batch_size: int, rounds: int
) -> list[timing.Row]:
    """Samples a second that reach the training loop, in the first epoch and in `rounds` later ones.

    `data_dir` is a prepared data set; None makes one of synthetic pots.
    """
    from voxgan_jax.data import builder, feed, pipeline
    from voxgan_jax.data.synthetic import pots

    with tempfile.TemporaryDirectory() as made:
        if data_dir is None:
            pots.write_dataset(made + "/vox", pots=40, seed=0, resolution=resolution)
            builder.prepare(made + "/vox", made + "/data", resolution=resolution)
            data_dir = made + "/data"
        source = builder.open_prepared(data_dir, resolution=resolution)
        plan = feed.plan_epoch(builder.num_examples(source, "train"), batch_size, keep_last=True)
        batches = pipeline.train_batches(source, "train", plan, batch_size=batch_size, seed=0)

        def epoch() -> float:
            start = time.perf_counter()
            taken = itertools.islice(batches, plan.num_batches)
            return sum(len(batch["labels"]) for batch in taken) / (time.perf_counter() - start)

        first = epoch()
        later = [epoch() for _ in range(rounds)]
    name = f"{resolution}³, batch {batch_size}, {plan.num_used} files"
    rows = [
        timing.row(f"first epoch, {name}", "samples/s", [first]),
        timing.row(f"later, {name}", "samples/s", later),
    ]
    return [row | {"samples/s": row["median"]} for row in rows]
