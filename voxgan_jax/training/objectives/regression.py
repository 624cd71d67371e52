"""A generator that learns from the truth alone, without an adversary."""

from typing import Any

import jax
from flax import linen as nn

from voxgan_jax import models
from voxgan_jax.data import fragments
from voxgan_jax.training import losses
from voxgan_jax.training.objectives.gan import complete as complete
from voxgan_jax.training.objectives.gan import generate
from voxgan_jax.training.objectives.gan import init as init
from voxgan_jax.training.state import Net, NetState, Tree
from voxgan_jax.training.updates import Examples, Pass


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


def learn(
    net: Net,
    state: NetState,
    examples: Examples,
    *,
    supervised: losses.Supervised,
    keep_crumbs: bool,
) -> Pass:
    """What the generator learns of a micro-batch; batch and `supervised` are as for `gan.step`."""
    partial, complete = fragments.volumes(examples["labels"], examples["given"], keep_crumbs)

    def loss(params: Tree) -> tuple[jax.Array, tuple]:
        answer, after = generate(net, state, params, examples, keep_crumbs)
        total, parts = supervised(*answer, complete, partial)
        return total, (after, parts)

    (g_loss, (after, parts)), grads = jax.value_and_grad(loss, has_aux=True)(state.params)
    return after, (grads, {"g_loss": g_loss} | parts)
