"""One placement that a sherd may have had, and where its voxels and its pot are then."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from voxgan_jax.placement import axis_fit, locator
from voxgan_jax.placement.axis_fit import Axis, Points

LOG_SCALE_ALIKE, ROWS_ALIKE, DEGREES_ALIKE = 0.1, 4.0, 12.0
"""Placements are much the same within 10 % of size, so many voxels and such an angle."""


class Known(NamedTuple):
    """What is known of a sherd's place; lengths in mm.

    `direction`: from base to rim. `height`, `diameter`: of the whole pot. `voxel`: so much of it is
    one voxel of a cube of `locator.CUBE`. `rim`, `base`: the sherd holds part of it. `point`: of
    the axis, with `direction`.
    """

    direction: tuple[float, float, float] | None = None
    height: float | None = None
    diameter: float | None = None
    voxel: float | None = None
    rim: bool = False
    base: bool = False
    point: tuple[float, float, float] | None = None


class Candidate(NamedTuple):
    """One placement.

    `axis` points from base to rim; `voxel` is the side of a voxel of the `locator.CUBE`, in mm;
    `bottom` is where the cube's bottom is, in mm along the axis from its point. `log_share` says
    how likely it is before the model is asked.
    """

    axis: Axis
    voxel: float
    bottom: float
    log_share: float
    turn: float = 0.0


def given_cells(
    candidate: Candidate, points: Points, volume: float, resolution: int
) -> Bool[np.ndarray, "r r r"]:
    """A sherd's voxels where a candidate puts it, in the model's cube: those half full."""
    cells = inverse(matrix(candidate, resolution), points)
    cell = np.rint(cells).astype(int)
    kept = ((cell >= 0) & (cell < resolution)).all(axis=1)
    count = np.zeros((resolution,) * 3)
    np.add.at(count, tuple(cell[kept].T), 1.0)
    step = candidate.voxel * locator.CUBE / resolution
    # Lattices beat against each other; a little smoothing evens out what they count.
    share = ndimage.gaussian_filter(count * volume / step**3, 0.4)
    return share > 0.5


def matrix(candidate: Candidate, side: int) -> Float[np.ndarray, "4 4"]:
    """From the indices of a cube of so many voxels to mm, a mirror image as `surface.frame`."""
    axis = candidate.axis
    step = candidate.voxel * locator.CUBE / side
    cosine, sine = np.cos(candidate.turn), np.sin(candidate.turn)
    first, second = [[cosine, sine], [-sine, cosine]] @ np.stack(axis_fit.beside(axis.direction))
    made = np.eye(4)
    # `first` × `second` is up and height runs downwards in a grid: it is mirrored.
    made[:3, :3] = step * np.stack([first, second, -axis.direction], 1)
    top = axis.point + (candidate.bottom + side * step) * axis.direction
    middle = step * (side - 1) / 2
    made[:3, 3] = top - 0.5 * step * axis.direction - middle * (first + second)
    return made


def inverse(made: Float[np.ndarray, "4 4"], points: Points) -> Points:
    """Points in mm as indices of the grid."""
    return (points - made[:3, 3]) @ np.linalg.inv(made[:3, :3]).T


def spans(
    probabilities: Float[np.ndarray, "r r r"], threshold: float
) -> tuple[float, float, float]:
    """An answer's lowest and highest row, counted from the bottom, and its diameter, in voxels."""
    answer = probabilities > threshold
    rows = np.flatnonzero(answer.any(axis=(0, 1)))
    if not rows.size:
        return 0.0, 0.0, 0.0
    side = answer.shape[2]
    widths = [np.ptp(np.flatnonzero(answer.any(axis=axes))) + 1 for axes in ((1, 2), (0, 2))]
    return float(side - 1 - rows.max()), float(side - rows.min()), float(max(widths))


def same(one: Candidate, other: Candidate, points: Points) -> bool:
    """The same end up, a scale within 10 %, the sherd within 4 voxels, and much the same axis."""
    if one.axis.direction @ other.axis.direction < np.cos(np.radians(DEGREES_ALIKE)):
        return False
    if abs(np.log(one.voxel / other.voxel)) > LOG_SCALE_ALIKE:
        return False
    middle = points.mean(0)
    at = [inverse(matrix(c, locator.CUBE), middle[None])[0] for c in (one, other)]
    radii = [np.hypot(*(place[:2] - (locator.CUBE - 1) / 2)) for place in at]
    return bool(abs(at[0][2] - at[1][2]) <= ROWS_ALIKE and abs(radii[0] - radii[1]) <= ROWS_ALIKE)
