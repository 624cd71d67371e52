"""Losses, against values written out by hand."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest

from configs import revolve
from voxgan_jax import fields
from voxgan_jax.geometry import rings, wheel
from voxgan_jax.training import losses


def case(seed=0, batch=2, side=8):
    """Random (completed, complete, partial): half of a cube is clay, a third of that given."""
    rng = np.random.default_rng(seed)
    shape = (batch, side, side, side, 1)
    complete = rng.random(shape) < 0.5
    partial = complete & (rng.random(shape) < 0.3)
    completed = rng.uniform(0.05, 0.95, shape)
    return tuple(jnp.asarray(volume, jnp.float32) for volume in (completed, complete, partial))


def test_losses_by_hand():
    real, fake = jnp.asarray([2.0, -1.0]), jnp.asarray([0.5, -3.0])
    labels = jnp.asarray([0.9, 1.1])

    def cross_entropy(logit, label):
        p = 1 / (1 + np.exp(-np.asarray(logit, np.float64)))
        return -label * np.log(p) - (1 - label) * np.log(1 - p)

    np.testing.assert_allclose(
        losses.discriminator_loss(real, fake, labels),
        cross_entropy(real, np.asarray([0.9, 1.1])) + cross_entropy(fake, 0.0),
        rtol=1e-5,
    )
    np.testing.assert_allclose(losses.adversarial_loss(fake), cross_entropy(fake, 1.0), rtol=1e-5)
    completed = jnp.zeros((2, 2, 2, 2, 1)).at[0, 0, 0, 0, 0].set(0.25)
    complete = jnp.zeros((2, 2, 2, 2, 1)).at[1].set(1.0)
    partial = jnp.zeros_like(complete)
    np.testing.assert_allclose(losses.l1_loss(completed, complete, partial), [0.25 / 8, 1.0])
    np.testing.assert_allclose(
        losses.bce_loss(completed, complete, partial), [-np.log(0.75) / 8, -np.log(1e-6)], rtol=1e-4
    )
    choose = functools.partial(fields.choose, losses.RECON_LOSSES, "config.loss.recon")
    assert choose("bce") is losses.bce_loss
    assert choose("bce_dice") is losses.bce_dice_loss
    with pytest.raises(
        ValueError, match=r"config\.loss\.recon 'l2'; known: l1, bce, bce_dice, dice"
    ):
        choose("l2")


def test_bce_dice_by_hand():
    """Of 8 voxels 2 are given and 2 of the other 6 are clay; the answer is 1/4 everywhere."""
    complete = np.zeros((1, 2, 2, 2, 1), np.float32)
    complete[0, 0] = 1
    partial = np.zeros_like(complete)
    partial[0, 0, 0] = 1
    completed = np.full_like(complete, 0.25)
    bce = -(2 * np.log(0.25) + 4 * np.log(0.75)) / 6
    dice = 1 - (2 * 2 * 0.25 + 1) / (6 * 0.25 + 2 + 1)
    want = bce + 0.1 * dice
    assert want == pytest.approx(0.709442, abs=1e-6)
    got = losses.bce_dice_loss(*(jnp.asarray(v) for v in (completed, complete, partial)))
    np.testing.assert_allclose(got, [want], rtol=1e-5)


def test_dice_alone_is_bold_where_cross_entropy_is_careful():
    """Of a voxel that is clay in three pots of five, beside one that always is."""
    complete = np.zeros((5, 1, 1, 2, 1), np.float32)
    complete[:, 0, 0, 0], complete[:3, 0, 0, 1] = 1, 1
    partial = np.zeros_like(complete)

    def mean(loss, share):
        completed = np.ones_like(complete)
        completed[:, 0, 0, 1] = share
        return float(loss(*map(jnp.asarray, (completed, complete, partial))).mean())

    # Two pots of five lose 1 − (2 + 1) / (3 + 1).
    assert mean(losses.dice_loss, 1.0) == pytest.approx(0.4 * 0.25)
    assert mean(losses.dice_loss, 1.0) < 0.9 * mean(losses.dice_loss, 0.6)
    assert mean(losses.bce_loss, 0.6) < 0.9 * mean(losses.bce_loss, 1.0)


def test_bce_dice_looks_at_what_is_not_given():
    completed, complete, partial = case()
    loss = losses.bce_dice_loss(completed, complete, partial)
    changed = jnp.where(partial > 0, 0.5, completed)
    np.testing.assert_array_equal(losses.bce_dice_loss(changed, complete, partial), loss)
    assert np.all(losses.bce_loss(changed, complete, partial) != losses.bce_loss(*case()))
    changed = jnp.where(partial > 0, completed, 0.5)
    assert np.abs(losses.bce_dice_loss(changed, complete, partial) - loss).min() > 0.05


def test_bce_dice_of_right_answers_and_of_nothing():
    _, complete, partial = case()
    np.testing.assert_allclose(losses.bce_dice_loss(complete, complete, partial), 0.0, atol=1e-5)
    # All is given: nothing to lose, and no division by 0.
    np.testing.assert_array_equal(
        losses.bce_dice_loss(jnp.zeros_like(complete), complete, jnp.ones_like(complete)), 0.0
    )
    wrong = losses.bce_dice_loss(1.0 - complete, complete, partial)
    np.testing.assert_allclose(wrong, -np.log(1e-6) + 0.1, rtol=2e-3)


def profile_case(side=8):
    """Logits that differ from height to height but not from ring to ring."""
    _, complete, partial = case(1, 3, side)
    heights = jnp.asarray(np.random.default_rng(2).normal(size=(3, side, 1)), jnp.float32)
    logits = jnp.broadcast_to(heights, (3, side, wheel.num_rings(side)))
    return logits, complete, partial


@pytest.mark.parametrize("axes", [1, 3])
def test_profile_loss_is_that_of_the_revolved_profile(axes):
    """Where the rings of a height are alike, every voxel is told what its ring is told.

    In general a voxel lies between two rings, and the cross-entropy of their mean is not the mean
    of their cross-entropies.
    """
    logits, complete, partial = profile_case()
    axis = jnp.asarray([[3.5, 3.5], [3.0, 4.0], [2.5, 3.0]])[:axes]
    weights = rings.ring_weights(8, axis)
    completed = rings.revolve(1 / (1 + jnp.exp(-logits)), weights)
    np.testing.assert_allclose(
        losses.profile_loss(logits, axis, complete, partial, ring_width=0.5),
        losses.bce_dice_loss(completed, complete, partial),
        rtol=1e-4,
    )


def test_profile_loss_bounds_that_of_the_revolved_profile():
    """Cross-entropy is convex: looking between two rings never costs more than at both."""
    _, complete, partial = profile_case()
    logits = jnp.asarray(np.random.default_rng(3).normal(size=(3, 8, 16)), jnp.float32)
    axis = rings.centre_axis(8)
    completed = rings.revolve(1 / (1 + jnp.exp(-logits)), rings.ring_weights(8, axis))
    on_rings = losses.profile_loss(logits, axis, complete, partial, ring_width=0.5)
    on_voxels = losses.bce_dice_loss(completed, complete, partial)
    assert np.all(on_rings > on_voxels) and np.all(on_rings < on_voxels + 0.5)


def test_auxiliary_losses_have_weights_and_switches():
    logits, complete, partial = profile_case()
    axis = rings.centre_axis(8)
    outputs = {"profile_logits": logits, "axis": axis}
    config = revolve.get_config()
    config.loss.profile_weight = 2.5
    found = losses.auxiliary_losses(config, outputs, complete, partial)
    assert set(found) == {"profile_loss"}
    np.testing.assert_allclose(
        found["profile_loss"],
        2.5 * losses.profile_loss(logits, axis, complete, partial, ring_width=0.5),
        rtol=1e-6,
    )
    # The paper's generators leave nothing behind.
    assert losses.auxiliary_losses(config, {}, complete, partial) == {}
    config.loss.profile_weight = 0.0
    assert losses.auxiliary_losses(config, outputs, complete, partial) == {}
