"""The parts of the axis-aware model, each to be switched by itself to learn what it is worth.

Light to import: the commands of runs are made without JAX.
"""

import ast
import functools
import math
import operator
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import safetensors

from scripts.lib.ablation.session import CONFIG


class NoFullModelError(ValueError):
    """A run that is to be compared with is not trained."""


class Part(NamedTuple):
    """A part of the model: the fields of a config without it, and those that put it in.

    `off_too` is what must change with it where it is left out.
    """

    title: str
    off: Mapping[str, Any]
    on: Mapping[str, Any]
    off_too: Mapping[str, Any] = {}


PARTS = {
    "revolving": Part(
        "revolving",
        off={"generator.kind": "unet"},
        on={"generator.kind": "revolve", "loss.profile_weight": 1.0},
        # There is no profile to learn from: the same loss, on voxels.
        off_too={
            "loss.profile_weight": 0.0,
            "loss.recon": "bce_dice",
            "loss.recon_weight": 1.0,
        },
    ),
    "half_rings": Part(
        "half-voxel rings", off={"generator.ring_width": 1.0}, on={"generator.ring_width": 0.5}
    ),
    "residual": Part(
        "3D stage",
        off={"generator.residual_features": 0},
        # The correction learns from voxels.
        on={
            "generator.residual_features": 8,
            "loss.recon": "bce_dice",
            "loss.recon_weight": 1.0,
        },
    ),
    "adversarial": Part(
        "adversarial term",
        off={"objective": "regression"},
        # Cross-entropy and soft Dice of a pot come to some 0.05 each: about the paper's proportion.
        on={"objective": "gan", "loss.adversarial_weight": 0.01},
    ),
    "augmentation": Part(
        "augmentation",
        off={
            "data.augment": False,
            "data.scale_radius": 0.0,
            "data.scale_height": 0.0,
            "fragments.max_k": 0,
        },
        on={"data.augment": True, "data.scale_radius": 0.15, "data.scale_height": 0.15},
    ),
    "synthetic": Part(
        "synthetic pots", off={"data.synthetic_pots": 0}, on={"data.synthetic_pots": 300}
    ),
}
"""What training can go without."""

AVERAGING = "averaging"
AVERAGING_TITLE = "test-time averaging"
"""The part that only scoring goes without: it is no run of its own."""

FULL = "full"


def has(config: Any, part: Part) -> bool:
    """Whether a config has a part: not all fields are as they are without it."""
    return any(
        functools.reduce(operator.getitem, name.split("."), config) != value
        for name, value in part.off.items()
    )


def switched(config: Any, part: Part) -> tuple[str, dict[str, Any]]:
    """The title of the run in which a part is the other way round, and the fields to set.

    A part that the config has is left out; one that it lacks is put in, so that its worth is told
    either way.
    """
    if has(config, part):
        return f"without {part.title}", {**part.off, **part.off_too}
    return f"with {part.title}", dict(part.on)


def read_overrides(overrides: Sequence[str]) -> dict[str, Any]:
    """`--config.FIELD=VALUE` as fields and values."""
    fields = {}
    for text in overrides:
        name, _, value = text.removeprefix(CONFIG).partition("=")
        try:
            fields[name] = ast.literal_eval(value)
        except (SyntaxError, ValueError):
            fields[name] = value
    return fields


def write_overrides(fields: Mapping[str, Any]) -> list[str]:
    """The inverse of `read_overrides`."""
    return [f"{CONFIG}{name}={value}" for name, value in fields.items()]


def apply(config: Any, fields: Mapping[str, Any]) -> Any:
    """The config with these fields set; it is changed.

    Raises:
        ValueError: it has no such field, or one of another type.
    """
    try:
        config.lock().update_from_flattened_dict(dict(fields))
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{CONFIG}FIELD=VALUE: {error}") from error
    return config


def features_like(run_dir: str | pathlib.Path) -> int:
    """The features of the "unet" generator that has about as many parameters as a trained run.

    It has 6,168,641 with 32 features, and their number grows with the square.

    Raises:
        NoFullModelError: the run is not trained.
    """
    parameters = count_parameters(run_dir)
    return max(round(32 * math.sqrt(parameters / 6_168_641)), 1)


def count_parameters(run_dir: str | pathlib.Path) -> int:
    """How many parameters the generator of a run has, statistics left out.

    Raises:
        NoFullModelError: the run is not trained.
    """
    path = pathlib.Path(run_dir) / "generator.safetensors"
    if not path.is_file():
        raise NoFullModelError(f"{run_dir}: its number of parameters is needed; train it first")
    with safetensors.safe_open(path, framework="numpy") as file:
        names = [name for name in file.keys() if name.startswith("params/")]  # noqa: SIM118
        return sum(math.prod(file.get_slice(name).get_shape()) for name in names)
