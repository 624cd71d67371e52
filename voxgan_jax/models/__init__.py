"""Networks, one module each, found by name.

A module of a generator, `models/<kind>.py`, has

- `Model(nn.Module)`, called as `model(partial, train=, complete=, keys=)`; `complete` and `keys`
  are given in training, and `keys` also where an answer is to be drawn;
- `OUTPUT`, what its grid is: "probability", "logits" or "sdf", see `probabilities`;
- `from_config(config, axis_name)`, which builds it from `config.generator`, if it is not enough to
  give each of its fields the value that the config has by the same name. `Model.CHOICES` may tell
  what a field can be.

A model that completes otherwise than by one call has the method `fit(variables, partial, key)`. One
that draws has the fields `draws` and `steps`, of `config.sample`. One that makes pots from noise
has `draw(variables, key, count)` and `between(variables, key, count)`, which give its grids, and
draws from `keys` in training.

What else the losses look at it leaves, in training, in the collection `OUTPUTS`.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from typing import Any, cast

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Key

from voxgan_jax import fields
from voxgan_jax.models.conv import find_dtype

Volume = Float[Array, "b d h w 1"]

Keys = Key[Array, " b"] | None
"""A random key for each example, where something is to be drawn."""

OUTPUTS = "outputs"
"""The collection that holds, in training, what else the losses look at."""

SDF_BOUND, SDF_SCALE = 3.0, 0.5
"""In voxels: where signed distances are clipped, and the scale of the logistic function. A voxel
whose centre lies half a voxel inside the wall is clay with a probability of 0.73."""

_RENAMED = {"revolve_hypotheses": "hypotheses"}
"""Kinds of configs and weights files whose module has another name."""

_PROBABILITIES: dict[str, Callable[[Volume], Volume]] = {
    "probability": lambda grid: grid,
    "logits": jax.nn.sigmoid,
    "sdf": lambda grid: jax.nn.sigmoid(-jnp.clip(grid, -SDF_BOUND, SDF_BOUND) / SDF_SCALE),
}


def find(kind: str) -> Any:
    """The module of a kind of generator.

    Raises:
        ValueError: no such kind; the known ones are named.
    """
    name = _RENAMED.get(kind, kind)
    if name not in _names() or not hasattr(_module(name), "OUTPUT"):
        written = {module: kind for kind, module in _RENAMED.items()}
        known = [written.get(n, n) for n in _names() if hasattr(_module(n), "OUTPUT")]
        listing = ", ".join(sorted(known))
        raise ValueError(f"unknown config.generator.kind {kind!r}; known: {listing}")
    return _module(name)


def build(config: Any, *, axis_name: str | None = None) -> nn.Module:
    """The generator of `config`, a mapping with attributes; without `kind` it means "unet".

    Args:
        axis_name: that of pmap, over which batch statistics are shared; None under jit.

    Raises:
        ValueError: an unknown kind, or a value that the model does not know.
    """
    return make(find(config.get("kind", "unet")), config, axis_name)


def make(module: Any, config: Any, axis_name: str | None) -> nn.Module:
    """The generator of a module that `find` gave; otherwise as `build`."""
    if hasattr(module, "from_config"):
        return module.from_config(config, axis_name)
    return module.Model(**options(module.Model, config, axis_name))


def options(model: type[nn.Module], config: Any, axis_name: str | None = None) -> dict[str, Any]:
    """The fields of a model that have the names of fields of `config`, and `axis_name`, if it has.

    Weights from before a field was added lack it, and mean its default.

    Raises:
        ValueError: an unknown dtype, or a value that is none of the model's `CHOICES`.
    """
    names = model.__dataclass_fields__.keys()
    found = {name: config[name] for name in config if name in names}
    for name, known in getattr(model, "CHOICES", {}).items():
        fields.require(known, f"config.generator.{name}", found.get(name, known[0]))
    shared = {"axis_name": axis_name} if "axis_name" in names else {}
    return found | shared | {"dtype": find_dtype(config.dtype)}


def output(config: Any) -> str:
    """What the grid of the generator of `config` is, a name that `probabilities` knows."""
    return find(config.get("kind", "unet")).OUTPUT


def probabilities(grid: Volume, kind: str) -> Volume:
    """A generator's grid as the probability of clay in each voxel.

    Args:
        kind: "probability"; "logits"; or "sdf", the signed distance to the wall in voxels, negative
            in clay, which counts within ±`SDF_BOUND`.

    Raises:
        ValueError: no such kind of grid.
    """
    return fields.choose(_PROBABILITIES, "OUTPUT of a model", kind)(grid)


def keep(module: nn.Module, **outputs: Array) -> None:
    """Leave arrays in `OUTPUTS`, where the losses look for them, once the parameters are made."""
    if not module.is_initializing():
        for name, value in outputs.items():
            module.sow(OUTPUTS, name, value, init_fn=lambda v=value: v, reduce_fn=lambda _, v: v)


def complete(
    model: nn.Module,
    kind: str,
    variables: Mapping[str, Any],
    partial: Volume,
    key: Key[Array, ""] | None = None,
) -> Volume:
    """The probabilities of the completed pots, in evaluation mode; a pure function.

    Args:
        kind: what the model's grid is, see `output`.
        partial: the given voxels in {0, 1}.
        key: for an answer that is drawn, where the model draws; None: the single likeliest one.
    """
    if hasattr(model, "fit"):
        return probabilities(cast(Any, model).fit(variables, partial, key), kind)
    keys = None if key is None else jax.random.split(key, len(partial))
    grid: Any = model.apply(variables, partial, train=False, keys=keys)
    return probabilities(grid, kind)


def sample(
    model: nn.Module,
    kind: str,
    variables: Mapping[str, Any],
    key: Key[Array, ""],
    count: int,
    *,
    between: bool = False,
) -> Volume:
    """The probabilities of so many new pots, made from noise; a pure function.

    Args:
        between: they lead from one new pot to another.

    Raises:
        ValueError: a model that completes sherds and makes no pots from noise.
    """
    if not hasattr(model, "draw"):
        raise ValueError(
            "this model completes sherds and makes no pots from noise; take weights of"
            " config.generator.kind=gan3d"
        )
    make = cast(Any, model).between if between else cast(Any, model).draw
    return probabilities(make(variables, key, count), kind)


def _names() -> list[str]:
    return [info.name for info in pkgutil.iter_modules(__path__)]


def _module(name: str) -> Any:
    return importlib.import_module(f"{__name__}.{name}")
