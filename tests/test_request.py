"""What a file asks of the model: where its mesh lies, which options go together."""

import json
import pathlib

import numpy as np
import pytest
import trimesh
import turned_sherds
from turned_sherds import turning

from voxgan_jax.cli import main, result
from voxgan_jax.inference import predict
from voxgan_jax.report.record import Report
from voxgan_jax.restore import batch, pot
from voxgan_jax.restore.request import is_placed, read_request
from voxgan_jax.scan import ply

pytestmark = pytest.mark.usefixtures("short_search")


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
        ("a.npy", {"largest": True}, "--largest is for a mesh"),
        ("a.npy", {"body": 2}, "--body is for a mesh"),
        ("a.stl", {"body": 2}, "--body 2: it holds one body"),
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


def joined(*meshes) -> trimesh.Trimesh:
    made = trimesh.util.concatenate(meshes)
    assert isinstance(made, trimesh.Trimesh)
    return made


def write_ply(path, mesh):
    path.write_bytes(ply.as_ply(mesh.vertices, mesh.faces))
    return path


def test_what_is_wrong_with_a_scan_changes_no_placement(scan, tmp_path):
    mesh, pose = scan
    axis = {"axis": tuple(pose[:3, 2].tolist())}
    (right,) = read_request(turning(), write_ply(tmp_path / "a.ply", mesh), axis).sherds
    assert right.placement
    inside_out = mesh.copy()
    inside_out.invert()
    speck = trimesh.creation.icosphere(1, 1.0)
    speck.apply_translation(mesh.bounds[1] + 300)
    far = mesh.copy()
    far.apply_translation([500_000.0, 4_649_776_000.0, -12_000.0])
    for other in (inside_out, joined(mesh, speck), far):
        (found,) = read_request(turning(), write_ply(tmp_path / "b.ply", other), axis).sherds
        assert found.placement
        assert (found.labels == right.labels).mean() > 0.9999
        step = found.placement.voxel_mm
        assert step == pytest.approx(right.placement.voxel_mm, rel=1e-3)
        moved = found.placement.point + found.contents.origin - right.placement.point
        aside = moved - (other.centroid - mesh.centroid if other is far else 0)
        assert np.abs(aside).max() < 0.1 * step


@pytest.mark.parametrize("shift", [0.0, 6.0])
def test_an_axis_is_told_with_a_point_of_it(scan, tmp_path, shift):
    """In the file's coordinates, however far away these are; and if it is a worse one, too."""
    mesh, pose = scan
    far = np.array([500_000.0, 4_649_776_000.0, 12.0])
    up, point = pose[:3, 2], pose[:3, 3] + shift * pose[:3, 0]
    for offset in (np.zeros(3), far):
        moved = mesh.copy().apply_translation(offset)
        told = {"axis": (*(3 * up), *(point + offset + 70 * up))}
        (found,) = read_request(turning(), write_ply(tmp_path / "a.ply", moved), told).sherds
        assert found.placement and found.placement.direction == pytest.approx(up, abs=1e-6)
        aside = found.placement.point + found.contents.origin - offset - point
        assert np.linalg.norm(aside - (aside @ up) * up) < 1e-3


def test_a_scan_far_off_is_restored_about_a_local_origin(scan, tmp_path):
    far = scan[0].copy()
    far.apply_translation([500_000.0, 4_649_776_000.0, 12.0])
    path = write_ply(tmp_path / "sherd.ply", far)
    request = read_request(turning(), path, {"axis": tuple(scan[1][:3, 2].tolist())})
    (answer,) = predict.complete_batch(turning(), [request])
    made = pot.restore(request, answer)
    written = made.write(tmp_path / "out")
    report = json.loads((tmp_path / "out" / "sherd.json").read_text("utf-8"))
    origin = np.array(report["scan"]["origin_mm"])
    told = Report.from_json(report).scan
    assert told and told.origin_mm == made.contents.origin and told.turned_faces == 0
    assert np.abs(far.centroid - origin).max() < 1000
    for name in ("completed", "missing"):
        mesh = trimesh.load_mesh(tmp_path / "out" / f"sherd_{name}.stl")
        assert mesh.is_watertight and np.abs(mesh.bounds).max() < 2000
    assert written.gap_mm >= 0.2
    # The sherd is where it was in the pot, once the origin is added.
    (given,) = np.argwhere(made.labels == 1)[:1]
    place = (np.array(report["transform"]) @ [*given, 1])[:3] + origin
    assert ((far.bounds[0] < place) & (place < far.bounds[1])).all()
    page = (tmp_path / "out" / "sherd.html").read_text("utf-8")
    for text in (page, result.in_words(batch.Result(written, made))):
        assert "about a local origin: add (500000, 4649776000, 0) mm" in text


def test_of_several_bodies_one_is_named_or_all_lie_as_in_one_pot(scan, tmp_path):
    mesh, pose = scan
    table = trimesh.creation.box((300, 300, 5))
    table.apply_translation([0, 0, float(mesh.bounds[0][2]) - 2.5])
    path = write_ply(tmp_path / "two.ply", joined(mesh, table))
    axis = {"axis": tuple(pose[:3, 2].tolist())}
    with pytest.raises(ValueError) as caught:
        read_request(turning(), path, axis)
    said = str(caught.value)
    assert said.startswith(f"{path}: it holds 2 bodies (1: 300 × 300 × 5 mm")
    assert "--largest" in said and "--body N" in said and "\n" not in said
    alone = read_request(turning(), write_ply(tmp_path / "one.ply", mesh), axis).sherds[0]
    second = read_request(turning(), path, axis | {"body": 2}).sherds[0]
    assert (second.labels == alone.labels).all() and second.contents.taken == 2
    lying = {"as_is": True}
    both, first = (
        read_request(turning(), path, lying | which).sherds[0] for which in ({}, {"largest": True})
    )
    assert both.mesh and first.mesh
    assert len(both.mesh.faces) == len(mesh.faces) + 12 and len(first.mesh.faces) == 12
    assert both.contents.notes == ("of 2 bodies in the file all were taken together as they lie",)


@pytest.mark.parametrize("axis", ["1,0", "a,b,c", "0,0,0", "0,0,1,5", "0,0,0,1,2,3"])
def test_an_axis_is_three_numbers(axis, capsys):
    with pytest.raises(SystemExit):
        main.main(["complete", "a.stl", "--out", "x", f"--axis={axis}"])
    assert f"'{axis}': give three numbers" in capsys.readouterr().err
