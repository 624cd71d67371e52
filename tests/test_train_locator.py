"""Training the locator: what is cut, what it is shown, and that its weights can be used."""

import functools
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import locator as locator_config
from scripts import cut_sherds, score_locator
from voxgan_jax.devices import parallel
from voxgan_jax.models import locator as network
from voxgan_jax.models import profile
from voxgan_jax.placement import axis_maps, locator
from voxgan_jax.placement.axis_maps import Lines
from voxgan_jax.training import build, loop, objectives, sherds

SIDE, AXIS = 64, (31.5, 30.5)


def fragment():
    """A third of the upper half of a jar with a wall of three voxels."""
    d, h, w = np.indices((SIDE,) * 3)
    radius = np.hypot(d - AXIS[0], h - AXIS[1])
    outer = 24 - 0.012 * (w - 30.0) ** 2
    wall = (radius <= outer) & (radius > outer - 3)
    return wall & (w >= 4) & (w < 34) & (np.arctan2(h - AXIS[1], d - AXIS[0]) % 6.3 < 2.1)


@pytest.fixture(scope="module")
def cut():
    made = cut_sherds.sherd((fragment(), np.array(AXIS, np.float32), 0))
    assert made is not None
    return made


@pytest.fixture(scope="module")
def packed(cut, tmp_path_factory):
    path = tmp_path_factory.mktemp("sherds") / "sherds.npz"
    arrays: dict[str, Any] = {name: np.stack([values] * 2) for name, values in cut.items()}
    np.savez(path, **arrays)
    return path


def test_a_fragment_is_cut_about_its_axis(cut):
    given = fragment()
    assert cut["volume"] * len(cut["points"]) == pytest.approx(given.sum(), rel=1e-5)
    assert cut["thickness"] == pytest.approx(3, abs=0.5)
    point, up = cut["axis"]
    offset = cut["points"] - point
    height = offset @ up
    radius = np.linalg.norm(offset - height[:, None] * up, axis=1)
    assert radius.min() > 12 and radius.max() < 25
    # Rows 4 to 33 from the top are 30 to 59 from the bottom.
    assert (height - cut["bottom"]).min() == pytest.approx(SIDE - 34, abs=0.2)
    assert (height - cut["bottom"]).max() == pytest.approx(SIDE - 4, abs=0.2)
    assert cut["fitted"].shape == (cut_sherds.FITTED, 2, 3)


def test_lines_are_good_as_they_are_near(packed):
    sherd = sherds.read(packed)[0]
    point, up = sherd.axis
    middle = sherd.fill.points.mean(0)
    aside = np.cross(up, middle - point)
    aside = aside / np.linalg.norm(aside)
    tilt = np.radians([0, 2.5, 10, 180])[:, None]
    across = np.cross(up, aside)
    level = point + ((middle - point) @ up) * up
    lines = Lines(np.tile(level, (4, 1)), np.cos(tilt) * up + np.sin(tilt) * across)
    share, degrees = sherds.nearness(sherd, lines)
    np.testing.assert_allclose(degrees, [0, 2.5, 10, 180], atol=0.05)
    assert share.sum() == pytest.approx(1)
    assert share[1] / share[0] == pytest.approx(np.exp(-0.5), rel=1e-2)
    assert share[2] < 1e-3 and share[3] < 1e-9
    shifted = Lines(level + [[0.0], [1.2]] * aside, np.stack([up, up]))
    share, _ = sherds.nearness(sherd, shifted)
    allowed = 0.06 * np.linalg.norm(level - middle)
    assert allowed > 0.8
    assert share[1] / share[0] == pytest.approx(np.exp(-0.5 * (1.2 / allowed) ** 2), rel=1e-3)


def test_what_is_drawn_belongs_together(packed):
    sherd = sherds.read(packed)[0]
    maps, target, degrees = sherds.draw(sherd, 12, np.random.default_rng(1))
    assert maps.shape == (12, axis_maps.HEIGHTS, axis_maps.RINGS, 2)
    assert target.shape == (12, len(locator.SCALES), len(locator.PLACES))
    assert target.sum() == pytest.approx(1, rel=1e-4)
    assert degrees[0] < 8 and degrees[0] + degrees[1] == pytest.approx(180, abs=1e-3)
    assert target[1].sum() < 1e-6 and (degrees > 20).sum() >= 3
    place = target.sum((0, 1)) @ locator.PLACES
    assert place == pytest.approx(45, abs=1)
    both, target, _ = sherds.draw(sherd, 2, np.random.default_rng(1))
    assert len(both) == 2 and target[0].sum() == pytest.approx(1, rel=1e-4)


def small_config(path):
    config = locator_config.get_config()
    config.data.dir, config.data.lines = str(path), 2
    config.generator.features, config.generator.bottleneck = 2, 4
    config.train.batch_size, config.train.num_train_steps = 2, 2
    return config


@pytest.mark.usefixtures("loose_promotion")
def test_a_run_leaves_weights_that_can_be_used_and_gone_on_from(packed, tmp_path, capsys):
    config = small_config(packed)
    state = loop.train(config, tmp_path / "first")
    assert set(state.nets) == {"generator"}
    first, second = (tmp_path / name / "generator.safetensors" for name in ("first", "second"))
    config = small_config(packed)
    config.train.init_weights = str(first)
    loop.train(config, tmp_path / "second")
    half = tmp_path / "half.safetensors"
    asked = ["--workdir", str(tmp_path / "second"), "--held_out", str(packed)]
    asked += ["--lines", "2", "--out", str(half)]
    assert score_locator.main(asked) == 0
    assert "2 sherds held out: loss" in capsys.readouterr().out
    maps = np.zeros((1, axis_maps.HEIGHTS, axis_maps.RINGS, 2), np.float32)
    scores = [locator.load(path)(maps) for path in (first, second)]
    assert scores[0].shape == (1, 2, len(locator.SCALES), len(locator.PLACES))
    assert np.abs(scores[0] - scores[1]).max() > 0
    np.testing.assert_allclose(locator.load(half)(maps), scores[1], atol=1e-3)
    assert half.stat().st_size < 0.7 * second.stat().st_size


@pytest.mark.usefixtures("loose_promotion")
def test_batches_follow_from_the_step_and_a_step_lowers_the_loss(packed):
    """The loss is the cross-entropy of the placements about both lines, with the targets."""
    config, mesh = small_config(packed), parallel.make_mesh()
    feed = build.open_feed(config, mesh)
    assert feed.plan == (1, 2) and feed.draw is None
    batches = list(itertools.islice(feed.items(3), 2))
    again = next(feed.items(4))
    jax.tree.map(np.testing.assert_array_equal, batches[1], again)
    assert np.abs(batches[0]["maps"] - again["maps"]).max() > 0

    objective = objectives.build(config)
    create = functools.partial(build.initial_state, config, objective)
    state = jax.jit(create, out_shardings=parallel.replicated(mesh))()
    step = loop.compile_step(config, objective, mesh)
    variables = state.nets["generator"].variables()
    shares = np.asarray(jax.jit(objective.complete)(variables, again["maps"]))
    assert shares.shape == again["targets"].shape
    np.testing.assert_allclose(shares.sum((1, 2, 3)), 1, rtol=1e-4)
    expected = -(np.asarray(again["targets"]) * np.log(shares)).sum((1, 2, 3)).mean()
    state, first = step(state, again)
    assert float(first["g_loss"]) == pytest.approx(expected, rel=1e-4)
    assert float(step(state, again)[1]["g_loss"]) < expected


def test_a_missing_file_is_named_with_what_makes_it(tmp_path, capsys):
    assert score_locator.main(["--held_out", str(tmp_path / "none.npz")]) == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and "none.npz: there is no such file; scripts/cut_sherds.py" in said[0]
    config = small_config(tmp_path / "none.npz")
    with pytest.raises(FileNotFoundError, match=r"none\.npz: there is no such file"):
        loop.train(config, tmp_path / "run")


@pytest.mark.parametrize("how", ["cut", "other", "pickled", "text"])
def test_other_files_are_no_sherds(tmp_path, how):
    path = tmp_path / "sherds.npz"
    more: dict[str, Any] = {} if how == "other" else {"a": np.ones(2)}
    np.savez(path, points=np.ones((2, 5, 3)), **more)
    if how == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif how == "pickled":
        np.savez(path, points=np.array([{"a": 1}], object))
    elif how == "text":
        path.write_text("sherds")
    with pytest.raises(ValueError, match=r"sherds\.npz: no file of sherds that can be read \("):
        sherds.read(path)


def test_both_ways_are_the_map_and_the_map_upside_down_through_folded_dense_layers():
    """The first layer is a dense one over cells folded twice, computed as a convolution."""
    rng = np.random.default_rng(0)
    cells = jnp.asarray(rng.normal(size=(2, 8, 12, 3)), jnp.float32)
    layer = network.PatchDense(5)
    variables = layer.init(jax.random.key(0), cells)
    kernel, bias = variables["params"]["kernel"], variables["params"]["bias"]
    folded = np.asarray(profile.fold(profile.fold(cells))) @ np.asarray(kernel) + np.asarray(bias)
    np.testing.assert_allclose(np.asarray(layer.apply(variables, cells)), folded, atol=1e-5)

    net = network.Model(features=4, bottleneck=8)
    maps = jnp.asarray(rng.uniform(0, 1, (3, 96, 64, 2)), jnp.float32)
    variables = jax.jit(net.init)(jax.random.key(1), maps)
    both = np.asarray(jax.jit(functools.partial(net.apply, method="both_ways"))(variables, maps))
    one_way = jax.jit(net.apply)
    for way, turned in enumerate((maps, jnp.flip(maps, 1))):
        alone = np.asarray(one_way(variables, turned))
        np.testing.assert_allclose(both[:, way], alone, atol=1e-5)
