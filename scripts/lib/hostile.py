"""Commands run on hostile inputs, each in a process of its own: time, memory, faults, losses."""

import contextlib
import hashlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import psutil

from voxgan_jax.data import vox
from voxgan_jax.data.synthetic import pots

ROOT = pathlib.Path(__file__).resolve().parents[2]
VOXGAN = (sys.executable, "-m", "voxgan_jax.cli")

LIMIT_S, LIMIT_MIB = 60.0, 2048.0
"""What one file may take; a machine of two cores that does nothing else."""

_CODES = (0, 1, 2, 130)
_POLL_S = 0.1

Digests = dict[str, str]


class Tried(NamedTuple):
    """What became of one attempt.

    `code` is that of `subprocess`, None where it was stopped for its time; `peak_mib` the most that
    its processes held together; `said` the last line of its error output; `faults` what is not as
    it is promised, nothing where all is.
    """

    what: str
    code: int | None
    seconds: float
    peak_mib: float
    said: str
    faults: tuple[str, ...] = ()


def attempt(
    what: str, command: Sequence[str], folder: pathlib.Path, env: Mapping[str, str] | None = None
) -> tuple[Tried, str]:
    """Run a command in a folder. Returns what became of it, and its output."""
    known = dict(os.environ) | {"PYTHONPATH": str(ROOT)} | dict(env or {})
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start, peak = time.monotonic(), 0.0
        process = subprocess.Popen(
            command, cwd=folder, env=known, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
            start_new_session=True,
        )  # fmt: skip
        late = False
        while process.poll() is None:
            peak = max(peak, _held_mib(process.pid))
            late = time.monotonic() - start > 2 * LIMIT_S
            if late:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            time.sleep(_POLL_S)
        seconds = time.monotonic() - start
        out.seek(0)
        err.seek(0)
        said = err.read().decode("utf-8", "replace")
        text = out.read().decode("utf-8", "replace")
    code = None if late else process.returncode
    faults = []
    if late or seconds > LIMIT_S:
        faults.append(f"over {LIMIT_S:.0f} s")
    if peak > LIMIT_MIB:
        faults.append(f"over {LIMIT_MIB:.0f} MiB")
    if not late and code not in _CODES:
        faults.append(f"ended with {code}")
    if "Traceback (most recent call last)" in said:
        faults.append("a foreign exception")
    last = said.strip().splitlines()[-1] if said.strip() else ""
    return Tried(what, code, seconds, peak, last[:300], tuple(faults)), text


def _held_mib(pid: int) -> float:
    """What a process and those that it started hold, pages that they share counted once."""
    held = 0
    with contextlib.suppress(psutil.Error):
        first = psutil.Process(pid)
        for process in (first, *first.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                known: Any = process.memory_full_info()
                held += getattr(known, "pss", known.uss)
    return held / 2**20


def sherd() -> np.ndarray:
    """A part of a synthetic pot at 64³, as `vox.write` takes it."""
    labels = pots.make_pot(3, None, 64).astype(np.uint8)
    d, h, _ = np.indices(labels.shape)
    return labels * ((d < 30) & (h > 20)).astype(np.uint8)


def digests(folder: pathlib.Path) -> Digests:
    """Of all that lies in a folder: a file's content, or whither a link leads."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f"to {os.readlink(path)}"
        elif path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def lost(before: Digests, after: Digests) -> tuple[str, ...]:
    """Which files are no longer what they were."""
    return tuple(f"{name}: changed" for name in before if after.get(name) != before[name])


STRANGERS = (
    *("a_hypothesis_of_Anna.stl", "a_hypothesis2.stl", "a_missing.stl", "a.json", "index.html"),
    *("summary.csv", "a_completed.stl", "a.html", "a_section.svg", "notes on a.txt", ".hidden"),
)
"""Files of other people, under names that results have, too."""


def strangers(folder: pathlib.Path) -> Digests:
    """Write them into a folder, and a link to one that lies elsewhere."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in STRANGERS:
        (folder / name).write_text(f"{name}: nobody else's", encoding="utf-8")
    elsewhere = folder.parent / f"{folder.name} elsewhere"
    elsewhere.mkdir(exist_ok=True)
    (elsewhere / "kept.glb").write_text("kept")
    (folder / "a_completed.glb").symlink_to(elsewhere / "kept.glb")
    return digests(folder)


_CALLS = """
import json, sys, time, traceback
import numpy as np
import voxgan_jax
from scripts.lib import hostile
for words in json.load(open(sys.argv[1])):
    start, said, kind = time.monotonic(), "", ""
    told = dict(words["told"])
    write = told.pop("write", None)
    sherd = told.pop("sherd", None) or np.flip(hostile.sherd(), 2)
    try:
        pot = voxgan_jax.complete(sherd, **told)
        if write:
            pot.write(write, ["vox", "json"])
    except BaseException as error:
        kind, said = type(error).__name__, str(error)
        if not isinstance(error, (OSError, ValueError, TypeError)) or type(error) is TypeError and (
            "give" not in said and "argument" not in said):
            said = "FOREIGN " + traceback.format_exc()[-600:]
    print(json.dumps([words["what"], time.monotonic() - start, kind, said]), flush=True)
"""


def calls(told: Mapping[str, Mapping[str, Any]], folder: pathlib.Path) -> list[Tried]:
    """Call `voxgan_jax.complete` with each of these in one process; `write` names a folder for its
    results, and without `sherd` a good grid is given."""
    asked = folder / "calls.json"
    asked.write_text(json.dumps([{"what": what, "told": how} for what, how in told.items()]))
    command = [sys.executable, "-c", _CALLS, str(asked)]
    whole, text = attempt("Python: all calls", command, folder)
    answers = {}
    for line in text.splitlines():
        with contextlib.suppress(ValueError):
            what, seconds, kind, said = json.loads(line)
            answers[what] = (seconds, kind, said)
    found = []
    for what in told:
        seconds, kind, said = answers.get(what, (0.0, "", "FOREIGN it ended the process"))
        faults = ["a foreign exception"] if said.startswith("FOREIGN") else []
        faults += [f"over {LIMIT_S:.0f} s"] * (seconds > LIMIT_S)
        line = " ".join(f"{kind}: {said}".split())[:300] if kind or said else ""
        found.append(Tried(f"Python: {what}", int(bool(kind)), seconds, 0.0, line, tuple(faults)))
    # Its time is that of many calls.
    faults = tuple(fault for fault in whole.faults if not fault.endswith(" s"))
    return [*found, whole._replace(faults=faults)]


def table(tried: Iterable[Tried]) -> list[str]:
    """The worst first: a line for each, and one for all."""
    rows = sorted(tried, key=lambda row: (not row.faults, -row.seconds))
    lines = [f"{'what':44} {'code':>5} {'s':>6} {'MiB':>6}  faults, or what was said"]
    for row in rows:
        told = "; ".join(row.faults) or row.said
        code = "-" if row.code is None else row.code
        lines.append(
            f"{row.what[:44]:44} {code:>5} {row.seconds:6.1f} {row.peak_mib:6.0f}  {told[:160]}"
        )
    bad = sum(bool(row.faults) for row in rows)
    slowest = max((row.seconds for row in rows), default=0.0)
    biggest = max((row.peak_mib for row in rows), default=0.0)
    lines.append(f"{bad} of {len(rows)} with faults; {slowest:.1f} s and {biggest:.0f} MiB at most")
    return lines


def write_sherd(path: pathlib.Path) -> pathlib.Path:
    """Write a good sherd as `.vox`."""
    vox.write(path, sherd())
    return path
