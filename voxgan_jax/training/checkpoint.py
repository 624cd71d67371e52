"""Checkpoints of a run. The only Orbax import.

Below `workdir/checkpoints` stands one folder a step with the state and the data position. The
latest few are kept, and the one with the best IoU.
"""

import pathlib
from typing import Any

import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from voxgan_jax.training.state import TrainState

FOLDER = "checkpoints"


class NoCheckpointError(FileNotFoundError):
    """A run without a checkpoint where one was asked for."""


def open_manager(workdir: str | pathlib.Path, keep: int = 3) -> ocp.CheckpointManager:
    """The checkpoints of a run: the latest `keep` and the best by IoU; made if not there."""
    policy = checkpoint_managers.AnyPreservationPolicy(
        [
            checkpoint_managers.LatestN(keep),
            checkpoint_managers.BestN(_iou, n=1, keep_checkpoints_without_metrics=False),
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
    position: dict[str, int],
    iou: float | None = None,
) -> None:
    """Save the state under its step; writing goes on in the background.

    Args:
        position: where the data stands (`epoch` and `batch` of the next batch).
        iou: the mean IoU on the evaluation split, where it was measured at this step.
    """
    manager.save(
        int(state.step),
        args=ocp.args.Composite(
            state=ocp.args.StandardSave(state), position=ocp.args.JsonSave(position)
        ),
        metrics=None if iou is None else {"iou": iou},
    )


def latest_step(workdir: str | pathlib.Path) -> int | None:
    """The step of the newest finished checkpoint of a run, or None."""
    if not (pathlib.Path(workdir) / FOLDER).is_dir():
        return None
    with open_manager(workdir) as manager:
        return manager.latest_step()


def restore(
    manager: ocp.CheckpointManager, abstract_state: TrainState, *, best: bool = False
) -> tuple[TrainState, dict[str, int]]:
    """The latest state, or the one with the best IoU where one was measured, and its data position.

    Args:
        abstract_state: shapes, types and shardings to restore to.

    Raises:
        NoCheckpointError: the run has none.
    """
    step = manager.best_step() if best else None
    step = manager.latest_step() if step is None else step
    if step is None:
        raise NoCheckpointError(f"{manager.directory}: no checkpoint there; train first")
    restored: Any = manager.restore(
        step,
        args=ocp.args.Composite(
            state=ocp.args.StandardRestore(abstract_state), position=ocp.args.JsonRestore()
        ),
    )
    return restored.state, restored.position


def _iou(metrics: dict[str, float]) -> float:
    return metrics["iou"]
