"""What a file asks of the model: where its mesh lies, which options go together."""

import pathlib

import numpy as np
import pytest
import turned_sherds
from turned_sherds import turning

from voxgan_jax.cli import main
from voxgan_jax.restore.request import is_placed, read_request


@pytest.fixture(scope="module")
def scan():
    return turned_sherds.turned(turned_sherds.bellied(80))


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, True),
        ({"up": "z"}, True),
        ({"height_mm": 100.0}, True),
        ({"axis": (0, 0, 1)}, True),
        ({"height_mm": 100.0, "diameter_mm": 90.0}, False),
        ({"height_mm": 100.0, "diameter_mm": 90.0, "rim": True}, True),
        ({"height_mm": 100.0, "diameter_mm": 90.0, "place": True}, True),
        ({"voxel_mm": 2.0}, False),
        ({"voxel_mm": 2.0, "place": True}, True),
        ({"as_is": True, "up": "z"}, False),
    ],
)
def test_which_scans_are_placed(facts, expected):
    assert is_placed(pathlib.Path("a.STL"), facts) is expected
    assert not is_placed(pathlib.Path("a.vox"), facts)


def test_a_request_holds_the_placement(scan, tmp_path):
    mesh, pose = scan
    path = tmp_path / "sherd.stl"
    mesh.export(path)
    axis = tuple(pose[:3, 2].tolist())
    (sherd,) = read_request(turning(), path, {"axis": axis, "up": None}).sherds
    assert sherd.placement is not None and sherd.matrix is sherd.placement.matrix
    assert sherd.labels.shape == (64, 64, 64) and sherd.source == str(path)
    assert sherd.labels.sum() * sherd.placement.voxel_mm**3 == pytest.approx(mesh.volume, rel=0.05)
    (still,) = read_request(turning(), path, {"as_is": True}).sherds
    assert still.placement is None and still.scaled and still.mesh is not None


def test_whether_a_file_says_how_big_it_is(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.ones((3, 3, 3), np.uint8))
    for facts, scaled in (({}, False), ({"voxel_mm": 1.0}, True)):
        (sherd,) = read_request(turning(), path, facts).sherds
        assert sherd.scaled is scaled


@pytest.mark.parametrize(
    ("name", "facts", "said"),
    [
        ("a.stl", {"axis": (0, 0, 1), "up": "z"}, "--axis and --up both say where the rim is"),
        ("a.stl", {"rim": True, "as_is": True}, "--rim has no use with --as-is"),
        ("a.npy", {"axis": (0, 0, 1)}, "--axis has no use for a file of voxels"),
        ("a.stl", {"height_mm": -1.0}, "--height-mm -1: give a size above 0"),
        ("a.stl", {"up": "z", "height_mm": 20.0}, "no placement agrees with what is given"),
    ],
)
def test_options_that_do_not_go_together(scan, tmp_path, name, facts, said):
    path = tmp_path / name
    if path.suffix == ".stl":
        scan[0].export(path)
    else:
        np.save(path, np.ones((3, 3, 3), np.uint8))
    with pytest.raises(ValueError) as caught:
        read_request(turning(), path, facts)
    assert str(caught.value).startswith(str(path)) and said in str(caught.value)


@pytest.mark.parametrize("axis", ["1,0", "a,b,c", "0,0,0"])
def test_an_axis_is_three_numbers(axis, capsys):
    with pytest.raises(SystemExit):
        main.main(["complete", "a.stl", "--out", "x", f"--axis={axis}"])
    assert f"'{axis}': give three numbers" in capsys.readouterr().err
