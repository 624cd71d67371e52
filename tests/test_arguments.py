"""Calls of `voxgan_jax.complete` that are wrong, each told in one line before a model is loaded."""

import inspect
import pathlib

import numpy as np
import pytest

from scripts.lib.wrong_calls import GRID, WRONG
from voxgan_jax.cli import main
from voxgan_jax.restore import api, arguments, pot
from voxgan_jax.scan import formats

complete = inspect.unwrap(api.complete)
"""Without the tests' own check of types, which users do not have."""


def test_a_finer_file_has_a_whole_number_of_voxels_along_one_of_the_models():
    assert [arguments.fineness(n, 64) for n in (None, 64, 128, 256)] == [1, 1, 2, 4]
    with pytest.raises(ValueError, match="resolution 64: the model's cube has 128 voxels a side;"):
        arguments.fineness(64, 128)


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
        ("axis", [0, 0, 1, -7, 5, 2.5], (0.0, 0.0, 1.0, -7.0, 5.0, 2.5)),
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
        ("body", np.int64(2), 2),
        ("body", "all", "all"),
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
    known = {*arguments.TABLE, "name"} - {"fragment", "pool", "out_dir"}
    assert set(inspect.signature(complete).parameters) == known


@pytest.mark.parametrize(
    "option",
    [
        *("--height-mm=-1", "--height-mm=nan", "--diameter-mm=0", "--voxel-mm=a", "--pool=0"),
        *("--clearance-mm=-1", "--clearance-mm=inf", "--threshold=2", "--fragment=0", "--axis=0,0"),
        *("--hypotheses=17", "--pool=9", "--fragment=a", "--axis=0,0,nan"),
        *("--body=0", "--body=first"),
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


def test_what_contradicts_on_a_command_line_is_one_line(capsys):
    for one, other in (("--up=z", "--axis=0,0,1"), ("--as-is", "--place")):
        with pytest.raises(SystemExit) as ended:
            main.main(["complete", "a.stl", "--out", "x", one, other])
        said = capsys.readouterr().err
        assert ended.value.code == 2 and said.count("\n") == 1
        assert "not allowed with argument" in said


def test_where_and_how_a_pot_is_written_is_checked():
    write = inspect.unwrap(pot.Completion.write)
    made = object.__new__(pot.Completion)
    for folder, kind in ((None, TypeError), (3, TypeError), ("", ValueError)):
        said = rf"^out_dir={folder!r}: give a folder's path, '\.' for the one you are in$"
        with pytest.raises(kind, match=said):
            write(made, folder)
    for wrong in (None, 3):
        with pytest.raises(TypeError, match=rf"^formats={wrong}: give some of vox, stl, glb"):
            write(made, ".", wrong)


def test_units_are_those_of_the_readers():
    assert set(arguments.UNITS) == set(formats.UNITS)
