"""`voxgan_jax.complete`: arrays, meshes and files in, the same pot out."""

import dataclasses
import json
import pathlib
import re

import numpy as np
import pytest
import trimesh

import voxgan_jax
from voxgan_jax import ledger
from voxgan_jax.cli import main, options
from voxgan_jax.data import vox
from voxgan_jax.data.synthetic import pots
from voxgan_jax.geometry import surface
from voxgan_jax.inference.answer import GIVEN
from voxgan_jax.restore.naming import FORMATS


def sherd() -> np.ndarray:
    """A part of a synthetic pot at 32³, in its box."""
    labels = pots.make_pot(3, None, 32).astype(np.uint8)
    d, h, _ = np.indices(labels.shape)
    return labels * ((d < 15) & (h > 10)).astype(np.uint8)


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("api") / "find_7.vox"
    vox.write(path, sherd())
    return path


def test_a_file_gives_what_the_command_gives(written, tmp_path):
    pot = voxgan_jax.complete(written, hypotheses=2)
    assert isinstance(pot, voxgan_jax.Completion) and pot.name == "find_7"
    made = pot.write(tmp_path / "api")
    job = ["complete", str(written), "--hypotheses", "2", "--out", str(tmp_path / "cli"), "--quiet"]
    assert main.main(job) == 0
    names = sorted(path.name for path in (tmp_path / "cli").iterdir() if path.name != ledger.LIST)
    assert sorted(path.name for path in made.paths) == names
    assert {f"find_7{end}" for end in (".html", ".json", "_section.svg", "_missing.stl")} < set(
        names
    )
    assert {"find_7_hypothesis1.stl", "find_7_hypothesis2.stl"} < set(names)
    for name in names:
        if name.endswith((".vox", ".stl", ".glb", ".svg")):
            assert (tmp_path / "api" / name).read_bytes() == (tmp_path / "cli" / name).read_bytes()
    reports = [json.loads((tmp_path / way / "find_7.json").read_text()) for way in ("api", "cli")]
    for report in reports:
        report.pop("options")
    assert reports[0] == reports[1]
    assert reports[0]["model"]["hypotheses_file"] == "hypotheses64.safetensors"
    assert options.FORMATS == FORMATS
    # Asked for fewer, it leaves none of the others behind.
    fewer = dataclasses.replace(pot, hypotheses=pot.hypotheses[:1])
    fewer.write(tmp_path / "api", formats=["stl"])
    left = [path.name for path in (tmp_path / "api").glob("*hypothesis*")]
    assert left == ["find_7_hypothesis1.stl"]
    assert reports[0]["given_voxels"] == (sherd() > 0).sum()
    assert reports[0]["model"]["sha256"] and reports[0]["input"]["file"] == "find_7.vox"
    assert reports[0]["scale"] == "no scale given; 1 voxel taken as 1 mm"
    for name in ("find_7.html", "find_7_section.svg"):
        text = (tmp_path / "cli" / name).read_text(encoding="utf-8")
        assert "no scale given; 1 voxel taken as 1 mm" in text and "0 voxels</text>" in text


def test_a_grid_in_memory_is_the_pots_box():
    labels = sherd()
    # A grid's axes are (d, h, w), those of an array (x, y, z) with the axis along z, rim on top.
    volume = np.flip(labels, 2).transpose(0, 1, 2)
    pot = voxgan_jax.complete(volume, name="mine", voxel_mm=2.0)
    assert pot.name == "mine" and pot.report.input is None
    assert (pot.labels == GIVEN).sum() == (labels > 0).sum()
    assert pot.pot.is_volume and pot.missing is not None and pot.missing.is_volume
    low, high = pot.pot.bounds
    # The walls that were given stand where the array has them, in mm.
    cells = np.argwhere(volume) * 2.0
    assert (low < cells.min(axis=0) + 1.5).all() and (high > cells.max(axis=0) + 0.5).all()
    assert pot.report.voxel_mm == 2.0 and pot.report.scaled
    assert pot.report.measures.height_mm == pytest.approx(high[2] - low[2], abs=2.0)
    assert pot.confidence is not None and 0 < pot.confidence.expected_iou < 1
    line = repr(pot)
    assert re.fullmatch(
        r"<Completion 'mine': [\d.]+ mm high, \d+ voxels given, \d+ inferred, confi.*>", line
    )
    shown = pot._repr_html_()
    assert shown.count("<svg") == 1 and "&lt;Completion &#39;mine&#39;: " in shown


def test_a_mesh_in_memory_keeps_its_coordinates():
    labels = sherd()
    occupied = labels > 0
    scan = surface.surface(
        surface.smooth(occupied), occupied, surface.frame(labels.shape, 1.5, up="z")
    )
    moved = trimesh.Trimesh(scan.vertices + np.array([100.0, 50.0, 0.0]), scan.faces, process=False)
    pot = voxgan_jax.complete(moved, as_is=True)
    assert pot.original is not None
    np.testing.assert_allclose(pot.original.bounds, moved.bounds, atol=1e-3)
    low, high = pot.pot.bounds
    assert (low < moved.bounds[0] + 1.5).all() and (high > moved.bounds[1] - 1.5).all()


def test_what_is_wrong_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.stl: there is no such file"):
        voxgan_jax.complete(tmp_path / "none.stl")
    with pytest.raises(ValueError, match=r"sherd\.npy: it holds no voxel"):
        voxgan_jax.complete(np.zeros((8, 8, 8), np.uint8))
    with pytest.raises(ValueError, match=r"no fragment 9; it has 2"):
        voxgan_jax.complete((sherd() > 0) * np.uint8(2), fragments=[9])
    with pytest.raises(ValueError, match=r"no format 'obj'; there are vox, stl"):
        voxgan_jax.complete(sherd()).write(tmp_path, formats=["obj"])
    with pytest.raises(AttributeError, match="has no attribute 'train'"):
        _ = voxgan_jax.train  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "name",
    ["/data/x", "../x", "a/../x", "a//x", "", ".", "x\0", "x\n", "\u202ex", "x" * 300, "\ud800"],
)
def test_a_name_that_is_none_touches_no_file(name, tmp_path):
    there = tmp_path / "x.npy"
    there.write_bytes(b"precious")
    given = str(tmp_path / "x") if name == "/data/x" else name
    with pytest.raises(ValueError, match=r"^name .*: give one like 'sherd' or 'folder/sherd'"):
        voxgan_jax.complete(sherd(), name=given)
    assert there.read_bytes() == b"precious"


def test_results_replace_neither_the_input_nor_what_others_wrote(tmp_path):
    given = tmp_path / "pot_completed.vox"
    vox.write(given, sherd())
    pot = dataclasses.replace(voxgan_jax.complete(given), name="pot")
    before = given.read_bytes()
    for overwrite in (False, True):
        with pytest.raises(FileExistsError, match=r"pot_completed\.vox is an input"):
            pot.write(tmp_path, ["vox", "svg"], overwrite=overwrite)
    assert given.read_bytes() == before and [path.name for path in tmp_path.iterdir()] == [
        given.name
    ]
    (tmp_path / "pot_section.svg").write_text("drawn by hand")
    with pytest.raises(
        FileExistsError, match=r"pot_section\.svg exists and voxgan did not write it"
    ):
        pot.write(tmp_path, ["svg", "json"])
    assert not (tmp_path / "pot.json").exists()
    for _ in range(2):
        pot.write(tmp_path, ["svg", "json"], overwrite=True)
    assert "<svg" in (tmp_path / "pot_section.svg").read_text()
    for name in ("../out", str(tmp_path / "x")):
        with pytest.raises(ValueError, match="give one like"):
            dataclasses.replace(pot, name=name).write(tmp_path / "in")
    made = dataclasses.replace(pot, name="deep/down").write(tmp_path / "in", ["json"])
    assert made.paths == [tmp_path / "in" / "deep" / "down.json"]
