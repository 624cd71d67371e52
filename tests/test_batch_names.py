"""What is meant by files, folders and globs, and what their results are called."""

import json
import os
import pathlib

import numpy as np
import pytest
from toy_batches import complete, sherd, summary

from voxgan_jax import ledger
from voxgan_jax.cli import main
from voxgan_jax.data import vox
from voxgan_jax.restore import files


def test_files_folders_and_globs(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("b.vox", "a.stl", "sub/c.PLY", "a_completed.vox", "a_missing.stl", ".d.vox"):
        (tmp_path / name).touch()
    (tmp_path / "a_hypothesis1.stl").touch()
    (tmp_path / "notes.txt").touch()
    a, b, c = tmp_path / "a.stl", tmp_path / "b.vox", tmp_path / "sub/c.PLY"
    assert list(files.collect([tmp_path])) == [a, b]
    assert list(files.collect([b, tmp_path, b])) == [b, a]
    assert files.collect([tmp_path / "**" / "*"]) == {a: "a", b: "b", c: "sub/c"}
    # A file that is named is taken as it is, missing or not.
    named = [tmp_path / "a_completed.vox", tmp_path / "none.stl"]
    assert files.collect(named) == {named[0]: "a_completed", named[1]: "none"}
    with pytest.raises(FileNotFoundError, match=r"x\*\.stl: no sherd's file has such a name"):
        files.collect([tmp_path / "x*.stl"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"empty: no sherd in this folder \(\.vox,"):
        files.collect([tmp_path / "empty"])
    with pytest.raises(FileNotFoundError, match="'' names no file"):
        files.collect([""])


def test_globs_end_and_go_neither_through_links_nor_into_hidden_folders(tmp_path, monkeypatch):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / ".voxgan_jax-0123").mkdir()
    for name in ("top.stl", "a/b/x.stl", ".voxgan_jax-0123/a.stl"):
        (tmp_path / name).touch()
    for name in ("one", "two", "a/three", "a/b/four"):
        (tmp_path / name).symlink_to(tmp_path)
    wanted = [tmp_path / "a" / "b" / "x.stl", tmp_path / "top.stl"]
    assert list(files.collect([tmp_path / "**" / "*"])) == wanted
    assert list(files.collect([tmp_path / "**" / "**.stl"])) == wanted
    monkeypatch.chdir(tmp_path)
    assert files.collect(["**/*.stl"]) == {
        pathlib.Path("a/b/x.stl"): "a/b/x",
        pathlib.Path("top.stl"): "top",
    }


def test_what_is_left_out_of_a_folder_is_named(tmp_path, weights_file, capsys):
    folder = tmp_path / "scans"
    folder.mkdir()
    left = (".d.vox", "a_completed.vox", "a_hypothesis2.stl", "b.step", "c.txt", "d.txt")
    for name in (*left, ledger.LIST):
        (folder / name).touch()
    for name in ("a.vox", "a_hypothesis_of_Anna.vox"):
        vox.write(folder / name, sherd(1))
    job = (folder, "--out", tmp_path / "out", "--weights", weights_file)
    assert complete(*job) == 0
    said = capsys.readouterr()
    left = ".d.vox, a_completed.vox, a_hypothesis2.stl, b.step, c.txt and 1 more"
    assert said.err == f"voxgan: {folder}: left out, as they are no sherds: {left}\n"
    assert (tmp_path / "out" / "a_hypothesis_of_Anna.json").is_file()
    assert complete(*job, "--quiet") == 0
    assert capsys.readouterr().err == ""
    # Of a glob, too.
    glob = folder / "a*.vox"
    assert complete(glob, *job[1:]) == 0
    said = capsys.readouterr().err
    assert said == f"voxgan: {glob}: left out, as they are no sherds: a_completed.vox\n"


def test_what_means_no_file_and_a_folder_that_cannot_be_ends_no_batch(
    tmp_path, weights_file, capsys
):
    (tmp_path / "in" / "sub").mkdir(parents=True)
    for name in ("ok", "sub/x"):
        vox.write(tmp_path / "in" / f"{name}.vox", sherd(1))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sub").write_text("mine")
    (tmp_path / "empty").mkdir()
    names = [
        tmp_path / "in" / "**" / "*.vox",
        tmp_path / "no*.vox",
        tmp_path / ("a" * 300 + ".vox"),
    ]
    job = [*names, tmp_path / "empty", "--out", tmp_path / "out", "--weights", weights_file]
    assert complete(*job, "--formats", "vox", "json") == 1
    said = capsys.readouterr().err.splitlines()
    for path in (*names[1:], tmp_path / "empty", tmp_path / "in" / "sub" / "x.vox"):
        assert len([line for line in said if line.startswith(f"voxgan: {path}: ")]) == 1, path
    assert (tmp_path / "out" / "ok.json").is_file()
    assert (tmp_path / "out" / "sub").read_text() == "mine"


def test_sherds_of_one_name_are_completed_side_by_side(tmp_path, weights_file, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("a/sherd.vox", "b/sherd.vox", "b/Sherd.vox", "c.vox")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        vox.write(tmp_path / name, sherd(number))
    np.save(tmp_path / "c.npy", sherd(5))
    out = tmp_path / "out"
    job = ("complete", "a", "b", "*.*", "--out", out, "--weights", weights_file)
    job = [str(part) for part in (*job, "--formats", "vox", "svg", "html", "json")]
    assert main.main(job) == 0
    names = ["a/sherd", "b/Sherd_vox", "b/sherd_vox_2", "c_npy", "c_vox"]
    pages = {path.relative_to(out).as_posix() for path in out.rglob("*.html")}
    assert pages == {f"{name}.html" for name in names} | {"index.html"}
    for name, number in zip(names, (0, 2, 1, 5, 3), strict=True):
        given = vox.read(out / f"{name}_completed.vox") == 1
        assert given.sum() == (sherd(number) > 0).sum()
        report = json.loads((out / f"{name}.json").read_text(encoding="utf-8"))
        assert report["name"] == name
        assert all(((out / name).parent / file).is_file() for file in report["files"])
        back = '<a href="../index.html">' if "/" in name else '<a href="index.html">'
        assert back in (out / f"{name}.html").read_text(encoding="utf-8")
    assert [row["name"] for row in summary(out)] == names
    index = (out / "index.html").read_text(encoding="utf-8")
    for name in names:
        assert f'href="./{name}.html"' in index
    capsys.readouterr()
    assert main.main(job) == 0
    assert "5 completed before" in capsys.readouterr().out


def test_names_that_are_no_utf_8_stop_no_batch(tmp_path, weights_file, capsys):
    folder, out = tmp_path / "scans", tmp_path / "out"
    folder.mkdir()
    for number, name in enumerate((b"caf\xe9", b"caf\xe8", b"plain")):
        try:
            vox.write(folder / f"{os.fsdecode(name)}.vox", sherd(number))
        except OSError:
            pytest.skip("this file system takes no such names")
    (folder / os.fsdecode(b"bad\xff.vox")).write_bytes(b"no scan")
    # By the command, as a file's name comes from the arguments too.
    files = sorted(map(str, folder.iterdir()))
    arguments = [*files, "--out", out, "--weights", weights_file, "--again"]
    assert complete(*arguments, "--clearance-mm", "0.3") == 1
    said = capsys.readouterr()
    assert "bad\\udcff.vox: " in said.err and len(said.err.strip().splitlines()) == 1
    assert said.out.count(" voxels given") == 3
    rows = {row["name"]: row for row in summary(out)}
    assert sorted(rows) == ["bad_", "caf__vox", "caf__vox_2", "plain"]
    assert rows["caf__vox"]["input"] == "caf\\udce8.vox" and "\\udcff" in rows["bad_"]["input"]
    report = json.loads((out / "caf__vox_2.json").read_text(encoding="utf-8"))
    assert report["input"]["file"] == "caf\\udce9.vox"
    assert "bad\\udcff.vox" in (out / "index.html").read_text(encoding="utf-8")
    assert main.main(["info", files[1], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["file"].endswith("caf\\udce8.vox")


def test_long_and_unprintable_names_are_completed(tmp_path, weights_file):
    out, names = tmp_path / "out", ["é" * 110, "x" * 250, "red\x1b[31m", "turned\u202e"]
    for number, name in enumerate(names):
        np.save(tmp_path / f"{name}.npy", sherd(number).transpose(2, 0, 1))
    assert complete(*sorted(tmp_path.glob("*.npy")), "--out", out, "--weights", weights_file) == 0
    made = [path.name for path in out.glob("*.json")]
    assert len(made) == 4 and all(name.isprintable() for name in made)
    assert {"red_[31m.json", "turned_.json"} < set(made)


def test_a_name_of_two_lines_stands_once_in_its_error(tmp_path, weights_file, capsys):
    (tmp_path / "two\nlines.vox").write_bytes(b"no scan")
    job = (tmp_path / "two\nlines.vox", "--out", tmp_path / "out", "--weights", weights_file)
    assert complete(*job) == 1
    said = capsys.readouterr().err
    assert said.count("lines.vox") == 1 and said.startswith(f"voxgan: {tmp_path}/two\\nlines.vox: ")
