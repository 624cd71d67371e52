"""The place near one that a sherd's walls and the pot of other sherds suit best."""

import numpy as np
from jaxtyping import Float

from voxgan_jax.placement import axis_fit, axis_lines, axis_search, belief
from voxgan_jax.placement.axis_fit import Axis
from voxgan_jax.placement.axis_maps import Lines
from voxgan_jax.placement.belief import Belief, Shown
from voxgan_jax.placement.candidate import Candidate
from voxgan_jax.placement.propose import AXIS_WEIGHT
from voxgan_jax.placement.view import View

_DRAWN, _BEST, _ROUNDS = 60, 10, 10
"""Moves of a place that are drawn, those by which the next are drawn, and how often."""
_MOVES = (1.0, 1.0, 1.0, 1.0, 1.5)
"""Their standard deviations in voxels at first: of the axis' tilt, as it moves the sherd's ends,
and of its shift, each both ways, and of the height."""
_LEAST_MOVE = 0.03
_POINTS = 330  # of the sherd's walls
_ALIKE_ERROR = 0.03  # units: nearer to round no wall is


def foretold(candidate: Candidate, sherd: Shown, pot: Belief) -> float:
    """How well a sherd is foretold in a place, as `belief.at`."""
    line, bottom = axis_search.lines_of([candidate.axis]), np.array([candidate.bottom])
    return float(belief.at(line, bottom, candidate.voxel, sherd, pot)[0])


def best(
    start: Candidate, view: View, sherd: Shown, pot: Belief, weights: tuple[float, float]
) -> Candidate:
    """The best place near one, by the cross-entropy method: moves are drawn, and the next are drawn
    as the best of them lie.

    Args:
        weights: of the place's own likelihood, which changes as the walls are more or less round
            about the axis, and of how well the pot foretells the sherd.
    """
    surface = view.surface
    some = slice(None, None, max(len(surface.points) // _POINTS, 1))
    points, even = surface.points[some], np.ones(len(surface.points[some]))
    cylinder = axis_fit.cylindrical(start.axis, points)
    frame = axis_fit.profile_frame(start.axis, points, surface.normals[some], *cylinder)
    beside = np.stack(axis_fit.beside(start.axis.direction))
    middle, tilt = float(cylinder[1].mean()), start.voxel / axis_fit.size(points)
    pivot = start.axis.point + middle * start.axis.direction

    def moved(moves: Float[np.ndarray, "k 5"]) -> tuple[Lines, Float[np.ndarray, "k"]]:
        directions = start.axis.direction + tilt * moves[:, :2] @ beside
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        lines = Lines(pivot + start.voxel * moves[:, 2:4] @ beside, directions)
        return lines, start.bottom - middle + start.voxel * moves[:, 4]

    def own(lines: Lines) -> Float[np.ndarray, "k"]:
        distance, _ = axis_lines.roundness(lines, points, frame, even)
        error = np.median(np.abs(distance), axis=1) + _ALIKE_ERROR * view.unit
        return start.log_share - AXIS_WEIGHT * np.log(error)

    chosen, mean, deviation = np.zeros((1, 5)), np.zeros(5), np.array(_MOVES)
    rng = np.random.default_rng(0)
    for _ in range(_ROUNDS):
        moves = np.concatenate([chosen, mean + deviation * rng.normal(size=(_DRAWN, 5))])
        lines, bottoms = moved(moves)
        agreed = belief.at(lines, bottoms, start.voxel, sherd, pot)
        order = np.argsort(-(weights[0] * own(lines) + weights[1] * agreed))
        chosen, few = moves[order[:1]], moves[order[:_BEST]]
        mean, deviation = few.mean(0), few.std(0) + _LEAST_MOVE
    lines, bottoms = moved(np.concatenate([chosen, np.zeros((1, 5))]))
    share, before = own(lines)
    return start._replace(
        axis=Axis(lines.points[0], lines.directions[0], start.axis.error),
        bottom=float(bottoms[0]),
        log_share=start.log_share + float(share - before),
    )
