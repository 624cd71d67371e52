"""The process that reads files: what it does not survive costs one call, and who called goes on."""

import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest
import trimesh

from voxgan_jax.scan import formats, source, worker


def pid():
    return worker.call(os.getpid)


def test_calls_are_answered_by_one_process_that_is_another():
    assert pid() == pid() != os.getpid()
    assert worker.call(divmod, 17, 5) == (3, 2)
    with pytest.raises(ZeroDivisionError):
        worker.call(divmod, 1, 0)
    found = []
    threads = [
        threading.Thread(target=lambda n=n: found.append((n, worker.call(abs, -n))))
        for n in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [(n, n) for n in range(20)]


@pytest.mark.skipif(sys.platform != "linux", reason="no limit of memory there")
def test_too_much_memory_is_an_error_and_the_next_call_has_all_again():
    before = pid()
    with pytest.raises(MemoryError):
        worker.call(bytes, 3 << 30)
    assert pid() != before
    assert len(worker.call(bytes, 1 << 28)) == 1 << 28


def test_too_much_time_and_death_are_told_apart(monkeypatch):
    before = pid()
    monkeypatch.setenv("VOXGAN_READ_SECONDS", "0.3")
    with pytest.raises(worker.Lost) as lost:
        worker.call(time.sleep, 30)
    assert lost.value.late
    monkeypatch.delenv("VOXGAN_READ_SECONDS")
    with pytest.raises(worker.Lost) as lost:
        worker.call(os.abort)
    assert not lost.value.late
    after = pid()
    assert after != before
    os.kill(after, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(after)], 10)
    assert worker.call(abs, -2) == 2


def test_a_file_that_takes_too_long_names_itself_and_the_limit(tmp_path, monkeypatch):
    trimesh.creation.icosphere(5).export(tmp_path / "a.3mf")
    pid()
    monkeypatch.setenv("VOXGAN_READ_SECONDS", "0.001")
    with pytest.raises(formats.ScanError, match=r"a\.3mf: .* than 0.001 s; .*_SECONDS=0.002$"):
        formats.read(tmp_path / "a.3mf")
    monkeypatch.setenv("VOXGAN_READ_SECONDS", "soon")
    with pytest.raises(ValueError, match="VOXGAN_READ_SECONDS=soon: give a number above 0"):
        formats.read(tmp_path / "a.3mf")


def test_lack_of_memory_names_the_file_and_the_limit():
    said = r"a: .* 2 GiB of memory; .* VOXGAN_READ_GIB=4$"
    with pytest.raises(source.ScanError, match=said), source.told("a", "read"):
        raise MemoryError


def test_reading_goes_on_where_no_process_can_be_started(tmp_path, monkeypatch):
    trimesh.creation.box((1.0, 2.0, 3.0)).export(tmp_path / "a.stl")
    worker.stop()
    monkeypatch.setattr(sys, "executable", "")
    mesh, about, _ = formats.read_mesh(tmp_path / "a.stl")
    assert len(mesh.faces) == 12 and about["file"] == "a.stl"
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert len(formats.read_mesh(tmp_path / "a.stl").mesh.faces) == 12


SCRIPT = """
import os, sys
from voxgan_jax.scan import formats, worker
mesh = formats.read_mesh(sys.argv[1]).mesh
with open(sys.argv[2], "a") as file:
    print(len(mesh.faces), worker.call(os.getpid), *sys.path[:1], sep="\\n", file=file)
os._exit(0)
"""


def test_a_script_without_a_guard_runs_once_without_pipes_and_leaves_nothing(tmp_path):
    trimesh.creation.box((1.0, 2.0, 3.0)).export(tmp_path / "a.stl")
    (tmp_path / "main.py").write_text(SCRIPT)
    # Beside the script, not where it is called.
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "numpy.py").write_text("raise SystemExit")
    subprocess.run(
        f'exec "{sys.executable}" ../main.py ../a.stl ../said <&- >&- 2>&-',
        shell=True,
        check=True,
        cwd=tmp_path / "elsewhere",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=100,
    )
    faces, process, folder = (tmp_path / "said").read_text().splitlines()
    assert (faces, folder) == ("12", str(tmp_path))
    deadline = time.monotonic() + 60
    while psutil.pid_exists(int(process)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not psutil.pid_exists(int(process))


def test_it_is_started_early_but_not_for_files_of_voxels():
    meshes = {ending for ending, known in formats.FORMATS.items() if known.is_mesh}
    assert formats.FORMATS.keys() - meshes == worker.VOXELS
    assert not worker.may_be_needed(["a.vox", pathlib.Path("b.NPY")])
    assert all(worker.may_be_needed(["a.vox", name]) for name in ("b.stl", "folder", "*"))
