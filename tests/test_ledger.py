"""Nothing but what the program wrote is replaced or deleted, and a folder's list knows that."""

import hashlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

from voxgan_jax import ledger

NAMES = ("a.stl", "a_missing.stl", "a.json")


def publish(folder, contents, names=NAMES, stale=(), **how):
    with ledger.published(folder, names, stale, **how) as private:
        for name, content in contents.items():
            (private / name).write_text(content)


def visible(folder):
    return {path.name: path.read_text() for path in folder.iterdir() if path.name[0] != "."}


def hidden(folder):
    return sorted(path.name for path in folder.iterdir() if path.name[0] == ".")


def test_what_is_written_is_listed_as_sha256sum_reads_it_and_replaced_again(tmp_path):
    folder = tmp_path / "deep" / "out"
    publish(folder, {"a.json": "one", "a.stl": "two"})
    lines = (folder / ledger.LIST).read_text().splitlines()
    assert lines == [
        f"{hashlib.sha256(text).hexdigest()}  {name}"
        for name, text in (("a.stl", b"two"), ("a.json", b"one"))
    ]
    publish(folder, {"a.stl": "three"})
    assert visible(folder) == {"a.json": "one", "a.stl": "three"}
    assert hidden(folder) == [ledger.LIST]


@pytest.mark.parametrize("changed", [False, True])
def test_what_others_wrote_or_changed_stays_and_nothing_of_the_pot_is_there(changed, tmp_path):
    if changed:
        publish(tmp_path, {"a.json": "ours"})
    (tmp_path / "a.json").write_text("theirs")
    for when in ("before", "meanwhile"):
        with pytest.raises(FileExistsError, match=r"a\.json exists and voxgan did not write it"):
            if when == "before":
                publish(tmp_path, {"a.stl": "new", "a.json": "new"})
            else:
                (tmp_path / "a.json").rename(tmp_path / "kept")
                with ledger.published(tmp_path, NAMES) as private:
                    (private / "a.stl").write_text("new")
                    (private / "a.json").write_text("new")
                    (tmp_path / "kept").rename(tmp_path / "a.json")
        assert visible(tmp_path) == {"a.json": "theirs"}
    publish(tmp_path, {"a.stl": "new", "a.json": "new"}, overwrite=True)
    assert visible(tmp_path) == {"a.stl": "new", "a.json": "new"}


def test_what_a_power_cut_left_empty_is_made_anew(tmp_path):
    publish(tmp_path, {"a.json": "ours"})
    (tmp_path / "a.json").write_text("")
    (tmp_path / "a.stl").write_text("")
    with pytest.raises(FileExistsError, match=r"a\.stl exists"):
        publish(tmp_path, {"a.json": "new", "a.stl": "new"})
    publish(tmp_path, {"a.json": "new"}, ["a.json"])
    assert (tmp_path / "a.json").read_text() == "new"


def test_a_link_is_neither_followed_nor_taken_for_ours(tmp_path):
    out, precious = tmp_path / "out", tmp_path / "precious"
    publish(out, {"a.json": "ours"})
    precious.write_text("ours")
    (out / "a.json").unlink()
    (out / "a.json").symlink_to(precious)
    with pytest.raises(FileExistsError):
        publish(out, {"a.json": "new"})
    publish(out, {"a.json": "new"}, overwrite=True)
    assert precious.read_text() == "ours" and not (out / "a.json").is_symlink()
    (out / "a.stl").mkdir()
    with pytest.raises(FileExistsError, match=r"a\.stl exists and is no file"):
        publish(out, {"a.stl": "new"}, overwrite=True)


@pytest.mark.parametrize("way", ["same", "linked folder", "hard link", "link", "other case"])
def test_an_input_is_never_replaced_nor_deleted(way, tmp_path):
    out = tmp_path / "out"
    publish(out, {"a.stl": "ours", "a_missing.stl": "ours"})
    given = out / "a.stl"
    if way == "linked folder":
        (tmp_path / "other").symlink_to(out)
        given = tmp_path / "other" / "a.stl"
    elif way == "hard link":
        given = tmp_path / "given.stl"
        os.link(out / "a.stl", given)
    elif way == "link":
        given = tmp_path / "given.stl"
        given.symlink_to(out / "a.stl")
    elif way == "other case":
        given = out / "A.STL"
    inputs = ledger.marks_of([given, out / "a_missing.stl"])
    with pytest.raises(FileExistsError, match=r"a\.stl is an input, never replaced"):
        publish(out, {"a.stl": "new"}, inputs=inputs, overwrite=True)
    publish(out, {"a.json": "new"}, ["a.json"], NAMES, inputs=inputs, overwrite=True)
    assert visible(out) == {"a.stl": "ours", "a_missing.stl": "ours", "a.json": "new"}


def test_only_what_is_ours_is_deleted(tmp_path):
    publish(tmp_path, {"a.json": "1", "a_missing.stl": "1"})
    (tmp_path / "a_hypothesis1.stl").write_text("theirs")
    (tmp_path / "a_hypothesis_of_Anna.stl").write_text("theirs")
    stale = ["a_missing.stl", "a_hypothesis1.stl"]
    publish(tmp_path, {"a.json": "2"}, stale=stale)
    left = {"a.json": "2"} | dict.fromkeys(
        ("a_hypothesis1.stl", "a_hypothesis_of_Anna.stl"), "theirs"
    )
    assert visible(tmp_path) == left


def test_a_crash_leaves_no_file_of_ours_unlisted(tmp_path, monkeypatch):
    moved = []

    def fail(source, target):
        if moved:
            raise OSError("power failed")
        moved.append(target)
        os.rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(OSError, match="power"):
            publish(tmp_path, {"a.stl": "1", "a.json": "1"})
    assert list(visible(tmp_path)) == ["a.stl"]
    # The line that was being written is torn.
    with (tmp_path / ledger.LIST).open("a") as file:
        file.write("0123")
    publish(tmp_path, {"a.stl": "2", "a.json": "2"})
    publish(tmp_path, {"a.stl": "3", "a.json": "3"})
    assert visible(tmp_path) == {"a.stl": "3", "a.json": "3"}


@pytest.mark.skipif(os.name != "posix", reason="links and pipes")
@pytest.mark.parametrize("kind", ["link", "hard link", "pipe", "folder"])
def test_a_list_that_is_none_is_not_written_through(kind, tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("theirs")
    target = tmp_path / "out" / ledger.LIST
    target.parent.mkdir()
    if kind == "link":
        target.symlink_to(precious)
    elif kind == "hard link":
        os.link(precious, target)
    elif kind == "pipe":
        os.mkfifo(target)
    else:
        target.mkdir()
    said = rf"out/{re.escape(ledger.LIST)}: voxgan's list .* choose another --out$"
    with pytest.raises(OSError, match=said):
        publish(tmp_path / "out", {"a.json": "new"})
    with pytest.raises(OSError, match=said):
        ledger.ready(tmp_path / "out")
    assert precious.read_text() == "theirs" and visible(tmp_path / "out") == {}


def test_folders_of_killed_runs_are_removed_and_those_of_living_ones_not(tmp_path):
    left, young = (tmp_path / f".voxgan_jax-{number * 16}" for number in "01")
    for path in (left, young):
        path.mkdir()
        (path / "half.stl").touch()
    with ledger.published(tmp_path, NAMES) as private:
        for path in (left, private):
            os.utime(path, (0, time.time() - 3600))
        ledger.ready(tmp_path)
        assert private.is_dir() and private.stat().st_mode & 0o777 == 0o700
    assert hidden(tmp_path) == [young.name, ledger.LIST]


def test_where_nothing_can_be_written_is_said_before(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "deeper"):
        said = r"file(/deeper)?: nothing can be written there \(.*\); choose another --out"
        with pytest.raises(OSError, match=said):
            ledger.ready(path)

    def raising(error):
        def refuse(*_, **__):
            raise error

        return refuse

    # As root, no folder refuses by its mode; of an immutable one and a read-only disk:
    for number, text in (
        (13, "Permission denied"),
        (1, "Operation not permitted"),
        (30, "Read-only"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(pathlib.Path, "mkdir", raising(OSError(number, text)))
            with pytest.raises(OSError, match=rf"there \({text}\); choose another --out"):
                ledger.ready(tmp_path)
    # A full disk makes folders still.
    monkeypatch.setattr(pathlib.Path, "write_bytes", raising(OSError(28, "No space left")))
    with pytest.raises(OSError, match="No space left"):
        ledger.ready(tmp_path)
    assert hidden(tmp_path) == []


def test_what_is_intact_is_as_it_was_written_last_and_not_newer_than_its_report(tmp_path):
    def intact(*names):
        return ledger.intact(tmp_path, names, ledger.listed(tmp_path))

    assert not intact("a.json")
    publish(tmp_path, {"a.stl": "1", "a.json": "1"})
    assert intact("a.stl", "a.json") and not intact("b.stl", "a.json")
    publish(tmp_path, {"a.stl": "2"})
    assert not intact("a.stl", "a.json")
    publish(tmp_path, {"a.stl": "2", "a.json": "2"})
    assert intact("a.stl", "a.json")
    for content in ("", "2+"):
        (tmp_path / "a.stl").write_text(content)
        assert not intact("a.stl", "a.json")


def test_two_that_write_the_same_both_end_well(tmp_path):
    failed = []

    def work(who):
        for number in range(15):
            try:
                publish(tmp_path, dict.fromkeys(NAMES, f"{who} {number}"))
            except Exception as error:
                failed.append(error)

    threads = [threading.Thread(target=work, args=(who,)) for who in "xyz"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(set(visible(tmp_path).values())) == 1 and hidden(tmp_path) == [ledger.LIST]
    assert ledger.intact(tmp_path, NAMES, ledger.listed(tmp_path))


_WORK = """
import itertools, pathlib, sys
from voxgan_jax import ledger
folder = pathlib.Path(sys.argv[1])
for number in itertools.count():
    names = [f"{number % 5}.stl", f"{number % 5}.json"]
    with ledger.published(folder, names) as private:
        for name in names:
            with (private / name).open("w") as file:
                for _ in range(50):
                    file.write(str(number) * 1000)
    print(number, flush=True)
"""


def test_killed_it_leaves_no_half_file_under_a_name_of_a_result(tmp_path):
    for kill in range(3):
        command = [sys.executable, "-c", _WORK, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for _ in range(3 + kill):
                process.stdout.readline()
            time.sleep(0.007 * kill)
            process.send_signal(signal.SIGKILL)
        known = ledger.listed(tmp_path)
        shown = visible(tmp_path)
        assert len(shown) >= 6
        for name, text in shown.items():
            assert hashlib.sha256(text.encode()).hexdigest() in known[name]


def test_a_users_folder_of_such_a_name_stays(tmp_path):
    """Only names that no user gives are taken for what a killed run left."""
    theirs, left = tmp_path / ".voxgan_jax-notes", tmp_path / ".voxgan_jax-0123456789abcdef"
    for folder in (theirs, left):
        folder.mkdir()
        (folder / "text").write_text("x")
        os.utime(folder, (1.0, 1.0))
    ledger.ready(tmp_path)
    assert (theirs / "text").is_file() and not left.exists()
