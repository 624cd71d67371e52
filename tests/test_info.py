"""`voxgan info`: what is in a file."""

import json

import numpy as np
import pytest
import trimesh

from voxgan_jax.cli import main
from voxgan_jax.data import vox


@pytest.fixture
def files(tmp_path):
    labels = np.zeros((8, 6, 10), np.uint8)
    labels[:2, :3, :5], labels[4, :, 5], labels[7, 5, :4] = 3, 2, 1
    vox.write(tmp_path / "a.vox", labels)
    box = trimesh.creation.box((1.0, 2.0, 3.0))
    box.export(tmp_path / "a.stl")
    box.update_faces(np.arange(12) > 0)
    box.export(tmp_path / "open.stl")
    return tmp_path


def said(capsys, *args):
    code = main.main(["info", *map(str, args), "--json"])
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_voxels(files, capsys):
    code, (known,) = said(capsys, files / "a.vox", "--voxel-mm", "2.5")
    assert code == 0
    assert known["size"] == [8, 6, 10] and known["size_mm"] == [25, 20, 15]
    assert known["fragments"] == {
        "2": {"voxels": 6, "share": 0.15},
        "3": {"voxels": 30, "share": 0.75},
    }
    assert (known["voxels"], known["crumbs"], known["models"]) == (40, 4, 1)
    assert main.main(["info", str(files / "a.vox")]) == 0
    assert "fragment 3: 30 voxels, 75.0 %" in capsys.readouterr().out


def test_meshes(files, capsys):
    code, (tight, leaky) = said(capsys, files / "a.stl", files / "open.stl", "--unit", "cm")
    assert code == 0
    assert tight["size_mm"] == [10, 20, 30] and tight["lowest_mm"] == [-5, -10, -15]
    assert (tight["watertight"], tight["volume_mm3"], tight["faces"]) == (True, 6000, 12)
    assert (leaky["watertight"], leaky["volume_mm3"], leaky["faces"]) == (False, None, 11)
    assert main.main(["info", str(files / "open.stl")]) == 0
    assert "not watertight" in capsys.readouterr().out
    assert main.main(["info", str(files / "a.stl"), "--unit", "m"]) == 0
    assert "; watertight, 6 000 000 cm³" in capsys.readouterr().out


def test_a_mesh_that_is_cut_off_is_said_to_be(files, capsys):
    data = (files / "a.stl").read_bytes()
    for size in (60, len(data) - 30):
        (files / "cut.stl").write_bytes(data[:size])
        assert main.main(["info", str(files / "cut.stl")]) == 1
        said = capsys.readouterr().err
        assert "cut.stl: no mesh" in said and "cut off or damaged; copy or export it again" in said


def test_a_bad_file_is_named_and_the_others_are_told(files, capsys):
    (files / "bad.ply").write_bytes(b"ply\n")
    assert main.main(["info", str(files / "bad.ply"), str(files / "a.stl")]) == 1
    out, err = capsys.readouterr()
    assert "bad.ply: it cannot be read as PLY" in err and len(err.splitlines()) == 1
    assert "a.stl: a mesh of 12 faces in one body, 1 × 2 × 3 mm" in out
