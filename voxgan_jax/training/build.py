"""What a run is made of, from its config: modules, optimisers, first state, compiled functions."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.traverse_util
import jax
import jax.numpy as jnp
import optax
from absl import logging
from flax import linen as nn

from voxgan_jax import models
from voxgan_jax.data import augment
from voxgan_jax.data import feed as feed_lib
from voxgan_jax.devices import parallel
from voxgan_jax.models import weights
from voxgan_jax.training import losses, steps
from voxgan_jax.training.state import TrainState, Tree, create_state


class Parts(NamedTuple):
    """What a run is made of besides its state: modules and optimisers."""

    generator: nn.Module
    discriminator: nn.Module
    tx_g: optax.GradientTransformation
    tx_d: optax.GradientTransformation


def build_parts(config: Any) -> Parts:
    """Networks and Adam optimisers from a config; ValueError where it names something unknown."""
    axis_name = parallel.step_axis(config.parallel.mode)
    adam = functools.partial(
        optimiser, b1=config.optim.b1, b2=config.optim.b2, weight_decay=config.optim.weight_decay
    )
    rate = functools.partial(
        learning_rate,
        warmup_steps=config.optim.warmup_steps,
        schedule=config.optim.schedule,
        num_train_steps=config.train.num_train_steps,
    )
    return Parts(
        generator=models.build_generator(config.generator, axis_name=axis_name),
        discriminator=models.build_discriminator(config.discriminator, axis_name=axis_name),
        tx_g=adam(rate(config.optim.generator_learning_rate)),
        tx_d=adam(rate(config.optim.discriminator_learning_rate)),
    )


def optimiser(
    rate: float | optax.Schedule, *, b1: float, b2: float, weight_decay: float
) -> optax.GradientTransformation:
    """Adam, or AdamW (Loshchilov and Hutter 2019) where weights are to decay."""
    if weight_decay:
        return optax.adamw(rate, b1=b1, b2=b2, weight_decay=weight_decay)
    return optax.adam(rate, b1=b1, b2=b2)


def learning_rate(
    value: float, warmup_steps: int, schedule: str = "constant", num_train_steps: int = 0
) -> float | optax.Schedule:
    """The rate of each step.

    "constant": of step n, counted from 1, n / warmup_steps of the value, then all of it. Large
    batches with rates to match need such a start (Goyal et al. 2017, section 2.2). "one_cycle": up
    to the value over the first 30 % of the run, then down to nothing, both along a cosine (Smith
    and Topin 2018).

    Raises:
        ValueError: fewer than no steps, no such schedule, or one that needs the length of the run.
    """
    if warmup_steps < 0:
        raise ValueError(f"config.optim.warmup_steps {warmup_steps}: at least 0 is needed")
    if schedule == "one_cycle":
        if num_train_steps < 1 or warmup_steps:
            raise ValueError(
                "config.optim.schedule=one_cycle has a rise of its own and is as long as the run:"
                " set config.train.num_train_steps, and config.optim.warmup_steps to 0"
            )
        return optax.cosine_onecycle_schedule(num_train_steps, value)
    if schedule != "constant":
        raise ValueError(f"unknown config.optim.schedule {schedule!r}; known: constant, one_cycle")
    if warmup_steps < 2:
        return value
    return optax.linear_schedule(value / warmup_steps, value, warmup_steps - 1)


def initial_state(config: Any, parts: Parts) -> TrainState:
    """The state of a run before its first step; follows from `config.seed`.

    Parameters that the weights file `config.train.init_weights` has, if one is named, are taken
    over.
    """
    state = create_state(
        jax.random.key(config.seed),
        generator=parts.generator,
        discriminator=parts.discriminator,
        tx_g=parts.tx_g,
        tx_d=parts.tx_d,
        resolution=config.data.resolution,
        keep_ema=config.train.ema_decay > 0,
    )
    if not config.train.init_weights:
        return state
    params, _ = weights.load(config.train.init_weights)
    params = take_over(state.generator.params, params["params"], config.train.init_weights)
    return dataclasses.replace(
        state,
        generator=dataclasses.replace(state.generator, params=params),
        # Not the same arrays: the step gives up the memory of each.
        ema_params=jax.tree.map(jnp.array, params) if state.ema_params else {},
    )


def take_over(params: Tree, known: Tree, source: str) -> Tree:
    """`params` with the arrays of `known` in their places where name and shape agree.

    Raises:
        ValueError: none agree; `source` names where they come from.
    """
    ours: dict[Any, Any] = flax.traverse_util.flatten_dict(params)
    theirs: dict[Any, Any] = flax.traverse_util.flatten_dict(known)
    taken = {
        name: jnp.asarray(theirs[name], value.dtype)
        for name, value in ours.items()
        if name in theirs and theirs[name].shape == value.shape
    }
    if not taken:
        raise ValueError(f"{source}: none of its parameters belongs to this generator")
    logging.info("%s: %d of %d arrays taken over.", source, len(taken), len(ours))
    return flax.traverse_util.unflatten_dict(ours | taken)


def compiled_step(
    config: Any, parts: Parts, mesh: jax.sharding.Mesh, draw: feed_lib.Draw | None = None
) -> Any:
    """The training step of a config, compiled for a mesh; `parallel.compile_step` says how to run.

    Args:
        draw: that of the run's feed.

    Raises:
        ValueError: unknown values, or several steps a dispatch of batches that the host brings.
    """
    several = config.train.steps_per_dispatch > 1
    if config.train.steps_per_dispatch < 1:
        raise ValueError("config.train.steps_per_dispatch: at least 1 is needed")
    if several and draw is None:
        raise ValueError(
            "config.train.steps_per_dispatch above 1 needs batches that are drawn on the devices:"
            " set config.data.source to 'resident', or it to 1"
        )
    step = functools.partial(
        steps.train_step,
        **parts._asdict(),
        recon_loss=losses.choose_recon_loss(config.loss.recon),
        recon_weight=config.loss.recon_weight,
        adversarial_weight=config.loss.adversarial_weight,
        auxiliary=losses.auxiliary_losses(config),
        real_label_range=(config.loss.real_label_low, config.loss.real_label_high),
        keep_crumbs=config.fragments.keep_crumbs,
        ema_decay=config.train.ema_decay,
        accumulate_steps=config.train.accumulate_steps,
        axis_name=parallel.step_axis(config.parallel.mode),
    )
    return parallel.compile_step(
        step,
        mesh,
        mode=config.parallel.mode,
        prepare=_preparation(draw, augmentation(config.data)),
        several=several,
    )


def compiled_predict(generator: nn.Module, mesh: jax.sharding.Mesh) -> Callable[..., jax.Array]:
    """`predict(variables, partial) -> completed` in evaluation mode, the batch divided."""
    whole, rows = parallel.replicated(mesh), parallel.batch_sharding(mesh)
    return jax.jit(
        functools.partial(generator.apply, train=False),
        in_shardings=(whole, rows),
        out_shardings=rows,
    )


def augmentation(config: Any) -> Callable[..., Any] | None:
    """`augment.augment_batch` with the options of `config.data`; None where they change nothing."""
    stretched = config.scale_radius > 0 or config.scale_height > 0
    if not (config.augment or stretched or config.warp or config.shift):
        return None
    return functools.partial(
        augment.augment_batch,
        turn=config.augment,
        scale_radius=config.scale_radius,
        scale_height=config.scale_height,
        keep_longest=stretched,
        warp=config.warp,
        shift=config.shift,
        placement=config.placement,
    )


def _preparation(
    draw: feed_lib.Draw | None, augment_batch: Callable[..., Any] | None
) -> Callable[[Any, jax.Array, jax.Array], Any] | None:
    """What is done on each device to get a batch from an item; None where an item is the batch."""
    if draw is None and augment_batch is None:
        return None

    def prepare(item: Any, rng: jax.Array, step: jax.Array) -> Any:
        # Keys of their own: the step draws from fold_in(rng, step).
        rng_draw, rng_augment = (jax.random.fold_in(rng, 2**32 - n) for n in (1, 2))
        batch = item if draw is None else draw(item, rng_draw, step)
        if augment_batch is None:
            return batch
        return augment_batch(batch, rng_augment, step, axis_name=parallel.DATA_AXIS)

    return prepare
