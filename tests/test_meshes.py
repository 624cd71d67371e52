"""The files of a pot's voxels and meshes: watertight, in mm or metres, in the colours of labels."""

import numpy as np
import pytest
import trimesh
from turned_pots import bowl, sherd

from voxgan_jax import ledger
from voxgan_jax.data import vox
from voxgan_jax.geometry import surface as mesh
from voxgan_jax.inference.answer import GIVEN, INFERRED, mark
from voxgan_jax.report import meshes
from voxgan_jax.restore.pot import Completion


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    pot = bowl()
    labels = np.where(sherd(pot), GIVEN, np.where(pot, INFERRED, 0))
    belief = pot.astype(np.float32)
    # A third of it is doubtful.
    belief[..., : pot.shape[2] // 3] *= 0.7
    folder = tmp_path_factory.mktemp("out")
    matrix = mesh.frame(pot.shape, 2.0)
    labels = mark(labels.astype(np.uint8), belief)
    assert [(labels == label).sum() > 100 for label in (1, 2, 3)] == [True] * 3
    said = Completion("pot", labels, belief, matrix).write(folder, meshes.FORMATS)
    return folder, labels, matrix, said


def test_files_read_again_are_watertight_and_in_mm(written):
    folder, labels, _, said = written
    names = [f"pot_completed.{form}" for form in ("vox", "stl", "glb")]
    names += ["pot_missing.stl", "pot_missing_upright.stl"]
    assert [path.name for path in said.paths] == names
    assert {path.name for path in folder.iterdir()} == {*names, ledger.LIST}
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
    for label, name in meshes.NAMES.items():
        part = scene.geometry[name]
        linear = part.visual.material.baseColorFactor[:3] / 255
        srgb = np.where(linear < 0.0031, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
        np.testing.assert_allclose(255 * srgb, meshes.COLOURS[label][:3], atol=1.5)
    np.testing.assert_allclose(1000 * scene.bounds, whole.bounds, atol=1e-3)
    # The sherd's part spans the sherd, in the file's coordinates (x, y, z) = (w, d, height - h).
    d, h, w = np.nonzero(labels == GIVEN)
    expected = [[c.min(), c.max() + 1] for c in (w, d, labels.shape[1] - 1 - h)]
    np.testing.assert_allclose(500 * scene.geometry["given"].bounds.T, expected, atol=1.0)
    joined = scene.to_mesh()
    joined.merge_vertices(merge_norm=True, merge_tex=True)
    assert joined.is_watertight


def test_only_what_is_asked_for_is_written_and_a_stale_piece_goes(tmp_path):
    pot = bowl(16)
    labels = pot.astype(np.uint8)
    with ledger.published(tmp_path, ["a_missing.stl"]) as private:
        (private / "a_missing.stl").write_bytes(b"old")
    made = Completion("a", labels, pot.astype(np.float32), mesh.frame(pot.shape))
    said = made.write(tmp_path, ["vox"])
    assert [path.name for path in said.paths] == ["a_completed.vox"]
    assert (tmp_path / "a_missing.stl").exists()
    said = made.write(tmp_path, ["stl"])
    assert [path.name for path in said.paths] == ["a_completed.stl"]
    assert not (tmp_path / "a_missing.stl").exists()


def test_what_lies_on_the_scan_is_given_though_no_voxel_of_it_is():
    """The scan reaches over a place where its voxels, of a thin wall, are less than half full."""
    pot = np.flip(bowl(), 2)
    given = np.flip(sherd(bowl()), 2)
    matrix = mesh.frame(pot.shape, 2.0, up="z")
    labels = np.where(given, GIVEN, np.where(pot, INFERRED, 0)).astype(np.uint8)
    scan = mesh.surface(mesh.smooth(given), given, matrix)
    _, h, w = np.nonzero(given)
    hole = (
        given
        & (np.indices(pot.shape)[2] < np.median(w))
        & (np.indices(pot.shape)[1] > np.median(h))
    )
    thin = np.where(hole, INFERRED, labels).astype(np.uint8)
    belief = pot.astype(np.float32)
    known, lost, mended = (
        meshes.surfaces(part, belief, matrix, original)
        for part, original in ((labels, None), (thin, None), (thin, scan))
    )
    areas = [made.pot.area_faces[made.labels == GIVEN].sum() for made in (known, lost, mended)]
    assert areas[1] < 0.85 * areas[0] and areas[2] == pytest.approx(areas[0], rel=0.08)
