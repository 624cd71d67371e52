"""Answers are clusters of draws and keep the sherd."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from voxgan_jax.geometry import rings
from voxgan_jax.inference import alternatives
from voxgan_jax.models import hypotheses as models


def test_hypotheses_keep_the_sherd_and_rank(vae, vae_variables, wall):
    several = jax.jit(functools.partial(alternatives.complete, vae, count=3, draws=8))
    completed, scores = several(vae_variables, wall, jax.random.key(5))
    assert completed.shape == (3, *wall.shape) and scores.shape == (3, 2)
    assert np.all(np.asarray(completed)[:, np.asarray(wall) > 0] == 1.0)
    np.testing.assert_allclose(scores.sum(axis=0), 1.0, rtol=1e-6)
    assert np.all(np.diff(scores, axis=0) <= 0)
    assert not np.allclose(completed[0], completed[1], atol=1e-6)
    again, _ = several(vae_variables, wall, jax.random.key(5))
    np.testing.assert_array_equal(completed, again)
    # The weighted mean of the clusters is that of all draws, turned about the axis.
    draw = jax.jit(functools.partial(alternatives.draw_profiles, vae, draws=8))
    profiles, axes = draw(vae_variables, wall, jax.random.key(5))
    assert axes.shape == (8, 2, 2) and np.all(np.asarray(axes) == 7.5)
    weights = rings.ring_weights(16, rings.centre_axis(16))
    mean = jnp.maximum(rings.revolve(profiles.mean(axis=0), weights), wall)
    ours = jnp.einsum("kb,kbdhwc->bdhwc", scores, completed)
    np.testing.assert_allclose(ours, mean, atol=2e-3)


@pytest.mark.parametrize(("count", "draws"), [(0, 4), (5, 4)])
def test_wrong_counts(vae, vae_variables, wall, count, draws):
    with pytest.raises(ValueError, match=f"{count} answers from {draws} draws"):
        alternatives.complete(vae, vae_variables, wall, jax.random.key(0), count, draws)


def test_clusters_by_hand():
    """Ten profiles of three kinds: 6, 3 and 1 of them; sizes make the third ring count most."""
    kinds = np.zeros((3, 4, 4), np.float32)
    kinds[0, 1], kinds[1, 2], kinds[2, 3, 2] = 1, 1, 1
    profiles = jnp.asarray(kinds[[1, 0, 0, 2, 0, 1, 0, 0, 1, 0]])
    sizes = jnp.asarray([0.125, 1.0, 20.0, 3.0])
    axes = jnp.asarray([[2.0, 3.0]] * 10)
    means, middles, shares = alternatives.cluster(profiles, axes, sizes=sizes, count=3)
    np.testing.assert_allclose(middles, [[2.0, 3.0]] * 3, rtol=1e-6)
    np.testing.assert_allclose(shares, [0.6, 0.3, 0.1], rtol=1e-6)
    np.testing.assert_allclose(means, kinds, atol=1e-6)
    # One cluster is the mean of all.
    means, _, shares = alternatives.cluster(profiles, axes, sizes=sizes, count=1)
    np.testing.assert_allclose(shares, [1.0])
    np.testing.assert_allclose(means[0], profiles.mean(axis=0), atol=1e-6)


def test_clusters_of_equal_profiles():
    profiles, axes = jnp.ones((4, 2, 3)), jnp.ones((4, 2))
    means, _, shares = alternatives.cluster(profiles, axes, sizes=jnp.ones(3), count=3)
    np.testing.assert_allclose(shares, [1.0, 0.0, 0.0])
    np.testing.assert_allclose(means, np.ones((3, 2, 3)), atol=1e-6)


def test_clusters_of_one_profile_about_two_axes():
    """Half a voxel apart they are two answers, each about its own axis."""
    profiles = jnp.broadcast_to(jnp.eye(8)[None], (5, 8, 8))
    axes = jnp.asarray([[4.0, 3.0], [4.0, 3.5], [4.0, 3.0], [4.0, 3.5], [4.0, 3.0]])
    _, middles, shares = alternatives.cluster(profiles, axes, sizes=jnp.ones(8), count=2)
    np.testing.assert_allclose(shares, [0.6, 0.4], rtol=1e-6)
    np.testing.assert_allclose(middles, [[4.0, 3.0], [4.0, 3.5]], atol=1e-5)


def test_an_axis_that_is_looked_for_is_drawn(wall, shallow):
    """From the untrained heat map many positions come; each answer is about one of its own."""
    vae = models.Model(
        features=4, bottleneck=8, code_size=3, axis="found", axis_within=1.0, axis_trust=0.0
    )
    init = jax.jit(functools.partial(vae.init, train=False))
    vae_variables = init(jax.random.key(0), wall)
    draw = jax.jit(functools.partial(alternatives.draw_profiles, vae, draws=8))
    _, axes = draw(vae_variables, wall, jax.random.key(5))
    apart = np.abs(np.asarray(axes) - 7.5)
    assert apart.max() <= 1.0 and len(np.unique(axes[:, 0], axis=0)) >= 5
    several = jax.jit(functools.partial(alternatives.complete, vae, count=3, draws=8))
    completed, _ = several(vae_variables, wall, jax.random.key(5))
    assert np.all(np.asarray(completed)[:, np.asarray(wall) > 0] == 1.0)
