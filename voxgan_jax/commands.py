"""How a command ends: what went wrong in one line, and the exit code that says so."""

import sys
from collections.abc import Callable


def exit_code(
    name: str, work: Callable[[], int | None], *, stopped: str = "nothing was written"
) -> int:
    """Do the work of a command; 0, or what the work returns where it is a number.

    Args:
        name: of the command, before each line.
        stopped: what is said where the user stops it; the code is then 130, as shells have it.

    Returns:
        1 for an OSError, a ValueError or an ImportError: bad input, a full disk, a package that is
        not there. Its text goes to stderr.
    """
    try:
        return work() or 0
    except KeyboardInterrupt:
        print(f"{name}: stopped; {stopped}", file=sys.stderr)
        return 130
    except (OSError, ValueError, ImportError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
