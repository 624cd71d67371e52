"""The trained weights that come with the package, and the card that says what they are.

The card is a JSON file beside a weights file, of the same name.
"""

import hashlib
import importlib.resources
import json
import math
import pathlib
from typing import Any

from voxgan_jax.inference.confidence import SUSPICIONS, Features
from voxgan_jax.models import weights

Card = dict[str, Any]

NAME = "revolve64.safetensors"
HYPOTHESES = "hypotheses64.safetensors"
"""The model that gives several pots for one sherd."""
LOCATOR = "locator.safetensors"
"""The network that finds out where a sherd lay, see `placement.locator`."""

_WITHOUT = {
    NAME: "this voxgan_jax comes without trained weights; name a file by --weights or a run's"
    " folder by --workdir, or install voxgan_jax again",
    HYPOTHESES: "this voxgan_jax comes without the model of several pots; leave out --hypotheses,"
    " name weights of your own that give several by --weights, or install voxgan_jax again",
}
"""What is missing without a file, and what to do then."""

_RENEW = (
    "put back the card that belongs to the weights, or delete this one; without a card no"
    " confidence is told"
)


_SHAPE = {
    "weights": {"sha256": str},
    "training_data": {"name": str, "source": str, "pots": int},
    "commit": str,
    "limits": [str],
    "confidence": {
        "intercept": float,
        "coefficients": dict.fromkeys(Features._fields, float),
        "bounds": dict.fromkeys(SUSPICIONS, (float, float)),
    },
}
"""Of what kind is what is made use of, where it is there."""


def path(name: str = NAME) -> pathlib.Path:
    """Where the package keeps its weights, whether they are there or not."""
    return pathlib.Path(str(importlib.resources.files("voxgan_jax"))) / "weights" / name


def find(name: str = NAME) -> pathlib.Path:
    """The weights that come with the package.

    Raises:
        FileNotFoundError: it has none of this name.
    """
    wanted = path(name)
    if not wanted.is_file():
        remedy = _WITHOUT.get(name, "install voxgan_jax again")
        raise FileNotFoundError(f"{wanted}: {remedy}")
    return wanted


def is_ours(weights_file: str | pathlib.Path) -> bool:
    """Whether a weights file is one of those that come with the package."""
    return pathlib.Path(weights_file).parent == path().parent


def card_path(weights_file: str | pathlib.Path) -> pathlib.Path:
    """Where the card of a weights file is kept."""
    return pathlib.Path(weights_file).with_suffix(".json")


def read_card(weights_file: str | pathlib.Path) -> Card:
    """The card of a weights file; empty where it has none.

    Raises:
        WeightsError: what is there is no card.
    """
    card = card_path(weights_file)
    if not card.is_file():
        return {}
    try:
        found = json.loads(card.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise weights.WeightsError(f"{card}: not a card in JSON ({error}); {_RENEW}") from error
    if not isinstance(found, dict):
        raise weights.WeightsError(f"{card}: not a card, which is a JSON object; {_RENEW}")
    for name, shape in _SHAPE.items():
        if name in found and not _fits(found[name], shape):
            raise weights.WeightsError(f"{card}: its {name!r} is no card's; {_RENEW}")
    return found


def verified(weights_file: str | pathlib.Path) -> Card:
    """The card of a weights file, with the file's own sha256, which it agrees with.

    Raises:
        FileNotFoundError: no such weights file.
        WeightsError: what is there is no card, or that of another file.
    """
    if not pathlib.Path(weights_file).is_file():
        raise FileNotFoundError(f"{weights_file}: no such weights file")
    card = read_card(weights_file)
    digest = hashlib.sha256(pathlib.Path(weights_file).read_bytes()).hexdigest()
    told = card.get("weights", {})
    if told.get("sha256", digest) != digest:
        raise weights.WeightsError(
            f"{weights_file}: not the file that {card_path(weights_file).name} beside it tells of;"
            f" {_other(weights_file)}"
        )
    return card | {"weights": told | {"sha256": digest}}


def _other(weights_file: str | pathlib.Path) -> str:
    """What to do about a file that is not its card's."""
    if is_ours(weights_file):
        return "install voxgan_jax again"
    return (
        "put back the one of the two that was damaged or altered, or, if these weights are right,"
        " delete the card; without a card no confidence is told"
    )


def _fits(value: Any, shape: Any) -> bool:
    """Whether JSON has a shape, as in `_SHAPE`; what is not there fits."""
    if isinstance(shape, dict):
        held = isinstance(value, dict)
        return held and all(_fits(value[name], shape[name]) for name in shape.keys() & value.keys())
    if isinstance(shape, tuple):
        both = isinstance(value, list) and len(value) == len(shape)
        return both and all(map(_fits, value, shape))
    if isinstance(shape, list):
        return isinstance(value, list) and all(_fits(one, shape[0]) for one in value)
    if shape is float:
        return type(value) in (int, float) and math.isfinite(value)
    return type(value) is shape
