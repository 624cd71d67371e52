"""Half sections by rectified flow: the way through noise, the losses, training and both answers."""

import functools
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import small
from known_objectives import with_fewer_levels
from turned_solids import shell

from configs import profile_flow as config_of_flow
from voxgan_jax.data import augment, mixture, resident
from voxgan_jax.devices import parallel
from voxgan_jax.geometry import half_section, lathe, profile_targets, rings, stretch, wheel
from voxgan_jax.models import profile_flow
from voxgan_jax.training import build, loop, objectives
from voxgan_jax.training.objectives import flow

SIDE, ROWS = 16, 2
ONE = parallel.make_mesh(jax.devices()[:1])
HALF = (2 * SIDE, wheel.num_rings(SIDE))


@pytest.fixture(scope="module", autouse=True)
def shallow():
    """Networks of two levels."""
    with pytest.MonkeyPatch.context() as patch:
        with_fewer_levels(patch, 2)
        yield


# The way from noise to a pot.


def test_paths_are_straight():
    noise, clean = jnp.full((3, 2, 2), -4.0), jnp.full((3, 2, 2), 8.0)
    met = flow.path(noise, clean, jnp.asarray([0.0, 0.25, 1.0]))
    np.testing.assert_allclose(met[:, 0, 0], [-4, -1, 8])


def test_heun_finds_the_end_of_a_known_flow_to_second_order():
    """Of pots with a normal distribution, of mean m and deviation s, noise z ends at m + s z."""
    m, s = 0.7, 0.2
    noise = jnp.asarray([-2.0, -0.5, 0.0, 1.0, 3.0])

    def expected(x, t):
        return m + t * s**2 * (x - t * m) / (t**2 * s**2 + (1 - t) ** 2)

    def miss(steps):
        found = profile_flow.heun(expected, noise, jnp.linspace(0, 1, steps + 1))
        return float(jnp.abs(found - (m + s * noise)).max())

    assert miss(64) < 2e-3
    assert miss(32) / miss(64) > 3
    # Where all pots are one, any number of steps ends in it.
    one = profile_flow.heun(lambda x, t: jnp.full_like(x, m), noise, profile_flow.times(2))
    np.testing.assert_allclose(one, m, rtol=1e-6)


def test_times_are_denser_near_noise():
    np.testing.assert_allclose(profile_flow.times(4), [0, 0.1, 0.25, 0.5, 1], atol=1e-6)
    keys = jax.random.split(jax.random.key(0), 4000)
    noise, time, quick, missed = flow.chance(keys, (1, 2), 0.25)
    assert float(quick.mean()) == pytest.approx(0.25, abs=0.03)
    assert not time[quick].any() and 0 < float(time[~quick].min()) < float(time[~quick].max()) < 1
    # The odds' median is 1 to 3.
    assert float(jnp.median(time[~quick])) == pytest.approx(0.25, abs=0.02)
    assert float(noise.std()) == pytest.approx(1, abs=0.03)
    assert float(missed.std()) == pytest.approx(1, abs=0.03)
    # What is drawn of one key is drawn apart.
    assert abs(float(jnp.corrcoef(noise[:, 0, 0], missed[:, 0])[0, 1])) < 0.05


# From half sections to voxels and back.


def test_a_turned_half_section_is_that_of_the_lathe():
    rng = np.random.default_rng(0)
    distance = rng.uniform(-3, 3, HALF).astype(np.float32)
    axis = (7.3, 7.9)
    weights = rings.ring_weights(SIDE, jnp.asarray([axis], jnp.float32))
    found = np.asarray(profile_flow.turned(jnp.asarray(distance[None]), weights))[0, ..., 0]
    want = lathe.field(distance, SIDE, axis)
    inner = wheel.radii((SIDE, SIDE), np.array([axis]))[0] < (HALF[1] - 1) / 2
    assert inner.sum() > 200
    np.testing.assert_allclose(found[inner], want[inner], atol=1e-4)
    far = rings.ring_weights(SIDE, jnp.asarray([[-30.0, -30.0]]))
    assert np.all(np.asarray(profile_flow.turned(jnp.asarray(distance[None]), far)) == 3)
    slope = jax.grad(lambda d: profile_flow.turned(d, weights)[0, 8, 8, 8, 0])(distance[None])
    assert float(slope.sum()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("factors", [(1.0, 1.0), (1.15, 1.0), (0.87, 1.1)])
def test_a_stretched_half_section_is_nearly_that_of_the_stretched_pot(factors):
    """Of a ball's shell, turned into that of an ellipsoid, at its surfaces and near them."""
    across, up = factors
    h, r = half_section.heights(128)[:, None], np.arange(72)[None] * half_section.STEP
    solid = shell(31.5, 20.0, 2.0)
    start = np.clip(solid(h, r), -3, 3).astype(np.float32)
    found = stretch.stretched(
        jnp.asarray(start[None]),
        *(jnp.asarray([value], jnp.float32) for value in (across, up, 31.5, 33.5)),
    )
    # Points of both surfaces of the stretched shell, and of what lies a voxel off them.
    angle = np.linspace(0.05, np.pi - 0.05, 60)
    for radius, off in itertools.product((18.0, 22.0), (-0.7, 0.0, 0.7)):
        normal = np.stack([np.cos(angle) / up, np.sin(angle) / across])
        normal /= np.linalg.norm(normal, axis=0)
        at = radius * np.stack([up * np.cos(angle), across * np.sin(angle)]) + off * normal
        sign = 1 if radius > 20 else -1
        rows, ring = (at[0] + 33.5) / half_section.STEP + 0.5, at[1] / half_section.STEP
        low = np.floor(rows).astype(int), np.floor(ring).astype(int)
        share = rows - low[0], ring - low[1]
        read = sum(
            np.asarray(found)[0][low[0] + a, low[1] + b]
            * np.where(a, share[0], 1 - share[0])
            * np.where(b, share[1], 1 - share[1])
            for a in (0, 1)
            for b in (0, 1)
        )
        assert np.abs(read - sign * off).max() < 0.12, (radius, off)


def test_a_stretched_batch_keeps_pot_and_half_section_together():
    pots = [mixture.broken_pot(4 * n, seed=3, resolution=64) for n in range(3)]
    labels = np.stack([pot.labels for pot in pots])
    profiles = np.stack([profile_targets.target(pot > 0).distance for pot in labels])
    batch = {"labels": jnp.asarray(labels), "profiles": jnp.asarray(profiles, jnp.float16)}
    options = {"turn": True, "scale_radius": 0.2, "scale_height": 0.2}
    change = functools.partial(augment.augment_batch, keep_longest=True, **options)
    changed = jax.device_get(jax.jit(change)(batch, jax.random.key(1), jnp.int32(0)))
    for before, pot, distance in zip(labels, changed["labels"], changed["profiles"], strict=True):
        assert ((before > 0) != (pot > 0)).mean() > 0.005
        turned = lathe.field(distance, 64, wheel.find_axis(pot > 0)) < 0
        assert (turned & (pot > 0)).sum() / (turned | (pot > 0)).sum() > 0.85
    with pytest.raises(ValueError, match=r"config\.data\.warp bends no half sections"):
        augment.augment_batch(batch, jax.random.key(1), jnp.int32(0), warp=0.2)


def test_a_feed_holds_each_pots_half_section(resident_config):
    resident_config.data.profiles, resident_config.data.synthetic_pots = True, 1
    opened = resident.open_feed(resident_config, ONE)
    item = jax.device_get(next(opened.items(0)))
    assert item["profiles"].shape == (20, *HALF) and item["profiles"].dtype == np.float16
    for n in (0, 7, 16, 19):
        found = profile_targets.target(item["labels"][n] > 0).distance
        np.testing.assert_allclose(item["profiles"][n], found, atol=2e-3)
    assert opened.draw is not None
    rows = jax.P(parallel.DATA_AXIS)
    run = jax.shard_map(opened.draw, mesh=ONE, in_specs=(rows, jax.P(), jax.P()), out_specs=rows)
    batch = jax.device_get(jax.jit(run)(item, jax.random.key(0), jnp.int32(0)))
    assert set(batch) == {"labels", "given", "profiles"}
    known = {pot.tobytes(): row for row, pot in enumerate(item["labels"])}
    for labels, distance in zip(batch["labels"], batch["profiles"], strict=True):
        np.testing.assert_array_equal(distance, item["profiles"][known[labels.tobytes()]])


def test_what_does_not_suit_is_refused():
    config = config_of_flow.get_config()
    config.data.profiles = False
    with pytest.raises(ValueError, match=r"set config\.data\.profiles=True and config\.data"):
        objectives.build(config)
    config.data.profiles, config.generator.kind = True, "revolve"
    with pytest.raises(ValueError, match=r"flow is for config\.generator\.kind=profile_flow"):
        objectives.build(config)


def test_what_the_config_alone_tells_is_wrong_is_found_before_the_data_is_read(
    resident_config, tmp_path, monkeypatch
):
    monkeypatch.setattr(build, "open_feed", lambda *_: pytest.fail("the data was read"))
    resident_config.objective = "flow"
    with pytest.raises(ValueError, match=r"flow is for config\.generator\.kind=profile_flow"):
        loop.train(resident_config, tmp_path)


# The losses.


def test_the_error_of_a_velocity_counts_by_time_ring_and_nearness():
    size = jnp.arange(4.0)[None, None]
    clean = jnp.full((3, 6, 4), 0.5)
    time = jnp.asarray([0.0, 0.5, 0.99])
    found = flow.flow_loss(clean - 0.1, clean, time, size)
    np.testing.assert_allclose(found, 0.01 * np.asarray([1, 4, 25]), rtol=1e-5)
    off = [clean.at[:, 0, ring].add(0.3) for ring in (0, 3)]
    inner, outer = (float(flow.flow_loss(one, clean, time, size)[0]) for one in off)
    assert outer > 5 * inner > 0
    # A cell weighs by the answer's nearness to a surface, whatever the truth is.
    near, far = (flow.flow_loss(clean.at[:, 0, 2].set(v), clean, time, size)[0] for v in (0, 1))
    assert float(near) > 2 * float(far)
    slope = jax.grad(lambda x: flow.flow_loss(x, clean, time, size).sum())(clean)
    assert not slope.any()


def test_the_quick_loss_asks_for_the_surface_where_it_is():
    distance = jnp.tile(jnp.arange(-3, 3.5, 0.5)[None, None], (1, 4, 1))
    size = jnp.ones_like(distance)
    found = [float(flow.quick_loss(distance + d, distance, size)[0]) for d in (-0.5, 0.0, 0.5)]
    assert found[1] < min(found[0], found[2])
    assert float(flow.quick_loss(6 * distance, distance, size)[0]) < found[1]
    # What is given has no say.
    given = size.at[:, 2].set(0.0)
    wrong = (6 * distance).at[:, 2].set(5.0)
    alike = [float(flow.quick_loss(one, distance, given)[0]) for one in (wrong, 6 * distance)]
    assert alike[0] == pytest.approx(alike[1])


# Training, and what is answered.


def config_at(side):
    config = config_of_flow.get_config()
    config.data.resolution, config.generator.features = side, 4
    config.data.scale_radius = config.data.scale_height = 0.0
    config.generator.axis, config.loss.axis_weight = "centre", 0.0
    config.sample.draws, config.sample.steps = 2, 3
    return config


@functools.cache
def learned():
    """Two pots at 16³ learned by heart: the objective, the state, batch and all scalars."""
    config = config_at(SIDE)
    config.train.ema_decay, config.generator.features = 0.95, 8
    nets = {
        name: net._replace(tx=optax.adam(4e-3))
        for name, net in objectives.build(config).nets.items()
    }
    objective = objectives.build(config, nets)
    pots = [mixture.broken_pot(4 * n, seed=2, resolution=SIDE).labels for n in range(ROWS)]
    labels = np.stack(pots)
    batch = {
        "labels": jnp.asarray(labels),
        "given": jnp.asarray(np.eye(256, dtype=bool)[[2] * ROWS]),
        "profiles": jnp.asarray(
            np.stack([profile_targets.target(pot > 0).distance for pot in pots]), jnp.float16
        ),
    }
    with jax.numpy_dtype_promotion("standard"):
        state = jax.jit(functools.partial(build.initial_state, config, objective))()
        step = loop.compile_step(config, objective, ONE)
        scalars = []
        for _ in range(200):
            state, now = step(state, batch)
            scalars.append({name: float(value) for name, value in now.items()})
    return objective, state, batch, scalars


def test_every_loss_falls():
    scalars = learned()[3]
    assert set(scalars[0]) == {"g_loss", "flow_loss", "quick_loss", "grad_norm_g"}
    for one in scalars:
        assert one["g_loss"] == pytest.approx(one["flow_loss"] + one["quick_loss"], rel=1e-5)
    for name in ("flow_loss", "quick_loss"):
        first, last = (
            np.mean([one[name] for one in part]) for part in (scalars[:20], scalars[-20:])
        )
        assert last < 0.6 * first, name


def test_both_answers_keep_what_is_given_and_come_near_the_pot():
    objective, state, batch, _ = learned()
    partial = (batch["labels"] == 2).astype(jnp.float32)[..., None]
    whole = np.asarray(batch["labels"] > 0)[..., None]
    answer = jax.jit(objective.complete)
    quick = np.asarray(answer(state.variables(), partial))
    drawn = np.asarray(answer(state.variables(), partial, jax.random.key(0)))
    again = np.asarray(answer(state.variables(), partial, jax.random.key(0)))
    other = np.asarray(answer(state.variables(), partial, jax.random.key(1)))
    np.testing.assert_array_equal(drawn, again)
    assert np.abs(drawn - other).max() > 0.01
    given = np.asarray(partial) > 0
    for probabilities, least in ((quick, 0.6), (drawn, 0.35)):  # from 0.13 and 0.15
        assert (probabilities[given] == 1).all()
        assert probabilities.min() >= 0 and probabilities.max() <= 1
        taken = probabilities > 0.5
        assert (taken & whole).sum() / (taken | whole).sum() > least


def test_the_sherds_clay_is_clay_in_every_draw():
    objective, state, batch, _ = learned()
    partial = (batch["labels"] == 2).astype(jnp.float32)[..., None]
    model: Any = objective.nets["generator"].module
    draw = jax.jit(functools.partial(profile_flow.draw, model))
    distance, weights, _ = draw(state.variables(), partial, jax.random.key(5))
    assert distance.shape == (ROWS, *HALF) and len(weights) == 1
    seen = jax.jit(functools.partial(model.apply, train=False, mutable=["outputs"]))
    _, left = seen(state.variables(), partial)
    clay = profile_flow.given_clay(jnp.asarray(left["outputs"]["maps"]))
    assert int(clay.sum()) > 10
    assert float(distance[clay].max()) <= 0
    assert np.abs(distance).max() < 6


def test_a_run_stopped_and_gone_on_with_is_the_same_run(vox_dir, tmp_path):
    """From .vox files, stretched, with pots of the world."""
    config = config_at(SIDE)
    config.data.update(small(vox_dir, "resident").data)
    config.data.update({"profiles": True, "synthetic_pots": 1, "synthetic_kind": "world"})
    config.data.scale_radius = 0.1
    config.train.batch_size, config.train.num_train_steps = 2, 2
    config.optim.schedule, config.eval.split = "constant", ""
    config.checkpoint.every_steps = 1
    with jax.numpy_dtype_promotion("standard"):
        whole = loop.train(config, tmp_path / "whole")
        config.train.num_train_steps = 1
        loop.train(config, tmp_path / "parts")
        config.train.num_train_steps = 2
        parts = loop.train(config, tmp_path / "parts")
    for one, other in ((whole.nets, parts.nets), (whole.ema_params, parts.ema_params)):
        assert jax.tree.leaves(one)
        jax.tree.map(np.testing.assert_array_equal, one, other)
