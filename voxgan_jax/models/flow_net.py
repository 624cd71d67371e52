"""The network behind `profile_flow`: from a noisy half section and a sherd's evidence to the pot's.

Maps lie over height and radius as those of `profile`; a half section has two rows a height, which
enter and leave as channels of one.
"""

import functools
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from voxgan_jax.models.profile import NUM_LEVELS, fold, unfold

_WIDTHS = (1, 2, 6)  # times `features`: what is coarse costs little
_NUM_MIXERS = 3
_HEADS = 4
_TIME = 128  # numbers that tell the time
_FINE = 16  # channels at full resolution

Maps = Float[Array, "b w ring c"]
Rows = Float[Array, "b rows ring"]


class FlowNet(nn.Module):
    """A U-Net whose blocks are told the time; attention between all places of its coarsest level.

    So a rim tells something about the foot. `features` are the channels at half the resolution.
    """

    features: int = 32
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, maps: Maps, noisy: Rows, time: Float[Array, " b"]) -> tuple[Rows, Rows]:
        """The clean half section behind a noisy one, and an answer that needs none; in float32.

        Args:
            maps: `profile.evidence`.
            noisy: in the clean one's unit.
            time: from 0, where `noisy` is noise alone, to 1, where it is clean.

        Raises:
            ValueError: heights or rings are no multiple of 8.
        """
        if any(size % 2**NUM_LEVELS for size in maps.shape[1:3]):
            raise ValueError(f"heights and rings must be multiples of 8: {maps.shape[1:3]}")
        dense = functools.partial(nn.Dense, dtype=self.dtype)
        time = frequencies(time).astype(self.dtype)
        time = nn.silu(dense(_TIME, name="time1")(nn.silu(dense(_TIME, name="time0")(time))))
        block = functools.partial(TimedBlock, self.dtype)
        widths = [self.features * width for width in _WIDTHS]
        seen = jnp.concatenate([maps, _halves(noisy)], axis=-1).astype(self.dtype)
        x, skips = seen, []
        for level, width in enumerate(widths):
            x = block(name=f"down{level}")(dense(width, name=f"fold{level}")(fold(x)), time)
            skips.append(x)
        x = self._mixed(x)
        x = block(name="middle")(x, time)
        for level in reversed(range(NUM_LEVELS - 1)):
            x = unfold(dense(4 * widths[level], name=f"unfold{level}")(x))
            x = dense(widths[level], name=f"join{level}")(jnp.concatenate([x, skips[level]], -1))
            x = block(name=f"up{level}")(x, time)
        # The finest lines come from what was seen.
        x = unfold(dense(4 * _FINE, name="unfold")(nn.silu(x)))
        x = nn.Conv(_FINE, (3, 3), dtype=self.dtype, name="fine")(jnp.concatenate([x, seen], -1))
        x = nn.silu(x).astype(jnp.float32)
        clean = nn.Dense(2, name="clean")(x)
        # Nearly all is far from clay.
        quick = nn.Dense(2, bias_init=nn.initializers.ones, name="quick")(x)
        return _rows(clean), _rows(quick)

    def _mixed(self, x: Maps) -> Maps:
        """Each place of the coarsest level having heard of every other."""
        b, w, rings, channels = x.shape
        tokens = x.reshape(b, w * rings, channels)
        place = self.param("place", nn.initializers.normal(0.02), (1, w * rings, channels))
        tokens = tokens + place.astype(self.dtype)
        norm = functools.partial(nn.LayerNorm, dtype=self.dtype)
        for n in range(_NUM_MIXERS):
            y = norm(name=f"norm{n}")(tokens)
            attend = nn.MultiHeadDotProductAttention(_HEADS, self.dtype, name=f"attention{n}")
            tokens = tokens + attend(y)
            y = nn.Dense(3 * channels, dtype=self.dtype, name=f"wide{n}")(
                norm(name=f"norm_wide{n}")(tokens)
            )
            tokens = tokens + nn.Dense(channels, dtype=self.dtype, name=f"narrow{n}")(nn.silu(y))
        return tokens.reshape(x.shape)


class TimedBlock(nn.Module):
    """A `profile.ProfileBlock` that is scaled and shifted in its middle, as the time says."""

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Maps, time: Float[Array, "b t"]) -> Maps:
        channels = x.shape[-1]
        y = nn.Conv(channels, (3, 3), dtype=self.dtype)(nn.silu(x))
        told = nn.Dense(2 * channels, dtype=self.dtype, kernel_init=nn.initializers.zeros)(time)
        scale, shift = jnp.split(told[:, None, None, :], 2, axis=-1)
        y = nn.Conv(channels, (3, 3), dtype=self.dtype)(nn.silu(y + y * scale + shift))
        rate = self.param("scale", nn.initializers.constant(0.3), (), jnp.float32)
        return x + y * rate.astype(self.dtype)


def frequencies(time: Float[Array, " b"]) -> Float[Array, "b 16"]:
    """Sines and cosines that tell a time from 0 to 1."""
    turns = time[:, None] * jnp.pi * (2.0 ** jnp.arange(-1.0, 7.0, dtype=jnp.float32))[None]
    return jnp.concatenate([jnp.sin(turns), jnp.cos(turns)], axis=1)


def _halves(rows: Rows) -> Float[Array, "b rows//2 ring 2"]:
    """The two rows of a height as two channels."""
    b, count, rings = rows.shape
    return rows.reshape(b, count // 2, 2, rings).transpose(0, 1, 3, 2)


def _rows(halves: Float[Array, "b w ring 2"]) -> Float[Array, "b 2*w ring"]:
    """The reverse of `_halves`."""
    b, w, rings, _ = halves.shape
    return halves.transpose(0, 1, 3, 2).reshape(b, 2 * w, rings)
