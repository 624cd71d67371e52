"""Sherds of drawn pots: of any size, cracked, rubbed and rough."""

import math

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from voxgan_jax.pottery import world

SHARES = (0.03, 0.6)
"""Of a pot, from the least to the largest sherd."""


def sherd(
    rng: np.random.Generator | int,
    pot: world.Pot,
    share: tuple[float, float] = SHARES,
    resolution: int = world.SIDE,
) -> tuple[Bool[np.ndarray, "n n n"], Bool[np.ndarray, "n n n"]]:
    """A pot's voxels and those of a sherd of it: (partial, complete), partial within complete.

    A sherd is what straight cracks between random points leave around one of them, a little ragged.
    It is one piece, its edges rubbed off; surfaces of worn ones are rough.

    Args:
        share: of the pot's voxels, drawn evenly in its logarithm before wear.
    """
    rng = np.random.default_rng(rng)
    field = world.warped(rng, pot.distance, resolution)
    complete = field < 0
    cells = np.argwhere(complete).astype(np.float32)
    wanted = math.exp(rng.uniform(*np.log(share)))
    centre = cells[rng.integers(len(cells))]
    others = cells[rng.integers(len(cells), size=int(rng.integers(4, 10)))] - centre
    others += rng.normal(0, 3, others.shape).astype(np.float32)
    reach = np.maximum(np.linalg.norm(others, axis=1), 4.0)
    # How far inside of the nearest crack each voxel lies.
    inside = (reach / 2 - (cells - centre) @ (others / reach[:, None]).T).min(1)
    grain = _grain(rng, cells, resolution)
    inside += rng.uniform(0.2, 1.2) * grain
    inside -= np.quantile(inside, 1 - wanted)
    # Rubbed off where a crack meets the surface, and rough.
    wear = max(rng.uniform(-0.4, 0.6), 0.0)
    depth = -field[complete]
    left = inside > wear * np.maximum(1.5 - depth, 0)
    left &= depth > 0.5 * wear * np.abs(grain)
    own = np.zeros(complete.shape, bool)
    own[complete] = left
    low, high = (end(cells[left], axis=0).astype(int) for end in (np.min, np.max))
    box = tuple(map(slice, low, high + 1))
    pieces, count = ndimage.label(own[box], np.ones((3, 3, 3)))  # pyright: ignore
    if count > 1:
        own[box] = pieces == 1 + np.bincount(pieces.ravel())[1:].argmax()
    return own, complete


def _grain(
    rng: np.random.Generator, cells: Float[np.ndarray, "n 3"], resolution: int
) -> Float[np.ndarray, "n"]:
    """Noise at some cells, of deviation 1, alike within some three voxels."""
    coarse = rng.standard_normal((resolution // 3 + 2,) * 3, np.float32)
    found = ndimage.map_coordinates(coarse, cells.T / 3, order=1)
    return found / max(float(found.std()), 1e-6)
