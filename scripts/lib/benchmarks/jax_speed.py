"""Training steps and completions of a config in JAX, ready to be timed."""

import functools
import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from scripts.lib.benchmarks import timing
from voxgan_jax.data import fragments
from voxgan_jax.devices import parallel
from voxgan_jax.training import build, loop, objectives

NETS = ("generator", "discriminator")
STEPS_PER_DISPATCH = 8


class Candidate(NamedTuple):
    """Something to time: `memory` is what it needs on the device at most, in bytes, if known.

    One run is `steps` steps.
    """

    dtype: str
    run: timing.Run
    memory: float | None
    steps: int = 1


def with_options(config: Any, resolution: int, batch_size: int, dtype: str) -> Any:
    """A copy of a config at that size, computing in that type."""
    config = config.copy_and_resolve_references()
    config.data.resolution, config.train.batch_size = resolution, batch_size
    for net in NETS:
        config[net].dtype = dtype
    return config


def host_batch(batch_size: int, resolution: int, seed: int = 0) -> dict[str, np.ndarray]:
    """A batch as the loop gets it: 8 % full, in three fragments, one of them given."""
    rng = np.random.default_rng(seed)
    shape = (batch_size, resolution, resolution, resolution)
    labels = rng.integers(2, 5, shape, np.uint8) * (rng.random(shape, np.float32) < 0.08)
    return {"labels": labels, "given": np.eye(256, dtype=bool)[rng.integers(2, 5, batch_size)]}


def step_from_host(config: Any) -> Candidate:
    """Training steps whose batches come from host memory, each sent while the one before runs."""
    mesh = parallel.make_mesh()
    rows = parallel.batch_sharding(mesh)
    held = [host_batch(config.train.batch_size, config.data.resolution, n) for n in range(2)]

    def batches() -> Iterator[Any]:
        ahead = jax.device_put(held[0], rows)
        while True:
            for batch in held[::-1]:
                # The next batch is on its way before the step that takes this one starts.
                ahead, ready = jax.device_put(batch, rows), ahead
                yield ready

    return _steps(config, mesh, batches())


def step_from_device(config: Any) -> Candidate:
    """Training steps that draw their batches from pots held in device memory.

    Off a CPU they are as many as the original's training files, and a dispatch is several steps.
    """
    from voxgan_jax.data import resident

    on_cpu = jax.default_backend() == "cpu"
    num_pots, batch_size = 64 if on_cpu else 11_264, config.train.batch_size
    labels = host_batch(64, config.data.resolution)["labels"]
    item = {
        "labels": labels,
        "counts": np.stack([fragments.voxel_counts(pot) for pot in labels]).astype(np.int32),
    }
    mesh = parallel.make_mesh()
    rows, copies = parallel.batch_sharding(mesh), num_pots // 64
    item = {
        name: jax.device_put(np.concatenate([value] * copies), rows) for name, value in item.items()
    }
    draw = functools.partial(resident.draw, num_pots=num_pots, batch_size=batch_size)
    if not on_cpu:
        config.train.steps_per_dispatch = STEPS_PER_DISPATCH
    return _steps(config, mesh, itertools.repeat(item), draw)


def _steps(config: Any, mesh: Any, items: Iterator[Any], draw: Any = None) -> Candidate:
    objective = objectives.build(config)
    state = make_state(config, objective, mesh)
    steps = config.train.steps_per_dispatch
    step = loop.compile_step(config, objective, mesh, draw)
    memory = None
    # Where batches are drawn by a program of their own, the first call compiles both.
    if hasattr(step, "lower"):
        step = step.lower(state, next(items), *((steps,) if steps > 1 else ())).compile()
        memory = planned_memory(step)

    def once() -> Any:
        nonlocal state
        state, scalars = step(state, next(items))
        return scalars

    run = timing.repeated(once, jax.block_until_ready)
    return Candidate(config.generator.dtype, run, memory, steps)


def make_state(config: Any, objective: Any, mesh: Any) -> Any:
    """The state before the first step, on all devices."""
    create = functools.partial(build.initial_state, config, objective)
    return jax.jit(create, out_shardings=parallel.replicated(mesh))()


def completion(config: Any) -> Candidate:
    """The generator in evaluation mode on a batch that is on the devices already."""
    mesh = parallel.make_mesh()
    objective = objectives.build(config)
    variables = make_state(config, objective, mesh).nets["generator"].variables()
    batch = host_batch(config.train.batch_size, config.data.resolution)
    partial = jax.device_put(
        (batch["labels"] == 2).astype(np.float32)[..., None], parallel.batch_sharding(mesh)
    )
    predict: Any = loop.compile_predict(objective, mesh)
    predict = predict.lower(variables, partial).compile()
    run = timing.repeated(functools.partial(predict, variables, partial), jax.block_until_ready)
    return Candidate(config.generator.dtype, run, planned_memory(predict))


def planned_memory(compiled: Any) -> float | None:
    """Bytes of device memory that XLA planned for a program: arguments, results and in between."""
    plan = compiled.memory_analysis()
    if plan is None:
        return None
    sizes = (plan.argument_size_in_bytes, plan.output_size_in_bytes, plan.temp_size_in_bytes)
    return float(sum(sizes) - plan.alias_size_in_bytes)


def compiled_text(config: Any) -> str:
    """The optimised HLO of a config's training step on this machine's devices."""
    mesh = parallel.make_mesh()
    objective = objectives.build(config)
    state = jax.eval_shape(functools.partial(build.initial_state, config, objective))
    batch = host_batch(config.train.batch_size, config.data.resolution)
    return loop.compile_step(config, objective, mesh).lower(state, batch).compile().as_text()
