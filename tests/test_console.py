"""What reaches the console: in any encoding, names that would steer it, errors in one line."""

import csv
import io
import json
import pathlib
import sys

import pytest

from voxgan_jax import console
from voxgan_jax.cli import commands, main, parser
from voxgan_jax.data import folder
from voxgan_jax.files import readable
from voxgan_jax.report import overview


def parsed(*words):
    return parser.build_parser(len).parse_args(["complete", "a.stl", *words])


def wrong(capsys, *words):
    """What is said of a wrong command line."""
    with pytest.raises(SystemExit) as ended:
        main.main(list(words))
    said = capsys.readouterr()
    assert ended.value.code == 2 and said.out == "" and said.err.count("\n") == 1
    return said.err


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("pot\x1b[2J.stl", r"pot\u001b[2J.stl"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x9b31mred", r"\u009b31mred"),
        ("abc\u202egnp.stl", r"abc\u202egnp.stl"),
        ("a\u2066b\u2069\u200f\u2028", r"a\u2066b\u2069\u200f\u2028"),
        ("bad\udcff.stl", r"bad\udcff.stl"),
        ("Gefäß № 7 ×2 (κύλιξ) 壺.stl", "Gefäß № 7 ×2 (κύλιξ) 壺.stl"),
    ],
)
def test_a_name_steers_no_terminal(name, shown):
    assert readable(name) == shown
    shown_in_json = readable(json.dumps({"file": name}, ensure_ascii=False))
    assert json.loads(shown_in_json) == {"file": name}


def test_errors_and_files_are_told_in_a_line_each(tmp_path, capsys):
    name = tmp_path / "a\x1b]0;owned\x07\n\u202eb.stl"
    assert main.main(["info", str(name)]) == 1
    assert main.main(["view", str(name), "--out", str(tmp_path)]) == 1
    for line in capsys.readouterr().err.splitlines():
        assert line.startswith("voxgan: ") and line.isprintable()
    name.write_bytes(b"")
    assert main.main(["info", str(name)]) == 1
    said = capsys.readouterr().err
    assert (
        said.count("\n") == 1 and r"a\u001b]0;owned\u0007\n\u202eb.stl: the file is empty" in said
    )


def test_a_list_in_an_error_keeps_its_lines(capsys):
    def work():
        raise folder.BadFilesError(
            [(pathlib.Path("a\n.vox"), "empty"), (pathlib.Path("b"), "cut off")]
        )

    assert commands.exit_code("try.py", work) == 1
    assert capsys.readouterr().err.splitlines()[1:] == ["  a\\n.vox: empty", "  b: cut off"]


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "utf-8"])
def test_no_encoding_is_too_poor(encoding, monkeypatch):
    out, raw = io.TextIOWrapper(io.BytesIO(), encoding=encoding), io.BytesIO()
    err = io.TextIOWrapper(raw, encoding=encoding)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)

    def work():
        print("131 cm³, Ø 20 → 3 × 4 … é 壺 \udcff")
        raise ValueError("Größe: 20 °")

    assert commands.exit_code("try.py", work) == 1
    out.flush()
    err.flush()
    said = out.buffer.getvalue().decode(encoding)
    if encoding == "ascii":
        assert said == "131 cm3, dia. 20 -> 3 x 4 ... e \\u58fa \\udcff\n"
        assert raw.getvalue() == b"try.py: Grosse: 20  deg\n"
    elif encoding == "utf-8":
        assert said == "131 cm³, Ø 20 → 3 × 4 … é 壺 \\udcff\n"
    else:
        assert said.startswith("131 cm³, Ø 20 -> 3 × 4") and "\\u58fa" in said


def test_help_is_printed_on_a_poor_console(monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    console.adapt()
    with pytest.raises(SystemExit):
        main.main(["synth", "--help"])
    out.flush()
    assert b"default: 3 ... 18" in out.buffer.getvalue()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--axis", "-1,0,0"], {"axis": (-1.0, 0.0, 0.0)}),
        (["--axis", "-.5,-1e-3,0"], {"axis": (-0.5, -0.001, 0.0)}),
        (["--axis=-1,0,0"], {"axis": (-1.0, 0.0, 0.0)}),
        (["--up", "-z"], {"up": "-z"}),
        (["--up=-z"], {"up": "-z"}),
        (["--whole_cube"], {"whole_cube": True}),
        (["--whole-cube"], {"whole_cube": True}),
        (["--fixed_fragment"], {"fixed_fragment": True}),
        (["--height_mm=120"], {"height_mm": 120.0}),
    ],
)
def test_options_are_taken_as_they_are_typed(words, told):
    known = vars(parsed("-o", "out", *words))
    assert known["out"].name == "out"
    assert {name: known[name] for name in told} == told


def test_what_follows_two_dashes_is_a_file():
    words = ["complete", "-o", "out", "--", "--odd_name.stl"]
    assert parser.build_parser(len).parse_args(words).files == ["--odd_name.stl"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["complte", "a.stl"], "did you mean complete?"),
        (["complete", "a.stl", "-o", "x", "--hieght-mm", "3"], "did you mean --height-mm?"),
        (["complete", "a.stl", "-o", "x", "--formats", "slt"], "did you mean stl?"),
        (["complete", "a.stl"], "required: -o/--out; see voxgan complete --help"),
        (["info", "a.stl", "--jsn"], "did you mean --json?"),
        (["--verison"], "did you mean --version?"),
        (["view", "a.html", "b\x1b\n.html"], r"unrecognized arguments: b\u001b\n.html; see"),
    ],
)
def test_a_wrong_command_line_is_told_in_one_line(words, said, capsys):
    assert said in wrong(capsys, *words)


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "|x"])
def test_a_table_holds_no_formulas(name):
    text = overview.summary([], [overview.Failure(name, f"{name}.stl", f"{name}.stl: bad")])
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert row["name"] == f"'{name}" and row["input"] == f"'{name}.stl"
    assert row["error"] == f"'{name}.stl: bad"


def test_other_cells_stay_as_they_are():
    text = overview.summary([], [overview.Failure("a=1", "b/a=1.stl", "b/a=1.stl: bad")])
    assert text.splitlines()[1].startswith("a=1,b/a=1.stl,")
