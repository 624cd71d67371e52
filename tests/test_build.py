"""The parameters that a run starts from."""

import jax
import numpy as np
import pytest
from known_objectives import with_fewer_levels

from configs import revolve
from voxgan_jax.models import weights
from voxgan_jax.training import build, objectives

pytestmark = pytest.mark.usefixtures("loose_promotion")


def small_revolve(**generator):
    config = revolve.get_config()
    config.data.resolution, config.generator.axis = 16, "centre"
    config.generator.update({"features": 2, "bottleneck": 4} | generator)
    return config


def initial(config):
    objective = objectives.build(config)
    return jax.device_get(jax.jit(lambda: build.initial_state(config, objective))())


def test_initial_weights_are_taken_over_where_they_agree(tmp_path, monkeypatch):
    """From a run without a correction, whose dense code was narrower."""
    with_fewer_levels(monkeypatch)
    known = small_revolve(bottleneck=3)
    rng = np.random.default_rng(7)
    nets = jax.eval_shape(objectives.build(known).init, jax.random.key(0))
    params = jax.tree.map(
        lambda leaf: rng.normal(size=leaf.shape).astype(leaf.dtype), nets["generator"].params
    )
    path = tmp_path / "known.safetensors"
    weights.save(path, {"params": params}, known)

    config = small_revolve(residual_features=2)
    fresh = initial(config)
    config.train.init_weights = str(path)
    state = initial(config)
    got = state.nets["generator"].params
    drawn = fresh.nets["generator"].params
    theirs, ours = params["profile"], drawn["profile"]
    for name in ("fold0", "down0", "expand", "logits"):
        jax.tree.map(np.testing.assert_array_equal, got["profile"][name], theirs[name])
    assert np.abs(theirs["fold0"]["kernel"] - ours["fold0"]["kernel"]).max() > 0.01
    for name in ("gather", "code"):
        jax.tree.map(np.testing.assert_array_equal, got["profile"][name], ours[name])
    jax.tree.map(np.testing.assert_array_equal, got["residual"], drawn["residual"])
    # The average starts from them as well; a discriminator would have nothing to do with it.
    jax.tree.map(np.testing.assert_array_equal, state.ema_params, got)
    assert set(state.nets) == {"generator"}


def test_the_coarse_answer_begins_as_a_network_that_was_trained_alone():
    ones, twos, threes = (np.full(2, n, np.float32) for n in (1, 2, 3))
    params = {"coarse": {"final": {"bias": ones}}, "correction": {"bias": ones}}
    ours = {"params": params, "batch_stats": {"coarse": {"norm": {"mean": ones}}}}
    alone = {"params": {"final": {"bias": twos}}, "batch_stats": {"norm": {"mean": threes}}}
    got = build.take_over(ours, alone, "known")
    np.testing.assert_array_equal(got["params"]["coarse"]["final"]["bias"], twos)
    np.testing.assert_array_equal(got["params"]["correction"]["bias"], ones)
    # A mean of what its layers gave goes with its layers.
    np.testing.assert_array_equal(got["batch_stats"]["coarse"]["norm"]["mean"], threes)
    # What such a model itself left comes first.
    known = {"params": {"coarse": {"final": {"bias": threes}}, "final": {"bias": twos}}}
    got = build.take_over(ours, known, "known")
    np.testing.assert_array_equal(got["params"]["coarse"]["final"]["bias"], threes)
    np.testing.assert_array_equal(got["batch_stats"]["coarse"]["norm"]["mean"], ones)
    with pytest.raises(ValueError, match="known: none of its parameters"):
        build.take_over(ours, {"batch_stats": alone["batch_stats"]}, "known")


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
