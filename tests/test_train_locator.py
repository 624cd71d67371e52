"""Training the locator: what is cut, what it is shown, and that its weights can be used."""

from typing import Any

import numpy as np
import pytest

from scripts import cut_sherds, train_locator
from voxgan_jax.placement import axis_maps, locator
from voxgan_jax.placement.axis_maps import Lines

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
    sherd = train_locator.read(packed)[0]
    point, up = sherd.axis
    middle = sherd.fill.points.mean(0)
    aside = np.cross(up, middle - point)
    aside = aside / np.linalg.norm(aside)
    tilt = np.radians([0, 2.5, 10, 180])[:, None]
    across = np.cross(up, aside)
    level = point + ((middle - point) @ up) * up
    lines = Lines(np.tile(level, (4, 1)), np.cos(tilt) * up + np.sin(tilt) * across)
    share, degrees = train_locator.nearness(sherd, lines)
    np.testing.assert_allclose(degrees, [0, 2.5, 10, 180], atol=0.05)
    assert share.sum() == pytest.approx(1)
    assert share[1] / share[0] == pytest.approx(np.exp(-0.5), rel=1e-2)
    assert share[2] < 1e-3 and share[3] < 1e-9
    shifted = Lines(level + [[0.0], [1.2]] * aside, np.stack([up, up]))
    share, _ = train_locator.nearness(sherd, shifted)
    allowed = 0.06 * np.linalg.norm(level - middle)
    assert allowed > 0.8
    assert share[1] / share[0] == pytest.approx(np.exp(-0.5 * (1.2 / allowed) ** 2), rel=1e-3)


def test_what_is_drawn_belongs_together(packed):
    sherd = train_locator.read(packed)[0]
    maps, target, degrees = train_locator.draw(sherd, 12, np.random.default_rng(1))
    assert maps.shape == (12, axis_maps.HEIGHTS, axis_maps.RINGS, 2)
    assert target.shape == (12, len(locator.SCALES), len(locator.PLACES))
    assert target.sum() == pytest.approx(1, rel=1e-4)
    assert degrees[0] < 8 and degrees[0] + degrees[1] == pytest.approx(180, abs=1e-3)
    assert target[1].sum() < 1e-6 and (degrees > 20).sum() >= 3
    place = target.sum((0, 1)) @ locator.PLACES
    assert place == pytest.approx(45, abs=1)
    both, target, _ = train_locator.draw(sherd, 2, np.random.default_rng(1))
    assert len(both) == 2 and target[0].sum() == pytest.approx(1, rel=1e-4)


@pytest.mark.usefixtures("loose_promotion")
def test_two_steps_leave_weights_that_can_be_gone_on_from(packed, tmp_path, capsys):
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    files = ["--sherds", str(packed), "--held_out", str(packed), "--batch_size", "2"]
    assert train_locator.main([*files, "--lines", "2", "--steps", "2", "--out", str(first)]) == 0
    more = ["--steps", "1", "--start", str(first), "--out", str(second)]
    assert train_locator.main([*files, *more]) == 0
    assert "held out" in capsys.readouterr().out
    maps = np.zeros((1, axis_maps.HEIGHTS, axis_maps.RINGS, 2), np.float32)
    scores = [locator.load(path)(maps) for path in (first, second)]
    assert scores[0].shape == (1, 2, len(locator.SCALES), len(locator.PLACES))
    assert np.abs(scores[0] - scores[1]).max() > 0


def test_a_missing_file_is_named_with_what_makes_it(tmp_path, capsys):
    files = ["--sherds", str(tmp_path / "none.npz"), "--held_out", "none", "--out", "none"]
    assert train_locator.main(files) == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and "none.npz: there is no such file; scripts/cut_sherds.py" in said[0]
