"""A generator that learns from the truth alone, without an adversary."""

from collections.abc import Mapping
from typing import Any

import jax
from flax import linen as nn

from voxgan_jax import models
from voxgan_jax.data import fragments
from voxgan_jax.training import losses, updates
from voxgan_jax.training.objectives import Nets
from voxgan_jax.training.objectives.gan import complete as complete
from voxgan_jax.training.objectives.gan import generate
from voxgan_jax.training.objectives.gan import init as init
from voxgan_jax.training.state import NetState, TrainState, Tree
from voxgan_jax.training.updates import Examples, Pass, Scalars


def networks(config: Any, axis_name: str | None) -> dict[str, tuple[nn.Module, str]]:
    """The generator alone."""
    generator = models.build(config.generator, axis_name=axis_name)
    return {"generator": (generator, models.output(config.generator))}


def options(config: Any) -> dict[str, Any]:
    """The losses, and which voxels count."""
    return {
        "supervised": losses.supervised_loss(config),
        "keep_crumbs": config.fragments.keep_crumbs,
    }


def step(
    state: TrainState,
    batch: Mapping[str, Any],
    *,
    nets: Nets,
    supervised: losses.Supervised,
    keep_crumbs: bool = True,
    **how: Any,
) -> tuple[TrainState, Scalars]:
    """One update of the generator.

    Args:
        batch, supervised: as for `gan.step`.
        how: as `updates.generator_step` takes it.

    Returns:
        The next state and the scalars of this step: `g_loss` and its parts, the gradient's norm.
    """
    net = nets["generator"]

    def improve(net_g: NetState, examples: Examples) -> Pass:
        partial, complete = fragments.volumes(examples["labels"], examples["given"], keep_crumbs)

        def loss(params: Tree) -> tuple[jax.Array, tuple]:
            answer, after = generate(net, net_g, params, examples, keep_crumbs)
            total, parts = supervised(*answer, complete, partial)
            return total, (after, parts)

        (g_loss, (net_g, parts)), grads = jax.value_and_grad(loss, has_aux=True)(net_g.params)
        return net_g, (grads, {"g_loss": g_loss} | parts)

    return updates.generator_step(state, nets, improve, batch, **how)
