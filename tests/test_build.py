"""What a config makes: the learning rates of its optimisers."""

from typing import Any

import jax.numpy as jnp
import pytest

from configs import smoke
from voxgan_jax.training import build

pytestmark = pytest.mark.usefixtures("loose_promotion")


def test_without_warm_up_the_rate_is_the_number_itself():
    """A schedule would add a step count to the optimiser's state, and so to every checkpoint."""
    assert build.learning_rate(2e-3, 0) == 2e-3
    assert build.learning_rate(2e-3, 1) == 2e-3


def test_both_rates_rise_in_a_line():
    config = smoke.get_config()
    config.optim.warmup_steps = 4
    parts = build.build_parts(config)
    for tx, rate in ((parts.tx_g, 2e-3), (parts.tx_d, 2e-4)):
        params = {"w": jnp.zeros(1)}
        state = tx.init(params)
        for expected in (0.25, 0.5, 0.75, 1.0, 1.0, 1.0):
            # Adam's update by a gradient that stays the same is the rate itself.
            updates: Any
            updates, state = tx.update({"w": jnp.ones(1)}, state, params)
            assert float(updates["w"][0]) == pytest.approx(-expected * rate, rel=1e-4)


def test_fewer_than_no_steps_are_refused():
    with pytest.raises(ValueError, match=r"config\.optim\.warmup_steps -1: at least 0"):
        build.learning_rate(1.0, -1)
