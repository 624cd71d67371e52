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
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool, ProcessPoolExecutor
from typing import Any

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
    at a second Ctrl-C they are stopped.

    Args:
        workers: see `sensible_workers`.
        imports: modules that each process imports right away.
        tell: is told, in a line, where the system lets no processes work together (it lacks
            /dev/shm, say); the work is then done in this one.

    Functions, items and results have to be such as can be pickled. Where a process dies, for want
    of memory say, the rest of the work is done in this one.
    """
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
    processes = list((executor._processes or {}).values())
    try:
        yield functools.partial(_each, executor, 2 * workers)
    finally:
        try:
            executor.shutdown(cancel_futures=True)
        except KeyboardInterrupt:
            for process in processes:
                process.kill()
            raise


def _started(workers: int, imports: Sequence[str]) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    with _without_interrupt():
        executor = ProcessPoolExecutor(workers, context, _begin, (tuple(imports),))
        try:
            # A process is started for each task that finds none idle.
            for _ in range(workers):
                executor.submit(os.getpid)
        except OSError:
            executor.shutdown(cancel_futures=True)
            raise
    return executor


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
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
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
