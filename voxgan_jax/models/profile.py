"""From what a fragment says about each height and radius to the profile of the whole pot."""

import functools
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from voxgan_jax.geometry.rings import ring_sizes, ring_sums

NUM_LEVELS = 3


def evidence(
    partial: Float[Array, "b d h w 1"], weights: Float[Array, "n column ring"]
) -> Float[Array, "b w ring 8"]:
    """Maps over height and radius of what the fragment tells; `n` is 1 or b.

    The share of each ring that is given; that share relative to the fragment's widest ring of the
    same height (1: a wall that reaches over the whole sector which the fragment covers there; 0:
    nothing of that sector, so probably empty); the count; whether there is anything; how wide the
    sector is; the fragment's size; height and radius.
    """
    count = ring_sums(partial, weights)
    share = count / jnp.maximum(ring_sizes(weights), 1e-6)
    widest = share.max(axis=2, keepdims=True)
    relative = share / jnp.maximum(widest, 1e-6)
    total = jnp.log1p(count.sum(axis=(1, 2)))[:, None, None] / 10.0
    height = jnp.linspace(-1.0, 1.0, count.shape[1])[None, :, None]
    radius = jnp.linspace(0.0, 1.0, count.shape[2])[None, None, :]
    given = (count > 0.25).astype(jnp.float32)
    maps = share, relative, jnp.log1p(count) / 4.0, given, widest, total, height, radius
    return jnp.stack(jnp.broadcast_arrays(*maps), axis=-1)


class ProfileBlock(nn.Module):
    """Twice SiLU and convolution of kernel 3, scaled and added to the input.

    No norm: its sums over the grid would take longer than the convolutions on a CPU. The scale
    begins small, so that the net is near the identity at first (De and Smith 2020).
    """

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b w ring c"]) -> Float[Array, "b w ring c"]:
        y = x
        for _ in range(2):
            y = nn.Conv(x.shape[-1], (3, 3), dtype=self.dtype)(nn.silu(y))
        scale = self.param("scale", nn.initializers.constant(0.3), (), jnp.float32)
        return x + y * scale.astype(self.dtype)


class ProfileNet(nn.Module):
    """A U-Net over height and radius: evidence maps in, the profile's logits out.

    `features` is b in b, 2b, 4b, the channels at 1/2, 1/4 and 1/8 of heights and rings. Across the
    coarsest level goes a dense code of `bottleneck` numbers, so that every height hears of every
    other: a rim tells something about the foot.
    """

    features: int = 32
    bottleneck: int = 256
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, maps: Float[Array, "b w ring c"], code: Float[Array, "b z"] | None = None
    ) -> Float[Array, "b w ring"]:
        """Logits in float32. `code`, if any, is added to the dense code.

        Raises ValueError where height or rings are no multiple of 8.
        """
        if any(size % 2**NUM_LEVELS for size in maps.shape[1:3]):
            raise ValueError(f"heights and rings must be multiples of 8: {maps.shape[1:3]}")
        dense = functools.partial(nn.Dense, dtype=self.dtype)
        block = functools.partial(ProfileBlock, self.dtype)
        maps = maps.astype(self.dtype)
        x, skips = maps, []
        for level in range(NUM_LEVELS):
            x = dense(self.features << level, name=f"fold{level}")(fold(x))
            x = block(name=f"down{level}")(x)
            skips.append(x)
        x = x + self._across(x, code)
        x = block(name="middle")(x)
        for level in reversed(range(NUM_LEVELS - 1)):
            x = unfold(dense(4 * (self.features << level), name=f"unfold{level}")(x))
            joined = jnp.concatenate([x, skips[level]], axis=-1)
            x = block(name=f"up{level}")(dense(self.features << level, name=f"join{level}")(joined))
        # The finest lines come from the maps themselves.
        x = unfold(dense(4 * maps.shape[-1], name="unfold")(nn.silu(x)))
        x = nn.silu(nn.Conv(8, (3, 3), dtype=self.dtype, name="fine")(x + maps))
        logits = nn.Dense(1, bias_init=nn.initializers.constant(-2.0), name="logits")
        return logits(x.astype(jnp.float32))[..., 0]

    def _across(self, x: Array, code: Array | None) -> Array:
        """What the dense code hands to each place of the coarsest level."""
        b, w, rings, channels = x.shape
        dense = functools.partial(nn.Dense, dtype=self.dtype)
        y = dense(channels // 2, name="squeeze")(nn.silu(x)).reshape(b, -1)
        y = nn.silu(dense(self.bottleneck, name="gather")(y))
        y = dense(self.bottleneck, name="code")(y)
        if code is not None:
            y = y + dense(self.bottleneck, use_bias=False, name="told")(code.astype(self.dtype))
        y = nn.silu(y)
        y = nn.silu(dense(w * rings * (channels // 2), name="scatter")(y))
        return dense(channels, name="expand")(y.reshape(b, w, rings, -1))


def fold(x: Float[Array, "b w r c"]) -> Float[Array, "b w//2 r//2 4*c"]:
    """Four cells of heights and rings into one with four times the channels."""
    b, w, r, c = x.shape
    x = x.reshape(b, w // 2, 2, r // 2, 2, c).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(b, w // 2, r // 2, 4 * c)


def unfold(x: Float[Array, "b w r c"]) -> Float[Array, "b 2*w 2*r c//4"]:
    """The reverse of `fold`."""
    b, w, r, c = x.shape
    x = x.reshape(b, w, r, 2, 2, c // 4).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(b, 2 * w, 2 * r, c // 4)
