"""The paper's Figure 1 from the logs of runs: one panel a scalar, one colour a model."""

import itertools
import pathlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.util.tensor_util import make_ndarray

from voxgan_jax.evaluation import figures

COLOURS = ("#b8562b", "#2f6690", "#6a8d4e", "#8b5f8f")
_WINDOW_SHARE = 1 / 30


class Curve(NamedTuple):
    """A scalar of a run at the steps where it was logged, in rising order."""

    steps: Int[np.ndarray, " n"]
    values: Float[np.ndarray, " n"]


def read_scalars(run_dir: str | pathlib.Path, names: Sequence[str]) -> dict[str, Curve]:
    """Some scalars from the TensorBoard events of a run, stopped and resumed or not.

    A resumed run logs some steps again: the later value counts. Scalars logged as a plain value
    and as a tensor are both read.

    Raises:
        FileNotFoundError: the folder holds no events.
        ValueError: a scalar was never logged.
    """
    paths = sorted(pathlib.Path(run_dir).glob("events.out.tfevents.*"))
    if not paths:
        raise FileNotFoundError(f"{run_dir}: no events.out.tfevents.* there; train that run again")
    found: dict[str, dict[int, tuple[float, float]]] = {name: {} for name in names}
    for path in paths:
        # The loader turns plain values into tensors.
        for event in EventFileLoader(str(path)).Load():
            for entry in event.summary.value:
                if entry.tag in found:
                    known = found[entry.tag].get(event.step)
                    if known is None or known[0] <= event.wall_time:
                        value = float(make_ndarray(entry.tensor))
                        found[entry.tag][event.step] = event.wall_time, value
    for name, points in found.items():
        if not points:
            raise ValueError(f"{run_dir}: {name} was never logged there; train that run again")
    return {
        name: Curve(
            np.array(sorted(points), np.int64),
            np.array([points[step][1] for step in sorted(points)]),
        )
        for name, points in found.items()
    }


def smooth(values: Float[np.ndarray, " n"], window: int) -> Float[np.ndarray, " n"]:
    """The mean of each value's neighbourhood of `window` (odd) values, cut off at the ends."""
    if window >= len(values):
        window = len(values) - 1 + len(values) % 2
    ones = np.ones(window)
    return np.convolve(values, ones, "same") / np.convolve(np.ones(len(values)), ones, "same")


def draw(
    runs: Mapping[str, Sequence[Mapping[str, Curve]]],
    panels: dict[str, str],
    path: str | pathlib.Path,
) -> None:
    """Write one panel for each scalar, with the smoothed curves of all models over the raw ones.

    Args:
        runs: for each model its runs, as `read_scalars` gives them.
        panels: the title of each scalar.
    """
    figure = Figure(figsize=(5.2 * len(panels), 3.6), layout="constrained", facecolor="white")
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for ax, (name, title) in zip(axes, panels.items(), strict=True):
        for (model, of_seeds), colour in zip(runs.items(), itertools.cycle(COLOURS), strict=False):
            for index, curves in enumerate(of_seeds):
                steps, values = curves[name]
                window = 2 * int(len(values) * _WINDOW_SHARE / 2) + 1
                ax.plot(steps, values, color=colour, alpha=0.25, linewidth=0.7)
                ax.plot(
                    steps,
                    smooth(values, window),
                    color=colour,
                    linewidth=1.6,
                    label=model if index == 0 else None,
                )
        ax.set(title=title, xlabel="step")
        ax.grid(alpha=0.25, linewidth=0.6)
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False)
    figures.save(figure, pathlib.Path(path))
