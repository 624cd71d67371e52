"""The two networks, built from their part of the config."""

import functools
from typing import Any

import jax.numpy as jnp

from voxgan_jax.models.conv import Conv
from voxgan_jax.models.discriminator import Discriminator
from voxgan_jax.models.generator import Generator
from voxgan_jax.models.layers import SpectralConv

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}

__all__ = ["Discriminator", "Generator", "build_discriminator", "build_generator"]


def build_generator(config: Any, *, axis_name: str | None = None) -> Generator:
    """The generator of `config`: features, num_res_blocks, skips, conv_form, dtype.

    `config` is anything with these attributes; `axis_name` is that of pmap, None under jit.
    Raises ValueError for an unknown dtype.
    """
    return Generator(
        features=config.features,
        num_res_blocks=config.num_res_blocks,
        skips=config.skips,
        conv_form=config.conv_form,
        dtype=_dtype(config.dtype),
        axis_name=axis_name,
    )


def build_discriminator(config: Any, *, axis_name: str | None = None) -> Discriminator:
    """The discriminator of `config`: features, spectral_norm_iterations, conv_form, dtype.

    Without spectral normalisation where spectral_norm_iterations is 0; ValueError where it is
    less. Otherwise as `build_generator`.
    """
    iterations = config.spectral_norm_iterations
    if iterations < 0:
        raise ValueError(f"spectral_norm_iterations must be 0 (none) or more, got {iterations}")
    return Discriminator(
        features=config.features,
        conv_form=config.conv_form,
        dtype=_dtype(config.dtype),
        axis_name=axis_name,
        conv=functools.partial(SpectralConv, iterations=iterations) if iterations else Conv,
    )


def _dtype(name: str) -> Any:
    if name not in DTYPES:
        raise ValueError(f"unknown dtype {name!r}; known: {', '.join(DTYPES)}")
    return DTYPES[name]
