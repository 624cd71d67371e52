"""Many sherds at once: what is meant, what is done already, what is broken, and being stopped."""

import csv
import functools
import io
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import smoke
from voxgan_jax import __version__, ledger, models
from voxgan_jax.cli import main
from voxgan_jax.data import vox
from voxgan_jax.data.synthetic import pots
from voxgan_jax.inference import completer
from voxgan_jax.inference.answer import GIVEN
from voxgan_jax.models import weights
from voxgan_jax.report import meshes
from voxgan_jax.restore import batch, faults, files, pool, pot

SIDE = 16


def sherd(seed):
    """A slanted part of a synthetic pot."""
    labels = pots.make_pot(seed % 7 + 1, None, SIDE).astype(np.uint8)
    d, h, w = np.indices(labels.shape)
    return labels * ((d < 8 + seed % 3) & (w > h - 4)).astype(np.uint8)


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory):
    """A model that was not trained, as nothing here is about what it answers; compiled once."""
    config = smoke.get_config()
    config.generator.features, config.data.resolution = 2, 32
    generator = models.build(config.generator)
    example = jnp.zeros((1, 32, 32, 32, 1))
    shapes = jax.eval_shape(lambda: generator.init(jax.random.key(0), example, train=False))
    rng = np.random.default_rng(0)
    made = jax.tree.map(lambda leaf: rng.uniform(0, 1, leaf.shape).astype(leaf.dtype), shapes)
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    weights.save(path, made, config)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(completer, "load", functools.cache(completer.load))
        yield path


def broken(folder: pathlib.Path) -> list[str]:
    """Ten kinds of files that cannot be completed; their names."""
    whole = folder / "whole.vox"
    vox.write(whole, sherd(1))
    data = whole.read_bytes()
    whole.unlink()
    grid = io.BytesIO()
    np.savez(grid, np.ones((3, 3, 3)))
    big, nothing = io.BytesIO(), io.BytesIO()
    np.save(big, np.ones((40, 8, 8), np.uint8))
    np.save(nothing, np.zeros((8, 8, 8), np.uint8))
    objects = io.BytesIO()
    np.save(objects, np.array([{"a": 1}], object), allow_pickle=True)
    points = b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\n"
    kinds = {
        "empty.vox": b"",
        "cut.vox": data[: len(data) // 2],
        "text.vox": b"not a scan at all\n" * 20,
        "noise.stl": np.random.default_rng(0).bytes(500),
        "points.ply": points + b"property float z\nend_header\n1 2 3\n",
        "nan.obj": b"v nan 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n",
        "cut.npz": grid.getvalue()[:60],
        "big.npy": big.getvalue(),
        "nothing.npy": nothing.getvalue(),
        "objects.npy": objects.getvalue(),
    }
    assert len(kinds) == 10
    names = []
    for name, content in kinds.items():
        kind, ending = name.split(".")
        names.append(f"{kind}_{ending}.{ending}")
        (folder / names[-1]).write_bytes(content)
    return names


def summary(out: pathlib.Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((out / "summary.csv").read_text(encoding="utf-8"))))


def complete(*arguments):
    return main.main(["complete", *map(str, arguments), "--formats", "vox", "svg", "json"])


def test_files_go_in_batches_and_a_bad_one_stops_no_other(tmp_path):
    calls = []

    def same(partial):
        calls.append(len(partial))
        return partial

    model = completer.Completer(same, 16, 1, "center", 0.5)
    labels = np.zeros((8, 6, 10), np.uint8)
    labels[2:4, 1:3, 5:9], labels[4, 1, 5] = 3, 4
    names = [tmp_path / f"{letter}.vox" for letter in "abcde"]
    for path in names:
        vox.write(path, labels)
    names[1].write_bytes(names[1].read_bytes()[:50])
    vox.write(names[3], np.ones((17, 4, 4), np.uint8))
    options = {"batch_size": 2, "ids": [4], "formats": meshes.FORMATS}
    done = list(batch.complete_files(model, names, tmp_path / "out", **options))
    assert calls == [2, 2, 2]
    for n in (0, 2, 4):
        result = done[n]
        assert not isinstance(result, Exception)
        written, completion = result
        stem = f"{names[n].stem}_fragment4_completed"
        assert written.paths == [tmp_path / "out" / f"{stem}.{form}" for form in meshes.FORMATS]
        assert all(path.is_file() for path in written.paths)
        assert (completion.labels == GIVEN).sum() == 1
    assert isinstance(done[1], vox.VoxError) and "b.vox" in str(done[1])
    assert isinstance(done[3], ValueError) and "d.vox: no fragment 4" in str(done[3])


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


def test_of_forty_sherds_ten_broken_ones_stop_no_other(tmp_path, weights_file, capsys, monkeypatch):
    """In three batches, written by processes of their own."""
    folder, out = tmp_path / "scans", tmp_path / "out"
    folder.mkdir()
    for number in range(30):
        vox.write(folder / f"sherd{number:03}.vox", sherd(number))
    names = broken(folder)
    assert len(names) == 10
    assert complete(folder, "--out", out, "--weights", weights_file) == 1
    said = capsys.readouterr()
    for name in names:
        assert said.err.count(f"{name}:") == 1, name
    assert said.out.count(" voxels given") == 30
    ours = {f"sherd{n:03}{end}" for n in range(30) for end in ("_completed.vox", ".json")}
    ours |= {f"sherd{n:03}_section.svg" for n in range(30)}
    others = {"index.html", "summary.csv", ledger.LIST}
    assert {path.name for path in out.iterdir()} == ours | others
    for number in (0, 15, 29):
        given = vox.read(out / f"sherd{number:03}_completed.vox") == 1
        np.testing.assert_array_equal(given, sherd(number) > 0)
    rows = summary(out)
    assert len(rows) == 40
    assert sum(bool(row["error"]) for row in rows) == 10
    assert all(float(row["height_mm"]) > 0 for row in rows if not row["error"])
    page = (out / "index.html").read_text(encoding="utf-8")
    assert not [name for name in (*names, "sherd000", "sherd029") if name not in page]

    # Again, in this process: only what is missing, or was changed.
    monkeypatch.setattr(pool, "sensible_workers", lambda *_: 1)
    stamps = {path: path.stat().st_mtime_ns for path in out.glob("*.json")}
    (out / "sherd007_section.svg").unlink()
    vox.write(folder / "sherd008.vox", sherd(4))
    assert complete(folder, "--out", out, "--weights", weights_file) == 1
    said = capsys.readouterr()
    assert "28 completed before" in said.out and said.out.count(" voxels given") == 2
    changed = {path.name for path, stamp in stamps.items() if path.stat().st_mtime_ns != stamp}
    assert changed == {"sherd007.json", "sherd008.json"}
    assert len(summary(out)) == 40


def test_other_options_are_another_job(tmp_path, weights_file, capsys, monkeypatch):
    vox.write(tmp_path / "a.vox", sherd(1))
    job = (tmp_path / "a.vox", "--out", tmp_path / "out", "--weights", weights_file)
    job += ("--formats", "vox", "json")
    for more, done in (((), 1), ((), 0), (["--threshold", "0.3"], 1), (["--threshold", "0"], 1)):
        assert complete(*job, *more) == 0
        assert capsys.readouterr().out.count("voxels given") == done, more
    report = json.loads((tmp_path / "out" / "a.json").read_text(encoding="utf-8"))
    assert report["options"]["threshold"] == 0
    for more, done in (((), 1), (["--again"], 1)):
        assert complete(*job, *more) == 0
        assert capsys.readouterr().out.count("voxels given") == done, more
    report = json.loads((tmp_path / "out" / "a.json").read_text(encoding="utf-8"))
    assert "threshold" not in report["options"] and report["input"]["file"] == "a.vox"
    assert complete(*job, "--again", "--quiet") == 0
    assert capsys.readouterr().out == ""
    # What an older version of the program left is made anew.
    with monkeypatch.context() as patch:
        patch.setattr(pot, "VERSION", "0.1.0")
        assert complete(*job, "--again", "--quiet") == 0
    (path,) = (tmp_path / "out").glob("*.json")
    assert json.loads(path.read_text(encoding="utf-8"))["version"] == "0.1.0"
    assert complete(*job) == 0
    assert capsys.readouterr().out.count("voxels given") == 1
    assert json.loads(path.read_text(encoding="utf-8"))["version"] == __version__


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


def test_a_stopped_batch_leaves_whole_files_and_goes_on(tmp_path, weights_file):
    folder, out = tmp_path / "scans", tmp_path / "out"
    folder.mkdir()
    for number in range(30):
        vox.write(folder / f"s{number:02}.vox", sherd(number))
    words = ["complete", str(folder), "--out", str(out)]
    words += ["--weights", str(weights_file), "--formats", "vox", "stl", "json"]
    command = [sys.executable, "-m", "voxgan_jax.cli", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        limit = time.monotonic() + 120
        while len(list(out.glob("*.json"))) < 3 and time.monotonic() < limit:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error.decode().strip().splitlines()[-1] == "voxgan: stopped; what is written is whole"
    reports = sorted(out.glob("*.json"))
    assert 3 <= len(reports) < 30
    page = (out / "index.html").read_text(encoding="utf-8")
    assert " of 30 pots restored so far</h1>" in page and 0 < len(summary(out)) <= len(reports)
    assert [path.name for path in out.glob(".*")] == [ledger.LIST]
    stamps = {path: path.stat().st_mtime_ns for path in reports}
    for path in reports:
        files = json.loads(path.read_text(encoding="utf-8"))["files"]
        assert all((out / name).stat().st_size for name in files)
    for path in out.glob("*_completed.vox"):
        vox.read(path)
    assert main.main(words) == 0
    assert len(list(out.glob("s*.json"))) == 30
    assert ">30 pots restored</h1>" in (out / "index.html").read_text(encoding="utf-8")
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())


def strangers(folder: pathlib.Path) -> dict[str, bytes]:
    """Files that somebody has where results go, and what is in them."""
    names = ("a_hypothesis_of_Anna.stl", "a_missing.stl", "a.json", "index.html", "summary.csv")
    for name in names:
        (folder / name).write_text(f"by hand: {name}")
    vox.write(folder / "a_completed.vox", sherd(3))
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_inputs_and_files_of_others_are_kept(tmp_path, weights_file, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    vox.write(tmp_path / "a.vox", sherd(1))
    vox.write(tmp_path / "b.vox", sherd(2))
    before = strangers(tmp_path)
    names = ("a.vox", "a_completed.vox", "b.vox")
    job = ("complete", *names, "--out", ".", "--weights", str(weights_file), "--formats")
    job = [*job, "vox", "stl", "json"]
    assert main.main(job) == 1
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    index, a, *more = capsys.readouterr().err.splitlines()
    assert index.startswith("voxgan: index.html exists and voxgan did not write it") and more == []
    assert a.startswith("voxgan: a.vox: a_completed.vox is an input, never replaced")
    for name in ("a_completed", "b"):
        assert (tmp_path / f"{name}.json").is_file()
    assert not list(tmp_path.glob("a_completed.stl"))
    # All but the input is given up.
    assert main.main([*job, "--overwrite"]) == 1
    assert capsys.readouterr().err.startswith("voxgan: a.vox: a_completed.vox is an input")
    changed = {name for name in before if (tmp_path / name).read_bytes() != before[name]}
    assert changed == {"index.html", "summary.csv"}
    job.remove("a_completed.vox")
    assert main.main(job) == 1
    assert "a_completed.vox exists and voxgan did not write it" in capsys.readouterr().err
    assert main.main([*job, "--overwrite", "--quiet"]) == 0
    changed = {name for name in before if (tmp_path / name).read_bytes() != before[name]}
    assert changed == {"a_completed.vox", "a_missing.stl", "a.json", "index.html", "summary.csv"}
    assert main.main([*job, "--again", "--quiet"]) == 0


def test_a_refusal_needs_no_model(tmp_path, capsys, monkeypatch):
    def load(**_):
        raise AssertionError("the model was loaded")

    monkeypatch.setattr(completer, "load", load)
    vox.write(tmp_path / "a.vox", sherd(1))
    (tmp_path / "a_section.svg").write_text("by hand")
    for out, said in (
        (tmp_path / "a.vox", "a.vox: nothing can be written there (File exists)"),
        (tmp_path, f"a.vox: {tmp_path / 'a_section.svg'} exists and voxgan did not write it"),
    ):
        assert complete(tmp_path / "a.vox", "--out", out) == 1
        assert said in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        complete(tmp_path / "a.vox", "--out", "")
    assert ended.value.code == 2 and "a folder has a name" in capsys.readouterr().err
    for pool_of in ("0", "9", "30", "100", "-1", "x"):
        with pytest.raises(SystemExit) as ended:
            complete(tmp_path / "a.vox", "--out", tmp_path, f"--pool={pool_of}")
        assert ended.value.code == 2
        assert f"'{pool_of}': give a whole number from 1 to 8" in capsys.readouterr().err


def test_whatever_earlier_reports_hold_they_do_no_harm(tmp_path, weights_file, capsys):
    out = tmp_path / "out"
    for name in "abcdef":
        vox.write(tmp_path / f"{name}.vox", sherd(ord(name)))
    job = (
        *(tmp_path / f"{name}.vox" for name in "abcdef"),
        "--out",
        out,
        "--weights",
        weights_file,
    )
    assert complete(*job) == 0
    report = json.loads((out / "a.json").read_text(encoding="utf-8"))
    (out / "a.json").write_text(json.dumps(report | {"measures": [1]}), encoding="utf-8")
    (out / "b_completed.vox").write_bytes(b"")
    (out / "c_completed.vox").write_bytes((out / "c_completed.vox").read_bytes()[:99])
    drawn = (out / "d_section.svg").read_text(encoding="utf-8")
    hostile = drawn.replace("<defs>", "<script>alert(1)</script><defs>")
    (out / "d_section.svg").write_text(hostile, encoding="utf-8")
    (out / "e.json").write_text("[" * 100_000, encoding="utf-8")
    capsys.readouterr()
    assert complete(*job) == 1
    said = capsys.readouterr()
    assert "completed before" in said.out and said.out.count("voxgan_jax") == 0
    for name, file in (("a", "a.json"), ("c", "c_completed.vox"), ("d", "d_section.svg")):
        assert f"voxgan: {tmp_path / name}.vox: {out / file} exists and voxgan did not" in said.err
    assert len(said.err.splitlines()) == 4 and said.out.count("voxels given") == 1
    assert vox.read(out / "b_completed.vox").any()
    assert "<script>alert" not in (out / "index.html").read_text(encoding="utf-8")
    assert complete(*job, "--overwrite", "--quiet") == 0
    assert complete(*job) == 0 and "6 completed before" in capsys.readouterr().out


def small_model(predict=lambda partial: partial, **changes):
    return completer.Completer(predict, 16, 1, "center", 0.5)._replace(**changes)


@pytest.fixture
def five(tmp_path):
    labels = np.zeros((8, 6, 10), np.uint8)
    labels[2:4, 1:3, 5:9] = 3
    paths = [tmp_path / f"{letter}.vox" for letter in "abcde"]
    for path in paths:
        vox.write(path, labels)
    return paths


def done(paths, out, model=None, **options):
    options = {"batch_size": 3, "formats": ["vox"], **options}
    found = list(batch.complete_files(model or small_model(), paths, out, **options))
    assert len(found) == len(paths)
    return {
        path.stem: str(made) if isinstance(made, Exception) else "done"
        for path, made in zip(paths, found, strict=True)
    }


@pytest.mark.parametrize("where", ["read", "restore", "write"])
def test_no_error_of_one_file_ends_a_batch(where, five, tmp_path, monkeypatch):
    errors = {
        "a": OverflowError("too\nfar"),
        "b": MemoryError(),
        "c": TypeError("zip() argument 2 is shorter"),
        "d": OSError(5, "Input/output error", "elsewhere"),
    }

    def failing(work, name_of):
        def fail(*given, **how):
            if error := errors.get(name_of(*given)):
                raise error
            return work(*given, **how)

        return fail

    owner, name, name_of = {
        "read": (batch, "read_request", lambda _, path, *__: path.stem),
        "restore": (pot, "restore", lambda request, _: pathlib.Path(request.sherds[0].source).stem),
        "write": (pot.Completion, "write", lambda self, *_: self.name),
    }[where]
    monkeypatch.setattr(owner, name, failing(getattr(owner, name), name_of))
    found = done(five, tmp_path / "out")
    assert found == {
        "a": f"{five[0]}: OverflowError: too far",
        "b": f"{five[1]}: it needs more memory than there is",
        "c": f"{five[2]}: TypeError: zip() argument 2 is shorter",
        "d": f"{five[3]}: Input/output error (elsewhere)",
        "e": "done",
    }
    (error,) = [faults.of_file("a", errors["c"])]
    assert "TypeError: zip()" in error.__notes__[0]


def test_where_the_model_fails_for_all_it_is_asked_for_each(five, tmp_path):
    calls = []

    def picky(partial):
        calls.append(len(partial))
        if len(partial) > 1 or len(calls) == 3:
            raise RuntimeError("RESOURCE_EXHAUSTED: out of memory")
        return partial

    found = done(five[:3], tmp_path / "out", small_model(picky))
    assert calls == [3, 1, 1, 1]
    said = f"{five[1]}: RuntimeError: RESOURCE_EXHAUSTED: out of memory"
    assert found == {"a": "done", "b": said, "c": "done"}
    assert done(five[:1], tmp_path / "out", small_model(picky)) == {"a": "done"}


def test_a_file_that_goes_meanwhile_is_one_error(five, tmp_path):
    def tell(text):
        if text == f"reading {five[1]} …":
            five[1].unlink()

    found = done(five, tmp_path / "out", tell=tell)
    assert [name for name in found if found[name] == "done"] == list("acde")
    assert found["b"].startswith(f"{five[1]}: ")


def test_what_no_vox_file_can_hold_is_said_before_the_work(five, tmp_path, monkeypatch):
    (tmp_path / "a.stl").write_bytes(b"not even looked at")
    cube = "512 × 512 × 512 voxels"
    said = rf"a pot in {cube} is more than a \.vox file can hold \(256 a side\); leave vox out"
    big = small_model(resolution=64, pool=8)
    (error,) = batch.complete_files(big, [tmp_path / "a.stl"], tmp_path / "out")
    assert re.search(rf"a\.stl: {said}", str(error))
    (error,) = batch.complete_files(big, five[:1], tmp_path / "out", whole_cube=True)
    assert re.search(said, str(error))
    np.save(tmp_path / "long.npy", np.ones((300, 4, 4), np.uint8))
    (error,) = batch.complete_files(big, [tmp_path / "long.npy"], tmp_path / "out")
    assert re.search(r"a pot in (4 × )*300( × 4)* voxels is more", str(error))
    how = {"formats": ["stl"], "memory": 10**9}
    (error,) = batch.complete_files(big, [tmp_path / "a.stl"], tmp_path / "out", **how)
    assert f"a pot in {cube} takes some 24.2 GB of memory, of which 1.0 are free" in str(error)


def test_a_full_disk_ends_a_batch_in_one_line(tmp_path, weights_file, capsys, monkeypatch):
    for name in "abcd":
        vox.write(tmp_path / f"{name}.vox", sherd(ord(name)))
    append, written = ledger._append, []

    def full(handle, text):
        written.append(text)
        if len(written) > 4:
            raise OSError(28, "No space left on device")
        append(handle, text)

    out = tmp_path / "out"
    job = (*sorted(tmp_path.glob("*.vox")), "--out", out, "--weights", weights_file)
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "_append", full)
        assert complete(*job) == 1
    # The overview was written as well, after the first.
    (said,) = capsys.readouterr().err.splitlines()
    assert said == (
        f"voxgan: {out}: the disk is full; 3 of 4 are done; make room, and the same command goes on"
    )
    assert sorted(path.name for path in out.glob("*.json")) == ["a.json", "b.json", "c.json"]
    assert complete(*job) == 0 and "3 completed before" in capsys.readouterr().out


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


def test_where_errors_arose_is_said_when_asked_for(tmp_path, weights_file, capsys):
    (tmp_path / "a.vox").write_bytes(b"no scan")
    job = (tmp_path / "a.vox", "--out", tmp_path / "out", "--weights", weights_file)
    assert complete(*job) == 1
    assert "Traceback" not in capsys.readouterr().err
    assert complete(*job, "--debug") == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_what_was_made_for_writing_goes_with_it(five, tmp_path):
    import gc

    import trimesh

    def meshes_in_memory():
        return sum(type(thing) is trimesh.Trimesh for thing in gc.get_objects())

    (made,) = batch.complete_files(small_model(), five[:1], tmp_path / "out", formats=["vox"])
    assert isinstance(made, batch.Result)
    gc.collect()
    before = meshes_in_memory()
    gc.disable()
    try:
        written = faults.write(tmp_path / "out", pot.FORMATS, False, ("a", made.completion))
        assert isinstance(written, pot.Written)
        assert meshes_in_memory() == before
    finally:
        gc.enable()


def test_two_in_one_folder_and_a_bare_environment_end_well(tmp_path, weights_file):
    folder, out = tmp_path / "scans", tmp_path / "out"
    folder.mkdir()
    for number in range(4):
        vox.write(folder / f"s{number}.vox", sherd(number))
    command = [sys.executable, "-m", "voxgan_jax.cli", "complete", str(folder), "--out", str(out)]
    command += ["--weights", str(weights_file), "--formats", "vox", "json"]
    kept = ("PATH", "PYTHONPATH", "JAX_PLATFORMS", "JAX_COMPILATION_CACHE_DIR", "XLA_FLAGS")
    bare = {name: os.environ[name] for name in kept if name in os.environ}
    bare |= {"LC_ALL": "C", "PYTHONPATH": str(pathlib.Path(__file__).parent.parent)}
    both = [subprocess.Popen(command, env=bare, stderr=subprocess.PIPE) for _ in range(2)]
    said = [process.communicate(timeout=120)[1].decode() for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    known = ledger.listed(out)
    for number in range(4):
        assert ledger.intact(out, [f"s{number}_completed.vox", f"s{number}.json"], known)
    assert [path.name for path in out.glob(".*")] == [ledger.LIST]
    assert [row["error"] for row in summary(out)] == [""] * 4
