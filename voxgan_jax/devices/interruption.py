"""Leaving in good order when the system or the user says so: SIGTERM and SIGINT."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

Stop = Callable[[int], bool]
"""Whether to stop after this step. Asked once a step; in several processes all must answer alike,
so there it is a function that agrees with the others before it answers."""


class InterruptedRunError(Exception):
    """A run was told to stop; what it had done is saved."""

    def __init__(self, step: int):
        done = f"after step {step}, which is saved" if step else "before its first step"
        super().__init__(f"stopped {done}")
        self.step = step


def never(step: int) -> bool:
    """A `Stop` that never says so."""
    del step
    return False


@contextlib.contextmanager
def on_signals(
    signals: tuple[signal.Signals, ...] = (signal.SIGTERM, signal.SIGINT),
) -> Iterator[Stop]:
    """A `Stop` that says yes once one of these signals has come; the next one kills at once.

    For the main thread only. Handlers are put back at the end.
    """
    received: list[int] = []

    def handle(number: int, frame: Any) -> None:
        del frame
        if received:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        received.append(number)
        # Not print or logging: they may be at work at this very moment.
        name = signal.Signals(number).name
        os.write(2, f"{name}: stopping after this step; a second signal ends it now.\n".encode())

    before = {number: signal.signal(number, handle) for number in signals}
    try:
        yield lambda step: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
