"""Work on many pots side by side, in processes of their own, the results in order.

Meshes take most of the time that a pot takes, on one core. Processes are started afresh, not
forked: JAX has threads, which a fork does not survive. They end with the one that started them,
however that ends, and none leaves a file half written where files are renamed into place.
"""

import concurrent.futures
import contextlib
import importlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool, ProcessPoolExecutor
from typing import Any, TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")

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


def sensible_workers(count: int) -> int:
    """How many processes pay for so many pots: 1, which is none, where few are to be made.

    A process takes a second or two to start.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return 1 if count < _WORTH_IT else max(1, min(cores or 1, count // 3, _MOST))


def map_in_order(
    function: Callable[[Item], Made],
    items: Iterable[Item],
    workers: int,
    imports: Sequence[str] = IMPORTS,
) -> Iterator[Made]:
    """`map(function, items)` by so many processes; for several such calls see `side_by_side`.

    Raises:
        What the function raises, at the place of its item.
    """
    with side_by_side(workers, imports) as each:
        yield from each(function, items)


@contextlib.contextmanager
def side_by_side(workers: int, imports: Sequence[str] = IMPORTS) -> Iterator[Each]:
    """A `map` whose work is done by so many processes, in this one where that is 1 or fewer.

    The processes start at once. At the end, and where anything is raised, Ctrl-C included, what has
    not been begun is dropped, what has is finished, and the processes are gone when this returns.

    Args:
        workers: see `sensible_workers`.
        imports: modules that each process imports right away.

    Functions, items and results have to be such as can be pickled. Where a process dies, for want
    of memory say, the rest of the work is done in this one.
    """
    if workers <= 1:
        yield map
        return
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(workers, context, initializer=_begin)
    try:
        with _without_interrupt():
            # A process is started for each task that finds none idle.
            for _ in range(workers):
                executor.submit(_import, tuple(imports))
        yield lambda function, items: _each(executor, function, items, 2 * workers)
    finally:
        _end(executor)


def _each(
    executor: ProcessPoolExecutor,
    function: Callable[[Any], Any],
    items: Iterable[Any],
    ahead: int,
) -> Iterator[Any]:
    """Results in order; no more than `ahead` items are under way, so a long row needs no memory."""
    waiting: deque[tuple[Any, concurrent.futures.Future[Any] | None]] = deque()
    for item in items:
        waiting.append((item, _submit(executor, function, item)))
        if len(waiting) > ahead:
            yield _result(function, *waiting.popleft())
    while waiting:
        yield _result(function, *waiting.popleft())


def _submit(
    executor: ProcessPoolExecutor, function: Callable[[Any], Any], item: Any
) -> "concurrent.futures.Future[Any] | None":
    try:
        return executor.submit(function, item)
    except BrokenProcessPool:
        return None


def _result(
    function: Callable[[Any], Any], item: Any, future: "concurrent.futures.Future[Any] | None"
) -> Any:
    try:
        if future is not None:
            return future.result()
    except BrokenProcessPool:
        pass
    return function(item)


def _end(executor: ProcessPoolExecutor) -> None:
    """Wait for what is under way; where the user will not wait, stop it."""
    processes = list((executor._processes or {}).values())
    try:
        executor.shutdown(wait=True, cancel_futures=True)
    except KeyboardInterrupt:
        for process in processes:
            process.kill()
        raise


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


def _begin() -> None:
    """In a new process: leave Ctrl-C to the one that started it, and end with that one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent.sentinel,), daemon=True).start()


def _follow(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)


def _import(names: Sequence[str]) -> None:
    for name in names:
        importlib.import_module(name)
