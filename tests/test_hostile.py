"""The script that runs hostile inputs: it knows a fault when it sees one, and there is none."""

import json
import re
import sys

import pytest

from scripts import hostile as script
from scripts.lib import hostile, hostile_parts, mutations
from voxgan_jax.scan import formats, source


def python(code, folder):
    return hostile.attempt("a try", [sys.executable, "-c", code], folder)


@pytest.mark.parametrize(
    ("code", "faults"),
    [
        ("print('done')", ()),
        ("import sys; sys.exit(2)", ()),
        ("{}['a']", ("a foreign exception",)),
        ("import os; os._exit(3)", ("ended with 3",)),
        ("import os; os.kill(os.getpid(), 11)", ("ended with -11",)),
    ],
)
def test_a_fault_is_known(code, faults, tmp_path):
    tried, text = python(code, tmp_path)
    assert tried.faults == faults and (text == "done\n") is ("done" in code)


def test_time_and_memory_are_measured_and_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(hostile, "LIMIT_S", 0.2)
    monkeypatch.setattr(hostile, "LIMIT_MIB", 50.0)
    tried, _ = python("import time; held = b'a' * 80_000_000; time.sleep(9)", tmp_path)
    assert tried.code is None and tried.seconds < 5 and 70 < tried.peak_mib < 200
    assert tried.faults == ("over 0 s", "over 50 MiB")
    assert "over 50 MiB" in hostile.table([tried])[1]


def test_what_is_lost_is_told(tmp_path):
    before = hostile.strangers(tmp_path / "theirs")
    assert len(before) == len(hostile.STRANGERS) + 1
    assert hostile.lost(before, hostile.digests(tmp_path / "theirs")) == ()
    (tmp_path / "theirs" / "a.json").write_text("ours")
    (tmp_path / "theirs" / "index.html").unlink()
    (tmp_path / "theirs" / "new.txt").write_text("more is no loss")
    assert hostile.lost(before, hostile.digests(tmp_path / "theirs")) == (
        "a.json: changed",
        "index.html: changed",
    )


def test_wrong_calls_from_python_have_no_fault(tmp_path, capsys):
    out = tmp_path / "out.json"
    assert script.main(["--what", "api", "--most", "6", "--out", str(out)]) == 0
    rows = json.loads(out.read_text())["api"]
    assert len(rows) == 7 and all(row["faults"] == [] for row in rows)
    assert "0 of 7 with faults" in capsys.readouterr().out


def test_a_hostile_file_is_refused_by_the_command(tmp_path):
    path = tmp_path / "lying.stl"
    path.write_bytes(bytes(80) + (2**32 - 1).to_bytes(4, "little") + bytes(200))
    tried, text = hostile.attempt("info", [*hostile.VOXGAN, "info", str(path)], tmp_path)
    assert tried.code == 1 and tried.faults == () and text == ""
    assert tried.said.startswith(f"voxgan: {path}: ")


def test_every_part_can_be_asked_for():
    parts = {"inputs", "results", "weights", "interrupts", "api"}
    assert set(hostile_parts.PARTS) == parts


def test_mutated_files_of_all_formats_are_read_or_refused_by_name(tmp_path, capsys):
    out = tmp_path / "out.json"
    words = ["--what", "mutations", "--files", "400", "--first", "1200", "--out", str(out)]
    assert script.main(words) == 0, capsys.readouterr().out
    rows = {row["what"]: row["said"] for row in json.loads(out.read_text())["mutations"]}
    assert rows.keys() == formats.FORMATS.keys()
    assert all(
        re.search("read.*(refused|unfor)|(refused|unfor).*read", said) for said in rows.values()
    ), rows


def test_a_fault_of_a_mutated_file_is_known(tmp_path, monkeypatch):
    def fail(error):
        raise error

    path = tmp_path / "a.stl"
    for error, became in (
        (source.ScanError(f"{path}: it is cut off"), "refused"),
        (source.ScanError(f"{path}: it cannot be read as STL (KeyError: 3); why"), "unforeseen"),
        (source.ScanError("it is cut off"), "a foreign exception"),
        (ValueError(f"{path}: it is cut off"), "a foreign exception"),
    ):
        monkeypatch.setattr(mutations, "look", lambda _, error=error: fail(error))
        assert mutations.outcome(path)[0] == became
    # Of four files, two end the process that reads them.
    code = """
import json, sys
for number in range(int(sys.argv[3]), int(sys.argv[4])):
    print(json.dumps({"begun": number}), flush=True)
    if number % 2:
        sys.exit("gone")
    print(json.dumps({"ending": ".stl", "became": "read", "said": "", "s": 0.1}), flush=True)
"""
    rows = mutations.tried(tmp_path, 0, 4, 4, code)
    assert [(row.what, row.said, row.faults) for row in rows] == [
        (".stl", "2 read", ()),
        ("file 5", "gone\n", ("no answer",)),
        ("file 7", "gone\n", ("no answer",)),
    ]
