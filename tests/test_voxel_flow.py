"""Whole grids by rectified flow: what flows, what is learned, and what is drawn."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import ddpm
from voxgan_jax import models
from voxgan_jax.models import voxel_flow
from voxgan_jax.training import build, objectives
from voxgan_jax.training.objectives import voxel_flow as steps

SIDE = 8


def pots():
    """Two bowls and two cups, a quarter of each given: 2 where it is, 3 elsewhere."""
    d, h, w = np.indices((SIDE, SIDE, SIDE))
    radius = 2 * np.hypot(d - 3.5, h - 3.5)
    labels = np.zeros((4, SIDE, SIDE, SIDE), np.uint8)
    for pot, outer in zip(labels, (7, 6.5, 4.5, 4), strict=True):
        solid = (radius < outer) & (w > 1) & (w < 7)
        hollow = (radius < outer - 2) & (w < 6)
        pot[solid & ~hollow] = 3
        pot[(pot > 0) & (d > 3) & (h > 3)] = 2
    given = np.zeros((4, 256), bool)
    given[:, 2] = True
    return {"labels": jnp.asarray(labels), "given": jnp.asarray(given)}


@pytest.mark.parametrize("target", voxel_flow.TARGETS)
def test_a_clean_grid_is_the_pot(target):
    model = voxel_flow.Model(target=target)
    complete = (pots()["labels"] > 0).astype(jnp.float32)[..., None]
    clean = model.clean_of(complete)
    assert float(jnp.abs(clean).max()) == 1
    np.testing.assert_array_equal(model.probability(clean) > 0.5, complete > 0)


@functools.cache
def learned():
    """A run of 150 steps on the four pots."""
    config = ddpm.get_config()
    config.data.resolution, config.generator.features = SIDE, 4
    config.optim.generator_learning_rate, config.train.ema_decay = 5e-3, 0.0
    objective = objectives.build(config, axis_name=None)
    with jax.numpy_dtype_promotion("standard"):
        state = jax.jit(functools.partial(build.initial_state, config, objective))()
        step, found = jax.jit(objective.step), []
        for _ in range(150):
            state, scalars = step(state, pots())
            found.append(float(scalars["g_loss"]))
    return objective, state, found


def test_the_loss_falls_and_pots_come_out():
    objective, state, found = learned()
    assert np.mean(found[-20:]) < 0.25 * np.mean(found[:5])
    partial = (pots()["labels"] == 2).astype(jnp.float32)[..., None]
    whole = np.asarray(pots()["labels"] > 0)[..., None]
    complete = jax.jit(objective.complete)
    drawn, again, other = (
        np.asarray(complete(state.variables(), partial, jax.random.key(n))) for n in (0, 0, 1)
    )
    model = objective.nets["generator"].module.clone(draws=0)
    at_once = jax.jit(functools.partial(models.complete, model, "probability"))
    quick = np.asarray(at_once(state.variables(), partial))
    np.testing.assert_array_equal(drawn, again)
    assert np.abs(drawn - other).max() > 1e-3
    for answer in (drawn, quick):
        assert (answer[np.asarray(partial) > 0] == 1).all()
        assert 0 <= answer.min() <= answer.max() <= 1
        taken = answer > 0.5
        assert (taken & whole).sum() / (taken | whole).sum() > 0.7  # from 0.25


def test_the_loss_is_that_of_the_velocity_where_nothing_is_given():
    clean = jnp.ones((1, 4, 4, 4, 1))
    partial = jnp.zeros_like(clean).at[0, :2].set(1.0)
    answer = clean.at[0, 0].set(9.0).at[0, 3].set(0.0)  # wrong where it is given, and in a quarter
    for time, factor in ((0.0, 1.0), (0.5, 4.0), (0.99, 25.0)):
        found = steps.flow_loss(answer, clean, partial, jnp.asarray([time]))
        np.testing.assert_allclose(found, 0.5 * factor, rtol=1e-4)


def test_what_does_not_go_together_is_said():
    config = ddpm.get_config()
    config.generator.kind = "unet"
    with pytest.raises(ValueError, match="kind=voxel_flow"):
        objectives.build(config)
    config = ddpm.get_config()
    config.generator.target = "sdf"
    with pytest.raises(ValueError, match="known: occupancy, distance"):
        objectives.build(config)
    with pytest.raises(ValueError, match="multiples of 8"):
        voxel_flow.Model().init(jax.random.key(0), jnp.zeros((1, 12, 12, 12, 1)), train=False)
