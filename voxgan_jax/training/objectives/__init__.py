"""Ways to train, one module each, found by name: `config.objective`.

A module has `build(config, nets=None) -> Objective`, which binds to its functions what they need of
the config. The loop, checkpoints, devices and evaluation know only what is in an `Objective`.
"""

import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
from jaxtyping import Array, Float

from voxgan_jax.training.state import Net, NetState, TrainState
from voxgan_jax.training.updates import Scalars

Nets = Mapping[str, Net]
"""Networks by name: "generator", of which a run leaves the weights, "discriminator", "critic"."""


class Objective(NamedTuple):
    """A way to train, with everything bound but arrays.

    - `init(rng)`: the networks before the first step. Of `jax.random.split(rng, 3)` the last key is
      the run's; the networks are drawn from the others.
    - `step(state, batch)`: the next state and the scalars of the step; a pure function, which
      under pmap sees its device's rows.
    - `complete(variables, partial, key=None)`: the generator's probabilities, in evaluation mode;
      `key` is for answers that are drawn.
    - `sample(variables, key, n)`: as many pots from noise; None where the model makes none.
    """

    nets: Nets
    init: Callable[[jax.Array], dict[str, NetState]]
    step: Callable[[TrainState, Mapping[str, Any]], tuple[TrainState, Scalars]]
    complete: Callable[..., Float[Array, "b *shape"]]
    sample: Callable[..., Float[Array, "n *shape"]] | None = None


def build(config: Any, nets: Nets | None = None) -> Objective:
    """The objective of a config.

    Args:
        nets: others than those of the config.

    Raises:
        ValueError: no such objective, the known ones are named; or a value that it does not know.
    """
    name = f"{__name__}.{config.objective}"
    if not importlib.util.find_spec(name):
        known = ", ".join(sorted(info.name for info in pkgutil.iter_modules(__path__)))
        raise ValueError(f"unknown config.objective {config.objective!r}; known: {known}")
    return importlib.import_module(name).build(config, nets)
