"""What goes on in one of the processes of `pool`, from its start on."""

import contextlib
import importlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from voxgan_jax.devices import accelerator

if TYPE_CHECKING:
    from multiprocessing.synchronize import Lock

_ALONE_S = 3.0
"""So long at most the first work has the cores to itself."""

_first_work: list[Callable[[], None]] = []
"""What is called when the first work is done, or has taken that long."""


def begin(imports: Sequence[str], turn: "Lock") -> None:
    """In a new process: leave Ctrl-C to the one that started it, end with that one, import.

    One takes the first work; the others import when that is done, or takes long: till then the
    cores are wanted by what the first result waits for.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent.sentinel,), daemon=True).start()
    if turn.acquire(block=False):
        _first_work.append(turn.release)
    else:
        with turn:
            pass
    accelerator.before_imports()
    for name in imports:
        importlib.import_module(name)
    # No earlier: nothing is to be cleared away yet, and an import is not to be broken off.
    signal.signal(signal.SIGTERM, _break_off)


def _break_off(*_: object) -> None:
    """Leave what is being done, clearing it away; once only, and without a word."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.unraisablehook = lambda _: None
    raise SystemExit(1)


def stoppable(function: Callable[[Any], Any], item: Any) -> Any:
    """What a function makes of an item; a process that was told to leave does so, as the pool
    would only take that for the result."""
    if _first_work:
        later = threading.Timer(_ALONE_S, _let_others_in)
        later.daemon = True
        later.start()
    try:
        return function(item)
    except SystemExit:
        os._exit(1)
    finally:
        _let_others_in()


def _let_others_in() -> None:
    with contextlib.suppress(IndexError):
        _first_work.pop()()


def _follow(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)
