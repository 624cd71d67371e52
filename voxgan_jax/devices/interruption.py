"""Leaving in good order when the system or the user says so: SIGTERM and SIGINT.

A program calls `start` first and `leave` last, and does its work within `raising`. It is imported
before all else, so it imports next to nothing.
"""

import _thread
import atexit
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from types import FrameType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

STOPPED = 130
"""The exit code after SIGINT, as shells have it."""

_code: list[int] = []
"""The exit code of a program that has begun by `start`, once it is known."""

_program: list[str] = []
"""The name of the program that has begun by `start`: this process is its own."""

_unwound = _held = False

Stop = Callable[[int], bool]
"""Whether to stop after this step. Asked once a step; in several processes all must answer alike,
so there it is a function that agrees with the others before it answers."""


class InterruptedRunError(Exception):
    """A run was told to stop; what it had done is saved."""

    def __init__(self, step: int):
        done = f"after step {step}, which is saved" if step else "before its first step"
        super().__init__(f"stopped {done}")
        self.step = step


@contextlib.contextmanager
def on_signals() -> Iterator[Stop]:
    """A `Stop` that says yes once SIGTERM or SIGINT has come; the next one kills at once.

    For the main thread only. Handlers are put back at the end.
    """
    received: list[int] = []

    def handle(number: int, _: FrameType | None) -> None:
        if received:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        received.append(number)
        # Not print or logging: they may be at work at this very moment.
        name = signal.Signals(number).name
        os.write(2, f"{name}: stopping after this step; a second signal ends it now.\n".encode())

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda step: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def start(name: str) -> None:
    """From now on SIGINT ends this process with 130 and one line: at once, or out of `raising`.

    For programs, as the first thing that they do: what raises KeyboardInterrupt while an extension
    is loaded, or while Python clears up under the threads of XLA, crashes. Where SIGINT is ignored,
    as behind nohup, it stays so.
    """
    if _program:
        return
    _program.append(name)
    atexit.register(_end)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda *_: _stop_at_once())


def _stop_at_once() -> None:
    os.write(2, f"{_program[0]}: stopped\n".encode("ascii", "backslashreplace"))
    os._exit(STOPPED)


def leave(code: int) -> "NoReturn":
    """End a program that began by `start`, after what is registered for that; any other as `exit`.

    Python does not clear up after itself then: XLA's threads may still be running.
    """
    _code[:] = [code]
    sys.exit(code)


def _end() -> None:
    """Registered first and so called last."""
    if _code:
        _flush()
        os._exit(_code[0])


def leave_stopped() -> None:
    """End a program that began by `start` at once, with 130, and the processes that it started."""
    if not _program:
        return
    import threading

    threading.excepthook = lambda *_: None  # Threads lose what they work with, right now.
    processes = sys.modules.get("multiprocessing")
    for child in processes.active_children() if processes else ():
        child.kill()
    if processes and (util := sys.modules.get("multiprocessing.util")):
        util._run_finalizers()  # Else the leftovers are told of on the console.
    _flush()
    os._exit(STOPPED)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()


@contextlib.contextmanager
def raising() -> Iterator[list[int]]:
    """SIGINT raises KeyboardInterrupt in here, but not amid an import nor where it would be lost.

    Amid an import a program is left at once; after `unwind` it is raised when that has ended.

    Yields:
        The numbers of the signals that have come; so one is known of where a library made another
        error of it.
    """
    came: list[int] = []
    main = _thread.get_ident()

    def handle(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if _held or _imports(frame):
            if _program and not _unwound:
                _stop_at_once()
            _thread.start_new_thread(_interrupt_later, (main,))
            return
        raise KeyboardInterrupt

    def lost(unraisable: "sys.UnraisableHookArgs") -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            _thread.start_new_thread(_interrupt_later, (main,))
        else:
            hook(unraisable)

    before = signal.getsignal(signal.SIGINT)
    try:
        if before is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, handle)
    except ValueError:  # Not the main thread, to which alone signals come.
        yield came
        return
    hook, sys.unraisablehook = sys.unraisablehook, lost
    try:
        yield came
    finally:
        sys.unraisablehook = hook
        signal.signal(signal.SIGINT, before)


def _imports(frame: FrameType | None) -> bool:
    """Whether an import is under way: an extension that is stopped amid its beginning crashes."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _interrupt_later(main: int) -> None:
    time.sleep(0.02)
    if hasattr(signal, "pthread_kill"):  # It wakes the main thread, too, where that waits.
        signal.pthread_kill(main, signal.SIGINT)
    else:
        _thread.interrupt_main()


@contextlib.contextmanager
def held() -> Iterator[None]:
    """SIGINT waits, within `raising`, until this is over."""
    global _held
    _held, before = True, _held
    try:
        yield
    finally:
        _held = before


def unwind() -> None:
    """From now on there is something to clear away, so no program is left amid its work."""
    global _unwound
    _unwound = True
