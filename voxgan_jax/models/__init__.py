"""The two networks, built from their part of the config."""

import functools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from voxgan_jax.models.conv import Conv
from voxgan_jax.models.discriminator import Discriminator
from voxgan_jax.models.hypotheses import HypothesesGenerator
from voxgan_jax.models.layers import SpectralConv
from voxgan_jax.models.revolve import AXES, RevolveGenerator
from voxgan_jax.models.unet import Generator

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}

__all__ = [
    "Discriminator",
    "Generator",
    "HypothesesGenerator",
    "RevolveGenerator",
    "build_discriminator",
    "build_generator",
]


def build_generator(config: Any, *, axis_name: str | None = None) -> nn.Module:
    """The generator of `config`, of one of the kinds in `GENERATORS`.

    `config` is a mapping with attributes; one without `kind`, as older weights have it, means
    "unet". `axis_name` is that of pmap, None under jit. Raises ValueError for an unknown kind or
    dtype.
    """
    kind = config.get("kind", "unet")
    if kind not in GENERATORS:
        raise ValueError(
            f"unknown config.generator.kind {kind!r}; known: {', '.join(sorted(GENERATORS))}"
        )
    return GENERATORS[kind](config, axis_name)


def _unet(config: Any, axis_name: str | None) -> Generator:
    return Generator(
        features=config.features,
        num_res_blocks=config.num_res_blocks,
        skips=config.skips,
        conv_form=config.conv_form,
        dtype=_dtype(config.dtype),
        axis_name=axis_name,
    )


def _revolve(config: Any, axis_name: str | None) -> RevolveGenerator:
    return RevolveGenerator(**_revolve_options(config))


def _revolve_hypotheses(config: Any, axis_name: str | None) -> HypothesesGenerator:
    return HypothesesGenerator(**_revolve_options(config), code_size=config.code_size)


def _revolve_options(config: Any) -> dict[str, Any]:
    """Nothing in these generators is shared over a batch, so `axis_name` is not among them."""
    names = ("features", "bottleneck", "ring_width", "residual_features", "only_residual")
    names += ("axis", "axis_within", "axis_trust", "axis_average")
    # Weights from before a field was added have none, and mean its default.
    options = {name: config.get(name, getattr(RevolveGenerator, name)) for name in names}
    if options["axis"] not in AXES:
        raise ValueError(
            f"unknown config.generator.axis {options['axis']!r}; known: {', '.join(AXES)}"
        )
    return options | {"conv_form": config.conv_form, "dtype": _dtype(config.dtype)}


GENERATORS: dict[str, Callable[[Any, str | None], nn.Module]] = {
    "unet": _unet,
    "revolve": _revolve,
    "revolve_hypotheses": _revolve_hypotheses,
}
"""How a generator of each kind is built from its part of the config."""


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
