"""Whether a voxel that is said to be filled with 70 % is filled in 70 % of the cases."""

import pathlib

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.figure import Figure

from voxgan_jax.evaluation import figures

NUM_BINS = 15
_COLOUR, _GREY = "#2f6690", "0.55"


def reliability(
    probability: Float[np.ndarray, " v"], truth: Bool[np.ndarray, " v"], bins: int = NUM_BINS
) -> Float[np.ndarray, "{bins} 3"]:
    """Voxels gathered in `bins` equal bins of their probability in [0, 1].

    Of each bin: how many voxels, the sum of their probabilities, how many are filled in truth. Such
    tables of several pots may be added up.
    """
    index = np.minimum((probability * bins).astype(np.int64), bins - 1)
    counts = [np.bincount(index, weights, bins) for weights in (None, probability, truth)]
    return np.stack(counts, axis=1).astype(np.float64)


def ece(table: Float[np.ndarray, "*n bin 3"]) -> Float[np.ndarray, "*n"]:
    """Expected calibration error in [0, 1] (Guo et al. 2017, eq. 3); 0 of a table without voxels.

    The mean over voxels of how far, in their bin, the mean probability is from the share that is
    filled.
    """
    voxels, probability, filled = np.moveaxis(table, -1, 0)
    error = np.abs(probability - filled).sum(axis=-1)
    return np.asarray(error / np.maximum(voxels.sum(axis=-1), 1))


def unsure(table: Float[np.ndarray, "*n bin 3"]) -> Float[np.ndarray, "*n bin-2 3"]:
    """The table without its first and last bin.

    Most of the cube is surely empty, and that alone makes the error over all voxels small.
    """
    return table[..., 1:-1, :]


def draw(table: Float[np.ndarray, "bin 3"], path: str | pathlib.Path, title: str = "") -> None:
    """Write the reliability figure: the share filled against the probability, and the counts."""
    bins = len(table)
    voxels, *sums = table.T
    used = voxels > 0
    mean, share = (np.divide(part, voxels, where=used, out=np.zeros(bins)) for part in sums)
    figure = Figure(figsize=(4.6, 5.6), layout="constrained", facecolor="white")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.plot([0, 1], [0, 1], color=_GREY, linewidth=1.0, linestyle="--", label="calibrated")
    upper.vlines(mean[used], mean[used], share[used], color=_COLOUR, alpha=0.35, linewidth=4.0)
    upper.plot(mean[used], share[used], "o-", color=_COLOUR, linewidth=1.4, markersize=4.5)
    errors = f"ECE {ece(table):.4f} of all, {ece(unsure(table)):.3f} of unsure voxels"
    upper.set(xlim=(0, 1), ylim=(0, 1), ylabel="share filled in truth", title=title)
    upper.text(0.98, 0.03, errors, ha="right", fontsize=8.5, transform=upper.transAxes)
    upper.legend(frameon=False, loc="upper left")
    edges = np.linspace(0, 1, bins + 1)
    lower.bar(edges[:-1], voxels / voxels.sum(), 1 / bins, align="edge", color=_COLOUR, alpha=0.6)
    lower.set(yscale="log", xlabel="mean probability of the answers", ylabel="share of voxels")
    for ax in (upper, lower):
        ax.grid(alpha=0.25, linewidth=0.6)
        ax.spines[["top", "right"]].set_visible(False)
    figures.save(figure, pathlib.Path(path))
