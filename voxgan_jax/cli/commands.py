"""How a command ends: what went wrong in one line, and the exit code that says so."""

import os
import select
import sys
from collections.abc import Callable

_TRAINING = ("importlib_resources", "optax", "orbax", "tensorboard", "tensorboardX")
_TRAINING += ("tensorflow", "tensorflow_datasets")
EXTRAS = dict.fromkeys(_TRAINING, "train") | {"torch": "torch"}
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
    try:
        code = work() or 0
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print(f"{name}: stopped; {stopped}", file=sys.stderr)
        return 130
    except (OSError, ValueError, ImportError) as error:
        if isinstance(error, BrokenPipeError) and _nobody_reads():
            return 1
        print(f"{name}: {reason(error)}", file=sys.stderr)
        return 1


def reason(error: Exception) -> str:
    """What an error says; where a package of an extra is missing, how to install that, too."""
    package = (getattr(error, "name", None) or "").split(".")[0]
    if isinstance(error, ModuleNotFoundError) and package in EXTRAS:
        return f"{error}: pip install 'voxgan_jax[{EXTRAS[package]}]'"
    return str(error)


def _nobody_reads() -> bool:
    """Whether the reader of stdout has gone; what is left in it then goes nowhere."""
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
