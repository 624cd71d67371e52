"""What a run starts from: its data and its first state."""

import dataclasses
import importlib
from collections.abc import Mapping
from typing import Any

import flax.traverse_util
import jax
import jax.numpy as jnp
from absl import logging

from voxgan_jax import fields
from voxgan_jax.data.feed import Feed
from voxgan_jax.models import weights
from voxgan_jax.training.objectives import Objective
from voxgan_jax.training.state import TrainState, Tree

SOURCES = {
    "tfdata": "voxgan_jax.data.pipeline",
    "resident": "voxgan_jax.data.resident",
    "sherds": "voxgan_jax.training.sherds",
}
"""The modules whose `open_feed(config, mesh)` reads the data, by `config.data.source`."""


def open_feed(config: Any, mesh: jax.sharding.Mesh) -> Feed:
    """The feed of a config. Only the module that it needs is imported.

    Raises:
        ValueError: an unknown `config.data.source`, or data that does not suit the config.
        FileNotFoundError: no data there.
    """
    name = config.data.source
    module = fields.choose(SOURCES, "config.data.source", name)
    if not config.data.dir:
        raise ValueError("config.data.dir is empty; name a folder or a file of pots")
    for field in ("synthetic_pots", "profiles"):
        if config.data[field] and name != "resident":
            raise ValueError(
                f"config.data.{field} are made for data that the devices hold: set"
                f" config.data.source=resident, or it to {type(config.data[field])()}"
            )
    try:
        module = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"config.data.source={name} needs {error.name}: pip install 'voxgan_jax[train]', or set"
            " config.data.source=resident, which does without"
        ) from error
    return module.open_feed(config, mesh)


def initial_state(config: Any, objective: Objective) -> TrainState:
    """The state of a run before its first step; follows from `config.seed`.

    Parameters and batch statistics that the weights file `config.train.init_weights` has, if one is
    named, are taken over.
    """
    rng, source = jax.random.key(config.seed), config.train.init_weights
    nets = objective.init(rng)
    net = nets["generator"]
    if config.generator.get("only_bricks") and not source:
        raise ValueError("config.generator.only_bricks needs config.train.init_weights")
    if source:
        taken = take_over(net.variables(), weights.load(source)[0], source)
        net = dataclasses.replace(net, params=taken["params"]).moved(taken)
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        rng=jax.random.split(rng, 3)[2],
        nets=nets | {"generator": net},
        # Not the same arrays: the step gives up the memory of each.
        ema_params=jax.tree.map(jnp.array, net.params) if config.train.ema_decay > 0 else {},
    )


def take_over(variables: Mapping[str, Tree], known: Mapping[str, Tree], source: str) -> Tree:
    """`variables` with the arrays of `known` in their places where name and shape agree.

    A generator that refines another's answer (`bricks`) takes those of that one, too.

    Raises:
        ValueError: no parameters agree; `source` names where they come from.
    """
    ours: dict[Any, Any] = flax.traverse_util.flatten_dict(dict(variables))
    theirs: dict[Any, Any] = flax.traverse_util.flatten_dict(
        {collection: {"coarse": tree} | tree for collection, tree in known.items()}
    )
    taken = {
        name: jnp.asarray(theirs[name], value.dtype)
        for name, value in ours.items()
        if name in theirs and theirs[name].shape == value.shape
    }
    if not any(collection == "params" for collection, *_ in taken):
        raise ValueError(f"{source}: none of its parameters belongs to this generator")
    logging.info("%s: %d of %d arrays taken over.", source, len(taken), len(ours))
    return flax.traverse_util.unflatten_dict(ours | taken)
