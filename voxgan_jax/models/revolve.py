"""The axis-aware generator: a profile is completed, turned about the axis, and corrected in 3D."""

import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from voxgan_jax import models
from voxgan_jax.geometry import rings, wheel
from voxgan_jax.models import Keys, Volume
from voxgan_jax.models.axis import AxisNet, find_axis, likely_axes
from voxgan_jax.models.layers import of_form
from voxgan_jax.models.profile import ProfileNet, evidence

OUTPUT = "probability"

_SURE = 1e-4
"""Profiles keep this far from 0 and 1, so that a correction can still turn every voxel."""


class Model(nn.Module):
    """Completes a wheel-made pot through its profile.

    The fragment's voxels are gathered in rings about the axis (`evidence`), a 2D network completes
    the profile (`ProfileNet`), which is turned about the axis again; where `residual_features` is
    above 0, a light 3D network (`ResidualNet`) corrects what is not round. Given voxels are kept:
    their probability is 1.

    `features` and `bottleneck` are those of the profile network, `ring_width` is in voxels, `dtype`
    that of the computation; rings, probabilities and parameters are float32.

    `axis` "centre" takes the middle of the cube for the pot's axis. "found" looks for the axis
    (`AxisNet`, `rate_axes`), no farther than `axis_within` voxels from the middle, or anywhere
    where that is 0; `axis_trust` is what the fragment's own roundness counts there beside the net.
    The profile is completed about each of the `axis_average` likeliest axes, and the answer is the
    mean, each by its likelihood. In training the axis is the complete pot's (`rings.round_axis`).

    `only_residual` trains the 3D network alone, on what it is given in use: the profile as it is,
    about axes that are found, with their errors.
    """

    CHOICES: ClassVar = {"axis": ("centre", "found")}

    features: int = 16
    bottleneck: int = 256
    ring_width: float = wheel.RING_WIDTH
    residual_features: int = 0
    only_residual: bool = False
    axis: str = "centre"
    axis_within: float = 0.0
    axis_trust: float = 1.0
    axis_average: int = 1
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
        axis: Float[Array, "b 2"] | None = None,
    ) -> Volume:
        """The completed pot, probabilities in float32.

        Args:
            train: leave the profile's logits and the axis in the collection `OUTPUTS`.
            complete: in training, the truth, for parts that learn from it in their own way.
            keys: a random key for each example, for parts that draw. Outside training an axis that
                is looked for is drawn too, see `find_axis`.
            axis: where it stands, in voxel centres of the first two axes, for who knows it.
        """
        truth = complete if train and not self.only_residual else None
        axes, shares = self._axes(partial, axis, truth, None if self.only_residual else keys)
        count = axes.shape[1]
        rows = jnp.repeat(partial, count, axis=0)
        weights = rings.ring_weights(partial.shape[1], axes.reshape(-1, 2), width=self.ring_width)
        maps = evidence(rows, weights)
        code = self._code(maps, weights, truth, keys)
        logits = ProfileNet(self.features, self.bottleneck, self.dtype, name="profile")(maps, code)
        prior = rings.revolve(jax.nn.sigmoid(logits), weights)
        if count > 1:
            each = prior.reshape(-1, count, *prior.shape[1:])
            prior = jnp.einsum("bn,bn...->b...", shares, each, precision="highest")
        # The likeliest axis comes first.
        maps, logits, weights = maps[::count], logits[::count], weights[::count]
        if self.only_residual:
            prior, maps, logits = jax.lax.stop_gradient((prior, maps, logits))
        prior = jnp.clip(prior, _SURE, 1.0 - _SURE)
        logit = jnp.log(prior) - jnp.log1p(-prior)
        if self.residual_features:
            net = ResidualNet(self.residual_features, self.conv_form, self.dtype, name="residual")
            # Relative share, height and radius are the second and the last two maps.
            turned = [rings.revolve(maps[..., n], weights) for n in (1, -2, -1)]
            logit = logit + net(jnp.concatenate([partial, logit / 4.0, *turned], axis=-1))
        models.keep(self, profile_logits=logits, axis=axes[:, 0])
        return jnp.where(partial > 0, 1.0, jax.nn.sigmoid(logit))

    def _axes(
        self,
        partial: Array,
        known: Array | None,
        complete: Array | None,
        keys: Array | None,
    ) -> tuple[Float[Array, "n k 2"], Float[Array, "m k"]]:
        """Where the axis may stand, the likeliest first, and how likely that is."""
        only = jnp.ones((1, 1), jnp.float32)
        if known is not None:
            return known[:, None], only
        if self.axis == "centre":
            return rings.centre_axis(partial.shape[1])[:, None], only
        # With pots anywhere, no position is more likely than others.
        net = AxisNet(prior=self.axis_within > 0, dtype=self.dtype, name="axis_net")
        logits = net(partial)
        if complete is not None:
            models.keep(self, axis_logits=logits)
            return rings.round_axis(complete)[:, None], only
        options = {"within": self.axis_within or math.inf, "trust": self.axis_trust}
        if keys is None:
            return likely_axes(logits, partial, count=self.axis_average, **options)
        # Not the number that a code is drawn with.
        keys = jax.vmap(lambda key: jax.random.fold_in(key, 1))(keys)
        return find_axis(logits, partial, keys=keys, **options)[:, None], only

    def _code(
        self, maps: Array, weights: Array, complete: Array | None, keys: Array | None
    ) -> Array | None:
        """What the profile network is told besides the evidence."""
        return None


class ResidualNet(nn.Module):
    """What a solid of revolution cannot say: a 3D U-Net of three levels, 5 volumes in (fragment,
    revolved profile and evidence, height and radius), a correction of the logit out, none at first.

    `features` is b in b, 2b, 4b, the channels at 1/2, 1/4 and 1/8 of the side. Without batch norm,
    so that training and use do the same.
    """

    features: int = 16
    conv_form: str = "auto"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, volumes: Float[Array, "b d h w c"]) -> Float[Array, "b d h w 1"]:
        """In float32. Raises ValueError where a side of the grid is no multiple of 8."""
        if any(side % 8 for side in volumes.shape[1:4]):
            raise ValueError(f"sides of the grid must be multiples of 8: {volumes.shape[1:4]}")
        down, same, up = of_form(self.conv_form, self.dtype)
        b = self.features
        x, skips = volumes.astype(self.dtype), []
        for n, features in enumerate((b, 2 * b, 4 * b), start=1):
            x = nn.silu(down(features, name=f"enc{n}_conv")(x))
            skips.append(x)
        x = x + nn.silu(same(4 * b, name="middle_conv")(x))
        for n, skip in enumerate(reversed(skips[:-1]), start=1):
            x = nn.silu(up(skip.shape[-1], name=f"dec{n}_conv")(x))
            x = jnp.concatenate([x, skip], axis=-1)
        x = up(1, name="final_conv")(x).astype(jnp.float32)
        # Starts as no correction at all.
        return x * self.param("gain", nn.initializers.zeros, (), jnp.float32)
