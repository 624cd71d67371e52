"""Placements that a sherd may have had: by its surface, by `locator`, and by what is known.

A candidate is cheap: points and tables. Only the best of them are shown to the model (`place`).
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import special

from voxgan_jax.geometry import voxelise
from voxgan_jax.placement import axis_fit, axis_maps, axis_search, locator
from voxgan_jax.placement.axis_fit import Axis
from voxgan_jax.placement.axis_maps import Fill, Lines
from voxgan_jax.placement.candidate import LOG_SCALE_ALIKE, ROWS_ALIKE, Candidate, Known
from voxgan_jax.scan import walls
from voxgan_jax.scan.walls import Wall

if TYPE_CHECKING:
    import trimesh

Values = Float[np.ndarray, "n"]
Scales = Float[np.ndarray, "s"]

MAX_AXES = 5  # of a sherd, whose placements are looked at
_FINE = 5  # points a wall's thickness that fill a sherd
_MAX_CELLS = 6_000_000  # of the grid of these points
_THIN = 0.45
"""From this logarithm of a voxel's side in units on, walls are thinner than the networks know."""
_UNLIKELY = -30.0  # logarithm of likelihood: what cannot be
_FAR = 9.0  # likewise, below the best: what is not worth a look
_MAX_GROUPS = 8  # placements of one axis, one end up
_SIZE_ERROR = 0.03
"""Standard deviation of the logarithm of a size that is given: what is measured is not exact."""
_AXIS_WEIGHT = 3.0
"""So many independent residuals a sherd's surface is worth beside the locator's scores."""
_BEYOND = 100.0
"""What it costs a line for each share by which the sherd is bigger about it than its pot may be."""
_WIDEST_LOG_SHARE = float(np.log(0.75))
_HIGHEST_LOG_SHARE = float(np.log(0.25))
"""How often the diameter, or else the height, is a pot's longest side."""


def fill(mesh: "trimesh.Trimesh", thickness: float | None) -> Fill:
    """Points that fill a sherd evenly."""
    low, high = mesh.bounds
    size = float((high - low).max())
    step = (thickness or size / 20) / _FINE
    step = max(step, (float(np.prod(high - low + 2 * step)) / _MAX_CELLS) ** (1 / 3))
    shape = np.ceil((high - low) / step).astype(int) + 1
    occupied = voxelise.voxelise(mesh, low.tolist(), step, shape.tolist())
    return Fill(low + (np.argwhere(occupied) + 0.5) * step, step**3)


class View(NamedTuple):
    """A sherd as the networks are shown it: with a wall of `locator.USUAL_WALL` units at least.

    `fill` fills it, `surface` is its walls, in mm; `thickness` is its own wall's, `shown` that which
    they see.
    """

    fill: Fill
    surface: Wall
    unit: float
    thickness: float
    shown: float


def candidates(
    mesh: "trimesh.Trimesh", known: Known, locate: locator.Locate, count: int
) -> tuple[list[Candidate], View]:
    """The likeliest placements, best first, and the sherd as they were found with.

    Raises:
        ValueError: no axis is found about which the sherd could have been turned, or no placement
            that agrees with what is known.
    """
    surface = walls.wall(mesh)
    filled = fill(mesh, surface.thickness)
    direction = None if known.direction is None else np.asarray(known.direction, float)
    fitted = axis_fit.find(surface, direction, known.diameter and known.diameter / 2)
    # Where two walls were not told apart, a sherd is as thick as twice its volume by its area.
    thickness = surface.thickness or 2 * len(filled.points) * filled.volume / float(mesh.area)
    view = _view(filled, surface, thickness, fitted, known)
    unit = view.unit
    few = axis_maps.thinned(view.fill, view.surface, np.random.default_rng(0))

    def tables_of(lines: Lines) -> Float[np.ndarray, "k 2 s p"]:
        return locate(axis_maps.maps(*few, lines, unit))

    axes = fitted[:1] if direction is not None else _axes(view, few, fitted, known, tables_of)
    if not axes:
        raise ValueError(
            "no axis is found about which the sherd could have been turned; give --axis, or --as-is"
            " where the scan lies as it did in its pot"
        )
    tables = tables_of(axis_search.lines_of(axes))
    tables = tables + _roundness(axes, unit)[:, None, None, None]
    tables -= special.logsumexp(tables)
    found: list[Candidate] = []
    for axis, table in zip(axes, tables, strict=True):
        found += _upright(axis, view.fill.points, table[0], unit, known)
        # Given, it points from base to rim already.
        if direction is None:
            other = axis._replace(direction=-axis.direction)
            found += _upright(other, view.fill.points, table[1], unit, known)
    found.sort(key=lambda candidate: -candidate.log_share)
    if not found or found[0].log_share < _UNLIKELY:
        raise ValueError(
            "no placement agrees with what is given: the sherd is bigger than the pot; check"
            " --unit, --axis, --up, --height-mm and --diameter-mm"
        )
    return found[:count], view


def _view(
    filled: Fill, surface: Wall, thickness: float, fitted: Sequence[Axis], known: Known
) -> View:
    """A sherd as it is, or where its pot is wider than the networks know pots with such walls, with
    thicker ones: of walls of less than a voxel they see nothing."""
    unit = thickness / locator.USUAL_WALL
    diameter = known.diameter or 0.0
    if not diameter and fitted and fitted[0].wide:
        diameter = 2 * axis_fit.reach(fitted[0], surface.points)
    least = known.voxel or max(known.height or 0.0, diameter) / locator.LONGEST
    if least < unit * np.exp(_THIN):
        return View(filled, surface, unit, thickness, thickness)
    if not surface.thickness:
        return View(filled, surface, least, thickness, thickness)
    shown = locator.USUAL_WALL * least
    points, anchors, inner = (
        walls.thickened(some, surface, shown)
        for some in (surface.points, surface.anchors, filled.points)
    )
    thick = surface._replace(points=points, anchors=anchors, thickness=shown)
    return View(Fill(inner, filled.volume * shown / thickness), thick, least, thickness, shown)


def _axes(
    view: View,
    few: tuple[Fill, Wall],
    fitted: Sequence[Axis],
    known: Known,
    tables_of: Callable[[Lines], Float[np.ndarray, "k 2 s p"]],
) -> list[Axis]:
    """The likeliest axes that differ, `fitted` ones and others.

    Args:
        few: some points of the sherd and of its walls.
    """
    surface, unit = view.surface, view.unit
    highest, widest = known.height or np.inf, (known.diameter or np.inf) / 2
    scales, prior, _ = _scales(unit, known)

    def score(lines: Lines) -> Float[np.ndarray, "k"]:
        tables = _at_scales(tables_of(lines), scales) + prior[:, None]
        radius, height = axis_maps.cylindrical(few[0].points, *lines)
        beyond = np.zeros(len(tables))
        shown = (np.ptp(height, axis=0), np.quantile(radius, 0.99, axis=0))
        for told, found in zip((highest, widest), shown, strict=True):
            beyond += np.maximum(found / told - axis_fit.MEASURED, 0) * _BEYOND
        return special.logsumexp(tables, axis=(1, 2, 3)) - beyond

    limit = (known.diameter or 0.0) / 2 or axis_fit.usual_radius(surface)
    found = axis_search.search(few[1], unit, limit, score, fitted)
    if not found:
        return []
    value = score(axis_search.lines_of(found)) + _roundness(found, unit)
    size = float(np.linalg.norm(surface.points - surface.points.mean(0), axis=1).max())
    best = [found[n] for n in np.argsort(-value)]
    return axis_fit.distinct(best, size)[:MAX_AXES]


def _roundness(axes: list[Axis], unit: float) -> Float[np.ndarray, "k"]:
    """How much the sherd's surface speaks for each axis, as a logarithm of likelihood."""
    errors = np.array([axis.error for axis in axes])
    return -_AXIS_WEIGHT * np.log(np.maximum(errors, 1e-3 * unit))


def _at_scales(
    tables: Float[np.ndarray, "... s p"], scales: Float[np.ndarray, "t"]
) -> Float[np.ndarray, "... t p"]:
    """Tables at other scales than `locator.SCALES`, by interpolation; the ends reach on."""
    where = np.interp(scales, locator.SCALES, np.arange(len(locator.SCALES)))
    low = np.minimum(where.astype(int), len(locator.SCALES) - 2)
    share = (where - low)[:, None]
    return (1 - share) * tables[..., low, :] + share * tables[..., low + 1, :]


def _upright(
    axis: Axis,
    points: Float[np.ndarray, "n 3"],
    table: Float[np.ndarray, "s p"],
    unit: float,
    known: Known,
) -> list[Candidate]:
    """The candidates of an axis from base to rim, each for a group of scales and places."""
    radius, height = axis_fit.cylindrical(axis, points)
    highest, widest = (axis_fit.MEASURED * (size or np.inf) for size in known[1:3])
    if np.ptp(height) > highest or 2 * np.quantile(radius, 0.99) > widest:
        return []
    scales, prior, fixed = _scales(unit, known)
    table = _at_scales(table, scales)
    inside = (scales >= locator.SCALES[0] - 0.1) & (scales <= locator.SCALES[-1] + 0.1)
    # Where the sizes are told, even an unusual wall is believed.
    table = np.where(inside[:, None] | fixed, table, _UNLIKELY)
    table = table + prior[:, None]
    voxels = unit * np.exp(scales)
    table = np.where(_fits(voxels, radius, height), table, 2 * _UNLIKELY)
    middle = (height.max() + height.min()) / 2
    made = []
    for log_scale, place, share in _groups(table, scales):
        voxel = float(unit * np.exp(log_scale))
        made.append(Candidate(axis, voxel, float(middle - place * voxel), share))
    return made


def _scales(unit: float, known: Known) -> tuple[Scales, Scales, bool]:
    """Logarithms of the voxel's side in units, how likely they are by what is known, and whether
    that tells all."""
    free = locator.SCALES
    if known.voxel is not None:
        return np.log([known.voxel / unit]), np.zeros(1), True
    sizes = [size for size in (known.height, known.diameter) if size is not None]
    if not sizes:
        return free, np.zeros(len(free)), False
    least = float(np.log(max(sizes) / locator.LONGEST / unit))
    if len(sizes) == 2:
        return np.array([least]), np.zeros(1), True
    share, other = _WIDEST_LOG_SHARE, _HIGHEST_LOG_SHARE
    if known.height is not None:
        share, other = other, share
    beyond = free[free > least + _SIZE_ERROR]
    spread = other - np.log(max(len(beyond), 1))
    return np.array([least, *beyond]), np.array([share, *[spread] * len(beyond)]), False


def _fits(voxels: Scales, radius: Values, height: Values) -> Bool[np.ndarray, "s p"]:
    """Which scales and places keep the sherd in the cube, but for a voxel."""
    slack = 1.5
    half = (height.max() - height.min()) / 2 / voxels
    wide = np.quantile(radius, 0.995) / voxels <= locator.CUBE / 2 + slack
    places = locator.PLACES[None]
    low, high = places - half[:, None] > -slack, places + half[:, None] < locator.CUBE + slack
    return wide[:, None] & low & high


def _groups(table: Float[np.ndarray, "s p"], scales: Scales) -> list[tuple[float, float, float]]:
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
