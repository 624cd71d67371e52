"""Meshes of voxels: watertight, as big as the voxels, where they were, and as they were turned."""

import numpy as np
import pytest
import trimesh
from turned_pots import bowl, sherd

from voxgan_jax.data import vox
from voxgan_jax.geometry import surface as mesh
from voxgan_jax.geometry import voxelise
from voxgan_jax.inference.answer import GIVEN, INFERRED
from voxgan_jax.report import missing_piece
from voxgan_jax.report import volumes as outputs


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


@pytest.mark.parametrize(("step", "clearance"), [(1.0, 0.2), (4.0, 0.2), (2.0, 1.5)])
def test_the_missing_piece_keeps_its_distance(step, clearance):
    pot = bowl()
    given = sherd(pot)
    matrix = mesh.frame(pot.shape, step)
    whole, original = surface(pot, matrix, None, given), surface(given, matrix)
    piece = missing_piece.missing_piece(whole, original, step, clearance)
    assert piece is not None and piece.pieces == 1
    assert piece.mesh.is_volume
    # Measured another way than the piece was: by points on both.
    points = voxelise.sample(original, step / 6), voxelise.sample(piece.mesh, step / 3)
    nearest = (
        missing_piece.KDTree(points[0]).query(points[1], distance_upper_bound=3 * step)[0].min()
    )
    assert clearance <= piece.gap <= nearest
    assert nearest < clearance + 0.5 * step
    assert not voxelise.inside(piece.mesh, (0.0, 0.0, 0.0), step, (24,) * 3)[
        turned_back(given, "-x")
    ].any()
    # What is lost to the clearance is a skin along the break.
    assert 0.85 < piece.mesh.volume / step**3 / (pot & ~given).sum() < 1.02


def test_a_whole_pot_lacks_nothing():
    made = surface(bowl(16))
    assert missing_piece.missing_piece(made, made, 1.0) is None
    with pytest.raises(ValueError, match="clearance -1 mm: give 0 or more"):
        missing_piece.missing_piece(made, made, 1.0, -1.0)


def test_an_open_scan_can_be_kept_clear_of_as_well():
    pot = bowl()
    given = sherd(pot)
    original = surface(given)
    original.update_faces(np.arange(len(original.faces)) > 40)
    assert not original.is_watertight
    piece = missing_piece.missing_piece(surface(pot, None, None, given), original, 1.0, 0.3)
    assert piece is not None and piece.mesh.is_volume
    points = voxelise.sample(original, 0.2), voxelise.sample(piece.mesh, 0.3)
    assert missing_piece.KDTree(points[0]).query(points[1], distance_upper_bound=2)[0].min() >= 0.28


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    pot = bowl()
    labels = np.where(sherd(pot), GIVEN, np.where(pot, INFERRED, 0))
    belief = pot.astype(np.float32)
    # A third of it is doubtful.
    belief[..., : pot.shape[2] // 3] *= 0.7
    stem = tmp_path_factory.mktemp("out") / "pot"
    matrix = mesh.frame(pot.shape, 2.0)
    labels = outputs.mark(labels.astype(np.uint8), belief)
    assert [(labels == label).sum() > 100 for label in (1, 2, 3)] == [True] * 3
    return stem, labels, matrix, outputs.write(stem, labels, belief, matrix)


def test_files_read_again_are_watertight_and_in_mm(written):
    stem, labels, _, said = written
    names = [f"pot_completed.{form}" for form in ("vox", "stl", "glb")] + ["pot_missing.stl"]
    assert [path.name for path in said.paths] == names
    assert sorted(path.name for path in stem.parent.iterdir()) == sorted(names)
    np.testing.assert_array_equal(vox.read(said.paths[0]), labels)
    volumes = []
    for path in (said.paths[1], said.paths[3]):
        read = trimesh.load_mesh(path)
        assert read.is_volume
        volumes.append(read.volume)
    assert volumes == pytest.approx([said.volume_mm3, said.missing_mm3], rel=1e-4)
    assert said.volume_mm3 == pytest.approx(8 * (labels > 0).sum(), rel=0.02)
    assert said.gap_mm >= 0.2


def test_the_glb_has_coloured_parts_in_metres(written):
    *_, labels, _, said = written
    scene = trimesh.load_scene(said.paths[2])
    whole = trimesh.load_mesh(said.paths[1])
    assert set(scene.geometry) == {"given", "inferred", "uncertain"}
    for label, name in outputs.NAMES.items():
        part = scene.geometry[name]
        linear = part.visual.material.baseColorFactor[:3] / 255
        srgb = np.where(linear < 0.0031, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
        np.testing.assert_allclose(255 * srgb, outputs.COLOURS[label][:3], atol=1.5)
    np.testing.assert_allclose(1000 * scene.bounds, whole.bounds, atol=1e-3)
    # The sherd's part spans the sherd, in the file's coordinates (x, y, z) = (w, d, height - h).
    d, h, w = np.nonzero(labels == GIVEN)
    expected = [[c.min(), c.max() + 1] for c in (w, d, labels.shape[1] - 1 - h)]
    np.testing.assert_allclose(500 * scene.geometry["given"].bounds.T, expected, atol=0.8)
    joined = scene.to_mesh()
    joined.merge_vertices(merge_norm=True, merge_tex=True)
    assert joined.is_watertight


def test_only_what_is_asked_for_is_written_and_a_stale_piece_goes(tmp_path):
    pot = bowl(16)
    labels = pot.astype(np.uint8)
    (tmp_path / "a_missing.stl").write_bytes(b"old")
    options = (labels, pot.astype(np.float32), mesh.frame(pot.shape))
    said = outputs.write(tmp_path / "a", *options, formats=["vox"])
    assert [path.name for path in said.paths] == ["a_completed.vox"]
    assert (tmp_path / "a_missing.stl").exists()
    said = outputs.write(tmp_path / "a", *options, formats=["stl"])
    assert [path.name for path in said.paths] == ["a_completed.stl"]
    assert not (tmp_path / "a_missing.stl").exists()
