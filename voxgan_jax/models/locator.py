"""The network that tells where a sherd lay in its pot: scores of placements about a line.

It sees what the sherd shows of the profile about that line (`placement.axis_maps`), at a scale that
only the thickness of the wall tells. Scores of several lines compare.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float

from voxgan_jax.models.profile import ProfileBlock, fold

CUBE = 64
"""The side of the cube in voxels in which placements are counted; pots fill it to 62."""

SCALES = np.linspace(-0.6, 0.6, 17)
"""Logarithms of a voxel's side, in units of a sherd whose wall would be the usual one."""
PLACES = np.arange(1.0, CUBE, 2.0)
"""Heights of the middle of the sherd above the bottom of the cube, in voxels."""


class Model(nn.Module):
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


def from_config(config: Any) -> Model:
    """From the `generator` of the config of a run, or the `locator` of older weights."""
    return Model(features=config.features, bottleneck=config.bottleneck)


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
