"""The axis of a turned sherd: found on exact surfaces and noisy ones, with breaks and without."""

import numpy as np
import pytest
import trimesh
import turned_sherds

from voxgan_jax.placement import axis_fit
from voxgan_jax.placement.axis_lines import roundness, slopes
from voxgan_jax.placement.axis_maps import Lines
from voxgan_jax.scan import walls


def off(axis, pose, sherd):
    """How wrong an axis is: degrees, and mm next to the sherd's middle."""
    direction = pose[:3, 2]
    angle = np.degrees(np.arccos(min(abs(axis.direction @ direction), 1)))
    middle = sherd.vertices.mean(0)
    true = pose[:3, 3] + ((middle - pose[:3, 3]) @ direction) * direction
    gap = true - axis.point
    return angle, np.linalg.norm(gap - (gap @ axis.direction) * axis.direction)


@pytest.mark.parametrize(
    ("made", "noise", "angle", "aside", "thickness"),
    [
        (turned_sherds.cone, 0.0, 0.1, 0.2, 5.85),
        (turned_sherds.cone, 0.1, 0.5, 0.5, 5.85),
        (turned_sherds.bellied, 0.0, 0.1, 0.2, 5.85),
        (turned_sherds.bellied, 0.1, 1.0, 0.5, 5.85),
        # By one profile of degree 4 for both walls it lay 5° away.
        (turned_sherds.necked, 0.1, 0.5, 0.5, 5.4),
    ],
)
def test_the_axis_of_a_turned_wall(made, noise, angle, aside, thickness):
    sherd, pose = turned_sherds.turned(made(noise=noise))
    surface = walls.wall(sherd)
    assert surface.thickness == pytest.approx(thickness, abs=0.25 + noise)
    best = axis_fit.find(surface)[0]
    found = off(best, pose, sherd)
    assert found[0] < angle and found[1] < aside
    assert np.linalg.norm(best.direction) == pytest.approx(1)
    assert best.error < 0.05 + noise


def test_break_edges_are_left_out():
    sherd = turned_sherds.bellied()
    surface = walls.wall(sherd)
    radius = np.hypot(*surface.points[:, :2].T)
    expected = 80 - 0.009 * surface.points[:, 2] ** 2
    on_walls = np.minimum(np.abs(radius - expected), np.abs(radius - expected + 6)) < 0.1
    assert on_walls.mean() > 0.98
    np.testing.assert_allclose(np.linalg.norm(surface.normals, axis=1), 1)


def test_of_a_sphere_every_axis_goes_through_its_middle():
    sherd, pose = turned_sherds.turned(turned_sherds.spherical(noise=0.05))
    found = axis_fit.find(walls.wall(sherd))
    assert len(found) > 1
    for axis in found:
        gap = pose[:3, 3] - axis.point
        assert np.linalg.norm(gap - (gap @ axis.direction) * axis.direction) < 4


def test_with_the_direction_known_only_the_place_is_looked_for():
    sherd, pose = turned_sherds.turned(turned_sherds.spherical(noise=0.1))
    (axis,) = axis_fit.find(walls.wall(sherd), 3 * pose[:3, 2])
    np.testing.assert_allclose(axis.direction, pose[:3, 2], atol=1e-12)
    assert off(axis, pose, sherd)[1] < 1.5


def test_a_scan_of_one_side_only():
    whole = turned_sherds.bellied(noise=0.02)
    outside = (
        np.hypot(*whole.triangles_center[:, :2].T)
        > 80 - 0.009 * (whole.triangles_center[:, 2] ** 2) - 0.5
    )
    outside &= np.abs(whole.face_normals[:, 2]) < 0.8
    whole.update_faces(outside)
    sherd, pose = turned_sherds.turned(whole)
    surface = walls.wall(sherd)
    assert surface.thickness is None
    angle, aside = off(axis_fit.find(surface)[0], pose, sherd)
    assert angle < 2 and aside < 3


def test_radius_and_height_about_an_axis():
    axis = axis_fit.Axis(np.array([1.0, 0, 5]), np.array([0.0, 0, 1]), 0.0)
    radius, height = axis_fit.cylindrical(axis, np.array([[4.0, 4, 7], [1, 0, 4]]))
    np.testing.assert_allclose(radius, [5, 0])
    np.testing.assert_allclose(height, [2, -1])


def test_a_box_has_walls_and_is_no_crash():
    box = trimesh.creation.box((60.0, 40.0, 6.0))
    found = axis_fit.find(walls.wall(box))
    assert all(np.isfinite(axis.point).all() for axis in found)


def test_no_axis_lies_further_off_than_the_pot_is_wide():
    sherd, pose = turned_sherds.turned(turned_sherds.bellied(noise=0.05))
    surface = walls.wall(sherd)

    def reach(axis):
        return np.quantile(axis_fit.cylindrical(axis, surface.points)[0], 0.99)

    true = reach(axis_fit.Axis(pose[:3, 3], pose[:3, 2], 0.0))
    angle, aside = off(axis_fit.find(surface, widest=true)[0], pose, sherd)
    assert angle < 2 and aside < 1
    for direction in (None, pose[:3, 2]):
        found = axis_fit.find(surface, direction, 0.8 * true)
        assert reach(found[0]) < 1.101 * 0.8 * true


def test_about_its_axis_a_sherd_is_round_and_many_lines_give_what_each_gives_alone():
    mesh, pose = turned_sherds.turned(turned_sherds.cone())
    surface = walls.wall(mesh)
    axis, point = pose[:3, 2], pose[:3, 3]
    aside = axis_fit.beside(axis)[0]
    points = np.stack([point, point + 5 * aside, point])
    directions = np.stack([axis, axis, (axis + 0.1 * aside) / np.hypot(1, 0.1)])
    radius, height = axis_fit.cylindrical(axis_fit.Axis(point, axis, 0.0), surface.points)
    frame = axis_fit.profile_frame(
        axis_fit.Axis(point, axis, 0.0), surface.points, surface.normals, radius, height
    )
    even = np.ones(len(surface.points))
    several = roundness(Lines(points, directions), surface.points, frame, even)
    for n in range(3):
        lines = Lines(points[n : n + 1], directions[n : n + 1])
        for part, alone in zip(several, roundness(lines, surface.points, frame, even), strict=True):
            np.testing.assert_allclose(part[n], alone[0], atol=1e-9)
    distance, found = several
    np.testing.assert_allclose(found[0], radius, rtol=1e-9)
    assert np.median(np.abs(distance[0])) < 0.05 < 0.1 < np.median(np.abs(distance[1]))
    assert np.median(np.abs(distance[2])) > 0.1


def test_slopes_are_the_limits_of_differences():
    mesh, pose = turned_sherds.turned(turned_sherds.bellied(noise=0.05))
    surface = walls.wall(mesh)
    rng = np.random.default_rng(0)
    axis = pose[:3, 2] + 0.1 * rng.normal(size=3)
    line = axis_fit.Axis(pose[:3, 3] + rng.normal(size=3), axis / np.linalg.norm(axis), 0.0)
    moves = Lines(*rng.normal(size=(2, 4, 3)))
    cylinder = axis_fit.cylindrical(line, surface.points)
    frame = axis_fit.profile_frame(line, surface.points, surface.normals, *cylinder)
    weight = rng.uniform(0.2, 1, len(surface.points))

    def at(x):
        direction = line.direction + x @ moves.directions
        moved = Lines((line.point + x @ moves.points)[None], direction[None])
        moved = moved._replace(directions=moved.directions / np.linalg.norm(direction))
        return np.concatenate(roundness(moved, surface.points, frame, weight)).T

    start = Lines(line.point[None], line.direction[None])
    *found, radius = slopes(start, moves, surface.points, frame, weight)
    np.testing.assert_allclose(radius, cylinder[0], rtol=1e-9)
    for n, step in enumerate(1e-5 * np.eye(4)):
        expected = (at(step) - at(-step)) / 2e-5
        got = np.stack([part[:, n] for part in found], 1)
        np.testing.assert_allclose(got, expected, atol=1e-5 * np.abs(expected).max())
        assert np.abs(expected).max(0).min() > 0.1
