"""Where the axis of a turned pot stands, from the surface of one sherd of it.

On a surface of revolution every normal line meets the axis (Pottmann, Peternell and Ravani 1999,
"An introduction to line geometry with applications"). For one direction of the axis the place is
then a linear problem, so all directions are tried and the best few kept; each is refined until the
two walls, turned about it, fall on the fewest lines (`refined`). Break edges do not belong to the
turned surface: what is no wall, with another wall behind it, is left out.

A sherd of a sphere or of a cylinder, and a flat one, fits many axes: several are returned.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import optimize

from voxgan_jax.scan.walls import Wall

Points = Float[np.ndarray, "n 3"]
Values = Float[np.ndarray, "n"]
Vector = Float[np.ndarray, "3"]
Frame = tuple[Float[np.ndarray, "2 2"], Bool[np.ndarray, "n"]]

_DIRECTIONS = 800  # tried, over half a sphere
_TRIED_POINTS = 500  # of the sherd, with which they are tried
_STARTS = 18  # directions from which a fit begins
_KEPT = 6  # of those fits, to be fitted to all points
_APART_DEGREES = 20.0  # between the starts
_ALIKE_DEGREES = 8.0  # axes nearer to each other may be one
_FIRST_TILT, _TILT_WORTH = 0.3, 1.5  # of a normal's sine: in walls; in spreads of distances
_WIDEST_WALLS, _WIDEST_SIZES = 16.0, 5.0
"""No pot's radius is so many times its wall, or the sherd's own size."""

MEASURED = 1.1
"""So many times the size that is told of its pot a sherd may seem to have."""

_DEGREE = 4  # of the polynomials that the profile is fitted by


class Axis(NamedTuple):
    """A line: a point (that next to the sherd's middle) and a unit direction, either way round.

    `error` is how far the wall lies from being round about it, in mm: the median residual.
    """

    point: Vector
    direction: Vector
    error: float


def find(surface: Wall, direction: Vector | None = None, widest: float = np.inf) -> list[Axis]:
    """The likeliest axes, best first; one alone where its direction is known.

    Axes from which no point lies further than `widest`, in mm, come before others.
    """
    points, normals = surface.points, surface.normals
    size = float(np.linalg.norm(points - points.mean(0), axis=1).max())
    free = direction is None
    directions = hemisphere(_DIRECTIONS)
    if direction is not None:
        directions = (np.asarray(direction, float) / np.linalg.norm(direction))[None]
    some = slice(None, None, max(len(points) // _TRIED_POINTS, 1))
    cost, centres = nearest_lines(directions, surface.anchors[some], normals[some])
    lines = [Axis(*line, 0.0) for line in zip(centres, directions, strict=True)]
    if np.isfinite(widest):
        cost = cost + np.array([_reach(line, points[some]) > MEASURED * widest for line in lines])
    few = Wall(points[some], normals[some], surface.anchors[some], surface.thickness)

    def worth(axis: Axis) -> tuple[bool, float]:
        return bool(_reach(axis, points) > MEASURED * widest), axis.error

    rough = [refined(few, lines[n], free=free, widest=widest) for n in starts(directions, cost)]
    found = distinct(sorted(filter(None, rough), key=worth), size)[:_KEPT]
    fine = [refined(surface, axis, free=free, rounds=2, widest=widest) for axis in found]
    found = distinct(sorted(filter(None, fine), key=worth), size)
    if any(not worth(axis)[0] for axis in found):
        return found
    return [_pulled(axis, points, widest) for axis in found]


def _pulled(axis: Axis, points: Points, widest: float) -> Axis:
    """An axis that lies too far off, moved straight towards the sherd as far as is needed."""
    beyond = _reach(axis, points) - widest
    aside = points.mean(0) - axis.point
    aside -= (aside @ axis.direction) * axis.direction
    distance = float(np.linalg.norm(aside))
    if beyond <= (MEASURED - 1) * widest or distance < 1e-9:
        return axis
    return axis._replace(point=axis.point + min(beyond / distance, 1.0) * aside)


def _reach(axis: Axis, points: Points) -> float:
    """How far from the axis the sherd reaches, but for a hundredth of it."""
    return float(np.quantile(cylindrical(axis, points)[0], 0.99))


def cylindrical(axis: Axis, points: Points) -> tuple[Values, Values]:
    """Radius and height (from the axis' point, along its direction) of points."""
    offset = points - axis.point
    height = offset @ axis.direction
    across = offset - height[:, None] * axis.direction
    return np.linalg.norm(across, axis=1), height


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


def refined(
    surface: Wall, start: Axis, *, free: bool = True, rounds: int = 3, widest: float = np.inf
) -> Axis | None:
    """The axis near a line about which the two walls fall on two lines, as smooth as a profile is.

    Residuals are the distances from the lines, polynomials over the profile's own length, and the
    sines of the normals' tilts out of their meridian planes.

    Args:
        free: its direction may change, not its place alone.
        widest: no point lies further from the axis, in mm.

    Returns:
        None where the fit fails.
    """
    points, normals = surface.points, surface.normals
    scale = surface.thickness or float(np.linalg.norm(np.ptp(points, axis=0))) / 20
    size = float(np.linalg.norm(points - points.mean(0), axis=1).max())
    limit = _WIDEST_WALLS * surface.thickness if surface.thickness else _WIDEST_SIZES * size
    limit = min(limit, widest)
    axis = start
    middle = points.mean(0)
    weight, tilt = np.ones(len(points)), _FIRST_TILT * scale
    distance = np.zeros(len(points))
    for _ in range(rounds):
        first, second = beside(axis.direction)
        radius, height = cylindrical(axis, points)
        frame = _profile_frame(axis, points, normals, radius, height)

        # These two and `_residuals` run thousands of times: without annotations, whose check in
        # tests would take as long as the work.
        def moved(x, axis=axis, first=first, second=second):
            direction = axis.direction
            if free:
                direction = direction + x[2] * first + x[3] * second
                direction = direction / np.linalg.norm(direction)
            point = axis.point + scale * (x[0] * first + x[1] * second)
            return Axis(point, direction, 0.0)

        def residuals(x, frame=frame, weight=weight, tilt=tilt):
            distance, sine, radius = _residuals(moved(x), surface, frame, weight)
            root = np.sqrt(weight)
            # Else a plane's axis would lie anywhere.
            beyond = 0.1 * np.sqrt(len(points)) * max(float(np.median(radius)) - limit, 0.0)
            return np.concatenate([root * distance, tilt * root * sine, [beyond]])

        solved = optimize.least_squares(
            residuals, np.zeros(4 if free else 2), method="lm", max_nfev=60
        )
        axis = moved(solved.x)
        if not np.isfinite(axis.point).all():
            return None
        axis = axis._replace(
            point=axis.point + ((middle - axis.point) @ axis.direction) * axis.direction
        )
        distance, sine, _ = _residuals(axis, surface, frame, weight)
        spread = 1.5 * np.median(np.abs(distance)) + 1e-9 * scale
        weight = 1 / (1 + (distance / (2 * spread)) ** 2)
        # Each by what it is worth: on a smooth scan the places, on a coarse one the normals too.
        tilt = min(_TILT_WORTH * float(spread / (1.5 * np.median(np.abs(sine)) + 1e-9)), 2 * scale)
    return axis._replace(error=float(np.median(np.abs(distance))))


def beside(direction: Vector) -> tuple[np.ndarray, np.ndarray]:
    """Two directions of length 1 that are at right angles to a direction and to each other."""
    first = np.cross(direction, np.eye(3)[np.abs(direction).argmin()])
    first /= np.linalg.norm(first)
    return first, np.cross(direction, first)


def _profile_frame(
    axis: Axis, points: Points, normals: Points, radius: Values, height: Values
) -> Frame:
    """The directions along and across the profile in (radius, height), and which wall is which."""
    profile = np.stack([radius, height], 1)
    along = np.linalg.svd(profile - profile.mean(0), full_matrices=False)[2][0]
    across = np.array([-along[1], along[0]])
    out = (points - axis.point) - height[:, None] * axis.direction
    out /= np.maximum(radius, 1e-9)[:, None]
    tilt = np.stack([np.einsum("ij,ij->i", normals, out), normals @ axis.direction], 1)
    return np.stack([along, across]), tilt @ across > 0


def _residuals(axis, surface, frame, weight):
    """The distances from the lines, the sines of the normals' tilts, and the radii: all (n,).

    Args:
        axis: an `Axis`.
        surface: a `Wall` of n points.
        frame: see `_profile_frame`.
        weight: of each point, (n,).
    """
    radius, height = cylindrical(axis, surface.points)
    turn, side = frame
    along, across = turn @ np.stack([radius, height])
    middle, half = (along.max() + along.min()) / 2, max(np.ptp(along) / 2, 1e-9)
    basis = np.polynomial.legendre.legvander((along - middle) / half, _DEGREE)
    basis = np.hstack([basis, np.where(side, 1, -1)[:, None] * basis[:, :3]])
    weighted = basis.T * weight
    # Legendre's polynomials are nearly orthogonal here, so these equations are good enough.
    square = weighted @ basis + 1e-9 * len(along) * np.eye(basis.shape[1])
    fitted = np.linalg.solve(square, weighted @ across)
    turning = np.cross(axis.direction, surface.anchors - axis.point)
    sine = np.einsum("ij,ij->i", surface.normals, turning) / np.maximum(radius, 0.02 * half)
    return across - basis @ fitted, sine, radius


def distinct(found: list[Axis], size: float) -> list[Axis]:
    """Without those that are much the same as one before, for a sherd of that size in mm."""
    kept: list[Axis] = []
    for axis in found:
        for other in kept:
            same = abs(axis.direction @ other.direction) > np.cos(np.radians(_ALIKE_DEGREES))
            if same and np.linalg.norm(axis.point - other.point) < 0.3 * size:
                break
        else:
            kept.append(axis)
    return kept
