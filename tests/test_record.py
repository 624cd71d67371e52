"""The typed report: the JSON that it always was, read again, and as the schema in docs says."""

import dataclasses
import json
import pathlib

import jsonschema
import numpy as np
import pytest
from restored_bowl import report, restored
from turned_pots import bowl, sherd

from scripts.lib import report_schema
from voxgan_jax.geometry import surface
from voxgan_jax.inference.answer import GIVEN, INFERRED, Answer, Hypothesis, Request
from voxgan_jax.inference.bridge import Pieces
from voxgan_jax.inference.confidence import Confidence
from voxgan_jax.report import record
from voxgan_jax.restore.pot import restore
from voxgan_jax.scan.pose import Placement, Sherd
from voxgan_jax.version import VERSION

SCHEMA = pathlib.Path(__file__).resolve().parent.parent / "docs" / "report.schema.json"

KEYS = (
    "name version date given_voxels inferred_voxels uncertain_voxels share_inferred left_out_voxels"
    " pieces voxel_mm scale measures confidence placement hypotheses transform model options input"
    " missing files"
)
MEASURES = (
    "height_mm rim_diameter_mm base_diameter_mm max_diameter_mm wall_mm volume_ml capacity_ml"
    " round_share"
)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The report of a bowl with all that one can hold, as its file has it."""
    pot = np.flip(bowl(), 2)
    given = np.flip(sherd(bowl()), 2).astype(np.uint8)
    labels = np.where(given, GIVEN, np.where(pot, INFERRED, 0)).astype(np.uint8)
    belief = pot.astype(np.float32)
    up = np.array([0.0, 0.0, 1.0])
    other = Placement(np.eye(4), np.zeros(3), up, 1.0, 90.0, 80.0, 40.0, -1.0, 0.2)
    answer = Answer(
        labels,
        3,
        (0, 0, 0),
        belief,
        belief,
        Confidence("high", 0.77123, "high: expected overlap with the true pot 0.77"),
        (Hypothesis(labels, belief, 0.123456),),
        Pieces(made=3, left=1, added=20, dropped=7),
    )
    found = other._replace(share=0.9, runner_ups=(other,))
    matrix = surface.frame(pot.shape, 5.0)
    request = Request((Sherd(given, (), "a.stl", matrix, placement=found),))
    about = {
        "model": {"file": "m.safetensors", "sha256": "1a", "threshold": 0.45, "limits": ["One."]},
        "options": {"unit": "cm", "formats": ["stl", "json"]},
        "input": {"file": "a.stl", "bytes": 9, "sha256": "2b"},
    }
    folder = tmp_path_factory.mktemp("report")
    said = restore(request, answer, about=about).write(folder, ["stl", "json"])
    text = (folder / "a.json").read_text(encoding="utf-8")
    assert text == json.dumps(said.report.to_json(), indent=2, ensure_ascii=False) + "\n"
    return json.loads(text)


def test_the_json_has_the_keys_order_and_rounding_that_it_always_had(written):
    assert " ".join(written) == KEYS
    for found in (written, written["hypotheses"][0]):
        assert " ".join(found["measures"]) == MEASURES
    total = written["given_voxels"] + written["inferred_voxels"]
    assert written["version"] == VERSION and written["scale"] == "given"
    assert written["share_inferred"] == round(written["inferred_voxels"] / total, 4)
    assert written["pieces"] == {
        "made": 3,
        "left": 1,
        "bridge_voxels": 20,
        "share_bridges": round(20 / total, 4),
        "dropped_voxels": 7,
        "share_dropped": round(7 / (total + 7), 6),
        "floor_voxels": 0,
        "plug_voxels": 0,
        "open_floor": False,
    }
    assert written["confidence"] == {
        "word": "high",
        "expected_iou": 0.77123,
        "sentence": "high: expected overlap with the true pot 0.77",
    }
    place = written["placement"]
    assert list(place) == [*place["runner_ups"][0], "runner_ups"]
    assert (place["confidence"], place["axis_direction"]) == (0.9, [0, 0, 1])
    assert written["hypotheses"][0]["share"] == 0.1235
    assert written["transform"] == surface.frame((24, 24, 24), 5.0).tolist()
    assert " ".join(written["missing"]) == (
        "volume_mm3 gap_mm pieces clearance_mm slivers_mm3 thin_share loops undercut_share"
        " overhang_share stands_on parts"
    )
    assert written["model"]["limits"] == ["One."] and "pots" not in written["model"]
    names = ("completed", "missing", "missing_upright", "hypothesis1")
    assert written["files"] == [f"a_{name}.stl" for name in names]


def test_what_is_read_again_is_the_same(written):
    said = record.Report.from_json(written | {"of_a_later_version": 1})
    assert said.to_json() == written and list(said.to_json()) == list(written)
    assert said.placement and said.placement.runner_ups[0].word == "low"
    assert record.Report.from_json(said.to_json()) == said
    bare = report().to_json()
    assert record.Report.from_json(bare) == report()
    unknown = {"date", "model", "options", "input", "files"}
    assert set(KEYS.split()) - set(bare) == unknown and bare["missing"] is None


@pytest.mark.parametrize(
    "change",
    [
        {"measures": 5},
        {"measures": [1]},
        {"measures": {}},
        {"hypotheses": None},
        {"hypotheses": "abc"},
        {"hypotheses": [[]]},
        {"name": 3},
        {"name": "\ud800"},
        {"name": None},
        {"voxel_mm": "1"},
        {"voxel_mm": True},
        {"voxel_mm": float("nan")},
        {"share_inferred": 10**400},
        {"given_voxels": 1.5},
        {"transform": [[1, 0, 0, 0]] * 3},
        {"transform": [[1, 0, 0]] * 4},
        {"options": ["threshold"]},
        {"options": {"threshold": float("inf")}},
        {"files": "abc"},
        {"confidence": {"word": "superb", "expected_iou": 1, "sentence": ""}},
        {"confidence": ["high", 1, ""]},
    ],
)
def test_what_is_no_report_is_refused(written, change):
    with pytest.raises(ValueError):
        record.Report.from_json(written | change)
    for other in ({}, [], None, "report", 3):
        with pytest.raises(ValueError, match=r"there is no name|is not of the type"):
            record.Report.from_json(other)


def test_the_schema_is_that_of_the_record_and_reports_keep_to_it(written):
    kept = json.loads(SCHEMA.read_text(encoding="utf-8"))
    assert kept == report_schema.schema(), (
        "docs/report.schema.json is stale; run scripts/report_schema.py"
    )
    jsonschema.Draft202012Validator.check_schema(kept)
    for said in (written, report().to_json(), restored().report.to_json()):
        jsonschema.validate(said, kept)
    for change in ({"name": 3}, {"files": [1]}, {"more": 1}, {"measures": {"height_mm": 3.0}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(written | change, kept)


def test_a_report_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        report().name = "other"  # pyright: ignore[reportAttributeAccessIssue]
