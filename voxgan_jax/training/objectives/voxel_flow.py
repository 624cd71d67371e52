"""Whole grids by rectified flow: the clean one is learned behind a noisy one, at every time."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from voxgan_jax.data import fragments
from voxgan_jax.models import OUTPUTS, Volume
from voxgan_jax.training import updates
from voxgan_jax.training.objectives import Nets
from voxgan_jax.training.objectives.flow import LATEST, draw_time, drawing
from voxgan_jax.training.objectives.gan import complete as complete
from voxgan_jax.training.objectives.gan import init as init
from voxgan_jax.training.state import NetState, TrainState, Tree
from voxgan_jax.training.updates import Examples, Pass, Scalars


def networks(config: Any, axis_name: str | None) -> dict[str, tuple[nn.Module, str]]:
    """The generator alone, see `flow.drawing`."""
    return drawing(config, axis_name, "voxel_flow")


def options(config: Any) -> dict[str, Any]:
    """Which voxels count."""
    return {"keep_crumbs": config.fragments.keep_crumbs}


def step(
    state: TrainState,
    batch: Mapping[str, Any],
    *,
    nets: Nets,
    keep_crumbs: bool = True,
    **how: Any,
) -> tuple[TrainState, Scalars]:
    """One update of the generator.

    Args:
        batch: as for `gan.step`.
        how: as `updates.generator_step` takes it.

    Returns:
        The next state, `g_loss`, and the gradient's norm.
    """
    model: Any = nets["generator"].module

    def improve(net_g: NetState, examples: Examples) -> Pass:
        partial, complete = fragments.volumes(examples["labels"], examples["given"], keep_crumbs)
        clean = model.clean_of(complete)
        time, noise = chance(jax.random.wrap_key_data(examples["keys"]), partial.shape[1:])
        share = time[:, None, None, None, None]
        shown = (1.0 - share) * noise + share * clean

        def loss(params: Tree) -> tuple[Array, None]:
            _, left = model.apply(
                *(net_g.variables(params), partial),
                **{"train": True, "noisy": shown, "time": time, "mutable": [OUTPUTS]},
            )
            return flow_loss(left[OUTPUTS]["clean"], clean, partial, time).mean(), None

        (g_loss, _), grads = jax.value_and_grad(loss, has_aux=True)(net_g.params)
        return net_g, (grads, {"g_loss": g_loss})

    return updates.generator_step(state, nets, improve, batch, **how)


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
