"""Work on many pots side by side, in processes of their own, the results in order.

Meshes take most of the time that a pot takes, on one core. Processes are started afresh, not
forked: JAX has threads, which a fork does not survive. They end with the one that started them,
however that ends, and none leaves a file half written where files are renamed into place.
"""

import contextlib
import functools
import importlib
import itertools
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool, ProcessPoolExecutor
from multiprocessing import resource_tracker
from multiprocessing.process import BaseProcess
from typing import Any

from voxgan_jax.devices import interruption

Each = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
"""`map`, or one that works side by side and keeps the order."""

IMPORTS = (
    "voxgan_jax.restore.pot",
    "manifold3d",
    "pyvox.writer",
    "skimage.measure",
    "trimesh",
)
"""What writing a pot imports, JAX not among it; a process imports it while the model compiles."""

_LONGEST_S = 30.0
"""How long is waited at the end for pots that are being written."""

_WORTH_IT = 6
_MOST = 8


def sensible_workers(count: int, most: int = _MOST) -> int:
    """How many processes pay for so many pots: 1, which is none, where few are to be made.

    A process takes a second or two to start. No more than `most` have room.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return 1 if count < _WORTH_IT else max(1, min(cores or 1, count // 3, most, _MOST))


@contextlib.contextmanager
def side_by_side(
    workers: int,
    imports: Sequence[str] = IMPORTS,
    tell: Callable[[str], None] | None = None,
) -> Iterator[Each]:
    """A `map` whose work is done by so many processes, in this one where that is 1 or fewer.

    The processes start at once. At the end, and where anything is raised, Ctrl-C included, what has
    not been begun is dropped, what has is finished, and the processes are gone when this returns;
    at a second Ctrl-C, and after half a minute, they are stopped.

    Args:
        workers: see `sensible_workers`.
        imports: modules that each process imports right away.
        tell: is told, in a line, where the system lets no processes work together (it lacks
            /dev/shm, say); the work is then done in this one.

    Functions, items and results have to be such as can be pickled. Where a process dies, for want
    of memory say, the rest of the work is done in this one.
    """
    interruption.unwind()
    if workers <= 1:
        yield map
        return
    try:
        executor = _started(workers, imports)
    except (OSError, ImportError, NotImplementedError) as error:
        if tell:
            tell(f"one process does all the work, as others cannot be had here ({error})")
        yield map
        return
    try:
        yield functools.partial(_each, executor, 2 * workers)
    finally:
        _end(executor)


def _end(executor: ProcessPoolExecutor) -> None:
    """Drop what has not begun; when this returns the processes are gone."""
    processes = list((executor._processes or {}).values())
    try:
        # It would wait for ever where Ctrl-C came amid its own work.
        executor.shutdown(wait=False, cancel_futures=True)
        _wait(processes)
    finally:
        for process in processes:
            process.kill()


def _wait(processes: Iterable[BaseProcess]) -> None:
    """Until all have ended, but no longer than what is begun can take."""
    left, end = {process.sentinel for process in processes}, time.monotonic() + _LONGEST_S
    while left and (rest := end - time.monotonic()) > 0:
        left -= set(multiprocessing.connection.wait(left, rest))


def _started(workers: int, imports: Sequence[str]) -> ProcessPoolExecutor:
    context, executor = multiprocessing.get_context("spawn"), None
    try:
        with _without_interrupt():
            executor = ProcessPoolExecutor(workers, context, _begin, (tuple(imports),))
            # A process is started for each task that finds none idle.
            for _ in range(workers):
                executor.submit(os.getpid)
        return executor
    except BaseException:
        if executor is not None:
            _end(executor)
        raise


def _each(
    executor: ProcessPoolExecutor, ahead: int, function: Callable[[Any], Any], items: Iterable[Any]
) -> Iterator[Any]:
    """Results in order; no more than `ahead` items are under way, so a long row needs no memory."""
    results = (_begun(executor, functools.partial(function, item)) for item in items)
    waiting = deque(itertools.islice(results, ahead))
    while waiting:
        yield waiting.popleft()()
        waiting.extend(itertools.islice(results, 1))


def _begun(executor: ProcessPoolExecutor, work: Callable[[], Any]) -> Callable[[], Any]:
    """Begin work elsewhere. Returns what waits for its result, or does it where that was lost."""
    try:
        result = executor.submit(work).result
    except BrokenProcessPool:
        return work

    def wait() -> Any:
        try:
            return result()
        except BrokenProcessPool:
            return work()

    return wait


@contextlib.contextmanager
def _without_interrupt() -> Iterator[None]:
    """Processes started in here never see Ctrl-C; this one sees it when that is over."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        with interruption.held():
            yield
        return
    # Its start lets the signal through again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        # Another thread may be given it, and then it would be raised here all the same.
        with interruption.held():
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(imports: Sequence[str]) -> None:
    """In a new process: leave Ctrl-C to the one that started it, end with that one, import."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent.sentinel,), daemon=True).start()
    for name in imports:
        importlib.import_module(name)


def _follow(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)
