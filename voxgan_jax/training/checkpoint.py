"""Checkpoints of a run. The only Orbax import.

Below `workdir/checkpoints` stands one folder a step with the state and the data position. The
latest few are kept, and the one with the best IoU.
"""

import math
import pathlib
from typing import Any

import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from voxgan_jax import logs
from voxgan_jax.training.state import TrainState

logs.quiet("orbax")

FOLDER = "checkpoints"


class NoCheckpointError(FileNotFoundError):
    """A run without a checkpoint where one was asked for."""


class DamagedCheckpointError(ValueError):
    """A checkpoint that cannot be read, or has other arrays than asked for."""


def open_manager(workdir: str | pathlib.Path, keep: int = 3) -> ocp.CheckpointManager:
    """The checkpoints of a run: the latest `keep` and the best by IoU; made if not there."""
    policy = checkpoint_managers.AnyPreservationPolicy(
        [
            checkpoint_managers.LatestN(n=keep),
            checkpoint_managers.BestN(
                get_metric_fn=_iou, n=1, keep_checkpoints_without_metrics=False
            ),
        ]
    )
    return ocp.CheckpointManager(
        (pathlib.Path(workdir) / FOLDER).absolute(),
        options=ocp.CheckpointManagerOptions(best_fn=_iou, preservation_policy=policy),
    )


def save(
    manager: ocp.CheckpointManager,
    state: TrainState,
    *,
    position: dict[str, Any],
    iou: float | None = None,
) -> None:
    """Save the state under its step; writing goes on in the background.

    Args:
        position: where the data stands: `epoch` and `batch` of the next batch, and which `data`.
        iou: the mean IoU on the evaluation split, where it was measured at this step.
    """
    manager.save(
        int(state.step),
        args=ocp.args.Composite(
            state=ocp.args.StandardSave(state), position=ocp.args.JsonSave(position)
        ),
        metrics=None if iou is None else {"iou": iou},
    )


def best_iou(manager: ocp.CheckpointManager) -> float:
    """The best IoU that a checkpoint of the run was saved with; -inf where none was."""
    step = manager.best_step()
    metrics = None if step is None else manager.metrics(step)
    return -math.inf if metrics is None else _iou(metrics)


def restore(
    manager: ocp.CheckpointManager, abstract_state: TrainState
) -> tuple[TrainState, dict[str, Any]]:
    """The latest state and its data position.

    Args:
        abstract_state: shapes, types and shardings to restore to.

    Raises:
        NoCheckpointError: the run has none.
        DamagedCheckpointError: it cannot be read.
    """
    step = manager.latest_step()
    if step is None:
        raise NoCheckpointError(f"{manager.directory}: no checkpoint there; train first")
    try:
        restored: Any = manager.restore(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardRestore(abstract_state), position=ocp.args.JsonRestore()
            ),
        )
    except Exception as error:  # Orbax raises whatever its storage raises.
        raise DamagedCheckpointError(
            f"{manager.directory / str(step)}: not a readable checkpoint of this config"
            f" ({type(error).__name__}); delete that folder to go on from the one before"
        ) from error
    return restored.state, restored.position


def _iou(metrics: dict[str, float]) -> float:
    return metrics["iou"]
