"""The generator that knows of the axis: sizes, what it keeps, its symmetry, its training."""

import contextlib
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known_objectives import with_fewer_levels

from configs import revolve as revolve_config
from voxgan_jax.data import grid, source
from voxgan_jax.data.synthetic import pots as synthetic
from voxgan_jax.evaluation import protocol
from voxgan_jax.inference import completer
from voxgan_jax.models import OUTPUTS, revolve
from voxgan_jax.models.axis import AxisNet, likely_axes
from voxgan_jax.training import events, loop, losses

pytestmark = pytest.mark.usefixtures("shallow")

SIDE = 16
SMALL: Any = revolve.Model(features=2, bottleneck=4)
CORRECTED: Any = SMALL.clone(residual_features=2)


@functools.cache
def pots():
    """(partial, complete) of two synthetic pots, of which a slanted part is given."""
    cubes = [
        grid.place(synthetic.make_pot(seed, None, SIDE).astype(np.uint8), SIDE) for seed in (1, 2)
    ]
    complete = np.stack(cubes)[..., None].astype(np.float32)
    d, _, w = np.indices((SIDE,) * 3)
    partial = complete * ((d < 7) & (w > d))[None, ..., None]
    assert partial.sum() > 20
    return jnp.asarray(partial), jnp.asarray(complete)


@functools.cache
def variables(generator) -> Any:
    init = functools.partial(generator.init, train=False)
    return {"params": jax.jit(init)(jax.random.key(0), pots()[0])["params"]}


@functools.cache
def compiled(generator) -> Any:
    return jax.jit(functools.partial(generator.apply, train=False))


def moved(params, seed=1, scale=0.3):
    """Parameters as after some training: none at the values that they begin with."""
    leaves, tree = jax.tree.flatten(params)
    rng = np.random.default_rng(seed)
    leaves = [
        leaf + jnp.asarray(scale * rng.normal(size=leaf.shape), jnp.float32) for leaf in leaves
    ]
    return jax.tree.unflatten(tree, leaves)


@pytest.mark.parametrize(
    ("side", "residual_features", "count"),
    [
        (64, 0, 3_317_111),
        (64, 8, 3_317_111 + 121_458),
        (64, 16, 3_317_111 + 478_434),
        (32, 0, 1_609_847),
    ],
)
def test_parameter_count(side, residual_features, count, monkeypatch):
    with_fewer_levels(monkeypatch, 3)
    generator = revolve.Model(features=32, residual_features=residual_features)
    x = jax.ShapeDtypeStruct((1, side, side, side, 1), jnp.float32)
    made: Any = jax.eval_shape(functools.partial(generator.init, train=False), jax.random.key(0), x)
    assert sum(leaf.size for leaf in jax.tree.leaves(made["params"])) == count
    # Nothing of a batch is remembered.
    assert set(made) == {"params"}


@pytest.mark.parametrize("generator", [SMALL, CORRECTED], ids=["profile", "corrected"])
def test_given_voxels_are_kept_and_the_others_stay_open(generator):
    partial, _ = pots()
    params = moved(variables(generator)["params"])
    completed = np.asarray(compiled(generator)({"params": params}, partial))
    assert completed.shape == partial.shape and completed.dtype == np.float32
    given = np.asarray(partial) > 0
    assert np.all(completed[given] == 1.0)
    assert completed[~given].min() > 0.0 and completed[~given].max() < 1.0


def test_the_correction_is_none_at_first_and_then_some():
    partial, _ = pots()
    params = variables(CORRECTED)["params"]
    assert params["residual"]["gain"] == 0.0
    round_answer = compiled(SMALL)({"params": {"profile": params["profile"]}}, partial)
    np.testing.assert_allclose(compiled(CORRECTED)({"params": params}, partial), round_answer)
    gained = params | {"residual": params["residual"] | {"gain": jnp.float32(1.0)}}
    corrected = compiled(CORRECTED)({"params": gained}, partial)
    assert np.abs(corrected - round_answer).max() > 1e-3


@pytest.mark.parametrize("turns", [1, 2])
def test_a_turned_fragment_turns_the_answer(turns):
    partial, _ = pots()
    params = {"params": moved(variables(SMALL)["params"])}
    turn = functools.partial(np.rot90, k=turns, axes=(1, 2))
    answer = compiled(SMALL)(params, partial)
    assert np.ptp(answer) > 0.1
    of_turned = compiled(SMALL)(params, jnp.asarray(turn(partial)))
    np.testing.assert_allclose(of_turned, turn(answer), atol=2e-6)
    # Without the given voxels it is a solid of revolution.
    free = (np.asarray(partial) + turn(partial)) == 0
    np.testing.assert_allclose(np.asarray(answer)[free], turn(answer)[free], atol=2e-6)


def test_the_correction_need_not_be_round():
    partial, _ = pots()
    params = {"params": moved(variables(CORRECTED)["params"])}
    answer = np.asarray(compiled(CORRECTED)(params, partial))
    free = (np.asarray(partial) + np.rot90(partial, axes=(1, 2))) == 0
    assert np.abs(answer - np.rot90(answer, axes=(1, 2)))[free].max() > 1e-3


@pytest.mark.parametrize("generator", [SMALL, CORRECTED], ids=["profile", "corrected"])
def test_nothing_and_everything_given(generator):
    params = {"params": moved(variables(generator)["params"])}
    nothing = compiled(generator)(params, jnp.zeros((2, SIDE, SIDE, SIDE, 1)))
    assert np.all(np.isfinite(nothing)) and np.all(nothing <= 1.0)
    np.testing.assert_allclose(nothing[0], nothing[1], atol=1e-6)
    everything = compiled(generator)(params, jnp.ones((2, SIDE, SIDE, SIDE, 1)))
    np.testing.assert_array_equal(everything, 1.0)


def test_outputs_are_left_in_training_alone():
    partial, complete = pots()
    state = variables(SMALL)
    keys = jax.random.split(jax.random.key(3), 2)
    completed, left = jax.jit(
        functools.partial(SMALL.apply, train=True, mutable=["batch_stats", OUTPUTS])
    )(state, partial, complete=complete, keys=keys)
    assert set(left) == {OUTPUTS} and set(left[OUTPUTS]) == {"profile_logits", "axis"}
    assert left[OUTPUTS]["profile_logits"].shape == (2, SIDE, 24)
    np.testing.assert_array_equal(left[OUTPUTS]["axis"], [[7.5, 7.5]])
    # In use there is the answer and nothing else; the truth has told nothing.
    np.testing.assert_allclose(compiled(SMALL)(state, partial), completed, atol=1e-6)


def test_bfloat16_is_near_float32():
    partial, _ = pots()
    params = {"params": moved(variables(CORRECTED)["params"], scale=0.1)}
    exact = compiled(CORRECTED)(params, partial)
    rough = compiled(CORRECTED.clone(dtype=jnp.bfloat16))(params, partial)
    assert rough.dtype == jnp.float32
    difference = np.abs(rough - exact).max()
    assert 1e-5 < difference < 0.03
    assert np.all(np.asarray(rough)[np.asarray(partial) > 0] == 1.0)


def test_the_correction_learns_from_its_second_step():
    """Its gain is 0 at first, which keeps the gradient from what lies before."""
    partial, complete = pots()

    def loss(params: Any) -> jax.Array:
        answer: Any = CORRECTED.apply({"params": params}, partial, train=True)
        return jnp.square(answer - complete).mean()

    grad = jax.jit(jax.grad(loss))
    params = variables(CORRECTED)["params"]
    first = grad(params)
    assert abs(float(first["residual"]["gain"])) > 1e-6
    assert not np.any(first["residual"]["enc1_conv"]["kernel"])
    params = jax.tree.map(lambda p, g: p - 10.0 * g, params, first)
    largest = {
        jax.tree_util.keystr(path, simple=True, separator="/"): float(np.abs(leaf).max())
        for path, leaf in jax.tree_util.tree_leaves_with_path(grad(params))
    }
    assert min(largest.values()) > 0.0, min(largest, key=lambda name: largest[name])


def test_sides_that_do_not_divide_are_refused(monkeypatch):
    with_fewer_levels(monkeypatch, 3)
    with pytest.raises(ValueError, match="multiples of 8"):
        x = jax.ShapeDtypeStruct((1, 20, 20, 20, 1), jnp.float32)
        jax.eval_shape(functools.partial(SMALL.init, train=False), jax.random.key(0), x)


@pytest.mark.usefixtures("loose_promotion")
def test_a_run_learns_and_its_weights_complete_pots(vox_dir, tmp_path, monkeypatch):
    """Sixty steps on nine pots at 16³, drawn on the device and stretched at random."""
    config = revolve_config.get_config()
    config.data.dir, config.data.resolution, config.data.pool = str(vox_dir), 16, 2
    config.generator.features, config.generator.bottleneck = 4, 16
    config.train.batch_size, config.eval.split = 8, ""
    config.train.num_train_steps, config.train.ema_decay = 60, 0.8
    config.optim.generator_learning_rate = 1e-2
    config.train.log_every_steps, config.checkpoint.every_steps = 5, 60
    written = []

    @contextlib.contextmanager
    def record(run_dir, *, enabled):
        yield lambda step, values: written.append(values)

    monkeypatch.setattr(events, "open_events", record)
    loop.train(config, tmp_path)
    profile_losses = [values["profile_loss"] for values in written if "profile_loss" in values]
    assert len(profile_losses) == 12
    assert profile_losses[-1] < 0.6 * profile_losses[0]
    assert all("d_loss" not in values and "recon_loss" not in values for values in written)

    trained = completer.load(workdir=tmp_path)
    pots = list(source.open_split(vox_dir, "train", resolution=16, pool=2).pots)[:6]

    def iou(predict):
        records = protocol.evaluate(predict, protocol.samples(pots), batch_size=6)
        return np.mean([record.iou for record in records])

    assert iou(trained.predict) > 0.3


def test_the_answer_is_the_mean_over_the_likeliest_axes():
    partial, _ = pots()
    found = SMALL.clone(axis="found", axis_within=0.5, axis_trust=0.2, axis_average=3)
    params = {"params": moved(variables(found)["params"], scale=0.05)}
    answer = compiled(found)(params, partial)
    logits = AxisNet(prior=True).apply({"params": params["params"]["axis_net"]}, partial)
    axes, shares = likely_axes(jnp.asarray(logits), partial, count=3, within=0.5, trust=0.2)
    assert axes.shape == (2, 3, 2) and 0.02 < float(shares.min()) < float(shares.max()) < 0.9
    known = jax.jit(lambda axis: SMALL.apply(params, partial, train=False, axis=axis))
    each = [shares[:, n].reshape(-1, 1, 1, 1, 1) * known(axes[:, n]) for n in range(3)]
    np.testing.assert_allclose(answer, sum(each), atol=2e-5)
    one = compiled(found.clone(axis_average=1))(params, partial)
    np.testing.assert_allclose(one, known(axes[:, 0]), atol=1e-6)
    assert np.abs(one - answer).max() > 1e-3


def test_the_correction_is_trained_alone_on_what_it_is_given_in_use():
    partial, complete = pots()
    options = {"axis": "found", "axis_within": 0.5, "axis_trust": 0.2, "axis_average": 3}
    generator = CORRECTED.clone(only_residual=True, **options)
    params = moved(variables(generator)["params"], scale=0.1)

    @jax.jit
    @jax.value_and_grad
    def loss(params):
        keys = jax.random.split(jax.random.key(0), len(partial))
        answer, left = generator.apply(
            {"params": params},
            partial,
            train=True,
            complete=complete,
            keys=keys,
            mutable=[OUTPUTS],
        )
        assert "axis_logits" not in left[OUTPUTS]
        return losses.bce_dice_loss(answer, complete, partial).mean()

    value, grads = loss(params)
    for name, part in grads.items():
        slopes = [float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(part)]
        assert max(slopes) > 1e-6 if name == "residual" else max(slopes) == 0.0, name
    # Its loss is that of the answer in use.
    used = compiled(CORRECTED.clone(**options))({"params": params}, partial)
    expected = losses.bce_dice_loss(used, complete, partial).mean()
    np.testing.assert_allclose(value, expected, rtol=1e-5)
