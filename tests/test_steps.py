"""The training steps of the objectives, against values computed in another way."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import test_parallel

from configs import revolve, smoke
from voxgan_jax.devices import parallel
from voxgan_jax.training import build, loop, losses, objectives
from voxgan_jax.training.state import inference_variables


@pytest.fixture
def config():
    """The paper's networks as small as they get, with its loss."""
    config = smoke.get_config()
    config.data.resolution = 16
    config.generator.features = config.discriminator.features = 2
    config.loss.recon, config.loss.recon_weight = "l1", 100.0
    return config


@pytest.fixture(scope="module")
def batch():
    labels = np.zeros((4, 16, 16, 16), np.uint8)
    labels[:, 4:12, 4:12, 2:14] = 2
    labels[:, 5:11, 5:11, 2:13] = 0
    labels[:, :8][labels[:, :8] > 0] = 3
    labels[:, 6, 4, 5] = 1
    given = np.zeros((4, 256), bool)
    given[:, 2] = True
    return {"labels": jnp.asarray(labels), "given": jnp.asarray(given)}


def with_tx(config, tx):
    """The objective of a config with another optimiser for each network."""
    nets = objectives.build(config).nets
    return objectives.build(config, {name: net._replace(tx=tx) for name, net in nets.items()})


def start(config, objective):
    return jax.jit(functools.partial(build.initial_state, config, objective))()


def test_step_follows_the_original_order(config, batch):
    """One SGD step equals the step written out with separate gradients, forward by forward.

    On noise: in empty space batch norm divides by next to nothing and magnifies rounding.
    """
    rng = np.random.default_rng(0)
    labels = rng.choice(np.asarray([0, 0, 1, 2, 3], np.uint8), batch["labels"].shape)
    batch = batch | {"labels": jnp.asarray(labels)}
    rate = 0.01
    objective = with_tx(config, optax.sgd(rate))
    state = start(config, objective)
    after, scalars = jax.jit(objective.step)(state, batch)

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

    g, d = (objective.nets[name].module for name in ("generator", "discriminator"))
    net_g, net_d = state.nets["generator"], state.nets["discriminator"]
    params_g, params_d = net_g.params, net_d.params

    def loss_d(params):
        completed, _ = run(g, params_g, net_g.batch_stats, partial)
        real, stats = run(d, params, net_d.batch_stats, complete)
        fake, stats = run(d, params, stats, jax.lax.stop_gradient(completed))
        return losses.discriminator_loss(real, fake, real_labels).mean(), stats

    (d_loss, stats_d), grads_d = jax.jit(jax.value_and_grad(loss_d, has_aux=True))(params_d)
    new_d = jax.tree.map(lambda p, grad: p - rate * grad, params_d, grads_d)

    def loss_g(params):
        completed, stats_g = run(g, params, net_g.batch_stats, partial)
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
        (after_g.batch_stats, stats_g, net_g.batch_stats),
        (after_d.batch_stats, stats_d, net_d.batch_stats),
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
def test_learns_one_batch_and_keeps_an_average(config, batch):
    config.loss.recon, config.loss.recon_weight = "bce", 1000.0
    config.generator.features, config.train.ema_decay = 4, 0.5
    objective = objectives.build(config)
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
    averaged = inference_variables(state)["params"]
    assert averaged is state.ema_params


def test_crumbs_are_part_of_the_target_unless_told(config, batch):
    found = []
    for keep in (True, False):
        config.fragments.keep_crumbs = keep
        objective = with_tx(config, optax.sgd(0.01))
        scalars = jax.jit(objective.step)(start(config, objective), batch)[1]
        found.append(scalars["recon_loss"])
    # One voxel a pot, completed near 1/2 at the start, changes its term from 1 - p to p.
    assert 0 < abs(float(found[0] - found[1])) < 1 / batch["labels"][0].size


# The axis-aware generator: losses that can be switched, no batch statistics.


def _revolve(objective="regression", accumulate_steps=1, **loss):
    """A small axis-aware config at 16³ with other weights of its losses; steps under SGD."""
    config = revolve.get_config()
    config.objective, config.train.accumulate_steps = objective, accumulate_steps
    config.generator.axis = "centre"
    config.data.resolution = 16
    config.generator.features, config.generator.bottleneck = 2, 4
    config.discriminator.features = 2
    config.train.ema_decay = 0.0
    config.loss.update(loss)
    return config, with_tx(config, optax.sgd(0.1))


def _one_step(config, objective):
    """The states before and after one step on 4 pots of noise, and its scalars."""
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
    before, after, scalars = _one_step(*_revolve())
    assert set(scalars) == {"g_loss", "profile_loss", "grad_norm_g"}
    assert scalars["g_loss"] == scalars["profile_loss"] > 0.1
    assert set(before.nets) == set(after.nets) == {"generator"}
    before_g, after_g = before.nets["generator"], after.nets["generator"]
    assert _largest_change(before_g.params, after_g.params) > 1e-4
    assert after.step == 1
    with pytest.raises(ValueError, match=r"set config\.objective=regression"):
        _revolve("gan", adversarial_weight=0.0)


def test_every_loss_at_once_and_its_weight():
    weights = {"adversarial_weight": 0.5, "recon_weight": 3.0, "profile_weight": 2.0}
    before, after, scalars = _one_step(*_revolve("gan", recon="bce_dice", **weights))
    assert set(scalars) == {
        *("g_loss", "adversarial_loss", "recon_loss", "profile_loss", "grad_norm_g"),
        *("d_loss", "d_real_prob", "d_fake_prob", "grad_norm_d"),
    }
    total = 0.5 * scalars["adversarial_loss"] + 3.0 * scalars["recon_loss"]
    assert scalars["g_loss"] == pytest.approx(total + scalars["profile_loss"], rel=1e-5)
    # Both are cross-entropy and soft Dice over what is not given, near each other.
    assert scalars["recon_loss"] == pytest.approx(scalars["profile_loss"] / 2, rel=0.1)
    before_d, after_d = before.nets["discriminator"], after.nets["discriminator"]
    assert _largest_change(before_d.params, after_d.params) > 1e-4
    assert _largest_change(before_d.batch_stats, after_d.batch_stats) > 1e-4


def test_without_a_reconstruction_loss_it_is_not_computed():
    *_, scalars = _one_step(*_revolve("gan", adversarial_weight=1.0, profile_weight=0.0))
    assert "recon_loss" not in scalars and "profile_loss" not in scalars
    assert scalars["g_loss"] == scalars["adversarial_loss"]
    assert scalars["d_loss"] > 0.5


def test_in_parts_without_an_adversarial_loss():
    """No batch statistics: the means over two micro-batches are those over the batch."""
    ends = []
    for accumulate_steps in (1, 2):
        _, after, scalars = _one_step(*_revolve(accumulate_steps=accumulate_steps))
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


def test_four_devices_give_the_step_of_one():
    """Under jit with the batch divided, statistics and gradients are those of the whole batch."""
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
    _run_on_four_devices(script)


def test_the_axis_aware_step_on_one_device_and_on_two():
    """With noise for every row; under jit and pmap, in the state and in the scalars."""
    script = """
import jax, numpy as np, optax
from configs import revolve, smoke
from voxgan_jax.training import loop, parallel
rng = np.random.default_rng(0)
batch = {
    "labels": rng.choice(np.asarray([0, 0, 2, 3], np.uint8), (4, 16, 16, 16)),
    "given": np.eye(256, dtype=bool)[[2, 3, 3, 2]],
}
ends = []
for mode, count in (("jit", 1), ("jit", 2), ("pmap", 2)):
    config = revolve.get_config()
    config.data.resolution, config.parallel.mode = 16, mode
    config.generator.features, config.generator.bottleneck = 2, 4
    config.generator.residual_features = config.discriminator.features = 2
    config.loss.recon, config.loss.recon_weight = "bce_dice", 1.0
    parts = loop.build_parts(config)._replace(tx_g=optax.sgd(0.3), tx_d=optax.sgd(0.3))
    mesh = parallel.make_mesh(jax.devices()[:count])
    step = loop.compiled_step(config, parts, mesh)
    state = jax.jit(lambda: loop.initial_state(config, parts))()
    state = jax.device_put(state, parallel.replicated(mesh))
    first = jax.device_get(state.generator.params)
    for _ in range(3):
        state, scalars = step(state, jax.device_put(batch, parallel.batch_sharding(mesh)))
    ends.append(jax.device_get((state.generator.params, state.ema_params, scalars)))
    moved = max(jax.tree.leaves(jax.tree.map(lambda a, b: np.abs(a - b).max(), first, ends[-1][0])))
    assert moved > 1e-2, moved
for end in ends[1:]:
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), ends[0], end)
print("equal")
"""
    _run_on_four_devices(script)


def _run_on_four_devices(script):
    """A program that says "equal" in the end."""
    env = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip().endswith("equal"), done.stderr[-2000:]
