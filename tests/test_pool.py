"""Work side by side: in order, past a process that dies, and gone when it is stopped."""

import functools
import importlib
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pool_work
import psutil
import pytest
import trimesh
from turned_pots import bowl, sherd

from voxgan_jax.geometry import surface
from voxgan_jax.inference.answer import GIVEN, INFERRED
from voxgan_jax.restore import faults, pool
from voxgan_jax.restore.naming import USUAL
from voxgan_jax.restore.pot import Completion

WORK = pathlib.Path(pool_work.__file__)


def mapped(function, items, workers):
    """`map` by so many processes."""
    with pool.side_by_side(workers, ()) as each:
        yield from each(function, items)


def children():
    return [child for child in psutil.Process().children() if "spawn_main" in command(child)]


def command(process):
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def alive(process):
    """What has ended but was not collected by its new parent counts as ended."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_results_come_with_their_items(workers):
    items = iter(range(9))
    found = list(mapped(pool_work.negative, items, workers))
    assert dict(found) == {number: -number for number in range(9)} and len(found) == 9
    if workers < 2:
        assert [item for item, _ in found] == list(range(9))


def test_what_is_ready_waits_for_nothing_that_began_before(tmp_path):
    """The second is ready while the first still waits for it."""
    names = [str(tmp_path / "first"), str(tmp_path / "second")]
    found = mapped(pool_work.waits_for_second, names, 2)
    item, result = next(found)
    assert item == names[1] and result == "at once"
    (tmp_path / "second").touch()
    assert list(found) == [(names[0], "waited")]


def test_processes_share_the_work_and_last_for_several_calls():
    with pool.side_by_side(2, ()) as each:
        calls = [dict(each(pool_work.process_and_number, range(12))) for _ in range(2)]
        assert len(children()) == 2
    for found in calls:
        assert {item: number for item, (_, number) in found.items()} == {n: n for n in range(12)}
    pids = {pid for found in calls for pid, _ in found.values()}
    assert os.getpid() not in pids and 1 <= len(pids) <= 2
    assert children() == []


def test_no_more_is_taken_than_is_under_way():
    taken = []
    items = (taken.append(number) or number for number in range(100))
    with pool.side_by_side(2, ()) as each:
        results = iter(each(pool_work.negative, items))
        assert len([next(results) for _ in range(3)]) == 3
        assert len(taken) <= 3 + pool.under_way(2)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_the_work_and_of_the_items_is_raised(workers):
    with pytest.raises(ValueError, match="not 2"):
        list(mapped(pool_work.picky, range(6), workers))
    assert children() == []

    def items():
        yield 1
        raise KeyError("none left")

    found = mapped(pool_work.negative, items(), workers)
    with pytest.raises(KeyError, match="none left"):
        list(found)
    assert children() == []


def test_where_a_process_dies_the_rest_is_done_here():
    found = dict(mapped(pool_work.DiesElsewhere(), range(8), 2))
    assert found == {number: 10 * number for number in range(8)}


def test_a_process_that_writes_pots_makes_the_same_meshes_and_holds_no_jax(tmp_path):
    pot = np.flip(bowl(14), 2)
    labels = np.where(pot, INFERRED, 0).astype(np.uint8)
    labels[np.flip(sherd(bowl(14)), 2)] = GIVEN
    restored = Completion("a", labels, pot.astype(np.float32), surface.frame(pot.shape))
    writing = functools.partial(faults.write, tmp_path, USUAL, False)
    with pool.side_by_side(2) as each:
        ((_, (written, held)),) = each(pool_work.Watched(writing), [(WORK, restored)])
        ((_, there),) = each(pool_work.surface_of, [pot])
    assert {path.suffix for path in written.paths} == {f".{form}" for form in USUAL}
    assert {"trimesh", "manifold3d", "skimage.measure", "voxgan_jax.report.page"} <= held
    assert not {"jax", "jaxlib", "flax", "voxgan_jax.inference.predict"} & held
    assert isinstance(there, trimesh.Trimesh) and there.is_volume
    np.testing.assert_array_equal(there.vertices, pool_work.surface_of(pot).vertices)


def test_a_second_process_imports_when_the_first_has_done_its_work_or_takes_long(
    tmp_path, monkeypatch
):
    code = f"import os, pathlib; (pathlib.Path({str(tmp_path)!r}) / str(os.getpid())).touch()"
    (tmp_path / "leaves_a_file.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)

    def imported():
        return [path for path in tmp_path.iterdir() if path.name.isdigit()]

    with pool.side_by_side(2, ("leaves_a_file",)) as each:
        limit = time.monotonic() + 60
        while not imported() and time.monotonic() < limit:
            time.sleep(0.02)
        time.sleep(0.3)
        assert len(imported()) == 1
        # The first of these waits for the second, which another process has to do.
        names = [str(tmp_path / name) for name in ("first", "second")]
        results = each(pool_work.waits_for_second, names)
        assert next(results) == (names[1], "at once") and len(imported()) == 2
        (tmp_path / "second").touch()
        assert len(list(results)) == 1


def test_without_shared_memory_the_work_is_done_here(monkeypatch):
    def no_semaphore(*_):
        raise OSError(38, "Function not implemented")

    told = []
    importlib.import_module("multiprocessing.synchronize")  # It reads more of SemLock.
    monkeypatch.setattr("_multiprocessing.SemLock", no_semaphore)
    with pool.side_by_side(2, (), told.append) as each:
        found = list(each(pool_work.process_and_number, range(3)))
    assert found == [(number, (os.getpid(), number)) for number in range(3)]
    (line,) = told
    assert line.startswith("one process does all the work") and "Function not implemented" in line


def test_workers_only_where_they_pay(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    counts = [1, 5, 6, 12, 100]
    assert [pool.sensible_workers(count) for count in counts] == [1, 1, 2, 4, 8]
    assert [pool.sensible_workers(100, most) for most in (0, 3, 99)] == [1, 3, 8]
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    assert pool.sensible_workers(100) == 1


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_what_is_broken_off_clears_up_and_what_does_not_end_is_stopped(tmp_path):
    names = [str(tmp_path / "clears_up"), str(tmp_path / "stays")]

    def items():
        yield from names
        while not all(os.path.exists(name) for name in names):
            time.sleep(0.01)
        raise KeyError("now")

    with pytest.raises(KeyError), pool.side_by_side(2, ()) as each:
        list(each(pool_work.for_a_minute, items()))
    assert children() == []
    found = {path.name for path in tmp_path.iterdir()}
    assert found == {"clears_up", "stays", "clears_up.cleared"}


def test_what_a_killed_process_leaves_is_told_by_nobody(tmp_path):
    """The system's resources that are left are counted by a process that outlives it."""
    code = "from voxgan_jax.restore import pool; import os\n"
    code += "if __name__ == '__main__':\n with pool.side_by_side(2, ()): os.kill(os.getpid(), 9)"
    (tmp_path / "killed.py").write_text(code)
    environment = os.environ | {"PYTHONPATH": str(WORK.parent.parent)}
    command = [sys.executable, tmp_path / "killed.py"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGKILL and done.stderr == ""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_stopped_it_leaves_no_process_and_no_half_file(how, tmp_path):
    """SIGINT to all, as a terminal sends it at Ctrl-C; SIGKILL only to the one that started all."""
    process = subprocess.Popen(
        [sys.executable, WORK, tmp_path],
        cwd=WORK.parent.parent,
        env=os.environ | {"PYTHONPATH": str(WORK.parent.parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    workers = psutil.Process(process.pid).children(recursive=True)
    assert len(workers) >= 2
    if how == signal.SIGINT:
        os.killpg(process.pid, how)
    else:
        process.kill()
    _, errors = process.communicate(timeout=60)
    ending = time.monotonic() + 60
    while any(map(alive, workers)) and time.monotonic() < ending:
        time.sleep(0.05)
    assert not [command(worker) for worker in workers if alive(worker)]
    files = sorted(tmp_path.iterdir())
    whole = [path for path in files if path.suffix != ".tmp"]
    assert 1 <= len(whole) < 20
    assert all(path.read_text().endswith("whole\n") for path in whole)
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert errors == "work: stopped; nothing was written\n"
        assert files == whole
    time.sleep(0.2)
    assert sorted(tmp_path.iterdir()) == files
