"""Lines that the normals of a sherd's walls meet best, one for each direction that is tried."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float

Points = Float[np.ndarray, "n 3"]
Values = Float[np.ndarray, "n"]

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
