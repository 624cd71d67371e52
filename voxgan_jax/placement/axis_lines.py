"""Lines that may be a sherd's axis: those that the normals of its walls meet best, one for each
direction that is tried, and how round its walls are about some."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.polynomial import legendre

from voxgan_jax.placement.axis_maps import Lines, Points

Values = Float[np.ndarray, "n"]

Frame = tuple[Float[np.ndarray, "2 2"], Bool[np.ndarray, "n"]]
"""The directions along and across the profile in (radius, height), and on which wall each point of
a sherd lies."""

_DEGREE = 12
"""Of the polynomial that either wall's profile is fitted by: with 4 a neck or a rim drew the axis
away."""

_DERIVED = legendre.legder(np.eye(_DEGREE + 1))  # the slope of each, of lower ones

_STARTS = 18  # directions from which a fit begins
_APART_DEGREES = 20.0  # between the starts


def hemisphere(count: int) -> Points:
    """Directions evenly over half a sphere (Fibonacci's lattice)."""
    n = np.arange(count) + 0.5
    z, turn = n / count, np.pi * (1 + 5**0.5) * n
    ring = np.sqrt(1 - z**2)
    return np.stack([ring * np.cos(turn), ring * np.sin(turn), z], 1)


def nearest_lines(
    directions: Float[np.ndarray, "k 3"], points: Points, normals: Points
) -> tuple[Float[np.ndarray, "k"], Float[np.ndarray, "k 3"]]:
    """For each direction the line that the normals miss by the least, and by how much.

    With m = n × a a normal line passes the axis through c at the distance m·(x − c) / |m|. The
    cost is the mean square sine of the angle between a normal and its meridian plane, robust.
    """
    middle = points.mean(0)
    across = np.cross(normals[None], directions[:, None])  # k n 3
    aim = np.einsum("kni,ni->kn", across, points - middle)
    size = np.linalg.norm(points - middle, axis=1).max()
    weight, sine = np.ones(aim.shape), aim
    centre = np.zeros((len(directions), 3))
    for _ in range(4):
        square = np.einsum("kn,kni,knj->kij", weight, across, across, optimize=True)
        right = np.einsum("kn,kni,kn->ki", weight, across, aim, optimize=True)
        # The direction itself is free; a hint of stiffness keeps a plane's axis near.
        stiff = 1e-4 * len(points) * np.eye(3) + np.einsum("ki,kj->kij", directions, directions)
        centre = np.linalg.solve(square + stiff, right[..., None])[..., 0]
        offset = (points - middle)[None] - centre[:, None]
        along = np.einsum("kni,ki->kn", offset, directions)
        radius = np.sqrt(np.maximum((offset**2).sum(2) - along**2, (0.05 * size) ** 2))
        sine = (aim - np.einsum("kni,ki->kn", across, centre)) / radius
        weight = 1 / (radius**2 * (1 + (sine / 0.15) ** 2))
        weight /= weight.mean(axis=1, keepdims=True)
    cost = np.minimum(sine**2, 0.1).mean(axis=1)
    return cost, middle + centre


def apart(cost: Values, near: Callable[[int], Bool[np.ndarray, "n"]], count: int) -> list[int]:
    """The place of the least cost, that of the least which is not near it, and so on."""
    left = np.array(cost, float)
    chosen: list[int] = []
    while len(chosen) < count and np.isfinite(left).any():
        chosen.append(int(left.argmin()))
        left[near(chosen[-1])] = np.inf
    return chosen


def starts(directions: Float[np.ndarray, "k 3"], cost: Float[np.ndarray, "k"]) -> list[int]:
    """The best direction, the best far from it, and so on: where many serve, several are kept.

    Args:
        directions: unit vectors, either way round.
    """
    alike = np.cos(np.radians(_APART_DEGREES))
    return apart(cost, lambda n: np.abs(directions @ directions[n]) > alike, _STARTS)


def roundness(
    lines: Lines, points: Points, frame: Frame, weight: Values
) -> tuple[Float[np.ndarray, "k n"], Float[np.ndarray, "k n"]]:
    """About each line, how far a sherd's walls are from being round: their points' distances from
    smooth profiles, and the radii. All lines at once, as calls cost more than sums."""
    turn, side = frame
    away = points - lines.points[:, None]
    height = (away @ lines.directions[:, :, None])[..., 0]
    radius = np.sqrt(np.maximum(np.einsum("kni,kni->kn", away, away) - height**2, 0))
    along, across = (a * radius + b * height for a, b in turn)
    distance = np.empty_like(across)
    for own in _walls(side):
        wall = _wall(along.take(own, 1), across.take(own, 1), weight[own])
        distance[:, own] = wall.left
    return distance, radius


def slopes(
    line: Lines, moves: Lines, points: Points, frame: Frame, weight: Values
) -> tuple[Float[np.ndarray, "n m"], Float[np.ndarray, "n m"], Values]:
    """How what `roundness` gives about one line changes with moves of it (Golub and Pereyra 1973:
    "The differentiation of pseudo-inverses and nonlinear least squares problems"), and the radii.

    Args:
        moves: of the line's point, and of its direction before that has a length of 1.
    """
    turn, side = frame
    away, (direction,) = points - line.points, line.directions
    height = away @ direction
    radius = np.sqrt(np.maximum(np.einsum("ni,ni->n", away, away) - height**2, 1e-18))
    turns = moves.directions - np.outer(moves.directions @ direction, direction)
    higher = away @ turns.T - moves.points @ direction
    wider = -(away @ moves.points.T + height[:, None] * higher) / radius[:, None]
    along, across = ((a * radius + b * height, a * wider + b * higher) for a, b in turn)
    change = np.empty_like(higher)
    for own in _walls(side):
        wall = _wall(along[0][None, own], across[0][None, own], weight[own])
        basis, stretched = wall.basis[0], along[1][own] / wall.half[0]
        bent = _DERIVED @ wall.fitted[0, :, 0] @ basis[:-1]
        moved = across[1][own] - bent[:, None] * stretched
        pull = (weight[own] * wall.left[0])[:, None] * stretched
        right = (basis * weight[own]) @ moved
        right += _DERIVED.T @ (basis[:-1] @ pull)
        change[own] = moved - basis.T @ np.linalg.solve(wall.equations[0], right)
    return change, wider, radius


def _walls(side: Bool[np.ndarray, "n"]) -> Iterable[Int[np.ndarray, "_"]]:
    """The places of either wall's points: at a neck or a lip one bends elsewhere than the other."""
    return filter(len, map(np.flatnonzero, (side, ~side)))


class _Wall(NamedTuple):
    """A smooth line through each row of one wall's points, and what it leaves of them."""

    half: Float[np.ndarray, "k 1"]
    basis: Float[np.ndarray, "k p n"]
    equations: Float[np.ndarray, "k p p"]
    fitted: Float[np.ndarray, "k p 1"]
    left: Float[np.ndarray, "k n"]


def _wall(
    along: Float[np.ndarray, "k n"], across: Float[np.ndarray, "k n"], weight: Values
) -> _Wall:
    low, high = along.min(1, keepdims=True), along.max(1, keepdims=True)
    half = np.maximum((high - low) / 2, 1e-9)
    basis = legendre.legvander((along - (high + low) / 2) / half, _DEGREE).swapaxes(1, 2)
    weighted = basis * weight
    # Legendre's polynomials are nearly orthogonal here, so these equations are good enough.
    equations = weighted @ basis.swapaxes(1, 2) + 1e-9 * len(weight) * np.eye(basis.shape[1])
    fitted = np.linalg.solve(equations, weighted @ across[:, :, None])
    left = across - (fitted.swapaxes(1, 2) @ basis)[:, 0]
    return _Wall(half, basis, equations, fitted, left)
