"""Models as their configs name them, and what the grids that they give mean."""

import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from voxgan_jax import models
from voxgan_jax.models import discriminator, revolve, unet
from voxgan_jax.models.layers import SpectralConv


def generator_config(**fields):
    defaults = ml_collections.ConfigDict()
    defaults.update(features=8, num_res_blocks=2, skips=False, conv_form="s2d", dtype="bfloat16")
    defaults.update(fields)
    return defaults


def test_models_are_built_from_their_config():
    assert models.build(generator_config(), axis_name="devices") == unet.Model(
        8, 2, False, "s2d", jnp.bfloat16, "devices"
    )
    assert models.build(generator_config(dtype="float32")).dtype == jnp.float32
    config = ml_collections.ConfigDict()
    config.update(features=16, conv_form="matmul", dtype="float32", spectral_norm_iterations=0)
    config.norm = "batch"
    assert discriminator.from_config(config) == discriminator.Model(16, "matmul", jnp.float32, None)
    config.spectral_norm_iterations = 3
    conv = discriminator.from_config(config).conv
    assert conv(8) == SpectralConv(8, iterations=3)
    config.spectral_norm_iterations = -1
    with pytest.raises(ValueError, match=r"must be 0 .* or more, got -1"):
        discriminator.from_config(config)


def test_unknown_dtype_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match="'float8'; known: float32, bfloat16"):
        models.build(generator_config(dtype="float8"))


def test_kinds_of_generators():
    config = generator_config(
        **{"kind": "revolve", "bottleneck": 64, "ring_width": 1.0, "residual_features": 4},
        **{"axis": "centre", "axis_within": 0.0},
    )
    assert models.build(config) == revolve.Model(8, 64, 1.0, 4, conv_form="s2d", dtype=jnp.bfloat16)
    config.kind = "resolve"
    with pytest.raises(
        ValueError, match=r"config\.generator\.kind 'resolve'; known: .*revolve, .*unet"
    ):
        models.build(config)
    assert models.output(generator_config()) == "probability"
    # As the weights of older runs have it.
    del config.kind
    assert isinstance(models.build(config), unet.Model)


@pytest.mark.parametrize(
    ("kind", "grid", "expected"),
    [
        ("probability", [0.0, 0.25, 1.0], [0.0, 0.25, 1.0]),
        ("logits", [0.0, np.log(3), -50.0], [0.5, 0.75, 0.0]),
        # Half a voxel inside the wall is one unit of the logistic function, beyond 3 voxels is 3.
        ("sdf", [0.0, -0.5, 0.5, -3.0, -9.0], [0.5, 0.731059, 0.268941, 0.997527, 0.997527]),
    ],
)
def test_every_kind_of_grid_becomes_probabilities(kind, grid, expected):
    volume = jnp.asarray(grid, jnp.float32).reshape(1, -1, 1, 1, 1)
    np.testing.assert_allclose(models.probabilities(volume, kind).ravel(), expected, atol=1e-6)


def test_an_unknown_kind_of_grid_is_refused():
    with pytest.raises(ValueError, match="'density'; known: probability, logits, sdf"):
        models.probabilities(jnp.zeros((1, 1, 1, 1, 1)), "density")
