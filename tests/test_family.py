"""Every way to train, at a small size: a run that was stopped and goes on is the same run, and
leaves weights that can be opened. How each completes or makes pots is in the tests of its model."""

import importlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import small
from flax import linen as nn

from voxgan_jax.models import voxel_flow, weights
from voxgan_jax.training import loop

FAMILY = ("hinge", "wgan", "wgan_gp", "gan3d", "sdf", "ddpm", "bricks128")


class Block(nn.Module):
    """In the place of a block of `voxel_flow`, which takes long to compile."""

    conv_form: str
    dtype: Any

    @nn.compact
    def __call__(self, x, time):
        return x + nn.Dense(x.shape[-1])(time)[:, None, None, None]


@pytest.mark.parametrize("name", FAMILY)
def test_stopped_and_gone_on_with_it_is_the_same_run(name, vox_dir, tmp_path, monkeypatch):
    monkeypatch.setattr(voxel_flow, "TimedBlock3D", Block)
    config = importlib.import_module(f"configs.{name}").get_config()
    config.data.update(small(vox_dir, "resident").data)
    if config.generator.kind == "unet":
        config.generator.kind, config.generator.features = "tiny", 4
    else:
        config.generator.features, config.generator.doublings = 4, 2
    if config.generator.kind == "bricks":
        config.data.resolution, config.data.pool, config.generator.bricks = 32, 1, 4
    config.discriminator.features, config.sample.draws = 4, 0
    config.critic.steps = config.critic.first_steps = 2
    config.train.batch_size, config.eval.split, config.checkpoint.every_steps = 4, "", 1
    states = {}
    for folder, lengths in {"whole": (2,), "parts": (1, 2)}.items():
        for config.train.num_train_steps in lengths:
            with jax.numpy_dtype_promotion("standard"):
                states[folder] = loop.train(config, tmp_path / folder)
    jax.tree.map(np.testing.assert_array_equal, states["whole"].nets, states["parts"].nets)
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(states["parts"].nets))
    weights.open_model(tmp_path / "parts" / weights.RUN_FILE)
