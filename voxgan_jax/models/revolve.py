"""The axis-aware generator: a profile is completed, turned about the axis, and corrected in 3D."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Key

from voxgan_jax.models import rings
from voxgan_jax.models.axis import AxisNet, find_axis
from voxgan_jax.models.profile import ProfileNet, evidence
from voxgan_jax.models.residual import ResidualNet

OUTPUTS = "outputs"
"""The collection that holds, in training, what else the losses look at."""

AXES = ("centre", "found")

_SURE = 1e-4
"""Profiles keep this far from 0 and 1, so that a correction can still turn every voxel."""


class RevolveGenerator(nn.Module):
    """Completes a wheel-made pot through its profile.

    The fragment's voxels are gathered in rings about the axis (`evidence`), a 2D network completes
    the profile (`ProfileNet`), which is turned about the axis again; where `residual_features` is
    above 0, a light 3D network (`ResidualNet`) corrects what is not round. Given voxels are kept:
    their probability is 1.

    `features` and `bottleneck` are those of the profile network, `ring_width` is in voxels, `dtype`
    that of the computation; rings, probabilities and parameters are float32.

    `axis` "centre" takes the middle of the cube for the pot's axis. "found" looks for the axis
    (`AxisNet`, `find_axis`), no farther than `axis_within` voxels from the middle, or anywhere
    where that is 0; `axis_trust` is what the fragment's own roundness counts there beside the net.
    In training it is the middle of the complete pot's box.
    """

    features: int = 16
    bottleneck: int = 256
    ring_width: float = rings.RING_WIDTH
    residual_features: int = 0
    axis: str = "centre"
    axis_within: float = 0.0
    axis_trust: float = 1.0
    conv_form: str = "auto"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self,
        partial: Float[Array, "b d h w 1"],
        *,
        train: bool,
        complete: Float[Array, "b d h w 1"] | None = None,
        keys: Key[Array, " b"] | None = None,
    ) -> Float[Array, "b d h w 1"]:
        """The completed pot, probabilities in float32.

        Args:
            train: leave the profile's logits and the axis in the collection `OUTPUTS`.
            complete: in training, the truth, for parts that learn from it in their own way.
            keys: a random key for each example, for parts that draw.
        """
        axis = self._axis(partial, complete if train else None)
        weights = rings.ring_weights(partial.shape[1], axis, width=self.ring_width)
        maps = evidence(partial, weights)
        code = self._code(maps, weights, complete if train else None, keys)
        logits = ProfileNet(self.features, self.bottleneck, self.dtype, name="profile")(maps, code)
        prior = rings.revolve(jax.nn.sigmoid(logits), weights)
        prior = jnp.clip(prior, _SURE, 1.0 - _SURE)
        logit = jnp.log(prior) - jnp.log1p(-prior)
        if self.residual_features:
            net = ResidualNet(self.residual_features, self.conv_form, self.dtype, name="residual")
            logit = logit + net(_volumes(partial, logit, maps, weights))
        self._keep(profile_logits=logits, axis=axis)
        return jnp.where(partial > 0, 1.0, jax.nn.sigmoid(logit))

    def _axis(self, partial: Array, complete: Array | None) -> Float[Array, "n 2"]:
        """Where the axis is taken to stand."""
        if self.axis == "centre":
            return rings.centre_axis(partial.shape[1])
        logits = AxisNet(dtype=self.dtype, name="axis_net")(partial)
        if complete is not None:
            self._keep(axis_logits=logits)
            return rings.box_axis(complete)
        return find_axis(
            logits, partial, within=self.axis_within or math.inf, trust=self.axis_trust
        )

    def _code(
        self, maps: Array, weights: Array, complete: Array | None, keys: Array | None
    ) -> Array | None:
        """What the profile network is told besides the evidence."""
        return None

    def _keep(self, **outputs: Array) -> None:
        if self.is_initializing():
            return
        for name, value in outputs.items():
            self.sow(OUTPUTS, name, value, init_fn=lambda v=value: v, reduce_fn=lambda _, v: v)


def _volumes(
    partial: Float[Array, "b d h w 1"],
    logit: Float[Array, "b d h w 1"],
    maps: Float[Array, "b w ring 8"],
    weights: Float[Array, "n column ring"],
) -> Float[Array, "b d h w 5"]:
    """What the 3D network sees: fragment, revolved profile and evidence, height and radius."""
    # Relative share, height and radius are the second and the last two maps.
    turned = [rings.revolve(maps[..., n], weights) for n in (1, -2, -1)]
    return jnp.concatenate([partial, logit / 4.0, *turned], axis=-1)
