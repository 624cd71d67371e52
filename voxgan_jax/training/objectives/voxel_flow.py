"""Whole grids by rectified flow: the clean one is learned behind a noisy one, at every time."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from voxgan_jax.data import fragments
from voxgan_jax.models import OUTPUTS, Volume
from voxgan_jax.training.objectives.flow import LATEST, draw_time, drawing
from voxgan_jax.training.objectives.gan import complete as complete
from voxgan_jax.training.objectives.gan import init as init
from voxgan_jax.training.state import Net, NetState, Tree
from voxgan_jax.training.updates import Examples, Pass


def networks(config: Any, axis_name: str | None) -> dict[str, tuple[nn.Module, str]]:
    """The generator alone, see `flow.drawing`."""
    return drawing(config, axis_name, "voxel_flow")


def options(config: Any) -> dict[str, Any]:
    """Which voxels count."""
    return {"keep_crumbs": config.fragments.keep_crumbs}


def learn(net: Net, state: NetState, examples: Examples, *, keep_crumbs: bool) -> Pass:
    """What the generator learns of a micro-batch, which is as for `gan.step`."""
    model: Any = net.module
    partial, complete = fragments.volumes(examples["labels"], examples["given"], keep_crumbs)
    clean = model.clean_of(complete)
    time, noise = chance(jax.random.wrap_key_data(examples["keys"]), partial.shape[1:])
    share = time[:, None, None, None, None]
    shown = (1.0 - share) * noise + share * clean

    def loss(params: Tree) -> Array:
        _, left = model.apply(
            *(state.variables(params), partial),
            **{"train": True, "noisy": shown, "time": time, "mutable": [OUTPUTS]},
        )
        return flow_loss(left[OUTPUTS]["clean"], clean, partial, time).mean()

    g_loss, grads = jax.value_and_grad(loss)(state.params)
    return state, (grads, {"g_loss": g_loss})


def chance(keys: Array, shape: tuple[int, ...]) -> tuple[Float[Array, " b"], Volume]:
    """For each example a time, see `flow.draw_time`, and noise."""

    def one(key: Array) -> tuple[Array, Array]:
        for_time, for_noise = jax.random.split(key)
        return draw_time(for_time), jax.random.normal(for_noise, shape, jnp.float32)

    return jax.vmap(one)(keys)


def flow_loss(
    answer: Volume, clean: Volume, partial: Volume, time: Float[Array, " b"]
) -> Float[Array, " b"]:
    """The squared error of the velocity, mean over the voxels that are not given."""
    missing = 1.0 - partial
    axes = (1, 2, 3, 4)
    error = (missing * jnp.square(answer - clean)).sum(axes) / jnp.maximum(missing.sum(axes), 1.0)
    return error / jnp.square(1.0 - jnp.minimum(time, LATEST))
