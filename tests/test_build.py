"""What a config makes: the optimisers and their rates, the parameters that a run starts from."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import revolve, smoke
from voxgan_jax.models import weights
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


def one_cycle(num_train_steps, warmup_steps=0):
    return build.learning_rate(2e-3, warmup_steps, "one_cycle", num_train_steps)


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
        build.learning_rate(1.0, 0, "cosine")


def small_revolve(**generator):
    config = revolve.get_config()
    config.data.resolution, config.discriminator.features = 16, 2
    config.generator.update({"features": 2, "bottleneck": 4} | generator)
    return config


@pytest.mark.parametrize(("weight_decay", "shrinks"), [(0.0, 0.0), (0.01, 0.01)])
def test_weight_decay_shrinks_what_has_no_gradient(weight_decay, shrinks):
    config = small_revolve()
    config.optim.schedule, config.optim.weight_decay = "constant", weight_decay
    parts = build.build_parts(config)
    params = {"w": jnp.full(1, 5.0)}
    updates: Any
    for tx, rate in ((parts.tx_g, 2e-3), (parts.tx_d, 2e-4)):
        updates, _ = tx.update({"w": jnp.zeros(1)}, tx.init(params), params)
        assert float(updates["w"][0]) == pytest.approx(-rate * shrinks * 5.0, rel=1e-5)


def initial(config):
    return jax.device_get(jax.jit(lambda: build.initial_state(config, build.build_parts(config)))())


def test_initial_weights_are_taken_over_where_they_agree(tmp_path):
    """From a run of another seed without a correction, whose dense code was narrower."""
    known = small_revolve(bottleneck=3)
    known.seed = 7
    params = initial(known).generator.params
    path = tmp_path / "known.safetensors"
    weights.save(path, {"params": params}, known)

    config = small_revolve(residual_features=2)
    fresh = initial(config)
    config.train.init_weights = str(path)
    state = initial(config)
    got = state.generator.params
    theirs, ours = params["profile"], fresh.generator.params["profile"]
    for name in ("fold0", "down2", "expand", "logits"):
        jax.tree.map(np.testing.assert_array_equal, got["profile"][name], theirs[name])
    assert np.abs(theirs["fold0"]["kernel"] - ours["fold0"]["kernel"]).max() > 0.01
    for name in ("gather", "code"):
        jax.tree.map(np.testing.assert_array_equal, got["profile"][name], ours[name])
    jax.tree.map(np.testing.assert_array_equal, got["residual"], fresh.generator.params["residual"])
    # The average starts from them as well; the discriminator has nothing to do with it.
    jax.tree.map(np.testing.assert_array_equal, state.ema_params, got)
    jax.tree.map(
        np.testing.assert_array_equal, state.discriminator.params, fresh.discriminator.params
    )


def test_initial_weights_that_suit_nothing_are_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    config = small_revolve()
    weights.save(path, {"params": {"elsewhere": {"kernel": np.zeros((2, 2), np.float32)}}}, config)
    config.train.init_weights = str(path)
    with pytest.raises(ValueError, match=r"other\.safetensors: none of its parameters belongs"):
        initial(config)
    config.train.init_weights = str(tmp_path / "missing.safetensors")
    with pytest.raises(FileNotFoundError, match="missing"):
        initial(config)
