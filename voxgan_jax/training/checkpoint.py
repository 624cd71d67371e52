"""Checkpoints of a run. The only Orbax import.

Below `workdir/checkpoints` stands one folder a step: the state, and beside it the data position,
the best IoU so far and a digest of every array. The latest few are kept, and the one with the
best IoU. A folder gets its name only when it is whole; what is damaged later is found by the
digests and moved aside.
"""

import asyncio
import contextlib
import errno
import gc
import json
import logging as std_logging
import math
import os
import pathlib
import sys
import time
import traceback
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import orbax.checkpoint as ocp
from absl import logging
from jax.experimental import multihost_utils
from orbax.checkpoint import checkpoint_managers

from voxgan_jax import logs
from voxgan_jax.devices import processes
from voxgan_jax.training import integrity
from voxgan_jax.training.state import TrainState

# Orbax logs each error several times over, with its traceback, before it raises it.
logs.quiet("orbax", std_logging.ERROR)

FOLDER = "checkpoints"
DAMAGED = ".damaged"

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DISK = _FULL | {errno.EIO, errno.EROFS}


class NoCheckpointError(FileNotFoundError):
    """A run without a checkpoint where one was asked for."""


class DamagedCheckpointError(ValueError):
    """A checkpoint that cannot be read, or has other arrays than were saved."""


class DiskError(OSError):
    """The disk is full or broken: the run stopped, its last good checkpoint is named."""


class Restored(NamedTuple):
    """What a checkpoint holds: the state, where the data stands, the best IoU so far or -inf."""

    state: TrainState
    position: dict[str, Any]
    best_iou: float


@contextlib.contextmanager
def open_manager(workdir: str | pathlib.Path, keep: int = 3) -> Iterator[ocp.CheckpointManager]:
    """The checkpoints of a run: the latest `keep` and the best by IoU; made if not there.

    At the end it waits for what is still being written.

    Raises:
        DiskError: something inside could not be written, a checkpoint or another file.
    """
    directory = (pathlib.Path(workdir) / FOLDER).absolute()
    _drop_damaged_metrics(directory)
    best = checkpoint_managers.BestN(
        get_metric_fn=_iou, n=1, keep_checkpoints_without_metrics=False
    )
    policy = checkpoint_managers.AnyPreservationPolicy([checkpoint_managers.LatestN(n=keep), best])
    manager = ocp.CheckpointManager(
        directory,
        options=ocp.CheckpointManagerOptions(
            best_fn=_iou, preservation_policy=policy, cleanup_tmp_directories=True
        ),
    )
    with _deaf_to_abandoned_work():
        try:
            yield manager
            finish(manager)
        except OSError as error:
            with contextlib.suppress(Exception):
                manager.wait_until_finished()
            if error.errno not in _DISK:
                raise
            _abandon(error)
            raise DiskError(error.errno, f"{error.strerror}: {_advice(workdir, error)}") from None
        finally:
            with contextlib.suppress(Exception):  # What matters has been raised above.
                manager.close()


def newest(workdir: str | pathlib.Path) -> pathlib.Path | None:
    """The folder of the last checkpoint that was written to the end; None where there is none."""
    steps = [p for p in (pathlib.Path(workdir) / FOLDER).glob("*") if p.name.isdecimal()]
    return max(steps, key=lambda path: int(path.name), default=None)


def save(
    manager: ocp.CheckpointManager,
    state: TrainState,
    *,
    position: dict[str, Any],
    iou: float | None = None,
    best_iou: float = -math.inf,
) -> None:
    """Save the state under its step; writing goes on in the background.

    Args:
        position: where the data stands: `epoch` and `batch` of the next batch, and which `data`.
        iou: the mean IoU on the evaluation split, where it was measured at this step.
        best_iou: the best one so far, this one included.

    Raises:
        NotFiniteError: a number in the state is NaN or infinite; nothing is written.
        OSError: this checkpoint, or the one before, could not be written.
    """
    meta = {
        "position": position,
        "best_iou": None if best_iou == -math.inf else best_iou,
        "digests": integrity.require_finite(state),
    }
    with _writing():
        manager.save(
            int(state.step),
            args=ocp.args.Composite(
                state=ocp.args.StandardSave(state),
                meta=ocp.args.JsonSave(meta | {"checksum": _checksum(meta)}),
            ),
            metrics=None if iou is None else {"iou": iou},
        )


def finish(manager: ocp.CheckpointManager) -> None:
    """Wait until what was saved is on the disk; OSError where it cannot be written."""
    with _writing():
        manager.wait_until_finished()


def restore(manager: ocp.CheckpointManager, abstract_state: TrainState) -> Restored:
    """The newest checkpoint that is as it was saved; damaged ones after it are moved aside.

    Args:
        abstract_state: shapes, types and shardings to restore to.

    Raises:
        NoCheckpointError: the run has none.
        DamagedCheckpointError: none of them can be read; they stay where they are.
    """
    steps = sorted(manager.all_steps(), reverse=True)
    if not steps:
        raise NoCheckpointError(f"{manager.directory}: no checkpoint there; train first")
    damaged: dict[int, str] = {}
    for step in steps:
        restored, reason = None, ""
        try:
            restored = _read(manager, step, abstract_state)
        except Exception as error:  # Orbax raises whatever its storage raises.
            reason = f"{type(error).__name__}: {str(error).strip()}".splitlines()[0][:200]
            _abandon(error)
        # What one process cannot read is good for none of them.
        reasons = [why for process in processes.gather([reason]) for why in process if why]
        if restored is not None and not reasons:
            _set_aside(manager, damaged)
            return restored
        damaged[step] = reasons[0]
    listing = "".join(f"\n  {step}: {reason}" for step, reason in damaged.items())
    raise DamagedCheckpointError(
        f"{manager.directory}: none of its checkpoints is readable as one of this config; use"
        f" another --workdir or put a copy back{listing}"
    )


def _read(manager: ocp.CheckpointManager, step: int, abstract_state: TrainState) -> Restored:
    """One checkpoint; DamagedCheckpointError, or whatever Orbax raises, where it is not whole."""
    restored: Any = manager.restore(
        step,
        args=ocp.args.Composite(
            state=ocp.args.StandardRestore(abstract_state), meta=ocp.args.JsonRestore()
        ),
    )
    state, meta = restored.state, restored.meta
    if meta.pop("checksum") != _checksum(meta):
        raise DamagedCheckpointError("its position is not the one that was saved")
    changed = integrity.changed(state, meta["digests"])
    if changed:
        raise DamagedCheckpointError(f"{changed[0]} is not as it was saved")
    if int(state.step) != step:
        raise DamagedCheckpointError(f"it is that of step {int(state.step)}")
    best = meta["best_iou"]
    return Restored(state, meta["position"], -math.inf if best is None else best)


def _set_aside(manager: ocp.CheckpointManager, damaged: dict[int, str]) -> None:
    """Rename damaged folders, so that their steps can be saved again."""
    if not damaged:
        return
    for step, reason in damaged.items():
        folder = pathlib.Path(manager.directory) / str(step)
        number = sum(1 for _ in folder.parent.glob(f"{step}{DAMAGED}*"))
        aside = folder.with_name(f"{step}{DAMAGED}{number or ''}")
        if jax.process_index() == 0:
            folder.rename(aside)
        logging.warning(
            "%s is damaged (%s): moved to %s, going on from an older checkpoint.",
            folder,
            reason,
            aside.name,
        )
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices("damaged checkpoints moved aside")
    manager.reload()


def _drop_damaged_metrics(directory: pathlib.Path) -> None:
    """Remove files of metrics that are no JSON, which would keep Orbax from opening the rest.

    They only say which old checkpoint to keep as the best; the state has a copy of the best IoU.
    """
    for path in directory.glob("*/metrics/metrics"):
        try:
            json.loads(path.read_bytes())
        except ValueError:
            logging.warning("%s is damaged: the IoU of that checkpoint is forgotten.", path)
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def _deaf_to_abandoned_work() -> Iterator[None]:
    """Keep off stderr what becomes of the reads or writes beside one that failed.

    Orbax closes its event loop over them; each complains that it, or who asks for it, is gone.
    """
    hook, tasks = sys.unraisablehook, std_logging.getLogger("asyncio")

    def listen(complaint: Any) -> None:
        gone = "Event loop is closed" in str(complaint.exc_value)
        if not gone and not asyncio.iscoroutine(complaint.object):
            hook(complaint)

    heard = lambda record: "never retrieved" not in record.getMessage()  # noqa: E731
    sys.unraisablehook = listen
    tasks.addFilter(heard)
    try:
        yield
    finally:
        sys.unraisablehook = hook
        tasks.removeFilter(heard)


def _abandon(error: Exception) -> None:
    """Let go of the work that an error left unfinished, now and not at some later moment."""
    traceback.clear_frames(error.__traceback__)
    gc.collect()
    time.sleep(0.1)


@contextlib.contextmanager
def _writing() -> Iterator[None]:
    """Turn whatever Orbax and its storage raise over a disk that takes no more into an OSError."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        told = [n for n in errno.errorcode if f"os_error_code='{n}'" in str(error)]
        told += [n for n in _DISK if os.strerror(n) in str(error)]
        if not told:
            raise
        raise OSError(told[0], os.strerror(told[0])) from error


def _advice(workdir: str | pathlib.Path, error: OSError) -> str:
    last, remedy = newest(workdir), "make room" if error.errno in _FULL else "look after the disk"
    if last is None:
        return f"{workdir} has no checkpoint yet; {remedy} and start again"
    return f"the last good checkpoint is {last}; {remedy} and give the same command to go on"


def _checksum(meta: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(meta, sort_keys=True).encode())


def _iou(metrics: Any) -> float:
    """The IoU of a checkpoint's metrics; a damaged file of them may hold any JSON."""
    try:
        return float(metrics["iou"])
    except (KeyError, TypeError, ValueError, IndexError):
        return -math.inf
