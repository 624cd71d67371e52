"""How well either half of a sherd foretells the other, where a placement has put them.

A model that is shown the lower half alone completes it to a pot, and the upper half shows how much
of that is so: its walls, and that there is none beside them. At a wrong height, or in too big a
pot, a half seldom foretells the other.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage

SECTORS = 48
BESIDE = 4
"""So many voxels beside its walls a sherd shows that there is no other."""
DOUBT = 0.02  # No probability counts as nearer than this to 0 or 1.

Voxels = Bool[np.ndarray, "r r r"]


def halves(given: Voxels) -> tuple[Voxels, Voxels]:
    """What lies in a sherd's first rows, and in its last, each about half of it."""
    rows = np.cumsum(given.sum(axis=(0, 1)))
    first = np.arange(len(rows)) <= np.searchsorted(rows, rows[-1] / 2)
    return given & first, given & ~first


def likelihood(answers: Sequence[Float[np.ndarray, "r r r"]], given: Voxels) -> float:
    """The mean logarithm of the probability of what a half shows, by the answer to the other half;
    the sum over both.

    Args:
        answers: probabilities, to each of the `halves` of a sherd.
    """
    total = 0.0
    for answer, other in zip(answers, reversed(halves(given)), strict=True):
        seen = _seen(other)
        right = np.where(other, answer, 1 - answer)[seen]
        total += float(np.log(np.clip(right, DOUBT, 1 - DOUBT)).mean()) if right.size else 0.0
    return total


def sectors(part: Voxels) -> Bool[np.ndarray, "sectors rows"]:
    """Which sectors about the cube's axis a part of a sherd fills in each row."""
    d, h, w = np.nonzero(part)
    filled = np.zeros((SECTORS, len(part)), bool)
    filled[_sector(len(part))[d, h], w] = True
    return filled


def _sector(side: int) -> Int[np.ndarray, "r r"]:
    """The number of the sector in which each column of a cube lies."""
    across = np.arange(side) - (side - 1) / 2
    turn = np.arctan2(across, across[:, None]) / (2 * np.pi) % 1.0
    return (turn * SECTORS).astype(int)


def _seen(part: Voxels) -> Voxels:
    """The voxels of which a part of a sherd tells whether they were clay: near it, and in the
    sectors about the cube's axis that it fills in their row."""
    filled = sectors(part)
    # Where it ends a sector is filled in part; some parts have no other.
    inner = filled & np.roll(filled, 1, 0) & np.roll(filled, -1, 0)
    inner = np.where(inner.any(axis=0), inner, filled)
    near = ndimage.maximum_filter(part, (2 * BESIDE + 1, 2 * BESIDE + 1, 1))
    return near & inner[_sector(len(part))]
