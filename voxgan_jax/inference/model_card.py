"""The trained weights that come with the package, and the card that says what they are.

The card is a JSON file beside a weights file, of the same name.
"""

import importlib.resources
import json
import pathlib
from typing import Any

from voxgan_jax.models import weights

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


def card_path(weights_file: str | pathlib.Path) -> pathlib.Path:
    """Where the card of a weights file is kept."""
    return pathlib.Path(weights_file).with_suffix(".json")


def read_card(weights_file: str | pathlib.Path) -> dict[str, Any]:
    """The card of a weights file; empty where it has none.

    Raises:
        WeightsError: what is there is no card.
    """
    card = card_path(weights_file)
    if not card.is_file():
        return {}
    try:
        found = json.loads(card.read_text(encoding="utf-8"))
    except ValueError as error:
        raise weights.WeightsError(f"{card}: not a card in JSON ({error}); {_RENEW}") from error
    if not isinstance(found, dict):
        raise weights.WeightsError(f"{card}: not a card, which is a JSON object; {_RENEW}")
    return found
