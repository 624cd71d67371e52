"""Thin-walled ware: no usual ratio of wall and size is a limit, and what is told replaces it."""

import numpy as np
import pytest
import turned_sherds

from voxgan_jax.placement import axis_fit, locator, place, propose
from voxgan_jax.placement.candidate import Known
from voxgan_jax.placement.view import Sight, thick_enough, viewed
from voxgan_jax.scan import formats, walls

pytestmark = pytest.mark.usefixtures("short_search")

WALL, RADIUS, HEIGHT = 3.0, 115.0, 100.0


@pytest.fixture(scope="module")
def fine():
    """Of a bowl of 230 × 100 mm with walls of 3 mm the upper part, in a random pose."""
    height = np.linspace(30, HEIGHT, 41)
    outer = np.stack([45 + 70 * (height / HEIGHT) ** 0.6, height], 1)
    along = np.gradient(outer, axis=0)
    normal = np.stack([along[:, 1], -along[:, 0]], 1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    return turned_sherds.turned(turned_sherds.sherd(outer, outer - WALL * normal, 50))


def up_of(pose, degrees=0.0):
    """The pot's direction upwards, or one that far from it."""
    turn = np.radians(degrees)
    return pose[:3, :3] @ [np.sin(turn), 0.0, np.cos(turn)]


def test_the_axis_is_as_far_off_as_the_surface_demands(fine):
    mesh, pose = fine
    surface = walls.wall(mesh)
    assert surface.thickness == pytest.approx(WALL, abs=0.1)
    assert axis_fit.usual_radius(surface) < RADIUS / 2
    best = axis_fit.find(surface)[0]
    assert best.wide and axis_fit.reach(best, surface.points) == pytest.approx(RADIUS, rel=0.03)
    (known,) = axis_fit.find(surface, up_of(pose))[:1]
    assert axis_fit.reach(known, surface.points) == pytest.approx(RADIUS, rel=0.01)
    told = axis_fit.find(surface, None, RADIUS)[0]
    assert axis_fit.reach(told, surface.points) == pytest.approx(RADIUS, rel=0.03)


def test_an_axis_that_the_walls_contradict(fine):
    mesh, pose = fine
    surface = walls.wall(mesh)
    free = axis_fit.find(surface)
    true, wrong = (axis_fit.find(surface, up_of(pose, tilt))[0] for tilt in (0.0, 40.0))
    assert propose._contradicts(true, free) is None
    other = propose._contradicts(wrong, free)
    assert other is not None and abs(other @ up_of(pose)) > np.cos(np.radians(3))


def test_points_move_along_the_walls_and_the_middle_stays():
    points = np.array([[0.0, 0, 1], [0, 0, -1]])
    surface = walls.Wall(points, points, points, 2.0)
    between = np.array([[0.0, 0, 1], [0, 0, 0.5], [0, 0, 0], [0, 0, -1]])
    moved = walls.thickened(between, surface, 6.0)
    np.testing.assert_allclose(moved[:, 2], [3, 1.5, 0, -3], atol=1e-9)
    open_shell = surface._replace(thickness=None)
    np.testing.assert_array_equal(walls.thickened(between, open_shell, 6.0), between)


def test_the_networks_are_shown_a_thicker_wall_only_where_they_must(fine):
    plain = viewed(fine[0])
    assert thick_enough(plain, 1.2 * plain.unit) is plain
    shown = thick_enough(plain, 2 * RADIUS / locator.LONGEST)
    assert shown.shown == pytest.approx(shown.unit * locator.USUAL_WALL) and shown.shown > 2 * WALL
    volume = len(shown.fill.points) * shown.fill.volume
    assert volume == pytest.approx(fine[0].volume * shown.shown / WALL, rel=0.1)


@pytest.mark.parametrize("told", ["nothing", "height", "diameter", "axis", "all"])
def test_fine_ware_is_placed_and_what_is_told_comes_out(fine, told):
    mesh, pose = fine
    x, y, z = up_of(pose)
    known = {
        "height": Known(height=HEIGHT),
        "diameter": Known(diameter=2 * RADIUS),
        "axis": Known(direction=(x, y, z)),
        "all": Known(direction=(x, y, z), height=HEIGHT, diameter=2 * RADIUS),
    }.get(told, Known())
    made = place.place(turned_sherds.turning(), Sight(mesh), known)
    # What is turned is as wide as the sherd reaches, and its wall was shown thicker.
    assert made.diameter_mm == pytest.approx(2 * RADIUS, rel=0.1)
    assert abs(made.direction @ up_of(pose)) > np.cos(np.radians(5))
    assert made.wall_mm == pytest.approx(WALL, abs=0.1)
    assert made.shown_wall_mm is not None and made.other_axis is None
    if told in ("diameter", "all"):
        assert made.voxel_mm >= 2 * RADIUS / locator.LONGEST * 0.999
    voxels = formats.in_cube(mesh, made, 64)
    assert voxels.mesh is mesh and (voxels.labels > 0).sum() * made.voxel_mm**3 > 2 * mesh.volume
