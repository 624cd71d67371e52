"""What a run is made of, from its config: modules, optimisers, first state, compiled functions."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import optax
from flax import linen as nn

from voxgan_jax import models
from voxgan_jax.data import augment
from voxgan_jax.data import feed as feed_lib
from voxgan_jax.training import losses, parallel, steps
from voxgan_jax.training.state import TrainState, create_state


class Parts(NamedTuple):
    """What a run is made of besides its state: modules and optimisers."""

    generator: nn.Module
    discriminator: nn.Module
    tx_g: optax.GradientTransformation
    tx_d: optax.GradientTransformation


def build_parts(config: Any) -> Parts:
    """Networks and Adam optimisers from a config; ValueError where it names something unknown."""
    axis_name = parallel.step_axis(config.parallel.mode)
    adam = functools.partial(optax.adam, b1=config.optim.b1, b2=config.optim.b2)
    rate = functools.partial(learning_rate, warmup_steps=config.optim.warmup_steps)
    return Parts(
        generator=models.build_generator(config.generator, axis_name=axis_name),
        discriminator=models.build_discriminator(config.discriminator, axis_name=axis_name),
        tx_g=adam(rate(config.optim.generator_learning_rate)),
        tx_d=adam(rate(config.optim.discriminator_learning_rate)),
    )


def learning_rate(value: float, warmup_steps: int) -> float | optax.Schedule:
    """The rate of each step: of step n, counted from 1, n / warmup_steps of the value, then all.

    Large batches with rates to match need such a start (Goyal et al. 2017, section 2.2).

    Raises:
        ValueError: fewer than no steps.
    """
    if warmup_steps < 0:
        raise ValueError(f"config.optim.warmup_steps {warmup_steps}: at least 0 is needed")
    if warmup_steps < 2:
        return value
    return optax.linear_schedule(value / warmup_steps, value, warmup_steps - 1)


def initial_state(config: Any, parts: Parts) -> TrainState:
    """The state of a run before its first step; follows from `config.seed`."""
    return create_state(
        jax.random.key(config.seed),
        generator=parts.generator,
        discriminator=parts.discriminator,
        tx_g=parts.tx_g,
        tx_d=parts.tx_d,
        resolution=config.data.resolution,
        keep_ema=config.train.ema_decay > 0,
    )


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
        prepare=_preparation(draw, augmenting=config.data.augment),
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


def _preparation(
    draw: feed_lib.Draw | None, augmenting: bool
) -> Callable[[Any, jax.Array, jax.Array], Any] | None:
    """What is done on each device to get a batch from an item; None where an item is the batch."""
    if draw is None and not augmenting:
        return None

    def prepare(item: Any, rng: jax.Array, step: jax.Array) -> Any:
        # Keys of their own: the step draws from fold_in(rng, step).
        rng_draw, rng_augment = (jax.random.fold_in(rng, 2**32 - n) for n in (1, 2))
        batch = item if draw is None else draw(item, rng_draw, step)
        if not augmenting:
            return batch
        return augment.augment_batch(batch, rng_augment, step, axis_name=parallel.DATA_AXIS)

    return prepare
