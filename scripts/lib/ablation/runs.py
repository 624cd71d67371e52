"""The runs of an ablation: each trained and scored in processes of its own, with a log.

Light to import: what is done already is found out without JAX.
"""

import fcntl
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from voxgan_jax.files import write_whole

Say = Callable[[str], None]

TIMES = "times.json"

LEAVES = {"evaluate": "metrics.json", "sample": "scores.json"}
"""What each way to score a run leaves in the split's folder."""

PATIENCE = 300
"""Seconds that a stopped child has for saving what it did."""


class Run(NamedTuple):
    """One model trained from one seed, in its folder."""

    model: str
    seed: int
    folder: pathlib.Path


class BusyError(OSError):
    """A process started earlier still writes to the log."""


def complete_run(
    run: Run, commands: dict[str, list[str]], split: str, root: pathlib.Path, say: Say
) -> bool:
    """Train and score a run as far as that was not done before.

    Adds the seconds of each stage to `TIMES` in its folder, those of failed and stopped starts
    included.

    Args:
        commands: arguments for Python by stage, "train" and what of `LEAVES` scores it; those that
            name a file of `scripts` or `configs` are found in `root`.
        split: the split that is scored, a folder in the run's.
        say: told of every stage.

    Returns:
        Whether the run is scored now.
    """
    name = f"{run.model}, seed {run.seed}"
    leaves = {stage: run.folder / split / file for stage, file in LEAVES.items()}
    if any(path.is_file() for path in leaves.values()):
        say(f"{name}: was scored before")
        return True
    log = run.folder / "log.txt"
    leaves["train"] = run.folder / "generator.safetensors"
    for stage, command in commands.items():
        say(f"{name}: {stage}")
        rooted = [str(root / p) if p.startswith(("scripts/", "configs/")) else p for p in command]
        start = time.monotonic()
        try:
            code = run_logged([sys.executable, *rooted], log, str(root))
        finally:
            _add_time(run.folder / TIMES, stage, time.monotonic() - start)
        if code or not leaves[stage].is_file():
            reason = last_line(log)
            say(f"{name}: {stage} FAILED with exit code {code}: {reason} (see {log})")
            return False
    if "evaluate" in commands:
        say(f"{name}: IoU {json.loads(leaves['evaluate'].read_text())['iou']['mean']:.4f}")
    return True


def _add_time(path: pathlib.Path, stage: str, seconds: float) -> None:
    times = json.loads(path.read_text()) if path.is_file() else {}
    _write_json(path, times | {stage: round(times.get(stage, 0) + seconds, 1)})


def _write_json(path: pathlib.Path, content: Any) -> None:
    write_whole(path, json.dumps(content, indent=2) + "\n")


def keep_options(options: dict[str, Any], out: pathlib.Path) -> None:
    """Write the options to a new folder; in an old one check that they are the same.

    Raises:
        ValueError: they are not; the message lists the differences.
    """
    path = out / "options.json"
    if not path.is_file():
        out.mkdir(parents=True, exist_ok=True)
        _write_json(path, options)
        return
    before = json.loads(path.read_text())
    changed = [
        f"  {name}: {before.get(name)!r} there, {options.get(name)!r} now"
        for name in sorted(before.keys() | options.keys())
        if before.get(name) != options.get(name)
    ]
    if changed:
        raise ValueError(
            f"{out} holds an ablation with other options; name another --out or set these back:\n"
            + "\n".join(changed)
        )


def run_logged(command: Sequence[str], log_path: str | pathlib.Path, python_path: str) -> int:
    """Run a command with its output appended to a log; return its exit status.

    Where we are interrupted, the child is asked to stop, given time to save, and waited for. The
    log is locked as long as the child lives: should we be killed, it goes on, and the next start
    must not interfere.

    Args:
        python_path: put before PYTHONPATH.

    Raises:
        BusyError: a child of an earlier start is still at work.
    """
    path = pathlib.Path(log_path)
    path.parent.mkdir(parents=True, exist_ok=True)
    search = os.pathsep.join(filter(None, [python_path, os.environ.get("PYTHONPATH")]))
    with path.open("a", encoding="utf-8") as log:
        try:
            # Children inherit the lock with the open file.
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError(
                f"{path}: a process of an earlier start still writes there; wait for it or end it"
            ) from error
        print(f"$ {' '.join(command)}", file=log, flush=True)
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=os.environ | {"PYTHONPATH": search},
            # Ctrl-C reaches us alone, so that the child is asked once.
            start_new_session=True,
        )
        try:
            return child.wait()
        finally:
            if child.poll() is None:
                child.send_signal(signal.SIGINT)
                try:
                    child.wait(PATIENCE)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()


def last_line(log_path: str | pathlib.Path) -> str:
    """The last line of a log that is not blank, "" where there is none."""
    text = pathlib.Path(log_path).read_text(encoding="utf-8", errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
