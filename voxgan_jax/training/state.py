"""What a run carries from step to step: arrays only."""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

Tree = Any
"""A tree of arrays. Transformations put other things in its places, so it has no narrower type."""


@flax.struct.dataclass
class NetState:
    """One network and its optimiser."""

    params: Tree
    batch_stats: Tree
    spectral_stats: Tree
    opt_state: Tree

    def variables(self, params: Tree | None = None) -> dict[str, Tree]:
        """The collections that `Module.apply` takes, with other `params` where given."""
        return {
            "params": self.params if params is None else params,
            "batch_stats": self.batch_stats,
            "spectral_stats": self.spectral_stats,
        }


@flax.struct.dataclass
class TrainState:
    """Both networks, the step count (int32), the run's random key, averaged generator parameters.

    The key never changes: the randomness of a step is `fold_in(rng, step)`. `ema_params` is empty
    where no average is kept.
    """

    step: Tree
    rng: Tree
    generator: NetState
    discriminator: NetState
    ema_params: Tree


def create_state(
    rng: jax.Array,
    *,
    generator: nn.Module,
    discriminator: nn.Module,
    tx_g: optax.GradientTransformation,
    tx_d: optax.GradientTransformation,
    resolution: int,
    keep_ema: bool = False,
) -> TrainState:
    """The state before the first step, for cubes of side `resolution`; may be traced."""
    rng_g, rng_d, rng_run = jax.random.split(rng, 3)
    volume = jnp.zeros((1, resolution, resolution, resolution, 1), jnp.float32)
    net_g = _create_net(generator, tx_g, rng_g, volume)
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        rng=rng_run,
        generator=net_g,
        discriminator=_create_net(discriminator, tx_d, rng_d, volume),
        ema_params=net_g.params if keep_ema else {},
    )


def _create_net(
    module: nn.Module, tx: optax.GradientTransformation, rng: jax.Array, volume: jax.Array
) -> NetState:
    variables = module.init(rng, volume, train=False)
    return NetState(
        params=variables["params"],
        batch_stats=variables.get("batch_stats", {}),
        spectral_stats=variables.get("spectral_stats", {}),
        opt_state=tx.init(variables["params"]),
    )


def inference_variables(state: TrainState) -> dict[str, Tree]:
    """The generator's collections for completing: averaged parameters where there are any."""
    return state.generator.variables(state.ema_params or None)
