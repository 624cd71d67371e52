"""What goes on in one of the processes of `pool`, from its start on."""

import importlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiprocessing.synchronize import Lock

_first_work: list[Callable[[], None]] = []
"""What is called when the first work begins."""


def begin(imports: Sequence[str], turn: "Lock") -> None:
    """In a new process: leave Ctrl-C to the one that started it, end with that one, import.

    One takes the first work; the next imports when that has begun, and not while the model is
    compiled, for which all cores are wanted.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent.sentinel,), daemon=True).start()
    turn.acquire()
    _first_work.append(turn.release)
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
    while _first_work:
        _first_work.pop()()
    try:
        return function(item)
    except SystemExit:
        os._exit(1)


def _follow(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)
