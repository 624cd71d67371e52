#!/usr/bin/env python3
"""Measure speed: medians over repeated runs, as a table and, with --json, as a file.

    scripts/benchmark.py --what input --data_dir data/prepared    training batches from tf.data
    scripts/benchmark.py --what step                              one training step of each size

Without --data_dir the input is measured on synthetic pots made for it.
"""

import argparse
import functools
import itertools
import json
import os
import pathlib
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--what", choices=sorted(MEASUREMENTS), required=True)
    parser.add_argument("--data_dir", help="a prepared data set, for --what input")
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--batch_size", type=int, help="default: 64 for input, 4 for step")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=pathlib.Path, help="also write the numbers to this file")
    args = parser.parse_args(argv)
    try:
        rows = MEASUREMENTS[args.what](args)
    except (OSError, ValueError) as error:
        print(f"benchmark.py: {error}", file=sys.stderr)
        return 1
    print(f"\n{'':<44}{'median':>10}{'min':>10}{'max':>10}")
    for row in rows:
        numbers = "".join(f"{row[key]:>10.4g}" for key in ("median", "min", "max"))
        print(f"{row['name'] + ', ' + row['unit']:<44}{numbers}")
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}")
    if args.json:
        args.json.write_text(json.dumps({"what": args.what, "rows": rows}, indent=2) + "\n")
    return 0


def _row(name: str, unit: str, values: list[float]) -> dict[str, Any]:
    return {
        "name": name,
        "unit": unit,
        "median": statistics.median(values),
        "min": min(values),
        "max": max(values),
        "runs": len(values),
    }


def measure_input(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Samples a second that reach the training loop, in the first epoch and after it."""
    from voxgan_jax.data import builder, pipeline, synthetic

    batch_size = args.batch_size or 64
    with tempfile.TemporaryDirectory() as made:
        data_dir = args.data_dir
        if data_dir is None:
            synthetic.write_dataset(made + "/vox", pots=40, seed=0, resolution=args.resolution)
            builder.prepare(made + "/vox", made + "/data", resolution=args.resolution)
            data_dir = made + "/data"
        source = builder.open_prepared(data_dir, resolution=args.resolution)
        plan = pipeline.plan_split(source, "train", batch_size, keep_last=True)
        batches = pipeline.train_batches(source, "train", plan, batch_size=batch_size, seed=0)

        def epoch() -> float:
            start = time.perf_counter()
            count = sum(
                len(batch["labels"]) for batch in itertools.islice(batches, plan.num_batches)
            )
            return count / (time.perf_counter() - start)

        first = epoch()
        later = [epoch() for _ in range(args.repeats)]
    name = f"{args.resolution}³, batch {batch_size}, {plan.num_used} files"
    return [
        _row(f"first epoch, {name}", "samples/s", [first]),
        _row(f"later, {name}", "samples/s", later),
    ]


def measure_step(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Seconds a training step of the baseline takes on this machine's JAX devices."""
    import jax
    import numpy as np

    from configs import baseline
    from voxgan_jax.training import loop, parallel

    batch_size = args.batch_size or 4
    config = baseline.get_config()
    config.data.resolution = args.resolution
    mesh = parallel.make_mesh()
    parts = loop.build_parts(config)
    start = functools.partial(loop.initial_state, config, parts)
    state = jax.jit(start, out_shardings=parallel.replicated(mesh))()
    rng = np.random.default_rng(0)
    side = args.resolution
    batch = {
        "labels": rng.integers(0, 4, (batch_size, side, side, side)).astype(np.uint8),
        "given": np.eye(256, dtype=bool)[rng.integers(2, 4, batch_size)],
    }
    batch = jax.device_put(batch, parallel.batch_sharding(mesh))
    begin = time.perf_counter()
    step = loop.compiled_step(config, parts, mesh).lower(state, batch).compile()
    compiling = time.perf_counter() - begin
    seconds = []
    for _ in range(args.repeats + 1):
        begin = time.perf_counter()
        state, scalars = step(state, batch)
        jax.block_until_ready(scalars)
        seconds.append(time.perf_counter() - begin)
    name = f"baseline {side}³, batch {batch_size}, {jax.devices()[0].platform}"
    return [_row(f"compile {name}", "s", [compiling]), _row(f"step {name}", "s", seconds[1:])]


MEASUREMENTS: dict[str, Callable[[argparse.Namespace], list[dict[str, Any]]]] = {
    "input": measure_input,
    "step": measure_step,
}

if __name__ == "__main__":
    sys.exit(main())
