"""Several answers for one sherd: a conditional variational auto-encoder over profiles.

What a sherd leaves open is put into a code z of few numbers (Sohn, Lee and Yan, NIPS 2015): the
prior p(z | evidence) says which codes are likely, the profile network turns a code into a profile.
In training z is drawn from the posterior q(z | evidence, true profile), which is kept near the
prior by `kl_divergence`.

Where the axis stands is drawn as well, if it has to be found.
"""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from voxgan_jax import models
from voxgan_jax.geometry import rings
from voxgan_jax.models import revolve
from voxgan_jax.models.profile import fold

OUTPUT = "probability"

_LARGEST_LOGVAR = 6.0


class CodeNet(nn.Module):
    """Maps over height and radius to a diagonal Gaussian over codes of `size` numbers.

    `features` is b in b, 2b, 4b, the channels at 1/2, 1/4 and 1/8 of heights and rings.
    """

    features: int
    size: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, maps: Float[Array, "b w ring c"]
    ) -> tuple[Float[Array, "b z"], Float[Array, "b z"]]:
        """Mean and logarithm of the variance, the latter within ±6; float32."""
        dense = functools.partial(nn.Dense, dtype=self.dtype)
        x = maps.astype(self.dtype)
        for level in range(3):
            x = nn.silu(dense(self.features << level, name=f"fold{level}")(fold(x)))
        x = dense(self.features, name="squeeze")(x).reshape(len(x), -1)
        x = nn.silu(dense(16 * self.size, name="gather")(x)).astype(jnp.float32)
        mean = nn.Dense(self.size, name="mean")(x)
        logvar = nn.Dense(self.size, name="logvar")(x)
        return mean, _LARGEST_LOGVAR * jnp.tanh(logvar / _LARGEST_LOGVAR)


class Model(revolve.Model):
    """A `revolve.Model` whose profile network is also told a code of `code_size` numbers.

    In training, with `complete` and `keys`, the code is drawn from the posterior, and both
    Gaussians are left in `OUTPUTS`. Otherwise it is the prior's mean, or with `keys` a draw from
    the prior.
    """

    code_size: int = 16

    def _code(
        self, maps: Array, weights: Array, complete: Array | None, keys: Array | None
    ) -> Float[Array, "b z"]:
        net = functools.partial(CodeNet, self.features, self.code_size, self.dtype)
        mean, logvar = net(name="prior")(maps)
        # Made while the parameters are, though there is no truth yet.
        if complete is not None or self.is_initializing():
            whole = maps[..., :1]
            if complete is not None:
                size = jnp.maximum(rings.ring_sizes(weights), 1e-6)
                whole = (rings.ring_sums(complete, weights) / size)[..., None]
            ours = net(name="posterior")(jnp.concatenate([maps, whole], axis=-1))
            if complete is not None:
                models.keep(self, prior_mean=mean, prior_logvar=logvar)
                mean, logvar = ours
                models.keep(self, posterior_mean=mean, posterior_logvar=logvar)
        if keys is None:
            return mean
        noise = jax.vmap(lambda key: jax.random.normal(key, mean.shape[1:], jnp.float32))(keys)
        return mean + jnp.exp(logvar / 2.0) * noise


def kl_divergence(outputs: Mapping[str, Any]) -> Float[Array, " b"]:
    """KL(posterior ‖ prior) in nats, from what a `Model` leaves in `OUTPUTS`."""
    prior_mean, prior_logvar = outputs["prior_mean"], outputs["prior_logvar"]
    mean, logvar = outputs["posterior_mean"], outputs["posterior_logvar"]
    square = jnp.square(mean - prior_mean)
    terms = prior_logvar - logvar + (jnp.exp(logvar) + square) / jnp.exp(prior_logvar) - 1.0
    return 0.5 * terms.sum(axis=1)
