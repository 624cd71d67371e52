"""What a run carries from step to step: arrays only."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.struct
import jax
import optax
from flax import linen as nn

Tree = Any
"""A tree of arrays. Transformations put other things in its places, so it has no narrower type."""


class Net(NamedTuple):
    """A network and its optimiser; `output` is what its grid is, see `models.probabilities`."""

    module: nn.Module
    tx: optax.GradientTransformation
    output: str = "probability"


@flax.struct.dataclass
class NetState:
    """The arrays of one network and of its optimiser."""

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

    def moved(self, left: Mapping[str, Tree]) -> "NetState":
        """With the statistics among the collections that a pass in training mode left."""
        return dataclasses.replace(
            self,
            batch_stats=left.get("batch_stats", self.batch_stats),
            spectral_stats=left.get("spectral_stats", self.spectral_stats),
        )


@flax.struct.dataclass
class TrainState:
    """The networks by name, the step count (int32), the run's random key, averaged parameters.

    The key never changes: the randomness of a step is `fold_in(rng, step)`. The network
    "generator", which every objective has, is the one whose weights a run leaves; `ema_params` are
    the averaged parameters of it, or empty where no average is kept.
    """

    step: Tree
    rng: Tree
    nets: dict[str, NetState]
    ema_params: Tree

    def variables(self) -> dict[str, Tree]:
        """The generator's collections for completing: averaged parameters where there are any."""
        return self.nets["generator"].variables(self.ema_params or None)


def create_net(net: Net, rng: jax.Array, *example: jax.Array, **fields: Any) -> NetState:
    """A network before the first step, for inputs like `example`; may be traced."""
    variables = net.module.init(rng, *example, **fields)
    return NetState(
        params=variables["params"],
        batch_stats=variables.get("batch_stats", {}),
        spectral_stats=variables.get("spectral_stats", {}),
        opt_state=net.tx.init(variables["params"]),
    )
