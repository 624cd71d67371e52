"""Work on many pots side by side, in processes of their own, each result when it is ready.

What is to be worked on is made meanwhile, in a thread: so the caller only waits, and Ctrl-C finds
it at once. Meshes take most of the time that a pot takes, on one core. Processes are started
afresh, not forked: JAX has threads, which a fork does not survive. They end with the one that
started them, however that ends, and none leaves a file half written where files are renamed into
place.
"""

import contextlib
import functools
import math
import multiprocessing
import multiprocessing.connection
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool, ProcessPoolExecutor
from multiprocessing import resource_tracker
from multiprocessing.process import BaseProcess
from typing import Any

from voxgan_jax.devices import interruption
from voxgan_jax.restore import pool_process

Each = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[tuple[Any, Any]]]
"""`here`, or one that works side by side: items and what a function makes of each, when ready."""

IMPORTS = ("voxgan_jax.restore.pot", "manifold3d", "pyvox.writer", "skimage.measure", "trimesh")
"""What writing a pot imports, JAX not among it; a process imports it while the model compiles."""

_GRACE_S = 2.0
"""How long is waited at the end for processes to leave, and once more when they were told to."""

_NO_LEFTOVERS = "ignore:resource_tracker:UserWarning"

_WORTH_IT = 6
_MOST = 8


def sensible_workers(count: int, most: int = _MOST) -> int:
    """How many processes pay for so many pots: 1, which is none, where few are to be made.

    A process takes a second or two to start. No more than `most` have room.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return 1 if count < _WORTH_IT else max(1, min(cores or 1, count // 3, most, _MOST))


def under_way(workers: int) -> int:
    """How many items at most are begun whose results have not come."""
    return 2 * workers if workers > 1 else 1


def here(function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Items and their results, one after another, without a process or a thread."""
    return ((item, function(item)) for item in items)


@contextlib.contextmanager
def side_by_side(
    workers: int, imports: Sequence[str] = IMPORTS, tell: Callable[[str], None] | None = None
) -> Iterator[Each]:
    """An `Each` whose work is done by so many processes, in this one where that is 1 or fewer.

    The processes start at once. When this returns they are gone: where anything is raised, Ctrl-C
    included, what they do is broken off, and they leave nothing half done.

    Args:
        workers: see `sensible_workers`.
        imports: modules that each process imports right away.
        tell: is told, in a line, where the system lets no processes work together (it lacks
            /dev/shm, say); the work is then done in this one.

    Functions, items and results have to be such as can be pickled. Where a process dies, for want
    of memory say, the rest of the work is done in this one. Items are taken in a thread.
    """
    interruption.unwind()
    executor = None
    if workers > 1:
        try:
            executor = _started(workers, imports)
        except (OSError, ImportError, NotImplementedError) as error:
            if tell:
                tell(f"one process does all the work, as others cannot be had here ({error})")
    if executor is None:
        yield functools.partial(_each, _at_once, 1)
        return
    try:
        yield functools.partial(
            _each, functools.partial(executor.submit, pool_process.stoppable), under_way(workers)
        )
    except BaseException:
        _end(executor, 0.0)
        raise
    _end(executor, _GRACE_S)


def _end(executor: ProcessPoolExecutor, grace: float) -> None:
    """Drop what has not begun, and after a grace in seconds what has; then the processes are
    gone."""
    processes = list((executor._processes or {}).values())
    try:
        # It would wait for ever where Ctrl-C came amid its own work.
        executor.shutdown(wait=False, cancel_futures=True)
        _wait(processes, grace)
        for process in processes:
            process.terminate()
        _wait(processes, _GRACE_S)
    finally:
        for process in processes:
            process.kill()
        # A kill is carried out a moment after it was asked for.
        _wait(processes, _GRACE_S)


def _wait(processes: Iterable[BaseProcess], seconds: float) -> None:
    """Until all have ended, but no longer."""
    left, end = {process.sentinel for process in processes}, time.monotonic() + seconds
    while left and (rest := end - time.monotonic()) > 0:
        left -= set(multiprocessing.connection.wait(left, rest))


def _started(workers: int, imports: Sequence[str]) -> ProcessPoolExecutor:
    context, executor = multiprocessing.get_context("spawn"), None
    try:
        with _without_interrupt():
            given = tuple(imports), context.Lock()
            executor = ProcessPoolExecutor(workers, context, pool_process.begin, given)
            # A process is started for each task that finds none idle.
            for _ in range(workers):
                executor.submit(os.getpid)
        return executor
    except BaseException:
        if executor is not None:
            _end(executor, 0.0)
        raise


def in_threads(count: int) -> Each:
    """An `Each` whose work is done by so many threads; the program's end waits for none of them."""
    return functools.partial(_each, _in_thread, count)


def _in_thread(function: Callable[[Any], Any], item: Any) -> "Future[Any]":
    made: Future[Any] = Future()

    def work() -> None:
        try:
            made.set_result(function(item))
        except BaseException as error:
            made.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return made


_Begin = Callable[[Callable[[Any], Any], Any], "Future[Any]"]


def _at_once(function: Callable[[Any], Any], item: Any) -> "Future[Any]":
    made: Future[Any] = Future()
    try:
        made.set_result(function(item))
    except Exception as error:  # Ctrl-C ends the batch, and not only this file.
        made.set_exception(error)
    return made


def _each(
    begin: _Begin, ahead: int, function: Callable[[Any], Any], items: Iterable[Any]
) -> Iterator[tuple[Any, Any]]:
    """Items with their results, as these come; no more than `ahead` are under way, so a long row
    needs no memory. The items are taken, and what begins their work is called, in a thread."""
    ready: queue.SimpleQueue[tuple[Any, Future[Any]]] = queue.SimpleQueue()
    room, ended, count = threading.Semaphore(ahead), threading.Event(), [math.inf]
    items, last = iter(items), Future[Any]()

    def begun(item: Any) -> None:
        """Begin work; the item and what becomes of it are ready when that is known."""
        try:
            made = begin(function, item)
        except BrokenProcessPool as error:
            made = Future[Any]()
            made.set_exception(error)
        made.add_done_callback(lambda made: ready.put((item, made)))

    def feed() -> None:
        number = 0
        try:
            while room.acquire() and not ended.is_set():
                item = next(items, last)
                if item is last:
                    break
                number += 1
                begun(item)
            last.set_result(None)
        except BaseException as error:
            last.set_exception(error)
        count[:] = [number]
        ready.put((last, last))

    threading.Thread(target=feed, daemon=True).start()
    done = 0
    try:
        while done < count[0]:
            item, future = ready.get()
            if item is last:
                future.result()
                continue
            done += 1
            try:
                result = future.result()
            except BrokenProcessPool:
                result = function(item)
            yield item, result
            room.release()
    finally:
        ended.set()
        room.release()


@contextlib.contextmanager
def _without_interrupt() -> Iterator[None]:
    """Processes started in here never see Ctrl-C; this one sees it when that is over."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        with interruption.held():
            yield
        return
    # Its start lets the signal through again. It would tell of what a killed process left on the
    # console, and takes the options of warnings from here.
    sys.warnoptions.append(_NO_LEFTOVERS)
    try:
        resource_tracker.ensure_running()
    finally:
        sys.warnoptions.remove(_NO_LEFTOVERS)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        # Another thread may be given it, and then it would be raised here all the same.
        with interruption.held():
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
