"""A turned bowl and its sherd, for tests of meshes."""

import numpy as np
from jaxtyping import Bool


def bowl(side: int = 24, wall: float = 2.2) -> Bool[np.ndarray, "d h w"]:
    """A hollow bowl that opens along the last axis; of no symmetry under mirroring."""
    middle = (side - 1) / 2
    d, h, w = np.indices((side, side, side))
    radius = np.hypot(d - middle, h - middle)
    outer = 0.22 * side + 0.25 * side * np.sin(np.pi * w / (1.3 * side))
    shell = (radius <= outer) & (radius > outer - wall) & (w >= 2) & (w < side - 3)
    base = (radius <= outer) & (w >= 2) & (w < 2 + wall)
    return shell | base


def sherd(pot: Bool[np.ndarray, "d h w"]) -> Bool[np.ndarray, "d h w"]:
    """A part of the wall, cut slantwise."""
    d, h, w = np.indices(pot.shape)
    side = pot.shape[0]
    return pot & (d > 0.6 * side) & (h + 0.5 * w > 0.6 * side) & (w < 0.7 * side)
