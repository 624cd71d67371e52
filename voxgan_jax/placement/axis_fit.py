"""Where the axis of a turned pot stands, from the surface of one sherd of it.

On a surface of revolution every normal line meets the axis (Pottmann, Peternell and Ravani 1999,
"An introduction to line geometry with applications"). For one direction of the axis the place is
then a linear problem, so all directions are tried and the best few kept; each is refined until the
two walls, turned about it, fall on the fewest lines (`refined`). Break edges do not belong to the
turned surface: what is no wall, with another wall behind it, is left out.

A sherd of a sphere or of a cylinder, and a flat one, fits many axes: several are returned.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
from jaxtyping import Float
from scipy import optimize

from voxgan_jax.placement.axis_lines import (
    Frame,
    hemisphere,
    nearest_lines,
    roundness,
    slopes,
    starts,
)
from voxgan_jax.placement.axis_maps import Lines
from voxgan_jax.scan.walls import Points, Wall

Values = Float[np.ndarray, "n"]
Vector = Float[np.ndarray, "3"]

_DIRECTIONS = 800  # tried, over half a sphere
_TRIED_POINTS = 500  # of the sherd, with which they are tried
_KEPT = 6  # of those fits, to be fitted to all points
_ALIKE_DEGREES = 8.0  # axes nearer to each other may be one
_WIDEST_WALLS, _WIDEST_SIZES = 16.0, 5.0
"""Few pots' radius is more than so many times their wall, or the sherd's own size."""

_AT_THE_LIMIT = 0.9
"""From this share of it on the limit has a say in a fit."""

_EXACT = 1e-3
"""Of a wall's thickness: with a smaller error a fit leaves nothing to be wished for."""

_WIDER = 0.75
"""An unusually wide pot is believed where it leaves no more than this share of the error."""

MUCH_BETTER = 0.6
"""An axis found by long moves is believed where it leaves less than this share of the error that is
left by the fit of one round that it began from."""

MEASURED = 1.1
"""So many times the size that is told of its pot a sherd may seem to have."""

_ENOUGH = 1e-4  # A fit ends where it gains no more than this share.


class Axis(NamedTuple):
    """A line: a point (that next to the sherd's middle) and a unit direction, either way round.

    `error` is how far the wall lies from being round about it, in mm: the median residual. `wide`
    says that it lies further off than is usual for such a wall, as the surface demands.
    """

    point: Vector
    direction: Vector
    error: float
    wide: bool = False


def find(surface: Wall, direction: Vector | None = None, widest: float | None = None) -> list[Axis]:
    """The likeliest axes, best first; one alone where its direction is known.

    Args:
        widest: the pot's radius in mm, where it is told; axes from which no point lies further come
            before others. None keeps to what is usual for such a wall, but where a wider pot suits
            the surface much better.
    """
    some = slice(None, None, max(len(surface.points) // _TRIED_POINTS, 1))
    points, normals, anchors = (part[some] for part in surface[:3])
    few = Wall(points, normals, anchors, surface.thickness)
    limit = usual_radius(surface) if widest is None else widest
    most = np.inf if widest is None else MEASURED * widest

    def fits(lines: Sequence[Axis], wall: Wall, limit: float, rounds: int) -> list[Axis | None]:
        free = direction is None
        return [refined(wall, line, limit, free=free, rounds=rounds) for line in lines]

    def best(found: Iterable[Axis | None], wall: Wall) -> list[Axis]:
        order = sorted(filter(None, found), key=lambda a: (reach(a, wall.points) > most, a.error))
        return distinct(order, size(surface.points))

    lines = _lines(few, direction, most)
    near = fits(lines, few, limit, 1)
    found = best(fits(best(near, few)[:_KEPT], surface, limit, 3), surface)
    if widest is not None:
        suits = any(reach(axis, surface.points) <= most for axis in found)
        return found if suits else [_pulled(axis, surface.points, widest) for axis in found]
    held = [axis for axis in found if reach(axis, surface.points) >= _AT_THE_LIMIT * limit]
    least = min([axis.error for axis in found], default=0.0)
    if not held or least < _EXACT * _scale(surface):
        return found
    for line, axis in zip(lines, near, strict=True):
        if axis is None or reach(axis, few.points) >= _AT_THE_LIMIT * limit:
            held.append(line)
    near = fits(held, few, np.inf, 1)
    freed = best(fits(best(near, few)[:_KEPT], surface, np.inf, 3), surface)
    wider = [axis._replace(wide=True) for axis in freed if axis.error < _WIDER * least]
    return [*wider, *found] if direction is None else (wider or found)


def usual_radius(surface: Wall) -> float:
    """What few pots with such a wall exceed, in mm."""
    if surface.thickness:
        return _WIDEST_WALLS * surface.thickness
    return _WIDEST_SIZES * size(surface.points)


def _scale(surface: Wall) -> float:
    """The wall's thickness, or a guess at it."""
    return surface.thickness or float(np.linalg.norm(np.ptp(surface.points, axis=0))) / 20


def size(points: Points) -> float:
    """How far a point lies from the middle of them all, at most."""
    return float(np.linalg.norm(points - points.mean(0), axis=1).max())


def _lines(few: Wall, direction: Vector | None, most: float = np.inf) -> list[Axis]:
    """Lines that the normals of some points meet well: one alone of a known direction. Those of
    which a point lies further off than `most` come last."""
    directions = hemisphere(_DIRECTIONS)
    if direction is not None:
        directions = (np.asarray(direction, float) / np.linalg.norm(direction))[None]
    cost, centres = nearest_lines(directions, few.anchors, few.normals)
    lines = [Axis(*line, 0.0) for line in zip(centres, directions, strict=True)]
    if np.isfinite(most):
        cost = cost + np.array([reach(line, few.points) > most for line in lines])
    return [lines[n] for n in starts(directions, cost)]


def _pulled(axis: Axis, points: Points, widest: float) -> Axis:
    """An axis that lies too far off, moved straight towards the sherd as far as is needed."""
    beyond = reach(axis, points) - widest
    aside = points.mean(0) - axis.point
    aside -= (aside @ axis.direction) * axis.direction
    distance = float(np.linalg.norm(aside))
    if beyond <= (MEASURED - 1) * widest or distance < 1e-9:
        return axis
    return axis._replace(point=axis.point + min(beyond / distance, 1.0) * aside)


def reach(axis: Axis, points: Points) -> float:
    """How far from the axis the sherd reaches, but for a hundredth of it."""
    return float(np.quantile(cylindrical(axis, points)[0], 0.99))


def cylindrical(axis: Axis, points: Points) -> tuple[Values, Values]:
    """Radius and height (from the axis' point, along its direction) of points."""
    offset = points - axis.point
    height = offset @ axis.direction
    across = offset - height[:, None] * axis.direction
    return np.linalg.norm(across, axis=1), height


def refined(
    surface: Wall, start: Axis, widest: float, *, free: bool = True, rounds: int = 3
) -> Axis | None:
    """The axis near a line about which the two walls fall on two lines, as smooth as a profile is.

    Residuals are the distances from the lines, polynomials over the profile's own length. That
    normals should meet the axis is left out: where a wall bends they are not known well enough, and
    drew fits away.

    Args:
        widest: half of the points lie no further from the axis, in mm, or hardly.
        free: its direction may change, not its place alone.

    Returns:
        None where the fit fails.
    """
    points, axis, scale = surface.points, start, _scale(surface)
    weight, distance = np.ones(len(points)), np.zeros(len(points))
    for _ in range(rounds):
        frame = profile_frame(axis, points, surface.normals, *cylindrical(axis, points))
        moves = _moves(axis.direction, scale, free=free)
        axis = _roundest(axis, moves, points, frame, weight, widest)
        if not np.isfinite(axis.point).all():
            return None
        axis, distance = _beside_sherd(axis, points, frame, weight)
        spread = 1.5 * np.median(np.abs(distance)) + 1e-9 * scale
        weight = 1 / (1 + (distance / (2 * spread)) ** 2)
    return axis._replace(error=float(np.median(np.abs(distance))))


def _roundest(
    start: Axis, moves: Lines, points: Points, frame: Frame, weight: Values, widest: float
) -> Axis:
    """The axis to which the moves lead about which the walls are roundest; `refined` tells more."""
    heavy = 0.1 * np.sqrt(len(points))

    def moved(x: Float[np.ndarray, "m"]) -> tuple[Lines, float]:
        turned = start.direction + x @ moves.directions
        length = float(np.linalg.norm(turned))
        return Lines((start.point + x @ moves.points)[None], (turned / length)[None]), length

    def left(x: Float[np.ndarray, "m"]) -> Float[np.ndarray, "_"]:
        (distance,), (radius,) = roundness(moved(x)[0], points, frame, weight)
        # Else a plane's axis would lie anywhere.
        beyond = np.median(radius) - widest if radius.max() > widest else 0.0
        return np.append(np.sqrt(weight) * distance, heavy * max(beyond, 0.0))

    def change(x: Float[np.ndarray, "m"]) -> Float[np.ndarray, "_ m"]:
        line, length = moved(x)
        shorter = Lines(moves.points, moves.directions / length)
        change, wider, radius = slopes(line, shorter, points, frame, weight)
        middle = np.argpartition(radius, len(radius) // 2)[len(radius) // 2]
        beyond = heavy * wider[middle] * (radius[middle] > widest)
        return np.vstack([np.sqrt(weight)[:, None] * change, beyond])

    solved = optimize.least_squares(
        left,
        np.zeros(len(moves.points)),
        cast(Any, change),
        method="lm",
        max_nfev=60,
        ftol=_ENOUGH,
        xtol=_ENOUGH,
    )
    (point,), (direction,) = moved(solved.x)[0]
    return Axis(point, direction, 0.0)


def _moves(direction: Vector, scale: float, *, free: bool) -> Lines:
    """How a line is moved and, where it is `free`, tilted by numbers near 0."""
    aside, still = np.stack(beside(direction)), np.zeros((2, 3))
    both = Lines(np.concatenate([scale * aside, still]), np.concatenate([still, aside]))
    return both if free else Lines(both.points[:2], both.directions[:2])


def told(surface: Wall, direction: Vector, point: Vector) -> Axis:
    """An axis that is known."""
    points, line = surface.points, Axis(point, direction / np.linalg.norm(direction), 0.0)
    frame = profile_frame(line, points, surface.normals, *cylindrical(line, points))
    axis, distance = _beside_sherd(line, points, frame, np.ones(len(points)))
    wide = reach(axis, points) > usual_radius(surface)
    return axis._replace(error=float(np.median(np.abs(distance))), wide=wide)


def _beside_sherd(axis: Axis, points: Points, frame: Frame, weight: Values) -> tuple[Axis, Values]:
    """An axis by its point next to the sherd's middle, and how far the walls are from round."""
    point = axis.point + ((points.mean(0) - axis.point) @ axis.direction) * axis.direction
    (distance,), _ = roundness(Lines(point[None], axis.direction[None]), points, frame, weight)
    return axis._replace(point=point), distance


def beside(direction: Vector) -> tuple[np.ndarray, np.ndarray]:
    """Two directions of length 1 that are at right angles to a direction and to each other."""
    first = np.cross(direction, np.eye(3)[np.abs(direction).argmin()])
    first /= np.linalg.norm(first)
    return first, np.cross(direction, first)


def profile_frame(
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
