"""Placements that a sherd may have had: axes by its surface, the rest by `locator`, what is known.

A candidate is cheap: points and tables. Only the best of them are shown to the model (`placement`).
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from voxgan_jax.completion import axis_fit, locator, sherd_wall, solid
from voxgan_jax.completion.axis_fit import Axis

if TYPE_CHECKING:
    import trimesh

MAX_AXES = 5
_FINE = 5
_MAX_CELLS = 6_000_000
_UNLIKELY = -30.0
_FAR = 9.0
_MAX_GROUPS = 8
LOG_SCALE_ALIKE, ROWS_ALIKE, DEGREES_ALIKE = 0.1, 4.0, 12.0
"""Placements are much the same within 10 % of size, so many voxels and such an angle."""
_SIZE_ERROR = 0.03
"""Standard deviation of the logarithm of a size that is given: what is measured is not exact."""
_AXIS_WEIGHT = 12.0
"""So many independent residuals a sherd's surface is worth, when axes are compared."""
_WIDEST_LOG_SHARE = float(np.log(0.75))
_HIGHEST_LOG_SHARE = float(np.log(0.25))
"""How often the diameter, or else the height, is a pot's longest side."""


class Known(NamedTuple):
    """What is known of a sherd's place; lengths in mm.

    `direction`: from base to rim. `height`, `diameter`: of the whole pot. `voxel`: so much of it is
    one voxel. `rim`, `base`: the sherd holds part of it.
    """

    direction: tuple[float, float, float] | None = None
    height: float | None = None
    diameter: float | None = None
    voxel: float | None = None
    rim: bool = False
    base: bool = False


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


def fill(
    mesh: "trimesh.Trimesh", thickness: float | None
) -> tuple[Float[np.ndarray, "n 3"], float]:
    """Points that fill a sherd evenly, and the volume of each in mm³."""
    low, high = mesh.bounds
    size = float((high - low).max())
    step = (thickness or size / 20) / _FINE
    step = max(step, (float(np.prod(high - low + 2 * step)) / _MAX_CELLS) ** (1 / 3))
    shape = np.ceil((high - low) / step).astype(int) + 1
    occupied = solid.voxelise(mesh, low.tolist(), step, shape.tolist())
    return low + (np.argwhere(occupied) + 0.5) * step, step**3


def candidates(
    mesh: "trimesh.Trimesh", known: Known, locate: locator.Locate, count: int
) -> tuple[list[Candidate], tuple[Float[np.ndarray, "n 3"], float]]:
    """The likeliest placements, best first, and the points that fill the sherd.

    Raises:
        ValueError: no axis is found about which the sherd could have been turned, or no placement
            that agrees with what is known.
    """
    surface = sherd_wall.wall(mesh)
    direction = None if known.direction is None else np.asarray(known.direction, float)
    widest = None if known.diameter is None else known.diameter / 2
    axes = axis_fit.find(surface, direction, widest)[:MAX_AXES]
    if not axes:
        raise ValueError(
            "no axis is found about which the sherd could have been turned; give --axis, or --as-is"
            " where the scan lies as it did in its pot"
        )
    points, volume = fill(mesh, surface.thickness)
    unit = (surface.thickness or _usual_wall(points, volume, mesh)) / locator.USUAL_WALL
    profiles = [axis_fit.cylindrical(axis, points) for axis in axes]
    maps = [
        locator.profile_map(radius / unit, height / unit, volume / unit**3)
        for radius, height in profiles
    ]
    tables = locate(np.stack(maps))
    worth = _AXIS_WEIGHT * -np.log(np.array([axis.error for axis in axes]) / axes[0].error)
    found: list[Candidate] = []
    for axis, (radius, height), table, weight in zip(axes, profiles, tables, worth, strict=True):
        # Given, it points from base to rim already.
        for way in (0, 1) if direction is None else (0,):
            upright = axis if way == 0 else axis._replace(direction=-axis.direction)
            rise = height if way == 0 else -height
            found += _of_one_way(upright, radius, rise, table[way], float(weight), unit, known)
    found.sort(key=lambda candidate: -candidate.log_share)
    if not found or found[0].log_share < _UNLIKELY:
        raise ValueError(
            "no placement agrees with what is given: the sherd is bigger than the pot; check"
            " --unit, --axis, --up, --height-mm and --diameter-mm"
        )
    return found[:count], (points, volume)


def _usual_wall(points: Float[np.ndarray, "n 3"], volume: float, mesh: "trimesh.Trimesh") -> float:
    """The thickness of a sherd whose two walls were not told apart: twice its volume by area."""
    return 2 * len(points) * volume / float(mesh.area)


def _of_one_way(
    axis: Axis,
    radius: Float[np.ndarray, "n"],
    height: Float[np.ndarray, "n"],
    table: Float[np.ndarray, "s p"],
    weight: float,
    unit: float,
    known: Known,
) -> list[Candidate]:
    """The candidates of one axis with one end up, each for a group of scales and places."""
    if _bigger(known, radius, height):
        return []
    scales, prior, fixed = _scales(unit, known)
    table = np.stack([np.interp(scales, locator.SCALES, column) for column in table.T], 1)
    inside = (scales >= locator.SCALES[0] - 0.1) & (scales <= locator.SCALES[-1] + 0.1)
    # Where the sizes are told, even an unusual wall is believed.
    table = np.where(inside[:, None] | fixed, table, _UNLIKELY)
    table = table + prior[:, None] + weight
    voxels = unit * np.exp(scales)
    fits = _fits(voxels, radius, height)
    table = np.where(fits, table, 2 * _UNLIKELY)
    middle = (height.max() + height.min()) / 2
    made = []
    for log_scale, place, share in _groups(table, scales):
        voxel = float(unit * np.exp(log_scale))
        made.append(Candidate(axis, voxel, float(middle - place * voxel), share))
    return made


def _bigger(known: Known, radius: Float[np.ndarray, "n"], height: Float[np.ndarray, "n"]) -> bool:
    """Whether the sherd is bigger than its pot is said to be, by more than a measuring error."""
    high = known.height is not None and np.ptp(height) > 1.1 * known.height
    wide = known.diameter is not None and 2 * np.quantile(radius, 0.99) > 1.1 * known.diameter
    return bool(high or wide)


def _scales(
    unit: float, known: Known
) -> tuple[Float[np.ndarray, "s"], Float[np.ndarray, "s"], bool]:
    """Logarithms of the voxel's side in units, how likely they are by what is known, and whether
    that tells all."""
    free = locator.SCALES
    size = [known.height, known.diameter]
    if known.voxel is not None:
        return np.log([known.voxel / unit]), np.zeros(1), True
    if None not in size:
        longest = max(side for side in size if side is not None)
        return np.log([longest / locator.LONGEST / unit]), np.zeros(1), True
    if known.height is None and known.diameter is None:
        return free, np.zeros(len(free)), False
    side = known.height or known.diameter or 1.0
    share, other = _WIDEST_LOG_SHARE, _HIGHEST_LOG_SHARE
    if known.height is not None:
        share, other = other, share
    least = float(np.log(side / locator.LONGEST / unit))
    beyond = free[free > least + _SIZE_ERROR]
    scales = np.array([least, *beyond])
    spread = other - np.log(max(len(beyond), 1)) if len(beyond) else other
    return scales, np.array([share, *[spread] * len(beyond)]), False


def _fits(
    voxels: Float[np.ndarray, "s"], radius: Float[np.ndarray, "n"], height: Float[np.ndarray, "n"]
) -> Bool[np.ndarray, "s p"]:
    """Which scales and places keep the sherd in the cube, but for a voxel."""
    slack = 1.5
    half = (height.max() - height.min()) / 2 / voxels
    wide = np.quantile(radius, 0.995) / voxels <= locator.CUBE / 2 + slack
    places = locator.PLACES[None]
    low, high = places - half[:, None] > -slack, places + half[:, None] < locator.CUBE + slack
    return wide[:, None] & low & high


def _groups(
    table: Float[np.ndarray, "s p"], scales: Float[np.ndarray, "s"]
) -> list[tuple[float, float, float]]:
    """Cells that are much the same, taken together: their mean scale and place, and the logarithm
    of their sum."""
    left = np.where(table > max(float(table.max()) - _FAR, 1.5 * _UNLIKELY), table, -np.inf)
    made = []
    while len(made) < _MAX_GROUPS and np.isfinite(left).any():
        s, p = np.unravel_index(int(left.argmax()), left.shape)
        near = np.abs(scales - scales[s]) <= LOG_SCALE_ALIKE
        cells = near[:, None] & (np.abs(locator.PLACES - locator.PLACES[p]) <= ROWS_ALIKE)
        shares = np.where(cells, np.exp(left - left[s, p]), 0.0)
        total = shares.sum()
        scale = float(shares.sum(1) @ scales / total)
        place = float(shares.sum(0) @ locator.PLACES / total)
        made.append((scale, place, float(left[s, p] + np.log(total))))
        left[cells] = -np.inf
    return made


def partial(
    candidate: Candidate, points: Float[np.ndarray, "n 3"], volume: float, resolution: int
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
    """From the indices of a cube of so many voxels to mm, a mirror image as `mesh.frame`'s are."""
    axis = candidate.axis
    step = candidate.voxel * locator.CUBE / side
    first, second = axis_fit.beside(axis.direction)
    made = np.eye(4)
    # `first` × `second` is up and height runs downwards in a grid: it is mirrored.
    made[:3, :3] = step * np.stack([first, second, -axis.direction], 1)
    top = axis.point + (candidate.bottom + side * step) * axis.direction
    middle = step * (side - 1) / 2
    made[:3, 3] = top - 0.5 * step * axis.direction - middle * (first + second)
    return made


def inverse(
    made: Float[np.ndarray, "4 4"], points: Float[np.ndarray, "n 3"]
) -> Float[np.ndarray, "n 3"]:
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


def same(one: Candidate, other: Candidate, points: Float[np.ndarray, "n 3"]) -> bool:
    """The same end up, a scale within 10 %, the sherd within 4 voxels, and much the same axis."""
    if one.axis.direction @ other.axis.direction < np.cos(np.radians(DEGREES_ALIKE)):
        return False
    if abs(np.log(one.voxel / other.voxel)) > LOG_SCALE_ALIKE:
        return False
    middle = points.mean(0)
    at = [inverse(matrix(c, locator.CUBE), middle[None])[0] for c in (one, other)]
    radii = [np.hypot(*(place[:2] - (locator.CUBE - 1) / 2)) for place in at]
    return bool(abs(at[0][2] - at[1][2]) <= ROWS_ALIKE and abs(radii[0] - radii[1]) <= ROWS_ALIKE)
