"""The network that tells where a sherd lay in its pot: scores of placements about a line.

It sees what the sherd shows of the profile about that line (`placement.axis_maps`), at a scale that
only the thickness of the wall tells. Scores of several lines compare.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import lax
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

    def __call__(self, maps: Float[Array, "b h r 2"]) -> Float[Array, "b s p"]:
        return self.scores(_inputs(maps))

    def both_ways(self, maps: Float[Array, "b h r 2"]) -> Float[Array, "b 2 s p"]:
        """Scores of the maps as they are, and upside down."""
        inputs = _inputs(maps)
        # Of these only the height changes: its sign.
        sign = jnp.where(jnp.arange(inputs.shape[-1]) == _HEIGHT, -1.0, 1.0)
        turned = jnp.flip(inputs, 1) * sign.reshape(1, 1, 1, -1)
        scores = self.scores(jnp.concatenate([inputs, turned]))
        return scores.reshape(2, len(maps), *scores.shape[1:]).swapaxes(0, 1)

    @nn.compact
    def scores(self, x: Float[Array, "b h r 6"]) -> Float[Array, "b s p"]:
        """Scores by what `_inputs` gives."""
        for level in range(3):
            # Names as in files of weights from before the first layer was a convolution.
            dense = nn.Dense if level else PatchDense
            x = dense(self.features * (level + 1), name=f"Dense_{level}")(fold(x) if level else x)
            x = nn.silu(x)
            for _ in range(1 + (level == 1)):
                x = ProfileBlock()(x)
        x = nn.Dense(36, name="Dense_3")(nn.silu(x)).reshape(len(x), -1)
        x = nn.silu(nn.Dense(self.bottleneck, name="Dense_4")(nn.silu(x)))
        y = nn.silu(nn.Dense(self.bottleneck, name="Dense_6")(x))
        x = x + nn.Dense(self.bottleneck, name="Dense_5")(y)
        x = nn.Dense(len(SCALES) * len(PLACES), name="Dense_7")(nn.silu(x))
        return x.reshape(-1, len(SCALES), len(PLACES))


class PatchDense(nn.Module):
    """A dense layer over 4 × 4 cells, `fold`ed twice, as the convolution that it is.

    So it takes half the time on a CPU, where most of that went into folding.
    """

    features: int

    @nn.compact
    def __call__(self, x: Float[Array, "b h r c"]) -> Float[Array, "b h//4 r//4 features"]:
        channels = x.shape[-1]
        shape = (16 * channels, self.features)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        # Folded, a cell's place comes as its half and quarter of both sides, not side by side.
        cells = kernel.reshape(2, 2, 2, 2, channels, self.features).swapaxes(1, 2)
        return bias.reshape(1, 1, 1, -1) + lax.conv_general_dilated(
            x,
            cells.reshape(4, 4, channels, self.features),
            window_strides=(4, 4),
            padding="VALID",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )


def from_config(config: Any) -> Model:
    """From the `generator` of the config of a run, or the `locator` of older weights."""
    return Model(features=config.features, bottleneck=config.bottleneck)


_HEIGHT = 4
"""Of what `_inputs` gives the channel of the height, from −1 at the upper end to 1."""


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
