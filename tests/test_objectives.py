"""Objectives by name, and that weights from before there were any still complete pots."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import default, locator, profile_flow, revolve
from voxgan_jax import models
from voxgan_jax.inference import model_card
from voxgan_jax.models import weights
from voxgan_jax.training import build, objectives


def test_an_unknown_objective_is_named_with_the_known_ones():
    config = default.get_config()
    config.objective = "gam"
    known = "flow, gan, locator, regression, voxel_flow, wgan"
    with pytest.raises(ValueError, match=rf"'gam'; known: {known}$"):
        objectives.build(config)


@pytest.mark.parametrize(
    ("config", "counts"),
    [
        (default.get_config(), {"generator": 6_168_641, "discriminator": 2_772_321}),
        (revolve.get_config(), {"generator": 3_464_272}),
        (locator.get_config(), {"generator": 555_704}),
        (profile_flow.get_config(), {"generator": 3_086_611}),
    ],
    ids=["gan", "regression", "locator", "flow"],
)
def test_a_state_holds_what_its_objective_uses_and_no_more(config, counts):
    """Adam keeps two numbers for each parameter."""
    create = functools.partial(build.initial_state, config, objectives.build(config))
    with jax.numpy_dtype_promotion("standard"):
        state = jax.eval_shape(create)

    def count(tree):
        return sum(leaf.size for leaf in jax.tree.leaves(tree))

    assert {name: count(net.params) for name, net in state.nets.items()} == counts
    assert count([net.opt_state for net in state.nets.values()]) == pytest.approx(
        2 * sum(counts.values()), abs=4
    )


@pytest.mark.parametrize("name", ["", model_card.HYPOTHESES])
def test_shipped_weights_can_be_gone_on_from_even_those_from_before_there_were_objectives(name):
    path = model_card.find(name) if name else model_card.find()
    module, variables, config = weights.open_model(path)
    assert ("objective" in config) == (not name)
    kind = models.output(config.generator)
    # Another run can go on from them.
    fresh = revolve.get_config()
    fresh.generator.kind = config.generator.kind
    fresh.train.init_weights = str(path)
    create = functools.partial(build.initial_state, fresh, objectives.build(fresh))
    with jax.numpy_dtype_promotion("standard"):
        state = jax.eval_shape(create)
    taken = jax.tree.map(lambda leaf: leaf.shape, state.nets["generator"].params)
    assert taken == jax.tree.map(lambda leaf: leaf.shape, variables["params"])
    partial = np.zeros((1, 64, 64, 64, 1), np.float32)
    partial[0, 4:8, 20:44, 10:40] = 1
    complete = jax.jit(functools.partial(models.complete, module, kind))
    completed = complete(variables, jnp.asarray(partial))
    assert np.all(np.asarray(completed)[partial > 0] == 1) and float(completed.max()) <= 1
