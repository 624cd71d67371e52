"""`voxgan info`: what is in a file."""

import json
import os

import numpy as np
import pytest
import trimesh

from voxgan_jax.cli import info, main
from voxgan_jax.data import vox
from voxgan_jax.restore import files as files_of_restore
from voxgan_jax.restore import naming
from voxgan_jax.scan import formats


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


def test_a_folder_is_told_file_by_file_as_it_would_be_completed(files, capsys):
    (files / "bad.ply").write_bytes(b"ply\n")
    (files / "notes.txt").write_text("none")
    (files / "a_completed.stl").write_bytes((files / "a.stl").read_bytes())
    hole = np.zeros((2, 2, 2), np.uint8)
    np.save(files / "hole.npy", hole)
    assert main.main(["info", str(files), str(files / "a.stl"), str(files / "*.vox")]) == 1
    out, err = capsys.readouterr()
    assert [line.split(":")[0] for line in out.splitlines() if line.startswith("/")] == [
        str(files / name) for name in ("a.stl", "a.vox", "hole.npy", "open.stl")
    ]
    assert "bad.ply: it is no PLY file" in err and "left out, as they are no sherds: " in err
    code, known = said(capsys, files / "none", files / "a.stl", files / "no*.stl")
    assert code == 1 and [each["faces"] for each in known] == [12]


def test_whatever_goes_wrong_with_one_file_the_others_are_told(files, capsys, monkeypatch):
    describe = info.describe

    def failing(path, *options):
        if path.name == "a.stl":
            raise RuntimeError("nobody foresaw this")
        return describe(path, *options)

    monkeypatch.setattr(info, "describe", failing)
    assert main.main(["info", str(files)]) == 1
    out, err = capsys.readouterr()
    assert "a.stl: RuntimeError: nobody foresaw this" in err and "open.stl: a mesh" in out


@pytest.mark.parametrize("name", [b"sch\xe4le", b"caf\xff\xfe", b"x" * 245, b"\xe9" * 200])
def test_names_that_are_no_utf_8_or_long_of_every_kind_of_mesh(tmp_path, capsys, name):
    box = trimesh.creation.box((10.0, 20.0, 30.0))
    endings = [ending for ending, known in formats.FORMATS.items() if known.is_mesh]
    for ending in endings:
        box.export(tmp_path / f"a{ending}")
        try:
            (tmp_path / f"a{ending}").rename(tmp_path / os.fsdecode(name + ending.encode()))
        except OSError:
            pytest.skip("this file system takes no such names")
    code, known = said(capsys, tmp_path, "--unit", "mm")
    assert code == 0 and [each["faces"] for each in known] == [12] * len(endings)
    # The names of their results are some that any file system takes.
    for result in files_of_restore.collect([tmp_path]).values():
        for written in naming.results(result, naming.FORMATS):
            (tmp_path / written).write_bytes(b"")
            assert written.isprintable() and len(written.encode()) <= 255


def test_what_a_scan_holds_besides_is_told(tmp_path, capsys):
    box, other = trimesh.creation.box((10.0, 20.0, 30.0)), trimesh.creation.icosphere(3, 20.0)
    other.apply_translation([100, 0, 0])
    speck = trimesh.creation.icosphere(1, 0.5)
    speck.apply_translation([0, 0, 300])
    other.invert()
    trimesh.util.concatenate([box, other, speck]).export(tmp_path / "a.ply")
    code, (known,) = said(capsys, tmp_path / "a.ply")
    assert code == 0 and known["bodies"] == 2 and known["dust"] == 1 and known["watertight"]
    assert known["body_sizes_mm"] == [[40, 40, 40], [10, 20, 30]]
    volume = 6000 + abs(other.volume)
    assert known["volume_mm3"] == pytest.approx(volume, rel=1e-4)
    assert known["faces"] == 12 + 1280
    assert main.main(["info", str(tmp_path / "a.ply")]) == 0
    out = capsys.readouterr().out
    assert "in 2 bodies" in out and "give --largest" in out and "left out as dust: one body" in out
    assert "1280 faces looked another way and are turned" in out


def test_a_bad_file_is_named_and_the_others_are_told(files, capsys):
    (files / "bad.ply").write_bytes(b"ply\n")
    assert main.main(["info", str(files / "bad.ply"), str(files / "a.stl")]) == 1
    out, err = capsys.readouterr()
    assert "bad.ply: it is no PLY file, or cut off" in err and len(err.splitlines()) == 1
    assert "a.stl: a mesh of 12 faces in one body, 1 × 2 × 3 mm" in out
