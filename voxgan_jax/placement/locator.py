"""Where the axis was, how big the pot, at what height the sherd lay, which end is up: one network.

It sees what the sherd shows of the profile about a line, at a scale that only the thickness of the
wall tells, and scores all placements about that line at once. Scores of several lines compare: it
was trained to find the pot's axis among others, on fragments of the pots that the package's weights
were trained on (scripts/train_locator.py).
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

SCALES = np.linspace(-0.6, 0.6, 17)
"""Logarithms of a voxel's side, in units of a sherd whose wall would be the usual one."""
PLACES = np.arange(1.0, CUBE, 2.0)
"""Heights of the middle of the sherd above the bottom of the cube, in voxels."""

NAME = "locator.safetensors"

AT_ONCE = 128
"""Maps that the network is given at once."""

Locate = Callable[[Float[np.ndarray, "b h r 2"]], Float[np.ndarray, "b 2 s p"]]


class LocatorNet(nn.Module):
    """Scores of scales and places, were the upper end of the map the rim's."""

    features: int = 24
    bottleneck: int = 192

    @nn.compact
    def __call__(self, maps: Float[Array, "b h r 2"]) -> Float[Array, "b s p"]:
        x = _inputs(maps)
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


def _inputs(maps: Float[Array, "b h r 2"]) -> Float[Array, "b h r 6"]:
    """What there is at each height and radius, also as a share of the sector that the sherd has."""
    counts = maps[..., 0]
    _, heights, rings = counts.shape
    radius = jnp.arange(rings, dtype=jnp.float32)[None, None] + 0.5
    share = counts / (2 * np.pi * radius)
    widest = share.max(axis=2, keepdims=True)
    parts = [
        share / jnp.maximum(widest, 1e-4),
        jnp.log1p(counts) / 3.0,
        jnp.sqrt(widest),
        radius / rings,
        jnp.linspace(-1.0, 1.0, heights)[None, :, None],
        maps[..., 1],
    ]
    return jnp.stack([jnp.broadcast_to(part, counts.shape) for part in parts], axis=-1)


def both_ways(
    net: LocatorNet, variables: weights.Variables, maps: Float[Array, "b h r 2"]
) -> Float[Array, "b 2 s p"]:
    """Scores of all placements: the map as it is (the rim above) and upside down."""
    stacked = jnp.concatenate([maps, jnp.flip(maps, 1)])
    scores = jnp.asarray(net.apply(variables, stacked)).astype(jnp.float32)
    return scores.reshape(2, len(maps), len(SCALES), len(PLACES)).swapaxes(0, 1)


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

    def locate(maps: Float[np.ndarray, "b h r 2"]) -> Float[np.ndarray, "b 2 s p"]:
        scores = np.empty((len(maps), 2, len(SCALES), len(PLACES)), np.float32)
        for start in range(0, len(maps), AT_ONCE):
            some = maps[start : start + AT_ONCE]
            full = np.zeros((AT_ONCE, *some.shape[1:]), np.float32)
            full[: len(some)] = some
            scores[start : start + len(some)] = compiled(variables, full)[: len(some)]
        return scores

    return locate
