"""What speaks against a size or an axis is said, and such an answer is never called sure."""

import csv
import dataclasses

import numpy as np
import pytest
import trimesh
from restored_bowl import words
from turned_pots import bowl, sherd

from voxgan_jax.cli import main, result
from voxgan_jax.geometry import surface
from voxgan_jax.inference.answer import GIVEN, INFERRED, Answer, Request
from voxgan_jax.inference.confidence import Confidence
from voxgan_jax.report import overview
from voxgan_jax.restore import batch, pot
from voxgan_jax.scan import doubts
from voxgan_jax.scan.pose import Placement, PotSize, Sherd, word_of

SURE = Confidence("high", 0.9, "high: expected overlap with the true pot 0.90")


def scan(longest, unit_mm):
    mesh = trimesh.creation.box((longest, longest / 2, longest / 3))
    mesh.metadata["unit_mm"] = unit_mm
    return mesh


@pytest.mark.parametrize(
    ("longest", "unit_mm", "said"),
    [
        (145_153.0, 1000.0, "a sherd of 145 m is not credible; likely it is --unit mm (145 mm)"),
        (0.145, 1.0, "a sherd of 0.145 mm is not credible; likely it is --unit m (145 mm)"),
        (5.7, 1.0, "likely it is --unit in (145 mm) or --unit cm (57 mm)"),
        (9e9, 1.0, "check --unit"),
    ],
)
def test_a_sherd_of_no_credible_size_is_told_the_likely_unit(longest, unit_mm, said):
    (doubt,) = doubts.of_scan(scan(longest, unit_mm))
    assert said in doubt.text and word_of(doubt.share) == "low"


@pytest.mark.parametrize("longest", [10.0, 145.0, 3000.0])
def test_sherds_of_credible_sizes(longest):
    assert not doubts.of_scan(scan(longest, 1.0))


@pytest.mark.parametrize(
    ("found", "told", "said"),
    [
        (PotSize(15.0, 90.0), PotSize(), "a pot with a height of 15 mm is not credible"),
        (PotSize(150.0, 2100.0), PotSize(), "a pot with a diameter of 2100 mm is not credible"),
        (PotSize(475.0, None), PotSize(400.0), "the height was told as 400 mm, but the restored"),
        (PotSize(100.0, 100.0), PotSize(100.0, 112.0), "diameter was told as 112 mm"),
    ],
)
def test_a_pot_of_no_credible_size_or_another_than_was_told(found, told, said):
    (doubt,) = doubts.of_pot(found, told)
    assert said in doubt.text and word_of(doubt.share) == "low"


def test_what_a_pot_was_told_to_be_and_is():
    assert not doubts.of_pot(PotSize(20.0, 2000.0), PotSize(21.0, None))
    assert not doubts.of_pot(PotSize(100.0, None), PotSize(100.0, 60.0))


def placement(**known):
    up = np.array([0.0, 0.0, 1.0])
    made = Placement(np.eye(4), np.zeros(3), up, 5.0, 683.0, 90.0, 40.0, -1.0, 0.96)
    return made._replace(**known)


def test_a_placement_is_doubted_for_its_axis_and_for_its_wall():
    tilted = np.array([np.sin(np.radians(40)), 0.0, np.cos(np.radians(40))])
    (axis,) = doubts.of_placement(placement(other_axis=tilted), PotSize())
    assert "(0.64, 0, 0.77), 40° from it" in axis.text and word_of(axis.share) == "low"
    (thin,) = doubts.of_placement(placement(wall_mm=3.0, shown_wall_mm=8.0), PotSize(100.0))
    assert "wall of 3 mm is thinner" in thin.text and word_of(thin.share) == "fair"
    (fine,) = doubts.of_placement(placement(wall_mm=3.0), PotSize())
    assert "give --diameter-mm" in fine.text and word_of(fine.share) == "fair"
    for known, told in (({"wall_mm": 3.0}, PotSize(100.0)), ({"wall_mm": 6.0}, PotSize())):
        assert not doubts.of_placement(placement(**known), told)


def restored(told=(None, None), step=5.0, **known):
    """A bowl of 24 voxels, placed, and its sherd as the scan."""
    clay, given = np.flip(bowl(), 2), np.flip(sherd(bowl()), 2)
    labels = np.where(given, GIVEN, np.where(clay, INFERRED, 0)).astype(np.uint8)
    belief = clay.astype(np.float32)
    matrix = surface.frame(clay.shape, step)
    mesh = surface.surface(surface.smooth(given), given, matrix, 0.5)
    made = Sherd(
        given.astype(np.uint8), (), "a.stl", matrix, mesh, placement(**known), told=PotSize(*told)
    )
    return pot.restore(Request((made,)), Answer(labels, 0, (0, 0, 0), belief, belief, SURE))


def test_one_size_is_told_everywhere():
    made = restored()
    height, width = made.measures.height_mm, made.measures.max_diameter_mm
    found = made.report.placement
    assert found is not None and (found.height_mm, found.diameter_mm) == (height, width)
    assert f"a pot {height:.1f} mm high and {width:.0f} mm wide" in found.sentence
    assert made.confidence == SURE and found.word == "high" and made.report.warnings is None


def test_a_missed_size_is_said_everywhere_and_never_called_sure(tmp_path):
    made = restored(told=(70.0, None))
    written = made.write(tmp_path, ["json"])
    report = written.report
    said = f"the height was told as 70 mm, but the restored pot's is {made.measures.height_mm:.3g}"
    assert report.warnings is not None and report.warnings[0].startswith(said)
    assert said in (tmp_path / "a.json").read_text()
    assert f"WARNING: {said}" in result.in_words(batch.Result(written, made))
    assert said in result.as_json(batch.Result(written, made))
    page = words(report).replace("&#39;", "'")
    assert f"<strong>Warning:</strong> {said.capitalize()}" in page
    assert report.confidence is not None and report.placement is not None
    assert (report.confidence.word, report.placement.word) == ("low", "low")
    assert report.placement.confidence == 0.0
    assert "confidence low (0.00)" in report.placement.sentence
    (line,) = csv.DictReader(overview.summary([report], []).splitlines())
    assert line["warnings"].startswith(said) and line["confidence"] == "low"


def test_a_pot_of_no_credible_size_says_so_and_why_there_is_no_missing_piece(tmp_path):
    made = restored(step=0.01)
    report = made.write(tmp_path, ["stl"]).report
    assert report.warnings is not None and "a sherd of" in report.warnings[0]
    assert report.confidence is not None and report.confidence.word == "low"
    assert report.missing is None
    assert report.missing_why == "0.2 mm away from the original nothing of 8 voxels or more is left"
    assert "no missing piece: 0.2 mm away" in result.in_words(
        batch.Result(pot.Written([tmp_path / "a"], report), made)
    )


def test_voxels_without_a_scale_have_no_size_to_doubt():
    made = dataclasses.replace(restored(step=0.005), scaled=False, original=None)
    assert not made.doubts
    row = overview.Row(made.report, "", "")
    assert "voxels" in overview.index([row]) and "mm<" not in overview.index([row])


def test_info_warns_too_and_obeys(tmp_path, capsys):
    scan(145.0, 1.0).export(tmp_path / "a.stl")
    assert main.main(["info", str(tmp_path / "a.stl")]) == 0
    assert "WARNING" not in capsys.readouterr().out
    assert main.main(["info", str(tmp_path / "a.stl"), "--unit", "m"]) == 0
    said = capsys.readouterr().out
    assert "145000 ×" in said and "WARNING: a sherd of 145 m is not credible" in said
    assert "--unit mm (145 mm)" in said


def test_a_rim_or_base_that_was_told_and_lies_elsewhere_is_doubted():
    pot, sherd = np.zeros((4, 4, 30), bool), np.zeros((4, 4, 30), bool)
    pot[1, 1, 5:25] = sherd[1, 1, 9:24] = True
    (rim,) = doubts.of_ends(pot, sherd, 2.5, {"rim": True, "base": True})
    assert "part of the rim" in rim.text and "is 10 mm off it; check --rim" in rim.text
    assert not doubts.of_ends(pot, sherd, 2.5, {"base": True})
    assert not doubts.of_ends(pot, sherd, 2.5, {})
    sherd[1, 1, 7] = True
    assert not doubts.of_ends(pot, sherd, 2.5, {"rim": True})
