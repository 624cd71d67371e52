"""The search for a sherd's axis, and the maps that it compares lines by."""

import numpy as np
import pytest
import turned_sherds

from voxgan_jax.placement import axis_fit, axis_maps, axis_search
from voxgan_jax.placement.axis_maps import Fill, Lines
from voxgan_jax.scan import walls
from voxgan_jax.scan.walls import Wall


def line(point=(0.0, 0.0, 0.0), direction=(0.0, 0.0, 1.0)):
    return Lines(np.array([point]), np.array([direction]))


def a_wall(points, normals):
    points = np.array(points, float)
    return Wall(points, np.array(normals, float), points, 1.0)


def test_a_map_holds_the_volume_at_its_heights_and_radii():
    points = np.array([[5.2, 0, 1], [0, 5.7, -1], [-5.4, 0, 0], [0, 200, 0]])
    found = axis_maps.maps(Fill(points, 0.25), a_wall([[5, 0, 0]], [[1, 0, 0]]), line(), 0.5)
    assert found.shape == (1, axis_maps.HEIGHTS, axis_maps.RINGS, 2)
    volume = found[0, ..., 0]
    assert volume.sum() == pytest.approx(3 * 0.25 / 0.125)
    middle = axis_maps.HEIGHTS // 2
    assert volume[middle + 2, 10] == pytest.approx(2)
    assert volume[middle - 2, 11] == pytest.approx(2)
    assert volume[middle, 10] == pytest.approx(2)


def test_a_map_holds_by_how_much_normals_miss_the_axis():
    turn = np.radians(20)
    points = [[5.2, 0, 0], [0, 5.3, 0.1], [-9.5, 0, 0]]
    normals = [[np.cos(turn), np.sin(turn), 0], [0, 1, 0], [0, 1, 0]]
    fill = Fill(np.array([[0.0, 0, -1], [0, 0, 1]]), 1.0)
    found = axis_maps.maps(fill, a_wall(points, normals), line(), 1.0)[0, ..., 1]
    middle = axis_maps.HEIGHTS // 2
    assert found[middle, 5] == pytest.approx(np.sin(turn) / 2, abs=1e-5)
    assert found[middle, 9] == pytest.approx(1)
    assert (found > 0).sum() == 2


def test_maps_of_many_lines_are_those_of_each_moved_anywhere():
    rng = np.random.default_rng(0)
    points = rng.normal(0, 8, (300, 3)) + np.array([20, 0, 0])
    normals = rng.normal(size=(300, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    directions = rng.normal(size=(200, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    lines = Lines(rng.normal(0, 5, (200, 3)), directions)
    fill, surface = Fill(points, 1.0), a_wall(points, normals)
    together = axis_maps.maps(fill, surface, lines, 1.3)
    alone = axis_maps.maps(fill, surface, Lines(lines.points[150:151], directions[150:151]), 1.3)
    np.testing.assert_allclose(together[150], alone[0], atol=1e-5)
    there = np.array([300.0, -200, 100])
    moved = axis_maps.maps(
        Fill(points + there, 1.0),
        a_wall(points + there, normals),
        Lines(lines.points + there, directions),
        1.3,
    )
    # Rounding moves a few points over the border of a ring.
    assert (np.abs(moved - together) > 1e-3).mean() < 1e-3


def test_varied_lines_keep_to_what_is_asked():
    rng = np.random.default_rng(0)
    middle = np.array([40.0, 0, 0])
    args = (np.zeros(3), np.array([0.0, 0, 1]), middle)
    tilted = axis_search.varied(rng, *args, 5.0, 0.0, 0.0, 4000)
    degrees = np.degrees(np.arccos(tilted.directions[:, 2]))
    assert np.sqrt((degrees**2).mean() / 2) == pytest.approx(5, rel=0.05)
    assert np.abs(tilted.points).max() == 0
    shifted = axis_search.varied(rng, *args, 0.0, 2.0, 0.0, 4000)
    np.testing.assert_allclose(shifted.points.std(0), [2, 2, 0], rtol=0.05, atol=1e-9)
    nearer = axis_search.varied(rng, *args, 0.0, 0.0, 0.2, 4000)
    assert np.log((40 - nearer.points[:, 0]) / 40).std() == pytest.approx(0.2, rel=0.05)
    assert np.abs(nearer.points[:, 1:]).max() < 1e-9


@pytest.fixture(scope="module")
def belly():
    sherd, pose = turned_sherds.turned(turned_sherds.bellied(70), 5)
    return walls.wall(sherd), pose


def test_the_search_finds_what_scores_best(belly):
    """A score that knows the axis only from near: 25° away it is flat."""
    surface, pose = belly
    up, centre = pose[:3, 2], pose[:3, 3]

    def score(lines):
        degrees = np.degrees(np.arccos(np.minimum(np.abs(lines.directions @ up), 1)))
        offset = lines.points - centre
        offset = offset - (offset @ up)[:, None] * up
        return -np.minimum(degrees / 5, 5) - np.minimum(np.linalg.norm(offset, axis=1) / 20, 5)

    found = axis_search.search(surface, 2.0, 96.0, score)
    best = max(found, key=lambda axis: score(Lines(axis.point[None], axis.direction[None]))[0])
    assert np.degrees(np.arccos(min(abs(best.direction @ up), 1))) < 0.5
    assert best.error < 0.05


def test_the_search_keeps_what_was_fitted(belly):
    surface, _ = belly
    fitted = axis_fit.find(surface)
    found = axis_search.search(
        surface, 2.0, 96.0, lambda lines: np.zeros(len(lines.points)), fitted
    )
    assert found[: len(fitted)] == fitted and len(found) > len(fitted)
