"""The script that runs hostile inputs: it knows a fault when it sees one, and there is none."""

import json
import sys

import pytest

from scripts import hostile as script
from scripts.lib import hostile, hostile_parts


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
