"""Meshes of voxels: watertight, as big as the voxels, where they were, and as they were turned."""

import numpy as np
import pytest
from turned_pots import bowl

from voxgan_jax.data import vox
from voxgan_jax.geometry import surface as mesh
from voxgan_jax.geometry import voxelise


def surface(occupied, matrix=None, probabilities=None, given=None):
    field = mesh.smooth(occupied, probabilities, given)
    level = mesh.find_level(field, occupied)
    matrix = mesh.frame(occupied.shape) if matrix is None else matrix
    return mesh.surface(field, occupied, matrix, level)


def turned_back(volume, up):
    """What `mesh.stand` made, as (x, y, z) again."""
    axis, others = mesh.axes(up)
    return np.flip(volume, 1 if up.startswith("-") else 2).transpose(
        np.argsort([*others, axis]).tolist()
    )


@pytest.mark.parametrize("up", mesh.UPS)
def test_a_frame_leads_back_to_where_the_voxels_were(up):
    volume = np.random.default_rng(0).random((3, 4, 5)) < 0.5
    grid = mesh.stand(volume, up)
    np.testing.assert_array_equal(turned_back(grid, up), volume)
    matrix = mesh.frame(grid.shape, 2.5, (10.0, 20.0, 30.0), up)
    found = np.argwhere(grid) @ matrix[:3, :3].T + matrix[:3, 3]
    expected = np.argwhere(volume) * 2.5 + np.array([11.25, 21.25, 31.25])
    assert sorted(map(tuple, found)) == sorted(map(tuple, expected))
    # Every grid is a mirror image, as those of .vox files are.
    assert np.linalg.det(matrix[:3, :3]) == pytest.approx(-(2.5**3))


def test_a_vox_file_stands_as_its_own_coordinates_say(tmp_path):
    volume = np.zeros((5, 4, 3), np.uint8)
    volume[4, 1, 0] = 2
    vox.write(tmp_path / "a.vox", mesh.stand(volume, "-x"))
    from pyvox.parser import VoxParser

    (voxel,) = VoxParser(str(tmp_path / "a.vox")).parse().models[0].voxels
    assert (voxel.x, voxel.y, voxel.z) == (4, 1, 0)
    with pytest.raises(ValueError, match="up 'w' is none of x, y, z"):
        mesh.stand(volume, "w")


def test_the_surface_has_the_size_and_volume_of_the_voxels_and_gives_them_back():
    pot = bowl()
    made = surface(pot, mesh.frame(pot.shape, 3.0, (-5.0, 0.0, 100.0), "z"))
    assert made.is_watertight and made.is_volume
    assert made.volume == pytest.approx(27 * pot.sum(), rel=0.005)
    x, y, z = (np.ptp(cells) + 1 for cells in np.nonzero(pot))
    np.testing.assert_allclose(made.extents, [3 * x, 3 * y, 3 * z], atol=1.5)
    assert made.bounds[0][2] == pytest.approx(100 + 3 * 3, abs=1.5)
    again = voxelise.inside(made, (-5.0, 0.0, 100.0), 3.0, pot.shape)
    np.testing.assert_array_equal(mesh.stand(again, "z"), pot)


@pytest.mark.parametrize("mirrored", [False, True])
def test_faces_look_outward_however_the_grid_is_turned(mirrored):
    pot = bowl(16)
    matrix = np.eye(4)
    matrix[:3, :3] = 2 * np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    if (np.linalg.det(matrix) < 0) != mirrored:
        matrix[0] = -matrix[0]
    made = surface(pot, matrix)
    assert made.is_volume
    assert made.volume == pytest.approx(8 * pot.sum(), rel=0.005)


@pytest.mark.parametrize("wall", [2.0, 4.0, 6.0])
def test_the_level_is_found_in_a_few_steps(wall, monkeypatch):
    """Marching cubes takes longer than all else about it."""
    levels = []
    cubes = mesh._cubes
    monkeypatch.setattr(mesh, "_cubes", lambda *args: levels.append(args[2]) or cubes(*args))
    pot = bowl(24, wall)
    level = mesh.find_level(mesh.smooth(pot), pot)
    assert level == levels[-1] and 0.3 < level < 0.6
    assert len(levels) <= 3


def test_noise_is_watertight_too():
    """Single voxels, and such as touch at an edge or a corner."""
    noise = np.random.default_rng(1).random((14, 15, 16)) < 0.3
    made = surface(noise)
    assert made.is_volume
    again = voxelise.inside(made, (0.0, 0.0, 0.0), 1.0, (16, 14, 15))
    np.testing.assert_array_equal(mesh.stand(again, "-x"), noise)


@pytest.mark.parametrize("doubt", [0.0, 0.45])
def test_thin_walls_and_given_voxels_survive_what_is_uncertain(doubt):
    """A wall of two voxels with probabilities hardly above and beneath the limit."""
    wall = np.zeros((20, 20, 20), bool)
    wall[3:17, 9:11, 3:17] = True
    given = wall & (np.indices(wall.shape)[0] < 8)
    probabilities = np.where(wall, 0.55, doubt).astype(np.float32)
    made = surface(wall, None, probabilities, given)
    assert made.is_volume and made.body_count == 1
    assert made.volume == pytest.approx(wall.sum(), rel=0.02)
    again = mesh.stand(voxelise.inside(made, (0.0, 0.0, 0.0), 1.0, wall.shape), "-x")
    np.testing.assert_array_equal(again, wall)


def test_nothing_has_no_surface():
    nothing = np.zeros((4, 4, 4), bool)
    with pytest.raises(ValueError, match="no voxel is occupied"):
        mesh.surface(mesh.smooth(nothing), nothing, np.eye(4))
