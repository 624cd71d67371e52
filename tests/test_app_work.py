"""What the worker of `voxgan app` does, in the tests' own process and with a small model."""

import base64
import json

import numpy as np
import pytest
import trimesh
import turned_sherds
from toy_batches import sherd
from turned_sherds import cone

from voxgan_jax.app import work
from voxgan_jax.data import vox
from voxgan_jax.inference import completer
from voxgan_jax.inference.answer import GIVEN
from voxgan_jax.placement import axis_fit
from voxgan_jax.restore import request
from voxgan_jax.scan import formats, ply

STEPS = ["step_loading", "step_reading", "step_completing", "step_writing"]


def job(kind, path, **choices):
    view, out = path.with_suffix(f".{kind}.json"), path.parent / "results"
    return work.Job(kind, 1, path, view, out, choices)


def done(told):
    """What a job gave, and the steps that were told."""
    steps = []
    how, what = work.answered(told, lambda how, key: steps.append(key) if how == "step" else None)
    return how, what, list(dict.fromkeys(steps))


def corners(view):
    """Of the first part of a view."""
    part = view["parts"][0]
    steps = np.frombuffer(base64.b64decode(part["corners"]), "<u2").reshape(-1, 3)
    return np.array(part["low"]) + steps * np.array(part["step"])


@pytest.fixture
def pot(weights_file, monkeypatch, tmp_path):
    """A file of voxels, for a worker whose model is a small one."""

    def load(num_hypotheses):
        assert num_hypotheses == 0
        return completer.load(weights_file=weights_file)

    monkeypatch.setattr(work, "model", load)
    monkeypatch.setattr(work, "_requests", {})
    vox.write(tmp_path / "pot.vox", sherd(1))
    return tmp_path / "pot.vox"


def test_a_mesh_is_looked_at_in_its_own_unit(tmp_path):
    mesh = cone()
    path = tmp_path / "cone.glb"
    mesh.export(path)
    how, seen, steps = done(job("look", path))
    assert (how, steps, seen["mesh"], seen["bodies"]) == ("done", ["step_reading"], True, [])
    assert seen["unit_mm"] == 1000.0  # The numbers are taken for metres.
    assert np.allclose(seen["size"], mesh.extents, rtol=1e-4)
    middle = mesh.area_faces @ mesh.triangles_center / mesh.area
    assert np.allclose(seen["middle"], middle, atol=0.05)
    view = json.loads(path.with_suffix(".look.json").read_text())
    assert view["up"] == [0.0, 1.0, 0.0]
    assert np.allclose(np.ptp(corners(view), axis=0), mesh.extents, rtol=1e-3)


def test_of_several_bodies_one_is_looked_at(tmp_path):
    big, small = trimesh.creation.box([50, 40, 30]), trimesh.creation.box([20, 20, 20])
    small.apply_translation([100, 0, 0])
    both = trimesh.Trimesh(
        np.concatenate([big.vertices, small.vertices]),
        np.concatenate([big.faces, small.faces + len(big.vertices)]),
    )
    path = tmp_path / "two.ply"
    path.write_bytes(ply.as_ply(both.vertices, both.faces))
    _, seen, _ = done(job("look", path))
    assert seen["bodies"] == [[50.0, 40.0, 30.0], [20.0, 20.0, 20.0]]
    assert np.allclose(seen["size"], both.extents)
    _, seen, _ = done(job("look", path, body=2))
    assert np.allclose(seen["size"], [20, 20, 20]) and len(seen["bodies"]) == 2


def test_voxels_are_looked_at_and_restored(pot):
    how, seen, _ = done(job("look", pot))
    assert (how, seen["mesh"], seen["unit_mm"]) == ("done", False, 1.0)
    there = np.argwhere(sherd(1) > 0)
    assert sorted(seen["size"]) == pytest.approx(sorted(np.ptp(there, axis=0) + 1.0), abs=0.6)
    how, made, steps = done(job("restore", pot, voxel_mm=2.5))
    assert (how, steps) == ("done", STEPS)
    assert made["choices"] == {"voxel_mm": 2.5} and made["report"]["voxel_mm"] == 2.5
    assert made["report"]["options"]["voxel_mm"] == 2.5
    assert made["report"]["input"]["file"] == "pot.vox"
    names = {file.name for file in (pot.parent / "results").iterdir()} - {".voxgan_jax.sha256"}
    assert set(made["files"]) == names >= {"pot.html", "pot.json", "pot_completed.stl"}
    view = json.loads(pot.with_suffix(".restore.json").read_text())
    assert GIVEN in {group["label"] for group in view["parts"][0]["groups"]}
    low, high = (np.array(end) for end in view["axis"])
    assert np.linalg.norm(high - low) == pytest.approx(1.2 * view["height"])
    assert (high - low) @ view["up"] == pytest.approx(1.2 * view["height"])


def test_a_scan_is_placed_again_only_for_other_choices(pot, monkeypatch):
    monkeypatch.setattr(work, "_KEPT", 1)
    asked, read = [], request.read_request
    monkeypatch.setattr(request, "read_request", lambda *a, **k: asked.append(a) or read(*a, **k))
    for choices, times in (({}, 1), ({}, 1), ({"voxel_mm": 2.0}, 2), ({}, 3)):
        assert done(job("restore", pot, **choices))[0] == "done"
        assert (len(asked), len(work._requests)) == (times, 1)


def test_a_scan_that_takes_anothers_name_is_read(pot, monkeypatch):
    asked, read = [], request.read_request
    monkeypatch.setattr(request, "read_request", lambda *a, **k: asked.append(a) or read(*a, **k))
    shares = []
    for number, times in ((1, 1), (1, 1), (2, 2)):
        vox.write(pot, sherd(number)) if times > len(asked) else None
        how, made, _ = done(job("restore", pot, voxel_mm=3.5))
        assert how == "done" and len(asked) == times
        shares.append(made["report"]["given_voxels"])
    assert shares[0] == shares[1] != shares[2]


def test_a_scan_is_read_once_whatever_is_told_of_it(monkeypatch, tmp_path):
    read, times = formats.read_mesh, []
    monkeypatch.setattr(formats, "read_mesh", lambda *a, **k: times.append(a) or read(*a, **k))
    monkeypatch.setattr(work, "_requests", {})
    work._seen.cache_clear()
    find, sought = axis_fit.find, []
    monkeypatch.setattr(axis_fit, "find", lambda *a: sought.append(a[1:]) or find(*a))
    model = turned_sherds.turning()._replace(about={"file": "none", "sha256": "0"})
    monkeypatch.setattr(work, "model", lambda _: model)
    path = tmp_path / "cone.stl"
    cone().export(path)
    assert done(job("look", path))[0] == "done"

    def tell(how, what):
        told.append(what)
        if how == "first":
            raise work.Dropped

    for choices in ({}, {"height_mm": 150.0}, {"height_mm": 160.0}):
        told = []
        assert work.answered(job("restore", path, **choices), tell) == ("dropped", None)
        assert told[1] == "step_placing" and told[-1][0]["choices"] == choices
    assert len(times) == 1 and sought == [(None, None)]
    cone().apply_scale(1.1).export(path)
    assert work.answered(job("restore", path), tell)[0] == "dropped"
    assert len(times) == len(sought) == 2


def test_first_the_pot_is_told_of_without_files(pot):
    told = []
    tell = lambda how, what: told.append((how, what))  # noqa: E731
    how, made = work.answered(job("restore", pot, voxel_mm=2.5), tell)
    kinds = [kind for kind, _ in told]
    assert how == "done" and kinds.count("first") == 1
    (first, seen) = told[kinds.index("first")][1]
    assert first["files"] == [] and first["choices"] == made["choices"]
    later = dict.fromkeys(("files", "missing", "missing_why"))
    assert first["report"] | later == made["report"] | later
    # What is seen differs by the parts that came later.
    whole = json.loads(pot.with_suffix(".restore.json").read_text())
    assert json.loads(seen) | {"parts": []} == whole | {"parts": []}
    assert [part["id"] for part in json.loads(seen)["parts"]] == ["pot", "original"]
    assert [part["id"] for part in whole["parts"]] == ["pot", "original", "missing"]


def test_several_sherds_are_restored_as_one_pot(pot, monkeypatch):
    """By the function that `voxgan complete --one-pot` calls, with the same names and report."""
    read, asked = request.read_request, []

    def one_pot(model, path, facts, others, see):
        asked.append((path, others, facts["place"]))
        return read(model, path, {name: value for name, value in facts.items() if name != "place"})

    monkeypatch.setattr(request, "read_request", one_pot)
    other = pot.with_name("other.vox")
    vox.write(other, sherd(2))
    together = job("restore", pot)._replace(others=(other,))
    how, made, steps = done(together)
    assert (how, steps) == ("done", [STEPS[0], "step_placing", *STEPS[2:]])
    assert asked == [(pot, (other,), False)] and "pot_pot_completed.stl" in made["files"]
    assert made["report"]["options"]["one_pot"][0].startswith("other.vox ")
    assert done(together._replace(others=()))[0] == "done" and len(asked) == 2


def test_a_file_that_is_none_fails_in_one_line_and_writes_nothing(pot):
    path = pot.with_name("none.stl")
    path.write_bytes(b"not a scan")
    for kind in ("look", "restore"):
        how, why, _ = done(job(kind, path))
        assert how == "failed" and "\n" not in why and not why.startswith(str(path))
    assert sorted(file.name for file in pot.parent.iterdir()) == ["none.stl", "pot.vox"]


def test_what_is_no_longer_wanted_ends_at_the_next_step(pot):

    def tell(how, what):
        told.append(what if how == "step" else how)
        if len(told) == most:
            raise work.Dropped

    known = [STEPS[0], STEPS[2], "first", *STEPS[3:] * 3]
    for most, steps in ((3, STEPS), (3, known), (5, known), (6, known)):
        told = []
        assert work.answered(job("restore", pot), tell) == ("dropped", None)
        assert told == steps[:most] and not (pot.parent / "results").exists()
