"""The discriminator: from a whole pot to one logit, positive for a real one."""

import functools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from voxgan_jax import fields, models
from voxgan_jax.models.conv import conv_full, conv_k4s2
from voxgan_jax.models.layers import BatchNorm, Conv, NoNorm, SpectralConv, leaky_relu

NORMS = {"batch": BatchNorm, "none": NoNorm}
"""Layers by `config.discriminator.norm`."""


class Model(nn.Module):
    """Four strided convolutions, then one over all that is left of the grid.

    `features` is f in f, 2f, 4f, 8f; every layer but the first is normalised by what
    `norm(axis_name=, dtype=, name=)` makes: `layers.BatchNorm`, or `layers.NoNorm` for a critic
    whose every score has to hang on its own pot alone. All five convolutions are made by
    `conv(features, kernel_size=, convolve=, dtype=, name=)`: `layers.Conv`, or
    `layers.SpectralConv` for spectral normalisation. It never sees the fragment.
    """

    features: int = 32
    conv_form: str = "auto"
    dtype: Any = jnp.float32
    axis_name: str | None = None
    conv: Callable[..., nn.Module] = Conv
    norm: Callable[..., nn.Module] = BatchNorm

    @nn.compact
    def __call__(self, grid: Float[Array, "b d d d 1"], *, train: bool) -> Float[Array, " b"]:
        """The logits, in float32; `train` is about the statistics of batches and spectral norms.

        `grid` is a complete or completed pot in a cube. Raises ValueError where its side is not a
        multiple of 16.
        """
        if grid.shape[1] % 16:
            raise ValueError(f"the side of the grid must be a multiple of 16: {grid.shape[1]}")
        bind = functools.partial
        norm = bind(self.norm, axis_name=self.axis_name, dtype=self.dtype)
        down = bind(
            self.conv,
            kernel_size=4,
            convolve=bind(conv_k4s2, form=self.conv_form),
            dtype=self.dtype,
        )

        x = leaky_relu(down(self.features, name="conv1")(grid.astype(self.dtype), train=train))
        for n in (2, 3, 4):
            x = down(2 ** (n - 1) * self.features, name=f"conv{n}")(x, train=train)
            x = leaky_relu(norm(name=f"norm{n}")(x, train=train))
        final = self.conv(
            1, kernel_size=x.shape[1], convolve=conv_full, dtype=self.dtype, name="final"
        )
        return final(x, train=train).reshape(-1).astype(jnp.float32)


def from_config(config: Any, axis_name: str | None = None) -> Model:
    """From `config.discriminator`; without spectral normalisation at spectral_norm_iterations 0.

    Raises:
        ValueError: fewer than no iterations, an unknown norm or dtype.
    """
    norm = fields.choose(NORMS, "config.discriminator.norm", config.norm)
    iterations = config.spectral_norm_iterations
    if iterations < 0:
        raise ValueError(f"spectral_norm_iterations must be 0 (none) or more, got {iterations}")
    conv = functools.partial(SpectralConv, iterations=iterations) if iterations else Conv
    layers = {"conv": conv, "norm": norm, "axis_name": axis_name}
    return Model(**models.options(Model, config) | layers)
