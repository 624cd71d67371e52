"""Sherds from files of every kind: as they were, where they were, and one line for a bad one."""

from typing import Any

import numpy as np
import pytest
import trimesh
from turned_pots import bowl, sherd

from voxgan_jax.data import vox
from voxgan_jax.geometry import surface, voxelise
from voxgan_jax.scan import formats


def iou(a, b):
    return (a & b).sum() / (a | b).sum()


def boxed(step=2.0, origin=(10.0, -20.0, 5.0)):
    """A bowl without room around it, standing on z, and its mesh."""
    pot = bowl()
    d, h, w = (slice(c.min(), c.max() + 1) for c in np.nonzero(pot))
    pot = pot[d, h, w]
    matrix = surface.frame(pot.shape, step, origin, "z")
    field = surface.smooth(pot)
    return pot, surface.surface(field, pot, matrix, surface.find_level(field, pot))


MESHES = [suffix for suffix, known in formats.FORMATS.items() if known.is_mesh]


@pytest.mark.parametrize("suffix", MESHES)
def test_each_mesh_format_gives_the_voxels_back(tmp_path, suffix):
    pot, made = boxed()
    path = tmp_path / f"sherd{suffix}"
    # Units belong to GLB alone: metres; 3MF says its own, which trimesh writes from `units`.
    made.units = "millimeter"
    made.export(path)
    scan = formats.read(path, unit="mm", voxel_mm=2.0, up="z")
    assert scan.labels.shape == pot.shape
    assert iou(scan.labels > 0, pot) >= 0.98
    assert scan.mesh is not None
    np.testing.assert_allclose(scan.mesh.bounds, made.bounds, atol=1e-3)
    # And each voxel where it was, in mm.
    places = np.argwhere(scan.labels) @ scan.to_mm[:3, :3].T + scan.to_mm[:3, 3]
    assert (np.abs(places.min(0) - 1 - made.bounds[0]) < 1).all()
    assert (np.abs(places.max(0) + 1 - made.bounds[1]) < 1).all()


def test_units_and_what_is_taken_where_none_is_told(tmp_path):
    _, made = boxed()
    made.export(tmp_path / "a.stl")
    made.export(tmp_path / "a.glb")
    for name, unit, scale in (
        ("a.stl", None, 1.0),
        ("a.stl", "cm", 10.0),
        ("a.stl", "in", 25.4),
        ("a.glb", None, 1000.0),
        ("a.glb", "mm", 1.0),
    ):
        found = formats.read_mesh(tmp_path / name, unit).mesh
        np.testing.assert_allclose(found.extents, scale * made.extents, rtol=1e-5)


def test_a_mesh_fills_the_cube_or_lies_in_the_box_that_is_told(tmp_path):
    pot, made = boxed(2.0, (-pot_radius(), -pot_radius(), 0.0))
    made.export(tmp_path / "a.stl")
    labels = formats.read(tmp_path / "a.stl", longest=32).labels
    assert max(labels.shape) == 32
    scan = formats.read(tmp_path / "a.stl", voxel_mm=2.0, height_mm=60.0, diameter_mm=48.0)
    assert scan.labels.shape == (24, 24, 30)
    corner = scan.matrix @ np.array([0, 0, 29, 1])
    np.testing.assert_allclose(corner[:3], [-23, -23, 1], atol=1e-9)
    assert scan.labels[:, :, : 30 - pot.shape[2]].sum() == 0
    with pytest.raises(
        formats.ScanError, match=r"a\.stl: the sherd reaches .* mm out of the pot's"
    ):
        formats.read(tmp_path / "a.stl", voxel_mm=2.0, height_mm=10.0)
    with pytest.raises(formats.ScanError, match=r"a\.stl: \d+ voxels along .* give --voxel-mm"):
        formats.read(tmp_path / "a.stl", voxel_mm=0.01)


def pot_radius():
    return float(boxed()[0].shape[0])  # half of the width, by voxels of 2 mm


def test_a_mesh_with_a_hole_is_filled_and_a_broken_surface_is_not_lost():
    pot, made = boxed(1.0, (0.0, 0.0, 0.0))
    shape = (pot.shape[0], pot.shape[1], pot.shape[2])
    near = np.linalg.norm(made.triangles_center - made.triangles_center[100], axis=1)
    made.update_faces(near > 2.5)
    assert not made.is_watertight
    found = surface.stand(voxelise.voxelise(made, (0.0, 0.0, 0.0), 1.0, shape), "z")
    assert iou(found, pot) >= 0.98
    # Only the outer side of the wall: it is taken as a shell.
    made.update_faces(made.face_normals[:, 2] < -0.9)
    shell = surface.stand(voxelise.voxelise(made, (0.0, 0.0, 0.0), 1.0, shape), "z")
    assert 20 < shell.sum() < pot.sum()


def test_meshes_that_are_not_manifold():
    """Overlapping bodies, faces twice, faces turned the other way."""
    a = trimesh.creation.box((8.0, 8.0, 8.0), transform=moved(6, 6, 6))
    b = trimesh.creation.box((8.0, 4.0, 4.0), transform=moved(12, 6, 6))
    both: Any = trimesh.util.concatenate([a, b])
    expected = np.zeros((20, 12, 12), bool)
    expected[2:10, 2:10, 2:10] = expected[8:16, 4:8, 4:8] = True
    found = voxelise.voxelise(both, (0.0, 0.0, 0.0), 1.0, expected.shape)
    np.testing.assert_array_equal(found, expected)
    faces = a.faces.copy()
    faces[::3] = faces[::3, ::-1]
    turned = trimesh.Trimesh(a.vertices, faces, process=False)
    assert not turned.is_winding_consistent
    found = voxelise.voxelise(turned, (0.0, 0.0, 0.0), 1.0, (12, 12, 12))
    np.testing.assert_array_equal(found, expected[:12] & (np.indices((12, 12, 12))[0] < 10))


def moved(*by):
    return trimesh.transformations.translation_matrix([float(value) for value in by])


def test_a_wall_thinner_than_a_voxel_has_no_gap_wider_than_one():
    wall = trimesh.creation.box((0.4, 20.0, 20.0), transform=moved(5.0, 10, 10))
    found = voxelise.voxelise(wall, (0.0, 0.0, 0.0), 1.0, (10, 20, 20))
    assert found.any(axis=0).all()


def test_files_of_voxels(tmp_path):
    labels = np.where(sherd(bowl()), 3, np.where(bowl(), 2, 0)).astype(np.uint8)
    vox.write(tmp_path / "a.vox", labels)
    scan = formats.read(tmp_path / "a.vox", voxel_mm=2.0)
    np.testing.assert_array_equal(scan.labels, labels)
    np.testing.assert_array_equal(scan.matrix, surface.frame(labels.shape, 2.0))
    np.save(tmp_path / "a.npy", labels)
    np.savez_compressed(tmp_path / "a.npz", other=labels[0], labels=labels / 4)
    for name, expected in (("a.npy", labels), ("a.npz", labels > 2)):
        scan = formats.read(tmp_path / name)
        np.testing.assert_array_equal(scan.labels, surface.stand(expected, "z"))
    voxels = trimesh.voxel.VoxelGrid(labels > 0, np.diag([2.0, 2.0, 2.0, 1.0]))
    (tmp_path / "a.binvox").write_bytes(voxels.export(file_type="binvox"))
    scan = formats.read(tmp_path / "a.binvox")
    np.testing.assert_array_equal(scan.labels > 0, surface.stand(labels > 0, "z"))
    with pytest.raises(formats.ScanError, match="--height-mm and --diameter-mm are for meshes"):
        formats.read(tmp_path / "a.npy", height_mm=3.0)


@pytest.mark.parametrize("suffix", formats.FORMATS)
@pytest.mark.parametrize("fault", ["empty", "cut", "noise", "none", "folder"])
def test_a_bad_file_is_named_in_one_line(tmp_path, suffix, fault):
    path = tmp_path / f"bad{suffix}"
    if fault == "empty":
        path.write_bytes(b"")
    elif fault == "noise":
        path.write_bytes(np.random.default_rng(0).bytes(3000))
    elif fault == "folder":
        path.mkdir()
    elif fault == "cut":
        whole(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises((OSError, ValueError)) as caught:
        scan = formats.read(path)
        if fault == "cut" and suffix in (".obj", ".stl"):
            # Half a text is a mesh with a hole; it is read as such.
            assert scan.labels.any()
            pytest.skip("half of the faces are there")
    assert "bad" in str(caught.value) and "\n" not in str(caught.value)


def whole(path):
    pot, made = boxed()
    suffix = path.suffix
    if suffix == ".vox":
        vox.write(path, pot.astype(np.uint8))
    elif suffix == ".npy":
        np.save(path, pot)
    elif suffix == ".npz":
        np.savez_compressed(path, labels=pot)
    elif suffix == ".binvox":
        path.write_bytes(trimesh.voxel.VoxelGrid(bowl()).export(file_type="binvox"))
    else:
        made.export(path)


def test_points_without_faces_and_unknown_endings(tmp_path):
    trimesh.PointCloud(np.random.default_rng(0).random((20, 3))).export(tmp_path / "points.ply")
    with pytest.raises(formats.ScanError, match=r"points\.ply: .*no faces"):
        formats.read(tmp_path / "points.ply")
    for name in ("sherd", "a.step", "a.stl"):
        with pytest.raises(FileNotFoundError, match=f"{name}: there is no such file"):
            formats.read(tmp_path / name)
        (tmp_path / name).write_text("something")
    with pytest.raises(formats.ScanError, match=r"sherd: no ending is none of \.vox"):
        formats.read(tmp_path / "sherd")
    with pytest.raises(formats.ScanError, match=r"a\.step: \.step is none of \.vox"):
        formats.read(tmp_path / "a.step")
    with pytest.raises(formats.ScanError, match=r"a\.stl: --voxel-mm -1: give a size above 0"):
        formats.read(tmp_path / "a.stl", voxel_mm=-1.0)
