"""Work for the processes of test_pool.py; run as a script, many pieces of slow work."""

import os
import pathlib
import signal
import sys
import time
from collections.abc import Callable
from typing import Any


def negative(number: int) -> int:
    return -number


def process_and_number(number: int) -> tuple[int, int]:
    time.sleep(0.02)
    return os.getpid(), number


def surface_of(pot: Any) -> Any:
    import numpy as np

    from voxgan_jax.geometry import surface

    return surface.surface(surface.smooth(pot), pot, np.eye(4))


class Watched:
    """Does some work and says which modules its process then holds."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        self.work = work

    def __call__(self, item: object) -> tuple[Any, set[str]]:
        return self.work(item), set(sys.modules)


def waits_for_second(name: str) -> str:
    if name.endswith("second"):
        return "at once"
    while not pathlib.Path(name).with_name("second").exists():
        time.sleep(0.01)
    return "waited"


def picky(number: int) -> int:
    if number == 2:
        raise ValueError("not 2")
    return number


class DiesElsewhere:
    """Ends the process at the number 3, unless that is the one where this was made."""

    def __init__(self) -> None:
        self.home = os.getpid()

    def __call__(self, number: int) -> int:
        if number == 3 and os.getpid() != self.home:
            os._exit(9)
        return 10 * number


def slow_file(target: str) -> str:
    """A file written in two goes under a temporary name, then renamed."""
    temporary = pathlib.Path(f"{target}.tmp")
    try:
        temporary.write_text(f"{os.getpid()}\n")
        time.sleep(0.5)
        temporary.write_text(f"{os.getpid()}\nwhole\n")
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    return target


def for_a_minute(target: str) -> None:
    """Work that is not done before it is broken off; "stays" does not hear of that."""
    if target.endswith("stays"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pathlib.Path(target).touch()
    try:
        time.sleep(60)
        pathlib.Path(f"{target}.whole").touch()
    finally:
        pathlib.Path(f"{target}.cleared").touch()


def main(folder: str) -> int:
    from voxgan_jax.cli import commands
    from voxgan_jax.restore import pool

    def work() -> None:
        names = [f"{folder}/{number:03d}" for number in range(200)]
        with pool.side_by_side(2, ()) as each:
            for name, _ in each(slow_file, names):
                print(name, flush=True)

    return commands.exit_code("work", work)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
