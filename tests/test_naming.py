"""What the results of many sherds are called: one name each, whatever the file system."""

import pathlib

import pytest

from voxgan_jax.report import splits
from voxgan_jax.restore import naming


def named(*paths, below="/d"):
    found = {pathlib.Path(path): pathlib.Path(path).relative_to(below) for path in paths}
    return list(naming.names(found).values())


def alone(*paths):
    """As files that are named one by one."""
    return list(
        naming.names(
            {pathlib.Path(p): pathlib.PurePath(pathlib.Path(p).name) for p in paths}
        ).values()
    )


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["/d/a.stl", "/d/b.v2.vox"], ["a", "b.v2"]),
        (["/d/x/a.stl", "/e/b.vox"], ["a", "b"]),
        (["/d/1/x/a.stl", "/d/1/y/a.ply"], ["x/a", "y/a"]),
        (["/d/1/x/a.stl", "/d/2/x/a.stl", "/q/b.stl"], ["1/x/a", "2/x/a", "b"]),
        (["/d/a.stl", "/d/a.ply", "/d/b.stl"], ["a_stl", "a_ply", "b"]),
        (["/d/x/a.stl", "/d/x/a.PLY", "/d/y/a.stl"], ["x/a_stl", "x/a_ply", "y/a"]),
        (["/d/sherd.stl", "/d/Sherd.stl"], ["sherd_stl_2", "Sherd_stl"]),
        (["/d/a.stl", "/d/a.ply", "/d/A_stl.obj"], ["a_stl_2", "a_ply", "A_stl"]),
        (["/d/e\u0301.stl", "/d/\u00e9.stl"], ["e\u0301_stl", "\u00e9_stl_2"]),
        (["/d/index.stl"], ["index_stl"]),
        (["/d/Index.stl", "/d/index.ply"], ["Index_stl", "index_ply"]),
        (["/d/X/a.stl", "/d/x/A.stl"], ["X/a_stl", "x/A_stl_2"]),
    ],
)
def test_names_of_files(paths, names):
    assert alone(*paths) == names
    lowered = {name.lower() for name in names}
    assert len(lowered) == len(names)


def test_a_glob_keeps_its_subfolders():
    assert named("/d/a.stl", "/d/x/a.stl", "/d/x/y/b.stl") == ["a", "x/a", "x/y/b"]
    assert named("/d/x/a.stl", "/d/x/a.ply") == ["x/a_stl", "x/a_ply"]
    # What is added later changes nothing but the name of its twin.
    before, after = named("/d/x/a.stl", "/d/y/b.stl"), named("/d/x/a.stl", "/d/y/b.stl", "/d/a.stl")
    assert after[:2] == before == ["x/a", "y/b"]


def test_what_cannot_be_printed_or_is_too_long_is_shortened_and_still_tells_files_apart():
    assert alone("/d/a\x1b[31m\u202eb\n.stl", "/d/\udcff.stl") == ["a_[31m_b_", "_"]
    long = [f"/d/{'é' * 113}{letter}{ending}.stl" for letter in "xy" for ending in ("1", "2")]
    found = alone(*long)
    assert len(set(found)) == 4
    most = "_binvox_2_fragment255_hypothesis16.stl"
    assert max(len(f"{name}{most}".encode()) for name in found) <= 255
    assert all(name.startswith("é" * 90) for name in found)
    several = naming.of_fragments(f"a/{found[0]}", range(2, 60))
    assert several.startswith("a/é") and len(f"{several[2:]}_hypothesis16.stl".encode()) <= 255
    assert naming.of_fragments("a/b", [3, 4]) == "a/b_fragment3_fragment4"


def test_a_body_by_its_number_has_results_of_its_own():
    assert naming.of_body("a/sherd", 2) == "a/sherd_body2"
    assert naming.of_body("a/sherd", "all") == naming.of_body("a/sherd", None) == "a/sherd"
    assert len(naming.of_body("é" * 200, 100).encode()) <= 255 - len("_hypothesis16.stl")


def test_the_names_of_results_are_those_of_their_formats():
    assert naming.results("a", ["json", "html", "vox"]) == ["a_completed.vox", "a.html", "a.json"]
    parts = ["completed", "missing", "missing_upright"]
    parts += [*(f"missing_{n}" for n in range(1, 10)), "hypothesis1", "hypothesis2"]
    assert naming.results("a", ["stl"], 2) == [f"a_{part}.stl" for part in parts]
    assert naming.results("a", ["stl"])[-1] == "a_hypothesis16.stl"


def test_what_is_kept_for_our_own_files():
    assert naming.of_file("scans/index.stl") == "index_stl"
    assert naming.of_file("scans/a.stl") == "a"
    for name in ("index", "Index", ".voxgan_jax-x/pot"):
        with pytest.raises(ValueError, match="not 'index'"):
            naming.checked(name)


def test_as_many_parts_have_names_as_there_may_be():
    assert naming.MOST_PARTS == splits.MOST_PARTS
