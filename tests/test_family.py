"""Every way to train, at a small size: a run that was stopped and goes on is the same run, and its
weights complete sherds or make pots."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import small

from voxgan_jax import models
from voxgan_jax.models import weights
from voxgan_jax.training import loop

FAMILY = ("hinge", "wgan", "wgan_gp", "gan3d", "sdf", "ddpm")


@pytest.mark.parametrize("name", FAMILY)
def test_stopped_and_gone_on_with_it_is_the_same_run(name, vox_dir, tmp_path):
    config = importlib.import_module(f"configs.{name}").get_config()
    config.data.update(small(vox_dir, "resident").data)
    if config.generator.kind == "unet":
        config.generator.kind, config.generator.features = "tiny", 4
    else:
        config.generator.features, config.generator.doublings = 4, 2
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

    model, variables, saved = weights.open_model(tmp_path / "parts" / weights.RUN_FILE)
    kind = models.output(saved.generator)
    made = jax.jit(
        lambda variables: (
            models.sample(model, kind, variables, jax.random.key(0), 2)
            if saved.generator.kind == "gan3d"
            else models.complete(model, kind, variables, jnp.ones((2, 16, 16, 16, 1)))
        )
    )(variables)
    assert made.shape == (2, 16, 16, 16, 1)
    assert 0 <= float(made.min()) <= float(made.max()) <= 1
