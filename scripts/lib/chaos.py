"""Runs that are killed and started again, and in what two ended runs differ."""

import pathlib
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from scripts.lib.chaos_report import PHASES, Attempt

ROOT = pathlib.Path(__file__).resolve().parents[2]

SAVE_EVERY = 5
PLACE: dict[str, Any] = {"resolution": 16, "pool": 2}
_STEP = re.compile(r"Step (\d+) of")
_RESUMED = re.compile(r"Resuming from step (\d+)")


class Run:
    """A training process whose log is read as it comes."""

    def __init__(self, command: list[str], env: Mapping[str, str], attempt: Attempt, zero: float):
        self.attempt, self.zero, self.log = attempt, zero, []
        self.process = subprocess.Popen(
            command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.log.append(line)
            if match := _STEP.search(line):
                if self.attempt.resumed is None:
                    self.attempt.resumed = int(match[1]) - 1
                self.attempt.steps.append((time.monotonic() - self.zero, int(match[1])))
            elif match := _RESUMED.search(line):
                self.attempt.resumed = int(match[1])

    def wait_for(self, reached: Callable[[], object]) -> bool:
        """Poll until `reached()`; False where the process ended before."""
        while not reached():
            if self.process.poll() is not None:
                return False
            time.sleep(0.0005)
        return True

    def finish(self) -> Attempt:
        self.attempt.returncode = self.process.wait()
        self._reader.join()
        self.attempt.ended = time.monotonic() - self.zero
        return self.attempt

    def fail(self, reason: str) -> None:
        self.process.kill()
        self.finish()
        sys.exit(f"chaos.py: {reason}; the end of the log:\n{''.join(self.log[-15:])}")


def command_for(
    run_dir: pathlib.Path, data_dir: pathlib.Path, steps: int, source: str, objective: str
) -> list[str]:
    """The command line that trains the small model in a folder."""
    overrides = {
        "data.dir": data_dir,
        "data.source": source,
        "objective": objective,
        "loss.adversarial_weight": float(objective == "gan"),
        "data.resolution": PLACE["resolution"],
        "data.pool": PLACE["pool"],
        "generator.features": 4,
        "discriminator.features": 4,
        "train.batch_size": 4,
        "train.num_train_steps": steps,
        "train.log_every_steps": 1,
        "eval.every_epochs": 10,
        "eval.batch_size": 4,
        "checkpoint.every_steps": SAVE_EVERY,
    }
    return [
        *(sys.executable, str(ROOT / "scripts" / "train.py")),
        *("--config", str(ROOT / "configs" / "smoke.py"), "--workdir", str(run_dir)),
        *(f"--config.{name}={value}" for name, value in overrides.items()),
    ]


def make_data(path: pathlib.Path, source: str) -> pathlib.Path:
    """A dozen made-up pots, as files or prepared."""
    from voxgan_jax.data.synthetic import pots

    pots.write_dataset(path / "vox", pots=12, seed=1, resolution=32, fragments=(3, 6))
    if source == "resident":
        return path / "vox"
    from voxgan_jax.data import builder

    builder.prepare(path / "vox", path / "prepared", **PLACE)
    return path / "prepared"


def kill_once(
    run: Run, rng: random.Random, target: int, startup: float, folder: pathlib.Path
) -> bool:
    """Send the attempt's signal in its phase; False where the run ended by itself before."""
    attempt = run.attempt
    if attempt.phase == "start-up":
        moment = time.monotonic() + rng.uniform(0, startup)
        # With what was compiled before, it may be at its first step sooner.
        alive = run.wait_for(lambda: attempt.steps or time.monotonic() >= moment)
    else:
        alive = run.wait_for(lambda: attempt.steps and attempt.last_step >= target)
        if attempt.phase == "saving":
            alive = alive and run.wait_for(lambda: any(folder.glob("*.orbax-checkpoint-tmp")))
        time.sleep(rng.uniform(0, 0.03))
    if alive:
        run.process.send_signal(getattr(signal, attempt.signal))
    return alive


def damage(folder: pathlib.Path, rng: random.Random) -> str:
    """Cut a random file of the newest checkpoint in two, if there is one before it; its name."""
    whole = sorted(
        (path for path in folder.glob("*") if path.name.isdecimal()), key=lambda p: int(p.name)
    )
    if len(whole) < 2:
        return ""
    path = rng.choice(sorted(path for path in whole[-1].rglob("*") if path.is_file()))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return str(path.relative_to(folder))


def run_whole(command: list[str], env: Mapping[str, str]) -> Attempt:
    """The one start of a run that is left alone."""
    run = Run(command, env, Attempt(0.0), time.monotonic())
    attempt = run.finish()
    if attempt.returncode:
        run.fail(f"exit status {attempt.returncode} of the undisturbed run")
    return attempt


def run_killed(
    command: list[str],
    env: Mapping[str, str],
    run_dir: pathlib.Path,
    steps: int,
    startup: float,
    *,
    kills: int,
    seed: int,
    damage_share: float,
) -> list[Attempt]:
    """Start, kill and start again until the run has ended; every start of it.

    Args:
        steps: how many the run has.
        startup: seconds that a start takes at most.
        damage_share: the chance that a file is damaged after a kill.
    """
    rng, zero = random.Random(seed), time.monotonic()
    folder = run_dir / "checkpoints"
    attempts: list[Attempt] = []
    reached = 0
    for number in range(kills):
        attempt = Attempt(
            time.monotonic() - zero,
            phase=PHASES[number % 3] if number < 3 else rng.choices(PHASES, (1, 2, 2))[0],
            signal=rng.choices(("SIGKILL", "SIGTERM"), (4, 1))[0],
        )
        # Shares of what is left, so that the run lasts as long as there are kills.
        share = (steps - 4 * SAVE_EVERY - reached) / (kills - number)
        target = reached + 1 + rng.randrange(max(1, round(share)))
        run = Run(command, env, attempt, zero)
        if not kill_once(run, rng, target, startup, folder):
            run.fail(f"the run ended before kill {number + 1}")
        run.finish()
        allowed = (-signal.SIGKILL,) if attempt.signal == "SIGKILL" else (0, -signal.SIGTERM)
        if attempt.returncode not in allowed:
            run.fail(f"exit status {attempt.returncode} after {attempt.signal}")
        reached = max(reached, attempt.last_step)
        if rng.random() < damage_share:
            attempt.damaged = damage(folder, rng)
        attempts.append(attempt)
        print(
            f"kill {number + 1}/{kills}: {attempt.signal} in {attempt.phase}, from step"
            f" {attempt.resumed} to {attempt.last_step} of {steps} {attempt.damaged}",
            flush=True,
        )
    run = Run(command, env, Attempt(time.monotonic() - zero), zero)
    attempts.append(run.finish())
    if attempts[-1].returncode:
        run.fail(f"exit status {attempts[-1].returncode} of the last start")
    return attempts


def differences(one: pathlib.Path, other: pathlib.Path) -> list[str]:
    """What two ended runs differ in: arrays of the state, data position, best IoU, weights file."""
    import jax
    import numpy as np

    from voxgan_jax.models import weights
    from voxgan_jax.training import build, checkpoint, objectives, workdir

    def ended(run_dir):
        config = workdir.load_config(run_dir)
        create = lambda: build.initial_state(config, objectives.build(config))  # noqa: E731
        with checkpoint.open_manager(run_dir) as manager:
            state, position, best = checkpoint.restore(manager, jax.eval_shape(create))
        leaves = {
            jax.tree_util.keystr(path): leaf
            for path, leaf in jax.tree_util.tree_leaves_with_path(state)
            if not jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        }
        arrays = {name: np.asarray(leaf).tobytes() for name, leaf in leaves.items()}
        rng = np.asarray(jax.random.key_data(state.rng)).tobytes()
        file = (run_dir / weights.RUN_FILE).read_bytes()
        return arrays | {"rng": rng, "position": position, "best IoU": best, "weights": file}

    a, b = ended(one), ended(other)
    return [name for name in sorted(a.keys() | b.keys()) if a.get(name) != b.get(name)]
