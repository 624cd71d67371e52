"""Files that unfold, loop, lie or point elsewhere: read, or refused in one line that names them."""

import hashlib
import os
import pathlib

import numpy as np
import PIL.Image
import pytest

from scripts.lib import hostile_files, hostile_glb
from voxgan_jax.data import vox
from voxgan_jax.geometry import voxelise
from voxgan_jax.scan import formats, glb, source, threemf

SLOW = {"big_textures", "bomb_3mf", "bomb_npz", "bomb_binvox", "fan_cylinder", "hairball"}


def written(folder: pathlib.Path, name: str) -> pathlib.Path:
    kind = hostile_files.FILES[name]
    path = folder / f"{name}{kind.ending}"
    path.write_bytes(kind.make(7))
    return path


@pytest.mark.parametrize("name", sorted(hostile_files.FILES.keys() - SLOW))
def test_a_hostile_file_is_read_or_named_in_one_line(tmp_path, monkeypatch, name):
    monkeypatch.setenv("VOXGAN_READ_SECONDS", "60")
    monkeypatch.chdir(tmp_path)
    os.mkfifo(tmp_path / "pipe.mtl")
    path = written(tmp_path, name)
    if name in hostile_files.HARMLESS:
        assert formats.read(path, longest=20).labels.any()
        return
    with pytest.raises(formats.ScanError) as caught:
        formats.read(path, longest=20)
    said = str(caught.value)
    assert said.startswith(f"{path}: ") and "\n" not in said and "; " in said
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted([path.name, "pipe.mtl"])


@pytest.mark.parametrize(
    ("name", "bound"),
    [
        ("hollow_accessor", "its tables tell of more than its 404 bytes hold"),
        ("many_instances", r"it has 100000000 faces, .* above the limit of 4000000; .*_GIB=50 "),
        ("many_primitives", "it has 100000000 faces"),
        ("many_nodes", r"it has 100000 nodes, above the limit of 10000; .*_GIB=20 "),
        ("many_items_3mf", r"it has 20001 objects, copies .* limit of 10000; .*_GIB=5 "),
        ("node_circle", "lies in two others or in a circle"),
        ("wide_off", "less corners than it tells of"),
        ("lattice_3mf", f"more than {threemf.MAX_DEPTH} deep"),
        ("entities_3mf", "declares a document type"),
        ("more_binvox", "1069547520 voxels where its head tells of 4096"),
        ("wide_npz", "it holds complex128"),
        ("compressed_glb", "compressed by KHR_draco_mesh_compression"),
    ],
)
def test_what_is_refused_names_its_bound(tmp_path, name, bound):
    with pytest.raises(formats.ScanError, match=bound):
        formats.read(written(tmp_path, name))


def test_what_unfolds_is_counted_before_it_is_made(monkeypatch):
    lattice = hostile_files.lattice_3mf(0, 25)
    with pytest.raises(source.Fault, match=r"it has \d+ faces, copies counted, above the limit"):
        threemf.read(lattice)
    vertices, faces, unit = threemf.read(hostile_files.lattice_3mf(0, 3))
    assert (vertices.shape, faces.shape, unit) == ((32, 3), (32, 3), "millimeter")
    monkeypatch.setattr(threemf, "MAX_MIB", 50)
    with pytest.raises(
        source.Fault, match=r"it has 5. MiB unpacked, .* the limit of 50; .*_GIB=3 "
    ):
        threemf.read(hostile_files.bomb_3mf(0, 60))
    for shape in ((513, 2, 2), (1, 2), (0, 1, 1)):
        data = hostile_files.zipped(labels_dot_npy=[hostile_files.npy_head(shape, "|u1")])
        with pytest.raises(source.Fault, match="a grid has three axes"):
            formats.FORMATS[".npz"].parse(data)
    data = hostile_files.npy_head((512, 512, 512), "<f8")
    with pytest.raises(source.Fault, match="1024 MiB of float64; save labels as uint8"):
        formats.FORMATS[".npy"].parse(data)


def test_a_big_file_is_refused_before_it_is_read(tmp_path, monkeypatch):
    with (tmp_path / "a.stl").open("wb") as file:
        file.truncate(3 << 30)
    with pytest.raises(formats.ScanError, match=r"a\.stl: it has 3.2e\+09 bytes, .*_GIB=6 "):
        formats.read(tmp_path / "a.stl")
    monkeypatch.setenv("VOXGAN_READ_GIB", "0.000001")
    whole = written(tmp_path, "lying_ply")
    with pytest.raises(formats.ScanError, match="bytes, above the limit of 536;"):
        source.load(whole)


def test_textures_are_left_alone(monkeypatch):
    opened = []
    monkeypatch.setattr(PIL.Image, "open", opened.append)
    assert len(glb.read(hostile_glb.big_textures(0, 2, 64))[1]) == 100
    assert opened == []


def test_a_3mf_file_of_parts_turned_and_mirrored():
    mesh = hostile_files.MESH_3MF
    mirror = "transform='-1 0 0 0 1 0 0 0 1 0 0 0'"
    moved = "transform='1 0 0 0 1 0 0 0 1 100 0 0'"
    text = (
        f"<model unit='inch'><resources><object id='1'>{mesh}</object>"
        f"<object id='2'><components><component objectid='1' {mirror}/></components></object>"
        f"</resources><build><item objectid='2' {moved}/><item objectid='1'/></build></model>"
    )
    vertices, faces, unit = threemf.read(hostile_files.three_mf(text.encode()))
    assert unit == "inch" and len(faces) == 8
    np.testing.assert_array_equal(vertices[:4].min(0), [91, 0, 0])
    a, b, c = vertices[faces].transpose(1, 0, 2)
    volumes = (np.cross(b - a, c - a) * (a - [100, 0, 0])).sum(1).reshape(2, 4).sum(1)
    assert (volumes[0] > 0) == ((np.cross(b - a, c - a) * a).sum(1)[4:].sum() > 0)


def test_a_pipe_and_a_folder_are_no_files(tmp_path):
    for ending in (".stl", ".vox", ".npy"):
        os.mkfifo(tmp_path / f"a{ending}")
        with pytest.raises(formats.ScanError, match=r"a\.\w+: it is not a file"):
            formats.read(tmp_path / f"a{ending}")


def test_the_record_is_of_the_bytes_that_were_read(tmp_path):
    for name in ("pentagons", "many_materials"):
        path = written(tmp_path, name)
        data = path.read_bytes()
        known = {"file": path.name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        assert formats.read(path).input == known
    path = tmp_path / "a.vox"
    vox.write(path, np.ones((2, 2, 2), np.uint8))
    known = hashlib.sha256(path.read_bytes()).hexdigest()
    found = formats.read(path)
    path.write_bytes(b"another pot")
    assert found.input and found.input["sha256"] == known


def test_long_thin_triangles_take_points_by_their_area(tmp_path):
    (tmp_path / "a.stl").write_bytes(hostile_files.fan_cylinder(7, 500))
    mesh = formats.read_mesh(tmp_path / "a.stl").mesh
    points = voxelise.sample(mesh, 0.5)
    area, sides = float(mesh.area), float(mesh.edges_unique_length.sum())
    # By the longest side squared they were 16 million.
    assert len(points) < 3 * (area / 0.25 + sides / 0.5) < 1.2e6
    assert np.ptp(formats.read(tmp_path / "a.stl").labels.shape) == 0


def test_a_tangle_is_refused_before_it_takes_long(tmp_path):
    (tmp_path / "a.stl").write_bytes(hostile_files.hairball(7))
    with pytest.raises(formats.ScanError, match=r"a\.stl: its faces are so big and so many \("):
        formats.read(tmp_path / "a.stl", longest=200)
