"""Ways to train, one module each, found by name: `config.objective`.

A module has

- `networks(config, axis_name)`: modules by name, and what their grids are (`models.probabilities`);
- `init(rng, config, nets)`: their arrays before the first step. Of `jax.random.split(rng, 3)` the
  last key is the run's; networks are drawn from the others;
- `options(config)`, where its step takes more from the config;
- `step(state, batch, *, nets, ema_decay, accumulate_steps, axis_name, **options)`: the next state
  and the scalars of the step; a pure function, which sees its device's rows. In its place, where
  only the generator learns, `learn(net, state, examples, **options)`, see `updates.generator_step`;
- `complete(net, variables, partial, key=None)`: the generator's probabilities, in evaluation mode;
  `key` is for answers that are drawn.
"""

import functools
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
from jaxtyping import Array, Float

from voxgan_jax import fields
from voxgan_jax.devices import parallel
from voxgan_jax.training import optimisers, updates
from voxgan_jax.training.state import Net, NetState, TrainState
from voxgan_jax.training.updates import Scalars

Nets = Mapping[str, Net]
"""Networks by name: "generator", of which a run leaves the weights, "discriminator", "critic"."""


class Objective(NamedTuple):
    """What loop, checkpoints, devices and evaluation know: a module's functions with all but arrays
    bound, `init(rng)`, `step(state, batch)`, `complete(variables, partial, key)`."""

    nets: Nets
    init: Callable[[jax.Array], dict[str, NetState]]
    step: Callable[[TrainState, Mapping[str, Any]], tuple[TrainState, Scalars]]
    complete: Callable[..., Float[Array, "b *shape"]]


def build(
    config: Any, nets: Nets | None = None, *, axis_name: str | None = parallel.DATA_AXIS
) -> Objective:
    """The objective of a config.

    Args:
        nets: others than those of the config.
        axis_name: over which step and networks average; None where a step sees the whole batch.

    Raises:
        ValueError: no such objective, the known ones are named; or a value that it does not know.
    """
    name, known = config.objective, sorted(info.name for info in pkgutil.iter_modules(__path__))
    fields.require(known, "config.objective", name)
    module, bind = importlib.import_module(f"{__name__}.{name}"), functools.partial
    nets = nets or {
        net: Net(network, optimisers.build(config, net), output)
        for net, (network, output) in module.networks(config, axis_name).items()
    }
    generator, options = nets["generator"], getattr(module, "options", lambda _: {})(config)
    if hasattr(module, "learn"):
        learn = bind(module.learn, generator, **options)
        step = bind(updates.generator_step, net=generator, learn=learn)
    else:
        step = bind(module.step, nets=nets, **options)
    step = bind(
        step,
        ema_decay=config.train.ema_decay,
        accumulate_steps=config.train.accumulate_steps,
        axis_name=axis_name,
    )
    init = bind(module.init, config=config, nets=nets)
    return Objective(nets, init, step, bind(module.complete, generator))
