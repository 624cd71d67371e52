"""Where the axis was, how big the pot, at what height the sherd lay, which end is up: one network.

It sees what the sherd shows of the profile about a line, at a scale that only the thickness of the
wall tells, and scores all placements about that line at once. Scores of several lines compare: it
was trained to find the pot's axis among others, on fragments of the pots that the package's weights
were trained on (configs/locator.py).
"""

import functools
import pathlib
import threading
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from voxgan_jax.inference import model_card
from voxgan_jax.models import locator, weights
from voxgan_jax.models.locator import CUBE as CUBE
from voxgan_jax.models.locator import PLACES, SCALES
from voxgan_jax.placement import axis_maps

LONGEST = 62
"""Voxels of the longest side of nearly every pot that the model knows."""

USUAL_WALL = 2.9
"""The median thickness of the walls of such pots in voxels, as `scan.walls.wall` measures it."""

AT_ONCE = 32
"""Maps that the network is given at once: more are slower on a CPU, and fewer calls are full."""

_alone, _loading = threading.Lock(), threading.Lock()
"""Two threads would compile the same twice, or load it; who loads it need not wait till the other
has compiled it."""

Locate = Callable[[Float[np.ndarray, "b h r 2"]], Float[np.ndarray, "b 2 s p"]]


def load(file: pathlib.Path | None = None) -> Locate:
    """The network with its weights, the package's where no others are named, compiled: it scores
    all placements about each line, with the map's upper end above and below.

    Raises:
        FileNotFoundError, WeightsError: see `open_network`.
    """
    with _loading:
        return _load(file)


def warm_up() -> None:
    """Load the package's network and compile it; who asks it meanwhile waits for that."""
    load()(np.zeros((1, axis_maps.HEIGHTS, axis_maps.RINGS, 2), np.float32))


@functools.cache
def _load(file: pathlib.Path | None) -> Locate:
    net, variables, _ = open_network(file or model_card.path(model_card.LOCATOR))

    # Its scores stay the same to the bit, and it is compiled in two thirds of the time.
    options = {"xla_backend_optimization_level": 1} if jax.default_backend() == "cpu" else None

    @functools.partial(jax.jit, compiler_options=options)
    def both_ways(variables: weights.Variables, maps: Float[Array, "b h r 2"]) -> Array:
        scores = net.apply(variables, maps, method="both_ways")
        return jnp.asarray(scores).astype(jnp.float32)

    def locate(maps: Float[np.ndarray, "b h r 2"]) -> Float[np.ndarray, "b 2 s p"]:
        full = np.pad(maps, ((0, -len(maps) % AT_ONCE), *[(0, 0)] * 3))
        none = np.empty((0, 2, len(SCALES), len(PLACES)), np.float32)
        with _alone:
            starts = range(0, len(full), AT_ONCE)
            made = [both_ways(variables, full[start : start + AT_ONCE]) for start in starts]
            # Cut in NumPy: XLA would take 0.1 s to compile a cut of each length.
            return np.concatenate([none, *made])[: len(maps)]

    return locate


def open_network(file: pathlib.Path) -> tuple[locator.Model, weights.Variables, Any]:
    """The network of a weights file, its variables and its config.

    Raises:
        FileNotFoundError, WeightsError: see `weights.open_model` and `model_card.verified`.
    """
    model_card.verified(file)
    return weights.open_model(file, _make, known=model_card.is_ours(file))


def _make(config: Any) -> tuple[locator.Model, tuple[int, ...], dict[str, Any]]:
    made = locator.from_config(config.get("generator") or config.locator)
    return made, (1, axis_maps.HEIGHTS, axis_maps.RINGS, 2), {}
