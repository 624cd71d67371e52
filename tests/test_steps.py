"""The training steps of the objectives, against values computed in another way."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import test_parallel

from configs import revolve
from voxgan_jax import models
from voxgan_jax.devices import parallel
from voxgan_jax.training import build, loop, losses, objectives
from voxgan_jax.training.state import Net

pytestmark = pytest.mark.usefixtures("shallow")


@pytest.fixture(scope="module")
def batch():
    """Four pots of noise in fragments 2 and 3 with some crumbs."""
    labels = np.random.default_rng(0).choice(np.asarray([0, 0, 1, 2, 3], np.uint8), (4, 4, 4, 4))
    given = np.zeros((4, 256), bool)
    given[:, 2] = True
    return {"labels": jnp.asarray(labels), "given": jnp.asarray(given)}


def start(config, objective):
    return jax.jit(functools.partial(build.initial_state, config, objective))()


def test_step_follows_the_original_order(batch):
    """One SGD step equals the step written out with separate gradients, forward by forward.

    On noise: in empty space batch norm divides by next to nothing and magnifies rounding.
    """
    rate = 0.1
    config, objective = test_parallel.make(recon="l1", recon_weight=100.0, axis_name=None)
    state = start(config, objective)
    after, scalars = jax.jit(objective.step)(state, batch)

    partial = (batch["labels"] == 2)[..., None].astype(jnp.float32)
    complete = (batch["labels"] > 0)[..., None].astype(jnp.float32)
    real_labels = jax.random.uniform(
        jax.random.fold_in(state.rng, 0), (4,), jnp.float32, minval=0.8, maxval=1.1
    )

    def run(module, params, stats, volume):
        return module.apply({"params": params, **stats}, volume, train=True, mutable=list(stats))

    g, d = (objective.nets[name].module for name in ("generator", "discriminator"))
    net_g, net_d = state.nets["generator"], state.nets["discriminator"]
    params_g, params_d = net_g.params, net_d.params
    first_g = {"batch_stats": net_g.batch_stats}
    first_d = {"batch_stats": net_d.batch_stats, "spectral_stats": net_d.spectral_stats}

    def loss_d(params):
        completed, _ = run(g, params_g, first_g, partial)
        real, stats = run(d, params, first_d, complete)
        fake, stats = run(d, params, stats, jax.lax.stop_gradient(completed))
        return losses.discriminator_loss(real, fake, real_labels).mean(), stats

    (d_loss, stats_d), grads_d = jax.jit(jax.value_and_grad(loss_d, has_aux=True))(params_d)
    new_d = jax.tree.map(lambda p, grad: p - rate * grad, params_d, grads_d)

    def loss_g(params):
        completed, stats_g = run(g, params, first_g, partial)
        fake, stats = run(d, new_d, stats_d, completed)
        adversarial = losses.adversarial_loss(fake).mean()
        recon = losses.l1_loss(completed, complete, partial).mean()
        return adversarial + 100.0 * recon, (stats_g, stats)

    (g_loss, (stats_g, stats_d)), grads_g = jax.jit(jax.value_and_grad(loss_g, has_aux=True))(
        params_g
    )
    new_g = jax.tree.map(lambda p, grad: p - rate * grad, params_g, grads_g)
    after_g, after_d = after.nets["generator"], after.nets["discriminator"]
    for got, want, before in (
        (after_g.params, new_g, params_g),
        (after_d.params, new_d, params_d),
        ({"batch_stats": after_g.batch_stats}, stats_g, first_g),
        ({name: getattr(after_d, name) for name in first_d}, stats_d, first_d),
    ):
        for path, leaf in jax.tree_util.tree_leaves_with_path(
            jax.tree.map(lambda *leaves: jnp.stack(leaves), got, want, before)
        ):
            off, moved = jnp.linalg.norm((leaf[0] - leaf[1]).ravel()), leaf[1] - leaf[2]
            # A bias before batch norm has no gradient but rounding.
            assert off <= 3e-5 * jnp.linalg.norm(moved.ravel()) + 1e-7, jax.tree_util.keystr(path)
    np.testing.assert_allclose(scalars["d_loss"], d_loss, rtol=1e-5)
    np.testing.assert_allclose(scalars["g_loss"], g_loss, rtol=1e-5)
    np.testing.assert_allclose(
        scalars["g_loss"], scalars["adversarial_loss"] + 100.0 * scalars["recon_loss"], rtol=1e-5
    )
    np.testing.assert_allclose(scalars["grad_norm_g"], optax.tree.norm(grads_g), rtol=1e-4)
    assert int(after.step) == 1


@pytest.mark.usefixtures("loose_promotion")
def test_learns_one_batch_and_keeps_an_average(batch):
    config, objective = test_parallel.make(recon_weight=1000.0)
    config.train.ema_decay = 0.5
    nets = {name: net._replace(tx=optax.adam(0.03)) for name, net in objective.nets.items()}
    objective = objectives.build(config, nets)
    state = start(config, objective)
    step = loop.compile_step(config, objective, parallel.make_mesh())
    first = jax.tree.map(np.asarray, state.nets["generator"].params)
    recon = []
    for index in range(60):
        state, scalars = step(state, batch)
        recon.append(float(scalars["recon_loss"]))
        if index == 0:  # The average is one over few steps at first.
            second = jax.tree.map(np.asarray, state.nets["generator"].params)
            jax.tree.map(
                lambda ema, a, b: np.testing.assert_allclose(ema, 0.1 * a + 0.9 * b, atol=1e-6),
                state.ema_params,
                first,
                second,
            )
    assert recon[-1] < 0.3 * recon[0]
    averaged = state.variables()["params"]
    assert averaged is state.ema_params


def test_crumbs_are_part_of_the_target_unless_told(batch):
    found = []
    for keep in (True, False):
        config, objective = test_parallel.make(recon="l1", keep_crumbs=keep, axis_name=None)
        scalars = jax.jit(objective.step)(start(config, objective), batch)[1]
        found.append(float(scalars["recon_loss"]))
    # A crumb, completed near 1/2 at the start, changes its term from 1 - p to p.
    crumbs = float((batch["labels"] == 1).mean())
    assert 0 < abs(found[0] - found[1]) < crumbs


# The axis-aware generator: losses that can be switched, no batch statistics.


def _revolve(objective="regression", accumulate_steps=1, **loss):
    """A small axis-aware config at 16³ with other weights of its losses; steps under SGD."""
    config = revolve.get_config()
    config.objective, config.train.accumulate_steps = objective, accumulate_steps
    config.generator.axis = "centre"
    config.data.resolution = 16
    config.generator.features, config.generator.bottleneck = 2, 4
    config.train.ema_decay = 0.0
    config.loss.update(loss)
    nets = {"generator": Net(models.build(config.generator), optax.sgd(0.1))}
    if objective == "gan":
        nets["discriminator"] = Net(test_parallel.Judge(), optax.sgd(0.1))
    return config, objectives.build(config, nets)


@functools.cache
def _one_step(**options):
    """The states before and after one step on 4 pots of noise, and its scalars."""
    config, objective = _revolve(**options)
    rng = np.random.default_rng(0)
    batch = {
        "labels": jnp.asarray(rng.choice(np.asarray([0, 0, 1, 2, 3], np.uint8), (4, 16, 16, 16))),
        "given": jnp.asarray(np.eye(256, dtype=bool)[[2, 3, 2, 3]]),
    }
    state = start(config, objective)
    before = jax.device_get(state)
    step = loop.compile_step(config, objective, parallel.make_mesh(jax.devices()[:1]))
    after, scalars = step(state, batch)
    return before, jax.device_get(after), {name: float(value) for name, value in scalars.items()}


def _largest_change(before, after):
    return max(
        (np.abs(a - b).max() for a, b in zip(*map(jax.tree.leaves, (before, after)), strict=True)),
        default=0.0,
    )


def test_without_an_adversarial_loss_there_is_no_discriminator():
    before, after, scalars = _one_step(accumulate_steps=1)
    assert set(scalars) == {"g_loss", "profile_loss", "grad_norm_g"}
    assert scalars["g_loss"] == scalars["profile_loss"] > 0.1
    assert set(before.nets) == set(after.nets) == {"generator"}
    before_g, after_g = before.nets["generator"], after.nets["generator"]
    assert _largest_change(before_g.params, after_g.params) > 1e-4
    assert after.step == 1
    with pytest.raises(ValueError, match=r"set config\.objective=regression"):
        _revolve("gan", adversarial_weight=0.0)


def test_every_loss_at_once_and_its_weight():
    weights: dict[str, Any] = {
        "adversarial_weight": 0.5,
        "recon_weight": 3.0,
        "profile_weight": 2.0,
    }
    before, after, scalars = _one_step(objective="gan", recon="bce_dice", **weights)
    assert set(scalars) == {
        *("g_loss", "adversarial_loss", "recon_loss", "profile_loss", "grad_norm_g"),
        *("d_loss", "d_real_prob", "d_fake_prob", "d_accuracy", "grad_norm_d"),
    }
    total = 0.5 * scalars["adversarial_loss"] + 3.0 * scalars["recon_loss"]
    assert scalars["g_loss"] == pytest.approx(total + scalars["profile_loss"], rel=1e-5)
    # Both are cross-entropy and soft Dice over what is not given, near each other.
    assert scalars["recon_loss"] == pytest.approx(scalars["profile_loss"] / 2, rel=0.1)
    before_d, after_d = before.nets["discriminator"], after.nets["discriminator"]
    assert _largest_change(before_d.params, after_d.params) > 1e-4
    assert _largest_change(before_d.batch_stats, after_d.batch_stats) > 1e-4


def test_without_a_reconstruction_loss_it_is_not_computed():
    *_, scalars = _one_step(objective="gan", adversarial_weight=1.0, profile_weight=0.0)
    assert "recon_loss" not in scalars and "profile_loss" not in scalars
    assert scalars["g_loss"] == scalars["adversarial_loss"]
    assert scalars["d_loss"] > 0.5


def test_in_parts_without_an_adversarial_loss():
    """No batch statistics: the means over two micro-batches are those over the batch."""
    ends = []
    for accumulate_steps in (1, 2):
        _, after, scalars = _one_step(accumulate_steps=accumulate_steps)
        ends.append((after.nets["generator"].params, scalars))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), *ends)


def test_in_parts_the_generators_statistics_move_once_a_micro_batch():
    """Whether the first of the two passes is run, for the discriminator, or not."""
    ends = []
    for name in ("regression", "gan"):
        config, objective = test_parallel.make(objective=name, accumulate_steps=2)
        step = loop.compile_step(config, objective, parallel.make_mesh(jax.devices()[:1]))
        state = start(config, objective)
        first = jax.device_get(state.nets["generator"].batch_stats)
        state = step(state, test_parallel.make_batch())[0]
        ends.append(jax.device_get(state.nets["generator"]))
    stats = [net.batch_stats for net in ends]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), *stats)
    assert _largest_change(first, stats[0]) > 1e-3
    assert _largest_change(ends[0].params, ends[1].params) > 1e-5
