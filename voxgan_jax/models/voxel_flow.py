"""Pots drawn voxel by voxel: rectified flow from noise to the whole grid, told of a sherd.

The paper names diffusion as what is to come. Of its kinds this is the one with straight paths (Liu,
Gong and Liu, "Flow Straight and Fast", ICLR 2023), which are followed in few steps; the sherd is
one of the network's inputs, as in DiffComplete (Chu et al., NeurIPS 2023). What flows is the pot's
occupancy as -1 in clay and 1 in the air, or its signed distance in units of its bound.
"""

import functools
from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Key

from voxgan_jax import models
from voxgan_jax.devices import accelerator
from voxgan_jax.geometry import distance
from voxgan_jax.models import OUTPUTS, SDF_BOUND, Keys, Volume
from voxgan_jax.models.flow_net import frequencies
from voxgan_jax.models.layers import of_form
from voxgan_jax.models.profile_flow import heun, times

OUTPUT = "probability"

TARGETS = ("occupancy", "distance")

_TIME = 64  # numbers that tell the time
_GROUPS = 4  # of channels that are normalised together


class TimedBlock3D(nn.Module):
    """x with two convolutions of it added, between which the time scales and shifts."""

    conv_form: str = "auto"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "b d h w c"], time: Float[Array, "b t"]
    ) -> Float[Array, "b d h w c"]:
        same = of_form(self.conv_form, self.dtype)[1]
        conv = functools.partial(same, x.shape[-1])
        norm = functools.partial(nn.GroupNorm, _GROUPS, dtype=self.dtype)
        y = conv(name="conv1")(nn.silu(norm(name="norm1")(x)))
        told = nn.Dense(2 * x.shape[-1], dtype=self.dtype, name="told")(time)
        scale, shift = jnp.split(told[:, None, None, None, :], 2, axis=-1)
        y = norm(name="norm2")(y) * (1.0 + scale) + shift
        return x + conv(name="conv2")(nn.silu(y))


class Model(nn.Module):
    """A U-Net to an eighth of the side, with blocks at a quarter and an eighth.

    Called, it gives the clean grid behind a noisy one, as a probability: of noise alone that is the
    mean of all pots that the sherd may come from. `fit` draws `draws` of them in `steps` each.
    `features` are the channels at half the side, then twice and four times as many.
    """

    CHOICES: ClassVar = {"target": TARGETS}

    features: int = 16
    target: str = "occupancy"
    draws: int = 4
    steps: int = 6
    conv_form: str = "auto"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self,
        partial: Volume,
        *,
        train: bool,
        complete: Volume | None = None,
        keys: Keys = None,
        noisy: Volume | None = None,
        time: Float[Array, " b"] | None = None,
    ) -> Volume:
        """The completed pot as a probability; in `OUTPUTS` the clean grid, `clean`.

        Args:
            train, complete: change nothing.
            keys: of the noise, where no `noisy` grid is given; None: always the same.
            noisy, time: in the unit of `clean_of`; the time is 0 for noise alone, 1 for the pot.

        Raises:
            ValueError: a side of the grid is no multiple of 8.
        """
        if any(side % 8 for side in partial.shape[1:4]):
            raise ValueError(f"sides of the grid must be multiples of 8: {partial.shape[1:4]}")
        if noisy is None or time is None:
            keys = jax.random.split(jax.random.key(0), len(partial)) if keys is None else keys
            noisy, time = noise(keys, partial.shape[1:]), jnp.zeros(len(partial), jnp.float32)
        bind = functools.partial
        down, _, up = of_form(self.conv_form, self.dtype)
        block = bind(TimedBlock3D, self.conv_form, self.dtype)
        dense = bind(nn.Dense, _TIME, dtype=self.dtype)
        told = frequencies(time).astype(self.dtype)
        told = nn.silu(dense(name="time1")(nn.silu(dense(name="time0")(told))))

        seen = jnp.concatenate([noisy, partial], axis=-1).astype(self.dtype)
        half = nn.silu(down(self.features, name="down1")(seen))
        quarter = block(name="block2")(down(2 * self.features, name="down2")(half), told)
        x = block(name="block3")(down(4 * self.features, name="down3")(nn.silu(quarter)), told)
        x = block(name="middle")(x, told)
        x = up(2 * self.features, name="up3")(nn.silu(x)) + quarter
        x = block(name="block4")(x, told)
        x = nn.silu(up(self.features, name="up2")(nn.silu(x)) + half)
        x = up(1, name="up1")(x).astype(jnp.float32)
        # Near the end what is seen is nearly clean; before it, it is noise.
        clean = x + time[:, None, None, None, None] * noisy
        models.keep(self, clean=clean)
        return jnp.where(partial > 0, 1.0, self.probability(clean))

    def probability(self, clean: Volume) -> Volume:
        """Of clay, by a clean grid."""
        if self.target == "distance":
            return models.probabilities(SDF_BOUND * clean, "sdf")
        return jnp.clip((1.0 - clean) / 2.0, 0.0, 1.0)

    def clean_of(self, complete: Volume) -> Volume:
        """The grid that flows, of a whole pot."""
        if self.target == "distance":
            return distance.signed(complete, int(SDF_BOUND)) / SDF_BOUND
        return 1.0 - 2.0 * complete

    def fit(
        self, variables: Mapping[str, Any], partial: Volume, key: Key[Array, ""] | None = None
    ) -> Volume:
        """The mean of `draws` drawn pots; with none to be drawn, what is answered to noise."""
        key = jax.random.key(0) if key is None else key
        if not self.draws:
            return jnp.asarray(self.apply(variables, partial, train=False))
        one = functools.partial(self.one, variables, partial)
        return jax.lax.map(one, jax.random.split(key, self.draws)).mean(axis=0)

    @accelerator.without_onednn()
    def one(self, variables: Mapping[str, Any], partial: Volume, key: Key[Array, ""]) -> Volume:
        """One pot that each sherd may come from; given voxels are clay at each step."""
        most = -0.5 / SDF_BOUND if self.target == "distance" else -1.0

        def clean(x: Volume, time: Float[Array, ""]) -> Volume:
            _, left = self.apply(
                *(variables, partial),
                **{"train": False, "noisy": x, "time": jnp.broadcast_to(time, len(x))},
                mutable=[OUTPUTS],
            )
            found: Any = left[OUTPUTS]
            return jnp.where(partial > 0, jnp.minimum(found["clean"], most), found["clean"])

        keys = jax.random.split(key, len(partial))
        found = heun(clean, noise(keys, partial.shape[1:]), times(self.steps))
        return jnp.where(partial > 0, 1.0, self.probability(found))


def noise(keys: Key[Array, " b"], shape: tuple[int, ...]) -> Volume:
    """Of the normal distribution, a key for each grid."""
    return jax.vmap(lambda key: jax.random.normal(key, shape, jnp.float32))(keys)
