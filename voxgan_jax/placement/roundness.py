"""How far a sherd's two walls are from being round about lines, for many lines at once.

Turned about the right axis they fall on two lines, smooth as a profile is.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from voxgan_jax.scan.walls import Wall

Values = Float[np.ndarray, "n"]
Vector = Float[np.ndarray, "3"]

Lines = tuple[Float[np.ndarray, "k 3"], Float[np.ndarray, "k 3"]]
"""A point of each and its unit direction."""

Frame = tuple[Float[np.ndarray, "2 2"], Bool[np.ndarray, "n"]]
"""The directions along and across the profile in (radius, height), and on which wall each point of
a sherd lies."""

_DEGREE = 12
"""Of the polynomials that the profile is fitted by: with 4 a neck or a rim drew the axis away."""


class Columns(NamedTuple):
    """A surface about its `middle`, in columns: its points and their squares."""

    middle: Vector
    points: Float[np.ndarray, "3 n"]
    squares: Values


def columns(surface: Wall) -> Columns:
    """A sherd's walls, so laid out once for many lines."""
    middle = surface.points.mean(0)
    points = np.ascontiguousarray((surface.points - middle).T)
    return Columns(middle, points, (points**2).sum(0))


def residuals(
    lines: Lines, surface: Columns, frame: Frame, weight: Values
) -> tuple[Float[np.ndarray, "k n"], Float[np.ndarray, "k n"]]:
    """About each line: the distances from the profile's lines, and the radii. All lines at once, as
    the calls cost more than the sums."""
    points, directions = lines[0] - surface.middle, lines[1]
    turn, side = frame
    height = directions @ surface.points - (points * directions).sum(1, keepdims=True)
    square = surface.squares - 2 * points @ surface.points + (points**2).sum(1, keepdims=True)
    radius = np.sqrt(np.maximum(square - height**2, 0))
    along, across = (a * radius + b * height for a, b in turn)
    low, high = along.min(1, keepdims=True), along.max(1, keepdims=True)
    half = np.maximum((high - low) / 2, 1e-9)
    basis = _basis((along - (high + low) / 2) / half, side)
    weighted = basis * weight
    # Legendre's polynomials are nearly orthogonal here, so these equations are good enough.
    equations = weighted @ basis.swapaxes(1, 2) + 1e-9 * len(side) * np.eye(basis.shape[1])
    fitted = np.linalg.solve(equations, weighted @ across[:, :, None])
    return across - (fitted.swapaxes(1, 2) @ basis)[:, 0], radius


def _basis(x: Float[np.ndarray, "k n"], side: Bool[np.ndarray, "n"]) -> Float[np.ndarray, "k m n"]:
    """Legendre's polynomials up to `_DEGREE`, and the first three with the sign of the wall."""
    made = np.empty((len(x), _DEGREE + 4, x.shape[1]))
    made[:, 0], made[:, 1] = 1, x
    for n in range(1, _DEGREE):
        made[:, n + 1] = ((2 * n + 1) * x * made[:, n] - n * made[:, n - 1]) / (n + 1)
    made[:, _DEGREE + 1 :] = np.where(side, 1, -1) * made[:, :3]
    return made
