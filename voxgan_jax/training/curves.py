"""The curves of a run: its scalars, its speed and the time left, and a look at its health."""

import datetime
import math
import time
from typing import Any

from absl import logging

from voxgan_jax.training import events

# The discriminator overpowers the generator where it is so sure of real pots for so many steps.
OVERPOWERING_PROB = 0.99
OVERPOWERING_STEPS = 500


class NotFiniteError(ValueError):
    """A loss became NaN or infinite."""


def require_finite(step: int, scalars: dict[str, Any]) -> None:
    """Wait for the scalars of a step and raise NotFiniteError where a loss is no number."""
    for name in ("g_loss", "d_loss"):
        # Without an adversarial loss there is no discriminator's.
        if not math.isfinite(float(scalars.get(name, 0.0))):
            raise NotFiniteError(
                f"{name} is {float(scalars[name])} at step {step}; the last checkpoint before it is"
                " kept. Lower config.optim.*_learning_rate in a new --workdir"
            )


class Curves:
    """Writes scalars one interval late, so that the devices never wait for the host."""

    def __init__(self, write: events.Write, batch_size: int, step: int, num_train_steps: int):
        self._write, self._batch_size = write, batch_size
        self._num_train_steps = num_train_steps
        self._waiting: tuple[int, dict[str, Any]] | None = None
        self._overpowered_since: float | None = None
        self.restart(step)

    def restart(self, step: int) -> None:
        """Measure the speed from here on: what lay between was no training."""
        self._step, self._time = step, time.monotonic()

    def scalars(self, step: int, scalars: dict[str, Any]) -> None:
        """Take the scalars of a step, and write those taken before."""
        self.flush()
        now = time.monotonic()
        steps_per_sec = (step - self._step) / max(now - self._time, 1e-9)
        rates = {
            "steps_per_sec": steps_per_sec,
            "samples_per_sec": steps_per_sec * self._batch_size,
        }
        self._waiting = (step, scalars | rates)
        left = datetime.timedelta(seconds=round((self._num_train_steps - step) / steps_per_sec))
        logging.info("Step %d of %d, %s left.", step, self._num_train_steps, left)
        self._step, self._time = step, now

    def flush(self) -> None:
        """Write what is waiting; NotFiniteError where a loss is no number."""
        if self._waiting is not None:
            step, scalars = self._waiting
            require_finite(step, scalars)
            values = {k: float(v) for k, v in scalars.items()}
            self._write(step, values)
            self._watch(step, values.get("d_real_prob", 0.0))
            self._waiting = None

    def _watch(self, step: int, d_real_prob: float) -> None:
        """Warn, once a stretch, of the failure that the paper's spectral normalisation is for."""
        if not d_real_prob > OVERPOWERING_PROB:  # nor where it is NaN
            self._overpowered_since = None
        elif self._overpowered_since is None:
            self._overpowered_since = step
        elif step - self._overpowered_since >= OVERPOWERING_STEPS:
            logging.warning(
                "The discriminator overpowers the generator: d_real_prob has been above %g for %d "
                "steps, up to step %d. Spectral normalisation holds it back: see "
                "configs/spectral_norm.py (config.discriminator.spectral_norm_iterations=1).",
                OVERPOWERING_PROB,
                OVERPOWERING_STEPS,
                step,
            )
            self._overpowered_since = math.inf  # no step is 500 past it: silent until it ends
