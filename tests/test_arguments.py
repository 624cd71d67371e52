"""Calls of `voxgan_jax.complete` that are wrong, each told in one line before a model is loaded."""

import inspect
import pathlib

import numpy as np
import pytest
import trimesh

from voxgan_jax.cli import main
from voxgan_jax.restore import api, arguments
from voxgan_jax.scan import formats

complete = inspect.unwrap(api.complete)
"""Without the tests' own check of types, which users do not have."""

GRID = np.zeros((8, 8, 8), np.uint8)

WRONG = [
    ({"diamter_mm": 3}, TypeError, "unexpected keyword argument 'diamter_mm'"),
    ({"unit": "inch"}, ValueError, "unit='inch': give one of mm, cm, m, in"),
    ({"unit": ""}, ValueError, "unit='': give one of"),
    ({"unit": 25.4}, TypeError, "unit=25.4: give one of"),
    ({"unit": ["mm"]}, TypeError, r"unit=\['mm'\]: give one of"),
    ({"up": "w"}, ValueError, "up='w': give one of x, y, z, -x, -y, -z"),
    ({"up": (0, 0, 1)}, TypeError, "up="),
    ({"up": 2}, TypeError, "up=2"),
    ({"axis": (0, 0)}, ValueError, r"axis=\(0, 0\): give three numbers that are not all 0"),
    ({"axis": (0, 0, 0)}, ValueError, "axis="),
    ({"axis": np.zeros(3)}, ValueError, "axis="),
    ({"axis": np.eye(3)}, TypeError, "axis="),
    ({"axis": (0, 0, np.nan)}, ValueError, "axis="),
    ({"axis": (0, 0, np.inf)}, ValueError, "axis="),
    ({"axis": (1e-300, 0, 0)}, ValueError, "axis="),
    ({"axis": (1e300, 0, 0)}, ValueError, "axis="),
    ({"axis": "0,0,1"}, TypeError, "axis='0,0,1'"),
    ({"axis": ("0", "0", "1")}, TypeError, "axis="),
    ({"axis": 1}, TypeError, "axis=1"),
    ({"axis": (1, 0, 0), "up": "x"}, ValueError, "axis and up contradict"),
    ({"voxel_mm": 0}, ValueError, "voxel_mm=0: give a size in mm, above 0"),
    ({"voxel_mm": "2"}, TypeError, "voxel_mm='2'"),
    ({"voxel_mm": 1e300}, ValueError, "voxel_mm="),
    ({"height_mm": -1}, ValueError, "height_mm=-1"),
    ({"height_mm": True}, TypeError, "height_mm=True"),
    ({"height_mm": 10**400}, ValueError, "height_mm=1000"),
    ({"height_mm": (120,)}, TypeError, "height_mm="),
    ({"diameter_mm": np.nan}, ValueError, "diameter_mm=nan"),
    ({"diameter_mm": np.array([1.0, 2.0])}, TypeError, "diameter_mm="),
    ({"diameter_mm": 1j}, TypeError, "diameter_mm=1j"),
    ({"rim": "no"}, TypeError, "rim='no': give True or False"),
    ({"base": 1}, TypeError, "base=1"),
    ({"base": None}, TypeError, "base=None"),
    ({"as_is": 0.0}, TypeError, "as_is=0.0"),
    ({"place": "yes"}, TypeError, "place='yes'"),
    ({"as_is": True, "place": True}, ValueError, "as_is and place contradict"),
    ({"whole_cube": 2}, TypeError, "whole_cube=2"),
    ({"fragments": "3"}, TypeError, "fragments='3': give one or more whole numbers"),
    ({"fragments": []}, ValueError, r"fragments=\[\]"),
    ({"fragments": [0]}, ValueError, r"fragments=\[0\]"),
    ({"fragments": 256}, ValueError, "fragments=256"),
    ({"fragments": [2.5]}, TypeError, "fragments="),
    ({"fragments": {"a": 1}}, TypeError, "fragments="),
    ({"fragments": True}, TypeError, "fragments=True"),
    ({"hypotheses": -1}, ValueError, "hypotheses=-1: give a whole number from 0 to 16"),
    ({"hypotheses": 17}, ValueError, "hypotheses=17"),
    ({"hypotheses": 2.0}, TypeError, "hypotheses=2.0"),
    ({"hypotheses": None}, TypeError, "hypotheses=None"),
    ({"threshold": 1.5}, ValueError, "threshold=1.5: give a probability from 0 to 1"),
    ({"threshold": "high"}, TypeError, "threshold='high'"),
    ({"clearance_mm": -1}, ValueError, "clearance_mm=-1: give a distance in mm, 0 or more"),
    ({"clearance_mm": None}, TypeError, "clearance_mm=None"),
    ({"clearance_mm": np.inf}, ValueError, "clearance_mm=inf"),
    ({"weights": 3}, TypeError, "weights=3: give a path"),
    ({"weights": ""}, ValueError, "weights=''"),
    ({"weights": ["a"]}, TypeError, "weights="),
    ({"workdir": "a\0b"}, ValueError, "workdir="),
    ({"weights": "a", "workdir": "b"}, ValueError, "weights and workdir contradict"),
    ({"sherd": None}, TypeError, "sherd is a NoneType: give a path, a NumPy array or a"),
    ({"sherd": [[[1]]]}, TypeError, "sherd is a list"),
    ({"sherd": b"a.stl"}, TypeError, "sherd is a bytes"),
    ({"sherd": ""}, ValueError, "sherd=''"),
    ({"sherd": np.zeros((8, 8))}, ValueError, r"with shape \(8, 8\): give a grid"),
    ({"sherd": np.full((2, 2, 2), None)}, ValueError, "an array of object"),
    ({"sherd": np.zeros((2, 2, 2), complex)}, ValueError, "an array of complex128"),
    ({"sherd": trimesh.Trimesh()}, ValueError, "sherd is a mesh without faces"),
    ({"sherd": trimesh.Scene()}, TypeError, "sherd is a Scene"),
]


@pytest.mark.parametrize(("told", "kind", "said"), WRONG)
def test_a_wrong_call_is_told_in_one_line_and_at_once(told, kind, said, monkeypatch):
    monkeypatch.setattr(api, "_load", lambda **_: pytest.fail("a model was loaded"))
    with pytest.raises(kind, match=said) as caught:
        complete(**{"sherd": GRID} | told)
    assert type(caught.value) is kind
    text = str(caught.value)
    assert "\n" not in text and len(text) < 200


@pytest.mark.parametrize(
    ("name", "given", "taken"),
    [
        ("axis", [0, 0, 1], (0.0, 0.0, 1.0)),
        ("axis", np.array([0.0, 1.0, 0.0], np.float32), (0.0, 1.0, 0.0)),
        ("axis", (n for n in (1, 2, 3)), (1.0, 2.0, 3.0)),
        ("axis", [np.float32(1), np.int64(0), 0], (1.0, 0.0, 0.0)),
        ("height_mm", np.float32(2), 2.0),
        ("height_mm", np.array(3), 3.0),
        ("rim", np.bool_(True), True),
        ("fragments", 3, (3,)),
        ("fragments", np.array([2, 3], np.uint8), (2, 3)),
        ("fragments", {5}, (5,)),
        ("fragments", np.int64(7), (7,)),
        ("hypotheses", np.uint8(2), 2),
        ("threshold", 0, 0.0),
        ("clearance_mm", 0, 0.0),
        ("weights", pathlib.Path("a"), "a"),
    ],
)
def test_what_says_the_same_is_taken(name, given, taken):
    found = arguments.check(name, given)
    assert found == taken and type(found) is type(taken)
    if isinstance(found, tuple):
        assert [type(part) for part in found] == [type(part) for part in taken]


def test_none_says_nothing_only_where_it_is_the_default():
    assert arguments.checked({"axis": None, "fragments": None}) == {"axis": None, "fragments": None}
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(complete).parameters.items()
        if name in arguments.TABLE and name != "sherd"
    }
    assert arguments.checked(defaults) == defaults
    known = {*arguments.TABLE, "name"} - {"fragment", "pool"}
    assert set(inspect.signature(complete).parameters) == known


@pytest.mark.parametrize(
    "option",
    [
        *("--height-mm=-1", "--height-mm=nan", "--diameter-mm=0", "--voxel-mm=a", "--pool=0"),
        *("--clearance-mm=-1", "--clearance-mm=inf", "--threshold=2", "--fragment=0", "--axis=0,0"),
        *("--hypotheses=17", "--pool=9", "--fragment=a", "--axis=0,0,nan"),
    ],
)
def test_the_command_line_checks_by_the_same_table(option, capsys):
    with pytest.raises(SystemExit) as ended:
        main.main(["complete", "a.stl", "--out", "x", option])
    name, text = option.split("=")
    row = arguments.TABLE[name[2:].replace("-", "_")]
    said = capsys.readouterr().err
    assert ended.value.code == 2 and said.count("\n") == 1
    assert f"argument {name}: {text!r}: give {row.wanted}; " in said


def test_units_are_those_of_the_readers():
    assert set(arguments.UNITS) == set(formats.UNITS)
