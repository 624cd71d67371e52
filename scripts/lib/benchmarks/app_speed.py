"""How long one waits in `voxgan app`: for the pot of a dropped scan, and for another after a click.

The program is the real one, with its worker; what a browser would ask is asked over HTTP, up to
the last byte that the page needs to show the pot.
"""

import contextlib
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any
from urllib import request

from scripts.lib.benchmarks import scanned, timing

COLUMNS = ("name", "unit", "median", "min", "max", "runs")

State = dict[str, Any]


def measure(data_dir: str | None, *, count: int = 6) -> list[timing.Row]:
    """Rows in seconds: to the sherd in 3D, to its pot, and to other pots after one click each; of
    pots first until they are seen, then until their files are there, too.

    Args:
        data_dir: see `scanned.write`.
        count: scans, after a first one that is not counted.

    Raises:
        ValueError: too few pots.
    """
    spent: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as place:
        scans = scanned.write(data_dir, pathlib.Path(place), count + 1)
        with workbench(pathlib.Path(place) / "project") as bench:
            for number, path in enumerate(scans):
                for name, seconds in _one(bench, path).items():
                    if number:
                        spent.setdefault(name, []).append(seconds)
    return [timing.row(name, "s", seconds) for name, seconds in spent.items()]


def _one(bench: "Workbench", path: pathlib.Path) -> dict[str, float]:
    """The seconds of one scan, by what is waited for."""
    start = time.perf_counter()
    number = bench.drop(path)
    bench.until(number, lambda scan: scan["look"])
    bench.read(f"/scans/{number}/view/scan")
    spent = {"drop to sherd": time.perf_counter() - start}
    for name, seconds in bench.pot(number, "restore").items():
        spent[f"drop to {name}"] = spent["drop to sherd"] + seconds
    height = bench.scan(number)["restored"]["report"]["measures"]["height_mm"]
    deeds: list[tuple[str, str, State]] = [
        ("height told", "choices", {"choices": {"height_mm": round(1.1 * height)}}),
        ("undone", "undo", {}),
        ("other end up", "flip", {}),
    ]
    for told, deed, said in deeds:
        for name, seconds in bench.pot(number, deed, said).items():
            spent[f"click to {name}: {told}"] = seconds
    return spent


class Workbench:
    """A `voxgan app` that runs, and what a page asks of it."""

    def __init__(self, address: str):
        self.root = address.split("/?")[0]
        self._asked = request.build_opener(request.HTTPCookieProcessor())
        self._asked.open(address).read()

    def read(self, path: str, data: bytes | None = None) -> bytes:
        """An answer to the last byte."""
        asked = request.Request(self.root + path, data, {"Origin": self.root})
        with self._asked.open(asked) as answer:
            return answer.read()

    def drop(self, path: pathlib.Path) -> int:
        """The number of a scan that is sent."""
        name = urllib.parse.quote(path.name)
        return json.loads(self.read(f"/scans?name={name}", path.read_bytes()))["id"]

    def states(self) -> Iterator[dict[int, State]]:
        """What there is to know of the scans by their numbers, now and after each change."""
        known: dict[int, State] = {}
        with self._asked.open(self.root + "/events") as lines:
            for line in lines:
                if line.startswith(b"data:"):
                    # What did not change is not told again.
                    news = json.loads(line.removeprefix(b"data:"))["scans"]
                    known = {scan["id"]: known.get(scan["id"], {}) | scan for scan in news}
                    yield known

    def scan(self, number: int) -> State:
        """What is known of a scan now."""
        return self.until(number, lambda scan: True)

    def until(self, number: int, done: Callable[[State], Any]) -> State:
        """A scan when this is so.

        Raises:
            ValueError: its work failed.
        """
        for state in self.states():
            scan = state[number]
            if scan["fault"]:
                raise ValueError(scan["fault"])
            if done(scan):
                return scan
        raise ValueError("voxgan app has ended")

    def pot(self, number: int, deed: str, said: State | None = None) -> dict[str, float]:
        """Seconds from a deed to the pot that it gives, shown, and to its files."""
        start = time.perf_counter()
        self.read(f"/scans/{number}/{deed}", json.dumps(said or {}).encode())
        scan = self.until(number, lambda scan: scan["first"] or _is_done(scan))
        self.read(f"/scans/{number}/view/{'first' if scan['first'] else 'pot'}")
        spent = {"pot": time.perf_counter() - start}
        self.until(number, _is_done)
        self.read(f"/scans/{number}/view/pot")
        return spent | {"pot with files": time.perf_counter() - start}


def _is_done(scan: State) -> bool:
    """Whether a scan is restored with what is chosen, and its files are there."""
    restored = scan["restored"]
    return scan["step"] is None and restored and restored["choices"] == scan["choices"]


@contextlib.contextmanager
def workbench(project: pathlib.Path) -> Iterator[Workbench]:
    """The program, ended at the end."""
    command = [sys.executable, "-m", "voxgan_jax.cli", "app", "--no-browser"]
    with subprocess.Popen(
        [*command, "--project", str(project)], stdout=subprocess.PIPE, text=True
    ) as program:
        try:
            assert program.stdout
            address = next(line for line in program.stdout if "/?token=" in line)
            yield Workbench(address[address.index("http") :].strip())
        finally:
            program.send_signal(signal.SIGINT)
            program.wait(timeout=30)
