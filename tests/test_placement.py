"""Placing a sherd: what is known is kept, the rest is found, and how sure that is."""

import pathlib

import numpy as np
import pytest
import turned_pots
import turned_sherds

from voxgan_jax.geometry import surface
from voxgan_jax.inference import model_card
from voxgan_jax.inference.answer import GIVEN, INFERRED
from voxgan_jax.placement import axis_fit, axis_maps, locator, place, view
from voxgan_jax.placement.axis_fit import Axis
from voxgan_jax.placement.candidate import Candidate, Known, given_cells, inverse, matrix
from voxgan_jax.placement.view import Sight
from voxgan_jax.report import codec, record
from voxgan_jax.restore import vessel
from voxgan_jax.scan import formats, pose


def candidate(voxel=2.0, bottom=-10.0, direction=(0.0, 0.0, 1.0), share=0.0):
    axis = Axis(np.array([5.0, -3.0, 7.0]), np.array(direction), 0.1)
    return Candidate(axis, voxel, bottom, share)


@pytest.mark.parametrize("side", [64, 32])
def test_a_candidates_matrix_leads_to_its_axis_and_its_bottom(side):
    direction = np.array([0.6, 0.0, 0.8])
    one = candidate(direction=tuple(direction))
    made = matrix(one, side)
    step = 2.0 * 64 / side
    assert np.linalg.det(made[:3, :3]) == pytest.approx(-(step**3))
    middle = (side - 1) / 2
    lowest = made @ [middle, middle, side - 0.5, 1]
    np.testing.assert_allclose(lowest[:3], one.axis.point - 10 * direction, atol=1e-9)
    highest = made @ [middle, middle, -0.5, 1]
    np.testing.assert_allclose(highest[:3] - lowest[:3], 128 * direction, atol=1e-9)
    points = np.random.default_rng(0).uniform(0, side, (5, 3))
    there = points @ made[:3, :3].T + made[:3, 3]
    np.testing.assert_allclose(inverse(made, there), points, atol=1e-9)


def test_the_voxels_of_a_candidate_are_those_of_the_mesh():
    sherd = turned_sherds.bellied()
    points, volume = view.fill(sherd, 6.0)
    assert len(points) * volume == pytest.approx(sherd.volume, rel=0.03)
    axis = Axis(np.zeros(3), np.array([0.0, 0.0, 1.0]), 0.0)
    one = Candidate(axis, 2.6, -70.0, 0.0)
    rough = given_cells(one, points, volume, 64)
    made = placement_of(one)
    exact = formats.in_cube(sherd, made, 64)
    labels = exact.labels > 0
    assert (rough & labels).sum() / (rough | labels).sum() > 0.8
    assert exact.mesh is sherd and exact.placement is made
    assert exact.matrix is not None
    # Every voxel is where the mesh is.
    where = np.argwhere(labels) @ exact.to_mm[:3, :3].T + exact.to_mm[:3, 3]
    assert where.min(0) == pytest.approx(sherd.bounds[0], abs=2.6)
    assert where.max(0) == pytest.approx(sherd.bounds[1], abs=2.6)


def placement_of(one, score=0.0):
    made = pose.Placement(
        matrix(one, 64),
        one.axis.point,
        one.axis.direction,
        one.voxel,
        120.0,
        90.0,
        30.0,
        score,
        0.0,
    )
    return made


def test_shares_are_those_of_what_is_much_the_same():
    points = np.array([[20.0, 0, 0], [25, 0, 10]])
    several = [
        (candidate(2.0), 1.0),
        (candidate(2.05), 0.5),
        (candidate(3.0), 0.9),
        (candidate(2.0, bottom=-40.0), 0.2),
        (candidate(2.0, direction=(0.0, 0.0, -1.0)), -1.0),
    ]
    best = place.ranked([(one, placement_of(one, score)) for one, score in several], points)
    weights = np.exp([score for _, score in several])
    weights /= weights.sum()
    constant, by_share, _ = place.TRUST
    share = weights[:2].sum()
    sure = 1 / (1 + np.exp(-constant - by_share * np.log(share / (1 - share))))
    assert best.voxel_mm == 2.0
    assert best.share == pytest.approx(sure)
    assert [other.voxel_mm for other in best.runner_ups] == [3.0, 2.0, 2.0]
    rest = weights[2:] / share * sure
    assert [other.share for other in best.runner_ups] == pytest.approx(rest.tolist())
    with pytest.raises(ValueError, match="no placement keeps the sherd"):
        place.ranked([], points)


def test_the_report_says_it_in_plain_words():
    other = placement_of(candidate(3.0))._replace(share=0.2)
    found = placement_of(candidate())._replace(share=0.75, runner_ups=(other,))
    said = codec.plain(record.Placement.of(found))
    assert said["sentence"] == (
        "Placed by its shape: a pot 120 mm high and 90.0 mm wide, the sherd's middle 30.0 mm above"
        " its base, the rim towards (0, 0, 1); confidence high (0.75)"
    )
    assert said["confidence"] == 0.75 and said["word"] == "high"
    assert said["runner_ups"][0]["voxel_mm"] == 3.0
    assert "runner_ups" not in said["runner_ups"][0]
    unsure = record.Placement.of(placement_of(candidate())._replace(share=0.3)).sentence
    assert "confidence low (0.30): other places and sizes" in unsure and "--axis" in unsure


@pytest.fixture(scope="module")
def scan():
    return turned_sherds.turned(turned_sherds.bellied(80))


def test_a_sherd_is_placed_about_its_axis(scan):
    sherd, pose = scan
    made = place.place(turned_sherds.turning(), Sight(sherd))
    cosine = abs(made.direction @ pose[:3, 2])
    assert cosine > np.cos(np.radians(2))
    assert 0 < made.share <= 1
    labels = formats.in_cube(sherd, made, 64).labels > 0
    # All of the sherd is in the cube, as far from the axis as it was.
    assert labels.sum() * made.voxel_mm**3 == pytest.approx(sherd.volume, rel=0.05)
    d, h, _ = np.nonzero(labels)
    reach = np.hypot(d - 31.5, h - 31.5).max() * made.voxel_mm
    assert reach == pytest.approx(80, abs=1.5 * made.voxel_mm)
    assert made.diameter_mm == pytest.approx(160, abs=3 * made.voxel_mm)


@pytest.mark.usefixtures("short_search")
def test_what_is_known_is_kept(scan):
    sherd, pose = scan
    up = pose[:3, 2]
    known = Known(direction=(up[0], up[1], up[2]), height=200.0, diameter=170.0)
    made = place.place(turned_sherds.turning(), Sight(sherd), known)
    np.testing.assert_allclose(made.direction, up, atol=1e-9)
    assert made.voxel_mm == pytest.approx(200 / locator.LONGEST)
    downwards = Known(direction=(-up[0], -up[1], -up[2]), voxel=3.0)
    made = place.place(turned_sherds.turning(), Sight(sherd), downwards)
    np.testing.assert_allclose(made.direction, -up, atol=1e-9)
    assert made.voxel_mm == pytest.approx(3.0)
    with pytest.raises(ValueError, match="no placement agrees with what is given"):
        place.place(turned_sherds.turning(), Sight(sherd), Known(height=30.0, diameter=30.0))


@pytest.mark.usefixtures("short_search")
def test_a_surface_to_which_no_axis_can_be_fitted(scan, monkeypatch):
    monkeypatch.setattr(axis_fit, "refined", lambda *args, **options: None)
    with pytest.raises(ValueError, match=r"no axis is found .* give --axis, or --as-is"):
        place.place(turned_sherds.turning(), Sight(scan[0]))


@pytest.mark.parametrize(("end", "row"), [("rim", 0), ("base", -1)])
def test_an_end_that_the_sherd_holds_is_an_end_of_the_pot(end, row):
    """What is turned has no more height than the sherd: so any height suits, and none is lost."""
    one = candidate()
    given = np.zeros((64, 64, 64), bool)
    given[40:44, 40:44, 20:40] = True
    answer = given.astype(np.float32)
    answer[31, 31, 10:50] = 1
    reaching = answer.copy()
    reaching[31, 31, : 20 if end == "rim" else 0] = 0
    if end == "base":
        reaching[31, 31, 40:] = 0
    points = np.array([[0.0, 0, 0]])
    known = Known(rim=end == "rim", base=end == "base")
    scores = [
        place.judged(turned_sherds.turning(), one, given, [volume] * 3, known, points).score
        for volume in (reaching, answer)
    ]
    assert scores[0] > -1 and scores[1] < scores[0] - 5


def test_the_locators_answer_turns_with_the_map():
    rng = np.random.default_rng(0)
    shape = (3, axis_maps.HEIGHTS, axis_maps.RINGS, 2)
    maps = rng.uniform(0, 1, shape).astype(np.float32)
    scores = locator.load()(maps)
    assert scores.shape == (3, 2, len(locator.SCALES), len(locator.PLACES))
    upside_down = locator.load()(maps[:, ::-1].copy())
    np.testing.assert_allclose(upside_down, scores[:, ::-1], atol=2e-2)
    many = np.concatenate([maps] * (locator.AT_ONCE // 2))
    np.testing.assert_allclose(locator.load()(many)[-3:], scores, atol=1e-3)


def test_the_package_holds_the_locator():
    path = model_card.path(model_card.LOCATOR)
    assert path.is_file() and path.stat().st_size < 2_000_000
    with pytest.raises(FileNotFoundError):
        locator.load(pathlib.Path("none.safetensors"))


def test_the_restored_pot_says_how_high_above_its_base_the_sherd_sits():
    """What the model saw may have reached further: of that a loose bit was dropped."""
    pot = turned_pots.bowl()
    given = turned_pots.sherd(pot)
    labels = np.where(given, np.uint8(GIVEN), np.where(pot, np.uint8(INFERRED), np.uint8(0)))
    to_mm = surface.frame(labels.shape, 2.0)
    point = (to_mm @ [11.5, 11.5, 0.0, 1.0])[:3]
    seen = pose.Placement(to_mm, point, np.array([1.0, 0.0, 0.0]), 2.0, 50.0, 40.0, 98.7, 0.0, 1.0)
    made = vessel.Vessel("x", labels, labels.astype(np.float32), to_mm, placed=seen).placement
    base, middle = np.flatnonzero(pot.any(axis=(0, 1)))[-1] + 0.5, np.nonzero(given)[2].mean()
    assert made is not None
    assert made.above_base_mm == pytest.approx(2 * (base - middle), abs=0.01)
    assert 0 < made.above_base_mm < made.height_mm < 49
    assert f"middle {made.above_base_mm:.1f} mm above its base" in made.sentence


def test_a_told_rim_that_the_restored_pot_has_elsewhere_is_warned_of_and_not_called_sure():
    pot = turned_pots.bowl()
    given = turned_pots.sherd(pot)
    top = np.flatnonzero(pot.any(axis=(0, 1)))[0]
    given[:, :, : top + 4] = False
    labels = np.where(given, np.uint8(GIVEN), np.where(pot, np.uint8(INFERRED), np.uint8(0)))
    to_mm = surface.frame(labels.shape, 2.0)
    seen = pose.Placement(to_mm, to_mm[:3, 3], to_mm[:3, 0], 2.0, 50.0, 40.0, 9.0, 0.0, 1.0)
    how = {"placed": seen, "about": {"options": {"rim": True}}}
    made = vessel.Vessel("x", labels, labels.astype(np.float32), to_mm, **how)
    (doubt,) = made.doubts
    assert "hold part of the rim, but the restored pot's is 8 mm off it" in doubt.text
    assert made.placement is not None and made.placement.word != "high"
