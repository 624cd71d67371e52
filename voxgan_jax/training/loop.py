"""The loop around the training step: data in, curves and checkpoints out."""

import functools
import math
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from absl import logging
from tqdm import tqdm

from voxgan_jax import fields
from voxgan_jax.data import augment
from voxgan_jax.data import feed as feed_lib
from voxgan_jax.devices import accelerator, interruption, parallel, processes
from voxgan_jax.evaluation import validation
from voxgan_jax.models import weights
from voxgan_jax.training import (
    build,
    checkpoint,
    curves,
    events,
    integrity,
    objectives,
    workdir,
)
from voxgan_jax.training.objectives import Objective
from voxgan_jax.training.state import TrainState


def train(
    config: Any, run_dir: str | pathlib.Path, stop: interruption.Stop = lambda step: False
) -> TrainState:
    """Train a config in a folder, or go on where a run there stopped.

    Writes `config.json`, TensorBoard events, checkpoints, and the generator's weights: those with
    the best IoU on the evaluation split, or the last ones where `config.eval.split` is empty.
    A resumed run sees the batches it would have seen, so on a CPU it ends with the same parameters.

    Raises:
        NotPreparedError, ValueError: no data set that suits the config, or a number in it that is
            out of its range; nothing is written.
        OccupiedError: another run is being trained in the folder.
        ConfigMismatchError: the folder holds a run of another config.
        InterruptedRunError: `stop` said so; what was done is saved.
        NotFiniteError: a loss or the state is NaN or infinite; it is not saved.
        DiskError: the disk is full; the last good checkpoint is named.
    """
    fields.check(config.to_dict())
    if config.train.get("deterministic", False):
        accelerator.prepare(deterministic=True)
    with workdir.alone(run_dir):
        return _train(config, run_dir, stop)


def _train(config: Any, run_dir: str | pathlib.Path, stop: interruption.Stop) -> TrainState:
    mesh = parallel.make_mesh()
    # Whatever the config alone tells is wrong is found before the data is read.
    objective = objectives.build(config)
    feed = build.open_feed(config, mesh)
    validation.check(config)
    num_train_steps = (
        config.train.num_train_steps or config.train.num_epochs * feed.plan.num_batches
    )
    run = compile_step(config, objective, mesh, feed.draw)
    predict = compile_predict(objective, mesh.local_mesh)
    primary = processes.is_primary()

    with (
        checkpoint.open_manager(run_dir, config.checkpoint.keep) as manager,
        events.open_events(run_dir, enabled=primary) as write,
        # None: only on a terminal; the log tells the rest.
        tqdm(
            total=num_train_steps,
            unit="step",
            dynamic_ncols=True,
            disable=None if primary else True,
        ) as bar,
    ):
        started = manager.latest_step() is not None
        workdir.save_config(config, run_dir, started=started, write=primary)

        def position_at(step: int) -> dict[str, Any]:
            """Where the data stands after a step, and which data it is."""
            epoch, batch = divmod(step, feed.plan.num_batches)
            return {"epoch": epoch, "batch": batch, "data": feed.fingerprint}

        state, best_iou = _start(config, objective, mesh, manager, position_at)
        done = first_step = int(state.step)
        if stop(first_step):
            raise interruption.InterruptedRunError(first_step)
        bar.update(first_step)
        items = feed.items(first_step)
        log = curves.Curves(write, config.train.batch_size, first_step, num_train_steps)
        for step in _stops(config, feed.plan, first_step, num_train_steps):
            counts = (step - done,) if config.train.steps_per_dispatch > 1 else ()
            state, scalars = run(state, next(items), *counts)
            bar.update(step - done)
            done = step
            last = step == num_train_steps
            if _due(step, config.train.log_every_steps) or last:
                log.scalars(step, scalars)
            evaluating = bool(config.eval.split) and (
                _due(step, config.eval.every_epochs * feed.plan.num_batches) or last
            )
            stopping = stop(step) and not last
            iou = None
            if _due(step, config.checkpoint.every_steps) or evaluating or last or stopping:
                curves.require_finite(step, scalars)
                if evaluating:
                    integrity.require_finite(state)
                    variables = parallel.own_copy(state.variables(), mesh)
                    means = validation.scores(config, functools.partial(predict, variables))
                    write(step, {f"eval_{name}": value for name, value in means.items()})
                    iou = means["iou"]
                    if iou >= best_iou:
                        best_iou = iou
                        _save_weights(config, state, run_dir)
                    log.restart(step)
                position = position_at(step)
                checkpoint.save(manager, state, position=position, iou=iou, best_iou=best_iou)
            if stopping:
                checkpoint.finish(manager)
                raise interruption.InterruptedRunError(step)
        log.flush()
        if not config.eval.split:
            _save_weights(config, state, run_dir)
    return state


def compile_step(
    config: Any, objective: Objective, mesh: jax.sharding.Mesh, draw: feed_lib.Draw | None = None
) -> Any:
    """The training step of a config with its batches drawn and changed, compiled for a mesh.

    Args:
        draw: that of the run's feed.

    Returns:
        `run(state, item) -> (state, scalars)`, see `parallel.compile_step`. At several steps a
        dispatch it is `run(state, item, count)`: so many steps, at least one, in one call, with the
        scalars of the last. It is compiled for each count: a GPU waits for the host in every turn
        of a loop whose length it does not know.

    Raises:
        ValueError: unknown values, or several steps a dispatch of batches that the host brings.
    """
    if config.train.steps_per_dispatch > 1 and draw is None:
        raise ValueError(
            "config.train.steps_per_dispatch above 1 needs batches that are drawn on the devices:"
            " set config.data.source to 'resident', or it to 1"
        )
    mode, augment_batch = config.parallel.mode, augment.from_config(config.data)
    if draw is None and augment_batch is None:
        return parallel.compile_step(objective.step, mesh, mode=mode)

    def make_batch(item: Any, rng: jax.Array, step: jax.Array) -> Any:
        """A device's rows of the batch that an item stands for."""
        # Keys of their own: the step draws from fold_in(rng, step).
        rng_draw, rng_augment = (jax.random.fold_in(rng, 2**32 - n) for n in (1, 2))
        batch = item if draw is None else draw(item, rng_draw, step)
        if augment_batch is None:
            return batch
        return augment_batch(batch, rng_augment, step, axis_name=parallel.DATA_AXIS)

    def run(state: TrainState, item: Any) -> tuple[TrainState, Any]:
        return objective.step(state, make_batch(item, state.rng, state.step))

    def repeat(state: TrainState, item: Any, count: int) -> tuple[TrainState, Any]:
        scalars = jax.tree.map(
            lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(run, state, item)[1]
        )
        once = accelerator.without_onednn()(lambda _, last: run(last[0], item))
        return jax.lax.fori_loop(0, count, once, (state, scalars))

    if config.train.steps_per_dispatch > 1:
        return parallel.compile_step(repeat, mesh, mode=mode, static=(2,))
    if mode == "pmap":
        return parallel.compile_step(run, mesh, mode=mode)
    # Two programs: in one, XLA takes half as long again on a CPU.
    step = parallel.compile_step(objective.step, mesh)
    prepare = parallel.compile_rows(make_batch, mesh)
    return lambda state, item: step(state, prepare(item, state.rng, state.step))


def compile_predict(
    objective: Objective, mesh: jax.sharding.Mesh
) -> Callable[[Any, Any], jax.Array]:
    """`predict(variables, partial) -> completed` in evaluation mode, the batch divided."""
    whole, rows = parallel.replicated(mesh), parallel.batch_sharding(mesh)
    return jax.jit(objective.complete, in_shardings=(whole, rows), out_shardings=rows)


def _start(
    config: Any,
    objective: Objective,
    mesh: jax.sharding.Mesh,
    manager: Any,
    position_at: Callable[[int], dict[str, Any]],
) -> tuple[TrainState, float]:
    """The newest good checkpoint of the run, or its initial state, on all devices; the best IoU."""
    create = functools.partial(build.initial_state, config, objective)
    whole = parallel.replicated(mesh)
    if manager.latest_step() is None:
        return jax.jit(create, out_shardings=whole)(), -math.inf
    abstract = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=whole),
        jax.eval_shape(create),
    )
    state, position, best_iou = checkpoint.restore(manager, abstract)
    expected = position_at(int(state.step))
    if position != expected:
        raise workdir.ConfigMismatchError(
            f"{manager.directory}: this run was trained on other data (it stands at {position}, the"
            f" data given now would be at {expected}); name its data set again"
        )
    logging.info("Resuming from step %d, data position %s.", int(state.step), position)
    return state, best_iou


def _save_weights(config: Any, state: TrainState, run_dir: str | pathlib.Path) -> None:
    if not processes.is_primary():
        return
    variables = jax.device_get(state.variables())
    weights.save(pathlib.Path(run_dir) / weights.RUN_FILE, variables, config)


def _stops(
    config: Any, plan: feed_lib.EpochPlan, first_step: int, num_train_steps: int
) -> Iterator[int]:
    """The steps after which the host has control: each, or the last of those in one dispatch."""
    intervals = (
        config.train.log_every_steps,
        config.checkpoint.every_steps,
        config.eval.every_epochs * plan.num_batches if config.eval.split else 0,
    )
    step = first_step
    while step < num_train_steps:
        due = [(step // every + 1) * every for every in intervals if every > 0]
        step = min(step + config.train.steps_per_dispatch, num_train_steps, *due)
        yield step


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0
