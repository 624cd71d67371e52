"""Several loose sherds of one pot: each finds its place among the others, or is set aside."""

import functools
import json

import jax.numpy as jnp
import numpy as np
import one_pot_sherds
import pytest
import trimesh
from one_pot_sherds import HEIGHT, STEP, knowing, scattered, sherd

import voxgan_jax
from voxgan_jax.cli import main
from voxgan_jax.inference import completer
from voxgan_jax.inference.completer import Completer
from voxgan_jax.placement import belief, locator, nearby, one_pot, propose
from voxgan_jax.placement.axis_fit import Axis
from voxgan_jax.placement.axis_maps import Lines
from voxgan_jax.placement.candidate import Candidate, Known
from voxgan_jax.placement.view import Sight, viewed
from voxgan_jax.report.record import Report
from voxgan_jax.restore import api
from voxgan_jax.restore.request import read_request
from voxgan_jax.scan import formats, ply

pytestmark = pytest.mark.usefixtures("short_search")

UP = np.array([0.0, 0.0, 1.0])
BOTTOM = -32 * STEP
"""Of the cube, along the axis from the pot's middle."""


@pytest.fixture(scope="module")
def known() -> belief.Belief:
    """The pot by rings and rows."""
    pot = one_pot_sherds.pot()
    return belief.belief(np.zeros_like(pot), pot.astype(np.float32))


@pytest.fixture(scope="module")
def shown() -> belief.Shown:
    return belief.shown(viewed(sherd(0, 40)))


@functools.cache
def sherds():
    """From the lower wall, the shoulder and the belly, and the poses that brought them there."""
    return scattered(sherd(-50, -10), sherd(-5, 35), sherd(-30, 15, 60))


def line(*point: float, direction=UP) -> Lines:
    return Lines(np.array([point]), np.array([direction]))


def test_a_belief_is_of_rings_and_bounded(known):
    pot = one_pot_sherds.pot()
    # Row 32 is half a voxel below the middle: the wall lies 44.7 to 50.7 mm from the axis.
    clay = np.flatnonzero(np.exp(known.clay[:, 32]) > 0.5) * STEP
    assert clay.min() == pytest.approx(44.7, abs=STEP)
    assert clay.max() == pytest.approx(50.7, abs=STEP)
    assert np.exp(known.clay).min() == pytest.approx(0.02)
    np.testing.assert_allclose(np.exp(known.clay) + np.exp(known.none), 1, rtol=1e-5)
    full = belief.belief(np.ones_like(pot), np.zeros(pot.shape, np.float32))
    assert np.exp(full.clay[:32]).min() == pytest.approx(0.98)


def test_a_sherd_is_foretold_in_its_place_and_nowhere_else(known, shown):
    true = belief.at(line(0, 0, 0), np.array([BOTTOM]), STEP, shown, known)[0]
    assert true > -0.25
    for place, bottom, voxel in (
        (line(0, 0, 0), BOTTOM + 30, STEP),
        (line(8, 0, 0), BOTTOM, STEP),
        (line(0, 0, 0), BOTTOM * 1.2, STEP * 1.2),
        (line(0, 0, 0, direction=-UP), BOTTOM, STEP),
    ):
        assert belief.at(place, np.array([bottom]), voxel, shown, known)[0] < true - 0.3


def test_a_sherd_slid_along_the_axis_is_foretold_best_where_it_was(known, shown):
    both = Lines(np.zeros((2, 3)), np.stack([UP, -UP]))
    found = belief.slid(both, STEP, shown, known)
    assert found.shape == (2, 65)
    # The pot's middle is 32 rows above the cube's bottom.
    assert found[0].argmax() == 32 and found[0].max() > found[1].max() + 0.2
    for place in (32, 40):
        exact = belief.at(line(0, 0, 0), np.array([-place * STEP]), STEP, shown, known)
        assert found[0, place] == pytest.approx(exact[0], abs=0.1)


def test_a_place_nearby_is_mended(known, shown):
    axis = Axis(np.array([3.0, -2.0, 0.0]), np.array([0.03, 0.0, 1.0]) / np.hypot(1, 0.03), 0.1)
    start = Candidate(axis, STEP, BOTTOM + 4.0, -2.0)
    made = nearby.best(start, viewed(sherd(0, 40)), shown, known, (0.85, 12.0))
    assert nearby.foretold(made, shown, known) > nearby.foretold(start, shown, known) + 0.2
    assert np.degrees(np.arccos(made.axis.direction @ UP)) < 5.0
    aside = made.axis.point - (made.axis.point @ UP) * UP
    assert np.linalg.norm(aside) < 1.5 and made.log_share > start.log_share


def guesses(*meshes):
    known = Known(height=HEIGHT)
    return [propose.guess(Sight(mesh), known, locator.load()) for mesh in meshes]


@functools.cache
def gathered() -> one_pot.Gathered:
    """Three sherds of the pot and a box in their places, for all tests."""
    meshes, _ = sherds()
    false = trimesh.creation.box((60, 45, 6))
    return one_pot.gather(knowing(), guesses(*meshes, false), Known(height=HEIGHT))


def test_sherds_come_together_and_one_of_another_pot_is_set_aside():
    found, (_, poses) = gathered(), sherds()
    assert [move is None for move in found.moves] == [False, False, False, True]
    right = []
    for n, move in enumerate(found.moves[:3]):
        assert move is not None
        own = np.linalg.inv(move @ poses[n])
        tilt = np.degrees(np.arccos((own[:3, :3] @ found.placement.direction)[2]))
        *aside, along, _ = own @ found.placement.matrix @ [31.5, 31.5, 31.5, 1]
        right.append(tilt < 5 and abs(along) < 6 and np.linalg.norm(aside) < 6)
        # Rigid, and no mirror image.
        np.testing.assert_allclose(move[:3, :3] @ move[:3, :3].T, np.eye(3), atol=1e-6)
        assert np.linalg.det(move[:3, :3]) == pytest.approx(1)
    # By its own walls the axis of the shoulder is 13° off.
    assert sum(right) >= 2
    assert found.placement.word == "fair"
    assert found.placement.voxel_mm == pytest.approx(STEP, rel=0.05)
    assert found.placement.height_mm == pytest.approx(HEIGHT, rel=0.07)


def test_they_stand_apart_around_the_axis():
    found, (meshes, poses) = gathered(), sherds()
    to_pot = np.linalg.inv(poses[found.frame])
    middles = [
        to_pot @ move @ [*mesh.centroid, 1]
        for mesh, move in zip(meshes, found.moves, strict=False)
        if move is not None
    ]
    turns = np.sort([np.degrees(np.arctan2(y, x)) for x, y, *_ in middles])
    assert np.diff([*turns, turns[0] + 360]).min() > 45


def test_where_no_two_agree_the_surest_is_placed_alone():
    nothing = Completer(lambda partial: jnp.zeros_like(partial), 64, 1, "center", 0.5)
    found = one_pot.gather(nothing, guesses(*sherds()[0][1:]), Known(height=HEIGHT))
    assert [move is None for move in found.moves].count(True) == 1
    kept = found.moves[found.frame]
    assert kept is not None
    np.testing.assert_allclose(kept, np.eye(4))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sherds")
    paths = [folder / f"{name}.ply" for name in "abc"]
    for path, mesh in zip(paths, sherds()[0], strict=True):
        mesh.export(path)
    return paths


@pytest.fixture
def found_before(monkeypatch):
    """The three sherds are not placed again for each test."""
    known = gathered()
    three = known._replace(moves=known.moves[:3])
    monkeypatch.setattr(one_pot, "gather", lambda *_: three)


@pytest.mark.usefixtures("found_before")
def test_the_command_writes_one_pot_of_several_files(files, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(completer, "load", lambda **_: knowing())
    command = ["complete", *map(str, files), "--one-pot", "--out", str(tmp_path)]
    command += ["--height-mm", str(HEIGHT)]
    assert main.main(command) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{tmp_path / 'a_pot.html'}: ") and "loose sherds lie in one pot" in said
    report = Report.from_json(json.loads((tmp_path / "a_pot.json").read_text("utf-8")))
    assert report.sherds and [loose.file for loose in report.sherds] == ["a.ply", "b.ply", "c.ply"]
    assert all(loose.move for loose in report.sherds) and report.input
    assert report.input.file == "a.ply"
    frame = report.sherds[gathered().frame]
    assert f"in one pot in the coordinates of {frame.file}: a.ply, b.ply, c.ply" in said
    assert report.options and len(report.options["one_pot"]) == 2
    page = (tmp_path / "a_pot.html").read_text("utf-8")
    assert "they stand apart around it" in page
    assert "tell what is known by --diameter-mm or --height-mm" in said
    assert trimesh.load_mesh(tmp_path / "a_pot_completed.stl").is_watertight
    assert main.main(command) == 0
    assert "completed before" in capsys.readouterr().out


@pytest.mark.usefixtures("found_before")
def test_python_takes_a_list(files, monkeypatch):
    monkeypatch.setattr(api, "_load", lambda **_: knowing())
    made = voxgan_jax.complete(files, height_mm=HEIGHT)
    assert made.name == "a_pot" and made.report.sherds and len(made.report.sherds) == 3
    assert made.original is not None and made.original.body_count == 3
    alike = voxgan_jax.complete(list(sherds()[0]), name="mine")
    assert alike.name == "mine" and alike.report.sherds
    moves = [[loose.move for loose in pot.report.sherds or ()] for pot in (made, alike)]
    assert moves[0] == moves[1]
    assert made.measures.height_mm == pytest.approx(HEIGHT, rel=0.07)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--up", "z"], "--up tells of one sherd, and --one-pot takes several"),
        (["--rim"], "--rim tells of one sherd"),
        (["--body", "2"], "--body tells of one sherd"),
        (["--fragment", "1"], "--fragment tells of one sherd"),
    ],
)
def test_what_holds_for_one_sherd_is_refused(files, tmp_path, capsys, more, said):
    command = ["complete", *map(str, files), "--one-pot", "--out", str(tmp_path / "out"), *more]
    assert main.main(command) == 1
    assert said in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_sherd_about_which_no_pot_turns_is_named(files):
    facts = {"height_mm": 5.0, "diameter_mm": 5.0}
    with pytest.raises(ValueError, match="the sherd is bigger than the pot") as caught:
        read_request(knowing(), files[0], facts, others=files[1:])
    assert str(caught.value).startswith(f"{files[0]}: ")


def test_of_a_file_with_several_bodies_only_the_largest_can_be_meant(files, tmp_path):
    two = tmp_path / "two.ply"
    meshes = sherds()[0]
    trimesh.util.concatenate([meshes[0], meshes[1].copy().apply_translation([900, 0, 0])]).export(
        two
    )
    with pytest.raises(ValueError) as caught:
        read_request(knowing(), two, {}, others=files[1:])
    assert str(caught.value) == (
        f"{two}: it holds 2 bodies; give --largest to take the largest of each file"
    )


@pytest.mark.usefixtures("found_before")
def test_a_move_begins_at_the_files_own_coordinates(files, tmp_path):
    far, away = tmp_path / "far.ply", np.array([500_000.0, 4_649_776_000.0, -12_000.0])
    number = 1 if gathered().frame == 0 else 0
    mesh = sherds()[0][number]
    far.write_bytes(ply.as_ply(mesh.vertices + away, mesh.faces))
    paths = [far if n == number else path for n, path in enumerate(files)]
    (plain,) = read_request(knowing(), files[0], {}, others=files[1:]).sherds
    (moved,) = read_request(knowing(), paths[0], {}, others=paths[1:]).sherds
    one, other = plain.loose[number], moved.loose[number]
    assert one.move and other.move and not other.frame
    # The places are those of coordinates about the local origin, as the scan is read.
    origin = np.array(formats.read_mesh(far).contents.origin)
    assert np.linalg.norm(origin - away) < 1000
    there = np.array(other.move) @ np.append(mesh.centroid + away, 1.0)
    local = np.array(one.move) @ np.append(mesh.centroid + away - origin, 1.0)
    assert np.abs(there - local).max() < 0.1
    assert "add (" not in " ".join(other.notes)
    assert [loose.frame for loose in moved.loose].index(True) == gathered().frame


def test_the_file_at_fault_is_named(files, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(completer, "load", lambda **_: knowing())
    bad = tmp_path / "bad.stl"
    bad.write_text("solid x")
    command = ["complete", str(files[0]), str(bad), "--one-pot", "--out", str(tmp_path / "out")]
    assert main.main(command) == 1
    assert capsys.readouterr().err.startswith(f"voxgan: {bad}: no mesh can be read of it")
    assert not list((tmp_path / "out").iterdir())


def test_files_that_cannot_be_loose_sherds_are_refused(files, tmp_path, capsys):
    box = tmp_path / "box.npy"
    np.save(box, np.ones((3, 3, 3), np.uint8))
    for several, said in (
        ([files[0]], "--one-pot takes 2 to 12 sherds; here are 1"),
        ([*files, box], f"{box}: --one-pot takes meshes"),
        ([*files, tmp_path / "gone.ply"], "gone.ply"),
    ):
        command = ["complete", *map(str, several), "--one-pot", "--out", str(tmp_path / "out")]
        assert main.main(command) == 1
        assert said in capsys.readouterr().err
    with pytest.raises(ValueError, match="takes 2 to 12 sherds; here are 1"):
        voxgan_jax.complete(files[:1])
    with pytest.raises(ValueError, match="--one-pot takes meshes"):
        voxgan_jax.complete([np.ones((3, 3, 3), np.uint8), files[0]])
