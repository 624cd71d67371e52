"""A conditional variational auto-encoder: draws differ with their key, and it can be trained."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from voxgan_jax.models import OUTPUTS
from voxgan_jax.models import hypotheses as models


@pytest.fixture(scope="module")
def apply(vae):
    return jax.jit(vae.apply, static_argnames=("train", "mutable"))


def stated(prior_mean, prior_var, mean, var):
    logs = {"prior_logvar": np.log(prior_var), "posterior_logvar": np.log(var)}
    values = {"prior_mean": prior_mean, "posterior_mean": mean} | logs
    return {name: jnp.asarray(value, jnp.float32)[None] for name, value in values.items()}


def test_kl_by_hand():
    # Dimension 1: equal. Dimension 2: means 3 apart at variance 1: 9/2. Dimension 3: variance 4
    # against 1: (4 - 1 - log 4) / 2.
    outputs = stated([1.0, 0.0, 0.0], [2.0, 1.0, 1.0], [1.0, 3.0, 0.0], [2.0, 1.0, 4.0])
    expected = 4.5 + (3 - np.log(4)) / 2
    np.testing.assert_allclose(models.kl_divergence(outputs), [expected], rtol=1e-6)


def test_training_draws_from_the_posterior(apply, vae_variables, wall):
    complete = jnp.concatenate([jnp.maximum(wall[:1], wall[:1, ::-1]), wall[1:]])
    keys = jax.random.split(jax.random.key(3), 2)
    run = functools.partial(apply, vae_variables, wall, train=True, mutable=(OUTPUTS,))
    completed, left = run(complete=complete, keys=keys)
    outputs = left[OUTPUTS]
    assert completed.shape == wall.shape
    assert {name: outputs[name].shape for name in sorted(outputs) if name != "axis"} == {
        "posterior_logvar": (2, 3),
        "posterior_mean": (2, 3),
        "prior_logvar": (2, 3),
        "prior_mean": (2, 3),
        "profile_logits": (2, 16, 24),
    }
    kl = models.kl_divergence(outputs)
    assert kl.shape == (2,) and float(kl.min()) > 0
    # Another truth moves the posterior, not the prior; other keys move the profile alone.
    other = run(complete=wall, keys=keys)[1][OUTPUTS]
    assert not np.allclose(other["posterior_mean"][0], outputs["posterior_mean"][0])
    np.testing.assert_array_equal(other["prior_mean"], outputs["prior_mean"])
    redrawn = run(complete=complete, keys=keys[::-1])[1][OUTPUTS]
    np.testing.assert_array_equal(redrawn["posterior_mean"], outputs["posterior_mean"])
    assert not np.allclose(redrawn["profile_logits"], outputs["profile_logits"])


def test_gradients_reach_prior_and_posterior(vae, vae_variables, wall):
    keys = jax.random.split(jax.random.key(3), 2)

    @jax.jit
    @jax.grad
    def slope(params):
        _, left = vae.apply(
            {"params": params}, wall, train=True, complete=wall, keys=keys, mutable=[OUTPUTS]
        )
        outputs = left[OUTPUTS]
        return models.kl_divergence(outputs).sum() + outputs["profile_logits"].mean()

    grads = slope(vae_variables["params"])
    for name in ("prior", "posterior", "profile"):
        norms = [float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(grads[name])]
        assert np.all(np.isfinite(norms)) and max(norms) > 1e-6


def test_the_single_answer_is_certain_and_draws_are_not(apply, vae_variables, wall):
    single = apply(vae_variables, wall, train=False)
    np.testing.assert_array_equal(single, apply(vae_variables, wall, train=False))
    keys = jax.random.split(jax.random.key(1), 2)
    drawn = apply(vae_variables, wall, train=False, keys=keys)
    assert not np.allclose(drawn[0], single[0], atol=1e-6)
    # Row by row: the second row's answer does not hear of the first row's key.
    mixed = apply(vae_variables, wall, train=False, keys=keys.at[0].set(jax.random.key(9)))
    np.testing.assert_allclose(mixed[1], drawn[1], atol=1e-6)
