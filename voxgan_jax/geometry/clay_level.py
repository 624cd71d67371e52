"""The share of clay at which the wall of a turned pot ends, by the volume of its voxels."""

import numpy as np
from jaxtyping import Float
from scipy import ndimage

Section = Float[np.ndarray, "rows rings"]
"""The share of clay of each row's rings, which are as wide as each other, from the axis out."""

_LEVELS = (0.25, 0.6)
"""Between these shares of clay lies the one at which the wall ends."""
_HANDLE = 0.15
"""Rings with a lower share of clay, of a handle, say, are no part of the profile's volume."""
FINE = 4
"""So many times as densely is a section read where it is measured."""


def finer(field: Section) -> Float[np.ndarray, "_ _"]:
    """A field read `FINE` times as densely, linearly: rows about their middles, rings from 0."""
    rows = (np.arange(field.shape[0] * FINE) + 0.5) / FINE - 0.5
    rings = np.arange(field.shape[1] * FINE) / FINE
    places = np.meshgrid(rows, rings, indexing="ij")
    return ndimage.map_coordinates(field, places, order=1, mode="nearest")


def level_of(clay: Section, voxels: Section) -> float:
    """The level at which the section, turned, has the volume of the voxels; found by halving.

    0.5 but for thin walls that are not quite round.
    """
    ring = np.arange(clay.shape[1])
    target = float((np.where(voxels < _HANDLE, 0, voxels) @ ring).sum())
    low, high = _LEVELS
    fine, radius = finer(clay), np.arange(clay.shape[1] * FINE) / FINE
    for _ in range(8):
        level = (low + high) / 2
        found = float(((fine > level) @ radius).sum()) / FINE**2
        low, high = (low, level) if found < target else (level, high)
    return (low + high) / 2
