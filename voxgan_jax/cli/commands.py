"""How a command ends: what went wrong in one line, and the exit code that says so."""

import contextlib
import os
import signal
import sys
from collections.abc import Callable

from voxgan_jax import console
from voxgan_jax.devices import interruption

_TRAINING = ("importlib_resources", "optax", "orbax", "tensorboard")
_TRAINING += ("tensorflow", "tensorflow_datasets")
EXTRAS = dict.fromkeys(_TRAINING, "train") | {"torch": "torch"}
EXTRAS |= dict.fromkeys(("jsonschema", "starlette", "uvicorn"), "app")
"""Packages that restoring does without, and the extra of voxgan_jax that brings each."""


def exit_code(
    name: str, work: Callable[[], int | None], *, stopped: str = "nothing was written"
) -> int:
    """Do the work of a command; 0, or what the work returns where it is a number.

    Args:
        name: of the command, before each line.
        stopped: what is said where the user stops it; the code is then 130, as shells have it.

    Returns:
        1 for an OSError, a ValueError or an ImportError: bad input, a full disk, a package that is
        not there. Its text goes to stderr. None does where nobody reads the output any more, as
        behind `| head`.
    """
    console.adapt()
    came: list[int] = []
    try:
        with interruption.raising() as came:
            code = work() or 0
            sys.stdout.flush()
        return _stopped(name, stopped) if came else code
    except BaseException as error:
        if came or isinstance(error, KeyboardInterrupt):
            return _stopped(name, stopped)
        if not isinstance(error, (OSError, ValueError, ImportError)):
            raise
        if isinstance(error, BrokenPipeError) and _nobody_reads():
            return 1
        _complain(f"{name}: {reason(error)}")
        return 1


def _stopped(name: str, stopped: str) -> int:
    """Say so; a program ends here, any other process has the code."""
    before = signal.getsignal(signal.SIGINT)
    with contextlib.suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    _complain(f"{name}: stopped; {stopped}")
    interruption.leave_stopped()
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, before)
    return interruption.STOPPED


def _complain(line: str) -> None:
    from voxgan_jax.files import readable

    # Lines of a list are indented.
    print("\n  ".join(map(readable, line.split("\n  "))), file=sys.stderr)


def reason(error: Exception) -> str:
    """What an error says; where a package of an extra is missing, how to install that, too."""
    package = (getattr(error, "name", None) or "").split(".")[0]
    if isinstance(error, ModuleNotFoundError) and package in EXTRAS:
        return f"{error}: pip install 'voxgan_jax[{EXTRAS[package]}]'"
    return str(error)


def _nobody_reads() -> bool:
    """Whether the reader of stdout has gone; what is left in it then goes nowhere."""
    import select

    try:
        file = sys.stdout.fileno()
        watch = select.poll()
        watch.register(file, 0)
        gone = any(event & select.POLLERR for _, event in watch.poll(0))
    except (OSError, ValueError, AttributeError):  # no file, or a system without poll
        return False
    if gone:
        # Else Python complains of it once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), file)
    return gone
