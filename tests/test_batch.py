"""Many sherds at once: what is meant, what is done already, what is broken, and being stopped."""

import csv
import functools
import io
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import smoke
from voxgan_jax import __version__, models
from voxgan_jax.cli import main
from voxgan_jax.data import vox
from voxgan_jax.data.synthetic import pots
from voxgan_jax.inference import completer
from voxgan_jax.inference.answer import GIVEN
from voxgan_jax.models import weights
from voxgan_jax.report import meshes
from voxgan_jax.restore import batch, files, pool

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
    assert {path.name for path in out.iterdir()} == ours | {"index.html", "summary.csv"}
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
    monkeypatch.setattr(pool, "sensible_workers", lambda _: 1)
    stamps = {path: path.stat().st_mtime_ns for path in out.glob("*.json")}
    (out / "sherd007_section.svg").unlink()
    vox.write(folder / "sherd008.vox", sherd(4))
    assert complete(folder, "--out", out, "--weights", weights_file) == 1
    said = capsys.readouterr()
    assert "28 completed before" in said.out and said.out.count(" voxels given") == 2
    changed = {path.name for path, stamp in stamps.items() if path.stat().st_mtime_ns != stamp}
    assert changed == {"sherd007.json", "sherd008.json"}
    assert len(summary(out)) == 40


def test_other_options_are_another_job(tmp_path, weights_file, capsys):
    vox.write(tmp_path / "a.vox", sherd(1))
    job = (tmp_path / "a.vox", "--out", tmp_path / "out", "--weights", weights_file)
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
    (path,) = (tmp_path / "out").glob("*.json")
    report = json.loads(path.read_text(encoding="utf-8")) | {"version": "0.1.0"}
    path.write_text(json.dumps(report), encoding="utf-8")
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
    assert not [path.name for path in out.iterdir() if path.name.startswith(".")]
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
