"""Ctrl-C at times spread over a command's first seconds: how it ends, what it says, what it leaves.

The signal goes to all processes of the command, as a terminal sends it.
"""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import psutil

from voxgan_jax import ledger

STOPPED = 130
_LIMIT_S = 60.0
_GONE_S = 3.0


class Ending(NamedTuple):
    """How a command ended that was interrupted `after_s` seconds from its start.

    `code` is that of `subprocess`: negative where a signal ended it. `said` are its lines on the
    error output, `took_s` the seconds from the signal to the end, `left` the processes and
    temporary files that were still there afterwards. `early` is whether it had ended by itself
    before the signal, which then says nothing.
    """

    after_s: float
    code: int
    said: tuple[str, ...]
    took_s: float
    left: tuple[str, ...]
    early: bool = False

    @property
    def good(self) -> bool:
        """Whether it ended as it is promised: 130, one line, and nothing left."""
        return self.early or (self.code == STOPPED and len(self.said) == 1 and not self.left)


def python_start() -> float:
    """Seconds until Python itself has surely started: till then no program can answer a signal."""
    taken = []
    for _ in range(3):
        start = time.monotonic()
        subprocess.run([sys.executable, "-c", "import voxgan_jax.devices.interruption"], check=True)
        taken.append(time.monotonic() - start)
    return 2 * max(taken)


def spread(count: int, seconds: float, start: float = 0.0) -> list[float]:
    """So many times, evenly over the first seconds from `start` on."""
    return [start + (seconds - start) * (number + 0.5) / count for number in range(count)]


def interrupt(
    command: Sequence[str], after_s: float, out: pathlib.Path, env: Mapping[str, str] | None = None
) -> Ending:
    """Start a command, interrupt it, and see how it ends.

    Args:
        out: where the command writes; hidden files there are counted as left, but for the list of
            the results that it wrote before.
        env: of the command; None: that of this process.
    """
    with tempfile.TemporaryDirectory() as scratch:
        said = pathlib.Path(scratch) / "stderr"
        temporary = pathlib.Path(scratch) / "tmp"
        temporary.mkdir()
        known = dict(os.environ if env is None else env) | {"TMPDIR": str(temporary)}
        with said.open("wb") as file:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=file,
                env=known,
                start_new_session=True,
            )
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=after_s)
        early = process.returncode is not None
        start = time.monotonic()
        if not early:
            os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(timeout=_LIMIT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        took = time.monotonic() - start
        left = [f"process {name}" for name in _alive(process.pid)]
        left += [str(path.relative_to(temporary)) for path in temporary.iterdir()]
        listed = {path for path in out.rglob(ledger.LIST) if any(path.parent.glob("[!.]*"))}
        left += [path.name for path in out.rglob(".*") if path not in listed]
        lines = said.read_text(encoding="utf-8", errors="replace").splitlines()
        return Ending(after_s, process.returncode, tuple(lines), took, tuple(left), early)


def _alive(group: int) -> list[str]:
    """The command lines of a session's processes that have not ended after a while."""
    limit = time.monotonic() + _GONE_S
    while (found := _of_session(group)) and time.monotonic() < limit:
        time.sleep(0.05)
    return found


def _of_session(group: int) -> list[str]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.status() != psutil.STATUS_ZOMBIE and os.getsid(process.pid) == group:
                found.append(" ".join(process.cmdline())[:80])
    return found


def measure(
    command: Sequence[str], out: pathlib.Path, count: int = 36, seconds: float = 5.0
) -> list[Ending]:
    """Interrupt a command at so many times; its results of before are taken away each time."""
    endings = []
    for number, after in enumerate(spread(count, seconds, python_start())):
        where = out / str(number)
        endings.append(interrupt([*command, "--out", str(where)], after, where))
    return endings
