"""A process of its own in which files are read, with a limit of memory and of time.

A file that takes too much costs itself, not the batch. Not by `multiprocessing`: its processes
import the caller's main module, so a script of five lines without a guard would run twice. This one
is started once, imports what reading needs while the caller does other things, serves one call
after another, and ends with the process that started it, however that ends.
"""

import atexit
import contextlib
import os
import pathlib
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

from voxgan_jax.devices import accelerator
from voxgan_jax.files import read_gib, read_seconds

_CODE = "import sys; sys.path[:] = {!r}; from voxgan_jax.scan import worker; worker.serve()"
VOXELS = frozenset((".vox", ".binvox", ".npy", ".npz"))
"""The endings of `formats.FORMATS` that mean no mesh; they are read without this process."""

_START_SECONDS = 120.0
_lock = threading.RLock()
_process: "subprocess.Popen[bytes] | None" = None
_ready = False


class Lost(Exception):
    """A call whose process died or was stopped; `late`: because its time was over."""

    def __init__(self, late: bool):
        super().__init__(late)
        self.late = late


def may_be_needed(names: Iterable[str | pathlib.Path]) -> bool:
    """Whether any of these files, folders and globs may mean a mesh; imports no format to tell."""
    return any(pathlib.Path(name).suffix.lower() not in VOXELS for name in names)


def start() -> None:
    """Start the process, without waiting for it; nothing happens where it runs or none can run."""
    global _process
    with _lock:
        if _process is not None and _process.poll() is not None:
            stop()
        if _process is not None or not sys.executable or getattr(sys, "frozen", False):
            return
        with contextlib.suppress(OSError):
            _process = subprocess.Popen(
                [sys.executable, "-c", _CODE.format(sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **accelerator.ONE_THREAD},
                # Ctrl-C at the terminal is for the one who started it.
                process_group=0,
            )


def stop() -> None:
    """End the process, at whatever it is; the next call starts another."""
    global _process, _ready
    with _lock:
        process, _process, _ready = _process, None, False
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe:
                    with contextlib.suppress(OSError):
                        pipe.close()


def call(function: Callable[..., Any], *args: Any) -> Any:
    """What a function of a module of this package gives, called in the process.

    Where no process can be started, it is called here, without limits.

    Raises:
        Lost: the process died of it, or was stopped after `files.read_seconds`.
    """
    global _ready
    with _lock:
        start()
        if not _ready:
            try:
                _answer(_START_SECONDS)
                _ready = True
            except Lost:
                return function(*args)
        answer, spent = _answer(read_seconds(), (function, *args))
        if spent:
            stop()
    if isinstance(answer, BaseException):
        raise answer
    return answer


def _answer(limit: float, question: Any = None) -> Any:
    """What the process says next, after a question if there is one."""
    process = _process
    if process is None:
        raise Lost(late=False)
    assert process.stdin and process.stdout
    late = threading.Event()
    timer = threading.Timer(limit, lambda: (late.set(), process.kill()))
    timer.daemon = True
    timer.start()
    try:
        if question:
            pickle.dump(question, process.stdin)
            process.stdin.flush()
        answer = pickle.load(process.stdout)
        if late.is_set():
            stop()
        return answer
    except (EOFError, OSError, pickle.UnpicklingError) as error:
        stop()
        raise Lost(late.is_set()) from error
    except BaseException:
        # Its answer to come would be taken for that to the next question.
        stop()
        raise
    finally:
        timer.cancel()


def serve() -> None:
    """Be the process: answer the calls that come by stdin, on stdout, until there are none."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for whatever prints
    calls: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(calls,), daemon=True).start()
    accelerator.before_imports()
    # What takes long.
    from voxgan_jax.scan import glb, mesh_files, text_meshes, threemf  # noqa: F401

    _limit_memory()
    spent, answer = False, None
    while not spent:
        pickle.dump((answer, spent), answers, protocol=5)
        answers.flush()
        function, *args = calls.get()
        try:
            answer = function(*args)
        except Exception as error:
            answer = error
            # What did not fit may have left its pieces.
            spent = isinstance(error, MemoryError) or isinstance(error.__cause__, MemoryError)
    pickle.dump((answer, spent), answers, protocol=5)
    answers.flush()


def _listen(calls: "queue.SimpleQueue[Any]") -> None:
    """Hand calls on, so that the end of them is seen in the midst of one, too."""
    while True:
        try:
            calls.put(pickle.load(sys.stdin.buffer))
        except BaseException:
            os._exit(0)


def _limit_memory() -> None:
    """Allow so much memory beside what is taken now: libraries reserve far more than they use."""
    try:
        import resource

        with open("/proc/self/statm", encoding="ascii") as file:
            taken = int(file.read().split()[0]) * resource.getpagesize()
        most = taken + int(read_gib() * 2**30)
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        if hard == resource.RLIM_INFINITY or most < hard:
            resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    except (ImportError, OSError, ValueError):
        return  # Windows and macOS have no such limit; that of time holds there too


def _forget() -> None:
    """In a fork the process is the parent's."""
    global _lock, _process, _ready
    if _process is not None:
        _process.returncode = 0
    _lock, _process, _ready = threading.RLock(), None, False


atexit.register(stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
