"""Optimisers and how their rates rise and fall."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from configs import smoke
from voxgan_jax.training import optimisers

pytestmark = pytest.mark.usefixtures("loose_promotion")


def test_without_warm_up_the_rate_is_the_number_itself():
    """A schedule would add a step count to the optimiser's state, and so to every checkpoint."""
    assert optimisers.learning_rate(2e-3, 0) == 2e-3
    assert optimisers.learning_rate(2e-3, 1) == 2e-3


def test_both_rates_rise_in_a_line():
    config = smoke.get_config()
    config.optim.warmup_steps = 4
    for name, rate in (("generator", 2e-3), ("discriminator", 2e-4)):
        tx = optimisers.build(config, name)
        params = {"w": jnp.zeros(1)}
        state = tx.init(params)
        for expected in (0.25, 0.5, 0.75, 1.0, 1.0, 1.0):
            # Adam's update by a gradient that stays the same is the rate itself.
            updates: Any
            updates, state = tx.update({"w": jnp.ones(1)}, state, params)
            assert float(updates["w"][0]) == pytest.approx(-expected * rate, rel=1e-4)


def one_cycle(num_train_steps, warmup_steps=0):
    return optimisers.learning_rate(2e-3, warmup_steps, "one_cycle", num_train_steps)


def test_one_cycle():
    """From a 25th up to the value after 30 % of the run, down to 10⁻⁴ of its start."""
    rate: Any = one_cycle(1000)
    found = [float(rate(step)) for step in (0, 150, 300, 650, 1000, 2000)]
    middle = (1 / 25 + 1) / 2
    end = 1 / 25 / 1e4
    want = [1 / 25, middle, 1.0, (1 + end) / 2, end, end]
    np.testing.assert_allclose(found, 2e-3 * np.asarray(want), rtol=1e-4)
    assert all(rate(step) < rate(step + 50) for step in range(0, 300, 50))
    assert all(rate(step) > rate(step + 50) for step in range(300, 1000, 50))


@pytest.mark.parametrize("num_train_steps", [4, 5, 10])
def test_one_cycle_of_a_short_run(num_train_steps):
    rate: Any = one_cycle(num_train_steps)
    assert all(0 < float(rate(step)) <= 2e-3 for step in range(num_train_steps + 1))


def test_one_cycle_needs_the_length_of_the_run():
    for options in ({"num_train_steps": 0}, {"num_train_steps": 100, "warmup_steps": 5}):
        with pytest.raises(ValueError, match=r"one_cycle .* set config\.train\.num_train_steps"):
            one_cycle(**options)
    with pytest.raises(ValueError, match=r"'cosine'; known: constant, one_cycle"):
        optimisers.learning_rate(1.0, 0, "cosine")


@pytest.mark.parametrize(("weight_decay", "shrinks"), [(0.0, 0.0), (0.01, 0.01)])
def test_weight_decay_shrinks_what_has_no_gradient(weight_decay, shrinks):
    config = smoke.get_config()
    config.optim.schedule, config.optim.weight_decay = "constant", weight_decay
    params = {"w": jnp.full(1, 5.0)}
    updates: Any
    for name, rate in (("generator", 2e-3), ("discriminator", 2e-4)):
        tx = optimisers.build(config, name)
        updates, _ = tx.update({"w": jnp.zeros(1)}, tx.init(params), params)
        assert float(updates["w"][0]) == pytest.approx(-rate * shrinks * 5.0, rel=1e-5)
