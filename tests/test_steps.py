"""The losses and the training step, against values computed in another way."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from voxgan_jax.training import loop, losses, parallel, steps
from voxgan_jax.training.state import inference_variables


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
    assert losses.choose_recon_loss("bce") is losses.bce_loss
    with pytest.raises(ValueError, match=r"unknown config\.loss\.recon 'l2'; known: l1, bce"):
        losses.choose_recon_loss("l2")


@pytest.fixture(scope="module")
def batch():
    labels = np.zeros((4, 32, 32, 32), np.uint8)
    labels[:, 8:24, 8:24, 4:28] = 2
    labels[:, 10:22, 10:22, 4:26] = 0
    labels[:, :16][labels[:, :16] > 0] = 3
    labels[:, 12, 8, 10] = 1
    given = np.zeros((4, 256), bool)
    given[:, 2] = True
    return {"labels": jnp.asarray(labels), "given": jnp.asarray(given)}


def _step(config, tx=None):
    parts = loop.build_parts(config)
    if tx is not None:
        parts = parts._replace(tx_g=tx, tx_d=tx)
    step = functools.partial(
        steps.train_step,
        **parts._asdict(),
        recon_loss=losses.l1_loss,
        recon_weight=100.0,
        real_label_range=(0.8, 1.1),
    )
    return parts, step, jax.jit(functools.partial(loop.initial_state, config, parts))()


def test_step_follows_the_original_order(small_config, batch):
    """One SGD step equals the step written out with separate gradients, forward by forward.

    On noise: in empty space batch norm divides by next to nothing and magnifies rounding.
    """
    rng = np.random.default_rng(0)
    labels = rng.choice(np.asarray([0, 0, 1, 2, 3], np.uint8), batch["labels"].shape)
    batch = batch | {"labels": jnp.asarray(labels)}
    rate = 0.01
    parts, step, state = _step(small_config, optax.sgd(rate))
    after, scalars = jax.jit(step)(state, batch)

    partial = (batch["labels"] == 2)[..., None].astype(jnp.float32)
    complete = (batch["labels"] > 0)[..., None].astype(jnp.float32)
    real_labels = jax.random.uniform(
        jax.random.fold_in(state.rng, 0), (4,), jnp.float32, minval=0.8, maxval=1.1
    )

    def run(module, params, stats, volume):
        out, moved = module.apply(
            {"params": params, "batch_stats": stats}, volume, train=True, mutable=["batch_stats"]
        )
        return out, moved["batch_stats"]

    g, d = parts.generator, parts.discriminator
    params_g, params_d = state.generator.params, state.discriminator.params

    def loss_d(params):
        completed, _ = run(g, params_g, state.generator.batch_stats, partial)
        real, stats = run(d, params, state.discriminator.batch_stats, complete)
        fake, stats = run(d, params, stats, jax.lax.stop_gradient(completed))
        return losses.discriminator_loss(real, fake, real_labels).mean(), stats

    (d_loss, stats_d), grads_d = jax.jit(jax.value_and_grad(loss_d, has_aux=True))(params_d)
    new_d = jax.tree.map(lambda p, grad: p - rate * grad, params_d, grads_d)

    def loss_g(params):
        completed, stats_g = run(g, params, state.generator.batch_stats, partial)
        fake, stats = run(d, new_d, stats_d, completed)
        adversarial = losses.adversarial_loss(fake).mean()
        recon = losses.l1_loss(completed, complete, partial).mean()
        return adversarial + 100.0 * recon, (stats_g, stats)

    (g_loss, (stats_g, stats_d)), grads_g = jax.jit(jax.value_and_grad(loss_g, has_aux=True))(
        params_g
    )
    new_g = jax.tree.map(lambda p, grad: p - rate * grad, params_g, grads_g)
    for got, want, before in (
        (after.generator.params, new_g, params_g),
        (after.discriminator.params, new_d, params_d),
        (after.generator.batch_stats, stats_g, state.generator.batch_stats),
        (after.discriminator.batch_stats, stats_d, state.discriminator.batch_stats),
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
def test_learns_one_batch_and_keeps_an_average(small_config, batch):
    small_config.train.ema_decay = 0.5
    parts, _, state = _step(small_config)
    step = loop.compiled_step(small_config, parts, parallel.make_mesh())
    first = jax.tree.map(np.asarray, state.generator.params)
    recon = []
    for index in range(60):
        state, scalars = step(state, batch)
        recon.append(float(scalars["recon_loss"]))
        if index == 0:
            second = jax.tree.map(np.asarray, state.generator.params)
            jax.tree.map(
                lambda ema, a, b: np.testing.assert_allclose(ema, (a + b) / 2, atol=1e-6),
                state.ema_params,
                first,
                second,
            )
    assert recon[-1] < 0.3 * recon[0]
    averaged = inference_variables(state)["params"]
    assert averaged is state.ema_params


def test_crumbs_are_part_of_the_target_unless_told(small_config, batch):
    _, step, state = _step(small_config, optax.sgd(0.01))
    kept, left = (
        jax.jit(functools.partial(step, keep_crumbs=keep))(state, batch)[1]["recon_loss"]
        for keep in (True, False)
    )
    # One voxel a pot, completed near 1/2 at the start, changes its term from 1 - p to p.
    assert 0 < abs(float(kept - left)) < 1 / 32**3


def test_four_devices_give_the_step_of_one(tmp_path):
    """Under jit with the batch divided, statistics and gradients are those of the whole batch."""
    import os
    import subprocess
    import sys

    script = """
import jax, numpy as np, optax
from configs import smoke
from voxgan_jax.training import loop, parallel
config = smoke.get_config()
config.generator.features = config.discriminator.features = 4
config.loss.recon_weight = 10.0
parts = loop.build_parts(config)._replace(tx_g=optax.sgd(0.01), tx_d=optax.sgd(0.01))
rng = np.random.default_rng(0)
batch = {
    "labels": rng.integers(0, 4, (8, 32, 32, 32)).astype(np.uint8),
    "given": np.eye(256, dtype=bool)[rng.integers(2, 4, 8)],
}
ends = []
for devices in (jax.devices()[:1], jax.devices()):
    mesh = parallel.make_mesh(devices)
    step = loop.compiled_step(config, parts, mesh)
    state = jax.device_put(loop.initial_state(config, parts), parallel.replicated(mesh))
    for _ in range(2):
        state, scalars = step(state, jax.device_put(batch, parallel.batch_sharding(mesh)))
    ends.append(jax.device_get((state.generator.params, state.discriminator.batch_stats, scalars)))
assert len(jax.devices()) == 4
jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), *ends)
print("equal")
"""
    env = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip().endswith("equal"), done.stderr[-2000:]
