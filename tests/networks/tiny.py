"""Networks of one layer down, and one up or one number.

For tests of what is around a network: loop, checkpoints, devices and processes. They hold what that
must cope with, convolutions and statistics of batches, and compile in a fraction of the time.
`known_objectives.sharing_objectives` makes them known as `config.generator.kind = "tiny"`.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from voxgan_jax.models.conv import conv_full, find_dtype
from voxgan_jax.models.layers import BatchNorm, Conv, ConvTranspose, leaky_relu

OUTPUT = "probability"


class Model(nn.Module):
    """To half the side and back."""

    features: int = 4
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, partial, *, train, complete=None, keys=None):
        x = Conv(self.features, dtype=self.dtype, name="down")(partial.astype(self.dtype))
        norm = BatchNorm(axis_name=self.axis_name, dtype=self.dtype, name="norm")
        x = ConvTranspose(1, dtype=self.dtype, name="up")(leaky_relu(norm(x, train=train)))
        return jax.nn.sigmoid(x.astype(jnp.float32))


class Judge(nn.Module):
    """A discriminator: to half the side, then one number of all that is there."""

    features: int = 4
    axis_name: str | None = None

    @nn.compact
    def __call__(self, grid, *, train):
        x = Conv(self.features, name="down")(grid)
        x = leaky_relu(BatchNorm(axis_name=self.axis_name, name="norm")(x, train=train))
        full = functools.partial(Conv, kernel_size=x.shape[1], convolve=conv_full)
        return full(1, name="final")(x).reshape(-1)


def from_config(config: Any, axis_name: str | None = None) -> Model:
    """From `config.generator`."""
    return Model(config.features, find_dtype(config.dtype), axis_name)


def judge(config: Any, axis_name: str | None = None) -> Judge:
    """From `config.discriminator`."""
    return Judge(config.features, axis_name)
