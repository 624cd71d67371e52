"""The network that tells where a sherd lay, about the right one of several lines."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from voxgan_jax.models import locator
from voxgan_jax.placement import axis_maps
from voxgan_jax.training.objectives import Nets
from voxgan_jax.training.state import Net, NetState, Tree, create_net
from voxgan_jax.training.updates import Examples, Pass

Maps = Float[Array, "b k h r 2"]


def networks(config: Any, axis_name: str | None) -> dict[str, tuple[nn.Module, str]]:
    """The one network, whose batch statistics nobody shares, as it has none."""
    return {"generator": (locator.from_config(config.generator), "logits")}


def init(rng: jax.Array, config: Any, nets: Nets) -> dict[str, NetState]:
    """The network before the first step."""
    maps = jnp.zeros((1, axis_maps.HEIGHTS, axis_maps.RINGS, 2), jnp.float32)
    return {"generator": create_net(nets["generator"], jax.random.split(rng, 3)[0], maps)}


def learn(net: Net, state: NetState, examples: Examples) -> Pass:
    """By the cross-entropy over all placements about all lines of each sherd.

    Args:
        examples: float32 `maps` (b, k, h, r, 2) and `targets` (b, k, s, p), which sum to 1 a sherd;
            see `training.sherds`.
    """

    def loss(params: Tree) -> jax.Array:
        scores = _scores(net.module, state.variables(params), examples["maps"])
        logs = jax.nn.log_softmax(scores, axis=(1, 2, 3))
        return -(examples["targets"] * logs).sum(axis=(1, 2, 3)).mean()

    g_loss, grads = jax.value_and_grad(loss)(state.params)
    return state, (grads, {"g_loss": g_loss})


def complete(
    net: Net, variables: Mapping[str, Any], maps: Maps, key: jax.Array | None = None
) -> Float[Array, "b k s p"]:
    """The probability of each placement about each line of a sherd; nothing is drawn."""
    return jax.nn.softmax(_scores(net.module, variables, maps), axis=(1, 2, 3))


def _scores(module: nn.Module, variables: Mapping[str, Any], maps: Maps) -> Float[Array, "b k s p"]:
    scores: Any = module.apply(variables, maps.reshape(-1, *maps.shape[2:]))
    return scores.reshape(*maps.shape[:2], *scores.shape[1:])
