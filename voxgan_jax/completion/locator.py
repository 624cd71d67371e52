"""How big a sherd's pot was, where in its height the sherd lay, which end is up: a small network.

It sees what the sherd shows of the profile, at a scale that only the thickness of the wall tells,
and answers with the probabilities of all placements at once. It was trained on fragments of the
pots that the package's weights were trained on (scripts/train_locator.py).
"""

import functools
import importlib.resources
import pathlib
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float

from voxgan_jax.models import weights
from voxgan_jax.models.profile import ProfileBlock, fold

CUBE = 64
"""The side of the cube in voxels in which placements are counted; pots fill it to 62."""

LONGEST = 62
"""Voxels of the longest side of nearly every pot that the model knows."""

USUAL_WALL = 2.9
"""The median thickness of the walls of such pots in voxels, as `sherd_wall.wall` measures it."""

HEIGHTS, RINGS = 96, 64
SCALES = np.linspace(-0.6, 0.6, 17)
"""Logarithms of a voxel's side, in units of a sherd whose wall would be the usual one."""
PLACES = np.arange(1.0, CUBE, 2.0)
"""Heights of the middle of the sherd above the bottom of the cube, in voxels."""

NAME = "locator.safetensors"

Locate = Callable[[Float[np.ndarray, "b h r"]], Float[np.ndarray, "b 2 s p"]]


class LocatorNet(nn.Module):
    """Logits over scales and places, were the upper end of the map the rim's."""

    features: int = 24
    bottleneck: int = 192

    @nn.compact
    def __call__(self, counts: Float[Array, "b h r"]) -> Float[Array, "b s p"]:
        x = _maps(counts)
        for level in range(3):
            x = fold(fold(x)) if level == 0 else fold(x)
            x = nn.silu(nn.Dense(self.features * (level + 1))(x))
            for _ in range(1 + (level == 1)):
                x = ProfileBlock()(x)
        x = nn.Dense(36)(nn.silu(x)).reshape(len(x), -1)
        x = nn.silu(nn.Dense(self.bottleneck)(nn.silu(x)))
        x = x + nn.Dense(self.bottleneck)(nn.silu(nn.Dense(self.bottleneck)(x)))
        x = nn.Dense(len(SCALES) * len(PLACES))(nn.silu(x))
        return x.reshape(-1, len(SCALES), len(PLACES))


def _maps(counts: Float[Array, "b h r"]) -> Float[Array, "b h r 5"]:
    """What there is at each height and radius, also as a share of the sector that the sherd has."""
    _, heights, rings = counts.shape
    radius = jnp.arange(rings, dtype=jnp.float32)[None, None] + 0.5
    share = counts / (2 * np.pi * radius)
    widest = share.max(axis=2, keepdims=True)
    maps = [
        share / jnp.maximum(widest, 1e-4),
        jnp.log1p(counts) / 3.0,
        jnp.sqrt(widest),
        radius / rings,
        jnp.linspace(-1.0, 1.0, heights)[None, :, None],
    ]
    return jnp.stack([jnp.broadcast_to(part, counts.shape) for part in maps], axis=-1)


def both_ways(
    net: LocatorNet, variables: weights.Variables, counts: Float[Array, "b h r"]
) -> Float[Array, "b 2 s p"]:
    """Log-probabilities of all placements: the map as it is (the rim above) and upside down."""
    stacked = jnp.concatenate([counts, jnp.flip(counts, 1)])
    logits = jnp.asarray(net.apply(variables, stacked)).reshape(2, len(counts), -1)
    flat = jax.nn.log_softmax(logits.swapaxes(0, 1).reshape(len(counts), -1).astype(jnp.float32))
    return flat.reshape(len(counts), 2, len(SCALES), len(PLACES))


def profile_map(
    radius: Float[np.ndarray, "n"], height: Float[np.ndarray, "n"], volume: float
) -> Float[np.ndarray, "h r"]:
    """What a sherd has at each height and radius, in cells of one unit; the middle is the middle.

    Args:
        radius, height: of points that fill the sherd evenly.
        volume: of each point.
    """
    middle = (height.max() + height.min()) / 2
    rows = np.floor(height - middle + HEIGHTS / 2).astype(int)
    columns = np.floor(radius).astype(int)
    kept = (rows >= 0) & (rows < HEIGHTS) & (columns < RINGS)
    cells = rows[kept] * RINGS + columns[kept]
    found = np.bincount(cells, minlength=HEIGHTS * RINGS) * volume
    return found.reshape(HEIGHTS, RINGS).astype(np.float32)


def path() -> pathlib.Path:
    """Where the package keeps this network's weights."""
    return pathlib.Path(str(importlib.resources.files("voxgan_jax"))) / "weights" / NAME


@functools.cache
def load(file: pathlib.Path | None = None) -> Locate:
    """The network with its weights, compiled.

    Raises:
        FileNotFoundError, WeightsError: see `weights.load`.
    """
    variables, config = weights.load(file or path())
    net = LocatorNet(**config.locator.to_dict())
    compiled = jax.jit(functools.partial(both_ways, net))

    def locate(counts: Float[np.ndarray, "b h r"]) -> Float[np.ndarray, "b 2 s p"]:
        return np.asarray(compiled(variables, jnp.asarray(counts)))

    return locate
