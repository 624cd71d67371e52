"""Twice the resolution for little more: a coarse answer, refined where there is a surface.

Another model completes the sherd at half the resolution; its answer, enlarged, is corrected in the
bricks in which it is least sure, by convolutions that see these bricks and the kept ones beside.
They work on cells of 2³ voxels, whose channels are the voxels (Shi et al., CVPR 2016).
"""

import functools
import math
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Float

from voxgan_jax import models
from voxgan_jax.geometry import bricks
from voxgan_jax.models import Keys, Volume
from voxgan_jax.models.kernel_gradient import LAYOUT
from voxgan_jax.models.layers import Conv
from voxgan_jax.models.rearrange import depth_to_space, space_to_depth

OUTPUT = "logits"

_INSIDE = functools.partial(
    lax.conv_general_dilated, window_strides=(1, 1, 1), padding="VALID", dimension_numbers=LAYOUT
)

_UNIT = 4.0  # logits that are 1 for the convolutions
_FINEST = 1e-4  # a probability is no nearer to 0 and 1: logits stay finite, and their slopes alive


class Model(nn.Module):
    """Completes cubes whose side is a multiple of 32.

    `coarse` answers at half the side with a grid that is `coarse_output`. `count` bricks of 8³
    voxels of each cube are refined, by three convolutions of `brick_features` channels.
    `only_bricks` trains these alone: the coarse answer stays as it is.
    """

    coarse: nn.Module
    coarse_output: str = "probability"
    count: int = 2048
    brick_features: int = 16
    only_bricks: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, partial: Volume, *, train: bool, complete: Volume | None = None, keys: Keys = None
    ) -> Volume:
        """The completed pot in logits, given voxels clay; in `OUTPUTS` the share of the voxels near
        a coarse surface that no kept brick holds, `overflow`.

        Raises:
            ValueError: a side of the grid is no multiple of 32.
        """
        if any(side % 32 for side in partial.shape[1:4]):
            raise ValueError(f"sides of the grid must be multiples of 32: {partial.shape[1:4]}")
        learns = train and not self.only_bricks
        truth = bricks.halved(complete) if learns and complete is not None else None
        # What stays answers as it will in use: nothing is drawn.
        drawn = keys if learns or not train else None
        grid: Any = self.coarse(bricks.halved(partial), train=learns, complete=truth, keys=drawn)
        half = models.probabilities(grid, self.coarse_output)
        half = lax.stop_gradient(half) if self.only_bricks else half
        half = _FINEST + (1.0 - 2.0 * _FINEST) * half
        start = bricks.doubled(jnp.log(half) - jnp.log1p(-half))
        score = bricks.cut(bricks.doubled(near_surface(half))).sum(axis=(2, 3, 4, 5))
        count = min(self.count, score.shape[1])
        chosen = bricks.choose(lax.stop_gradient(score), count)
        kept = jnp.take_along_axis(score, chosen.places, axis=1).sum(axis=1)
        models.keep(self, overflow=1.0 - kept / jnp.maximum(score.sum(axis=1), 1e-6))
        seen = bricks.take(jnp.concatenate([start / _UNIT, partial], axis=-1), chosen)
        answer = bricks.put(start, self._corrected(seen, chosen), chosen)
        # Nothing else keeps them: losses may leave them out.
        return jnp.where(partial > 0, -math.log(_FINEST), answer)

    def _corrected(
        self, seen: Float[Array, "b k 8 8 8 c"], chosen: bricks.Chosen
    ) -> Float[Array, "b k 8 8 8 1"]:
        """What is added to the logits; nothing at first."""
        x = space_to_depth(seen.astype(self.dtype).reshape(-1, *seen.shape[2:]))
        for n in range(3):
            around = bricks.with_halo(x.reshape(*seen.shape[:2], *x.shape[1:]), chosen)
            each = around.reshape(-1, *around.shape[2:])
            y = nn.silu(Conv(self.brick_features, 3, _INSIDE, self.dtype, name=f"brick{n}")(each))
            x = y if n == 0 else x + y
        last = nn.Dense(8, kernel_init=nn.initializers.zeros, name="correction")
        added = depth_to_space(last(x.astype(jnp.float32)))
        return _UNIT * added.reshape(*seen.shape[:-1], 1)


def near_surface(probability: Volume) -> Volume:
    """4·p·(1 − p), and 1 beside a voxel of the other kind: where refining may change something."""
    clay = (probability > 0.5).astype(jnp.float32)
    around = nn.max_pool(clay, (3, 3, 3), padding="SAME")
    inner = -nn.max_pool(-clay, (3, 3, 3), padding="SAME")
    return jnp.maximum(around - inner, 4.0 * probability * (1.0 - probability))


def from_config(config: Any, axis_name: str | None = None) -> Model:
    """From `config.generator`, whose `coarse` is the kind of the other model."""
    coarse = models.find(config.get("coarse", "unet"))
    inside = models.make(coarse, config, axis_name)
    parts = {"coarse": inside, "coarse_output": coarse.OUTPUT, "count": config.bricks}
    return Model(**models.options(Model, config) | parts)
