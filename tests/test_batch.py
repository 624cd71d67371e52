"""Many sherds at once: restored side by side, done already, and being stopped."""

import io
import itertools
import json
import os
import pathlib
import queue
import signal
import subprocess
import sys
import threading
import time

import numpy as np
from toy_batches import complete, sherd, summary

from voxgan_jax import ledger
from voxgan_jax.cli import main
from voxgan_jax.data import vox
from voxgan_jax.inference import completer
from voxgan_jax.inference.answer import GIVEN
from voxgan_jax.placement import locator
from voxgan_jax.report import meshes
from voxgan_jax.restore import batch, pool


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


def test_each_file_comes_with_its_result_and_a_bad_one_stops_no_other(tmp_path):
    model = completer.Completer(lambda partial: partial, 16, 1, "center", 0.5)
    labels = np.zeros((8, 6, 10), np.uint8)
    labels[2:4, 1:3, 5:9], labels[4, 1, 5] = 3, 4
    names = [tmp_path / f"{letter}.vox" for letter in "abcde"]
    for path in names:
        vox.write(path, labels)
    names[1].write_bytes(names[1].read_bytes()[:50])
    vox.write(names[3], np.ones((17, 4, 4), np.uint8))
    options = {"ids": [4], "formats": meshes.FORMATS}
    done = dict(batch.complete_files(model, names, tmp_path / "out", **options))
    assert list(done) == names
    for n in (0, 2, 4):
        result = done[names[n]]
        assert not isinstance(result, Exception)
        written, completion = result
        stem = f"{names[n].stem}_fragment4_completed"
        assert written.paths == [tmp_path / "out" / f"{stem}.{form}" for form in meshes.FORMATS]
        assert all(path.is_file() for path in written.paths)
        assert (completion.labels == GIVEN).sum() == 1
    assert isinstance(done[names[1]], vox.VoxError) and "b.vox" in str(done[names[1]])
    assert isinstance(done[names[3]], ValueError)
    assert "d.vox: no fragment 4" in str(done[names[3]])


def test_each_result_appears_when_it_is_ready(tmp_path):
    """The first is there before the second is read, be it the only process or one of two."""
    model = completer.Completer(lambda partial: partial, 16, 1, "center", 0.5)
    names = [tmp_path / f"{number}.vox" for number in range(3)]
    for path in names:
        vox.write(path, sherd(1))
    for workers in (1, 2):
        out = tmp_path / f"out{workers}"
        seen = []

        def wait(text, out=out, seen=seen):
            # All but the first are read only when the result of the one before has been seen.
            for number in (1, 2):
                if text == f"reading {names[number]} …":
                    limit = time.monotonic() + 60
                    while len(seen) < number and time.monotonic() < limit:
                        time.sleep(0.01)

        with pool.side_by_side(workers) as each:
            for path, made in batch.complete_files(
                model, names, out, formats=["vox"], each=each, tell=wait
            ):
                assert isinstance(made, batch.Result)
                seen.append(path)
        assert seen == names


def test_what_the_first_file_needs_is_compiled_meanwhile(monkeypatch):
    calls = queue.SimpleQueue()
    monkeypatch.setattr(locator, "warm_up", lambda: calls.put("locator"))

    def predict(partial):
        calls.put(partial.shape)
        raise MemoryError

    model = completer.Completer(predict, 16, 1, "center", 0.5)
    batch.compile_ahead(model, True)
    assert [calls.get(timeout=60) for _ in range(2)] == ["locator", (1, 16, 16, 16, 1)]
    batch.compile_ahead(model, False)
    assert calls.get(timeout=60) == (1, 16, 16, 16, 1)


def test_of_forty_sherds_ten_broken_ones_stop_no_other(tmp_path, weights_file, capsys, monkeypatch):
    """Written by processes of their own."""
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


def test_a_stopped_batch_leaves_whole_files_and_goes_on(tmp_path, weights_file):
    folder, out = tmp_path / "scans", tmp_path / "out"
    folder.mkdir()
    for number in range(14):
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
    assert 3 <= len(reports) < 14
    page = (out / "index.html").read_text(encoding="utf-8")
    assert f">{len(reports)} of 14 pots restored so far</h1>" in page
    assert len(summary(out)) == len(reports)
    assert [path.name for path in out.glob(".*")] == [ledger.LIST]
    stamps = {path: path.stat().st_mtime_ns for path in reports}
    for path in reports:
        files = json.loads(path.read_text(encoding="utf-8"))["files"]
        assert all((out / name).stat().st_size for name in files)
    for path in out.glob("*_completed.vox"):
        vox.read(path)
    assert main.main(words) == 0
    assert len(list(out.glob("s*.json"))) == 14
    assert ">14 pots restored</h1>" in (out / "index.html").read_text(encoding="utf-8")
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())


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


def test_the_first_sherd_is_alone_till_it_is_restored_and_once_shown_there_are_several(tmp_path):
    model = completer.Completer(lambda partial: partial, 16, 1, "center", 0.5)
    names = [tmp_path / f"{number}.vox" for number in range(4)]
    for path in names:
        vox.write(path, sherd(1))
    most, begun, now, both = [], [], set(), threading.Barrier(2)

    def tell(text):
        if text.startswith("reading "):
            now.add(threading.current_thread())
            most.append(len(now))
            if len(most) == 1:
                time.sleep(0.2)  # Another could begin.
            if len(most) > 2:
                both.wait(timeout=60)  # Only two at once pass.
        elif text.startswith("drawing "):
            now.discard(threading.current_thread())

    def each(write, jobs):
        for job in jobs:
            limit = time.monotonic() + 60
            while len(most) < 2 and time.monotonic() < limit:
                time.sleep(0.01)
            time.sleep(0.1)  # A third could begin while the first is written.
            begun.append(len(most))
            yield job, write(job)

    how = {"formats": ["vox"], "tell": tell, "ahead": pool.in_threads(2), "each": each}
    results = batch.complete_files(model, names, tmp_path / "out", **how)
    found = dict(itertools.islice(results, 1))
    found |= dict(results)
    assert begun[0] == 2 and most[:2] == [1, 1] and max(most) == 2
    assert found.keys() == set(names)
    assert all(isinstance(made, batch.Result) for made in found.values())
