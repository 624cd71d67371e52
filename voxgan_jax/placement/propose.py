"""Placements that a sherd may have had: by its surface, by `locator`, and by what is known.

A candidate is cheap: points and tables. Only the best of them are shown to the model (`place`).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import special

from voxgan_jax.placement import axis_fit, axis_maps, axis_search, locator
from voxgan_jax.placement.axis_fit import Axis, Values, Vector
from voxgan_jax.placement.axis_maps import Fill, Lines
from voxgan_jax.placement.candidate import LOG_SCALE_ALIKE, ROWS_ALIKE, Candidate, Known
from voxgan_jax.placement.view import Sight, View, thick_enough
from voxgan_jax.scan.walls import Points, Wall

Scales = Float[np.ndarray, "s"]

NO_PLACE = (
    "no placement agrees with what is given: the sherd is bigger than the pot; check --unit,"
    " --axis, --up, --height-mm and --diameter-mm"
)
MAX_AXES = 5  # of a sherd, whose placements are looked at
_UNLIKELY = -30.0  # logarithm of likelihood: what cannot be
_FAR = 9.0  # likewise, below the best: what is not worth a look
_MAX_GROUPS = 8  # placements of one axis, one end up
_SIZE_ERROR = 0.03
"""Standard deviation of the logarithm of a size that is given: what is measured is not exact."""
AXIS_WEIGHT, _ALIKE_ERROR = 25.0, 0.03
"""So many independent residuals a sherd's surface is worth beside the locator's scores; errors of
less than so many units are much the same."""
_BEYOND = 100.0
"""What it costs a line for each share by which the sherd is bigger about it than its pot may be."""
_CONTRADICTS, _DEGREES = 0.6, 15.0
"""An axis that was told is doubted where another, so far from it, leaves no more than this share of
the error: of 24 validation scans one of the true axes, and 23 of axes 40° off."""
_WIDEST_LOG_SHARE = float(np.log(0.75))
_HIGHEST_LOG_SHARE = float(np.log(0.25))
"""How often the diameter, or else the height, is a pot's longest side."""

Pose = tuple[Axis, Scales, Float[np.ndarray, "s p"]]
"""An axis from base to rim, and how likely a sherd lies about it at each scale (a logarithm, as
`locator.SCALES`) and in each of `locator.PLACES`."""


class Guess(NamedTuple):
    """How a sherd may have lain, before the model is asked; `view` is it as that was found with."""

    view: View
    poses: tuple[Pose, ...]

    def candidates(self) -> list[Candidate]:
        """The likeliest placements, best first."""
        points, unit = self.view.fill.points, self.view.unit
        found: list[Candidate] = []
        for axis, scales, table in self.poses:
            height = axis_fit.cylindrical(axis, points)[1]
            middle = (height.max() + height.min()) / 2
            for log_scale, place, share in _groups(table, scales):
                voxel = float(unit * np.exp(log_scale))
                found.append(Candidate(axis, voxel, float(middle - place * voxel), share))
        return sorted(found, key=lambda candidate: -candidate.log_share)


def guess(sight: Sight, known: Known, locate: locator.Locate) -> Guess:
    """How a sherd may have lain in its pot.

    Raises:
        ValueError: no axis is found about which the sherd could have been turned, or no placement
            that agrees with what is known.
    """
    plain = sight.view
    surface, radius = plain.surface, known.diameter and known.diameter / 2
    direction = None if known.direction is None else np.asarray(known.direction, float)
    if direction is not None and known.point:
        fitted = [axis_fit.told(surface, direction, np.asarray(known.point, float))]
    else:
        fitted = sight.axes(direction, radius)
    sizes = [size or 0.0 for size in (known.height, known.diameter)]
    if not known.diameter and fitted and fitted[0].wide:
        sizes.append(2 * axis_fit.reach(fitted[0], surface.points))
    least = known.voxel or max(sizes) / locator.LONGEST
    view = thick_enough(plain, least)
    poses = _poses(view, fitted, known, locate)
    if not poses and not known.voxel and not all(sizes[:2]):
        # A pot with such walls is not so big; then it is one with thinner walls than usual.
        view = thick_enough(plain, max(least, _held(fitted, surface.points) / locator.LONGEST))
        poses = _poses(view, fitted, known, locate)
    if not poses:
        raise ValueError(NO_PLACE)
    if direction is not None:
        other = _contradicts(fitted[0], sight.axes(None, radius))
        view = view._replace(other=other)
    return Guess(view, poses)


def _contradicts(told: Axis, free: Sequence[Axis]) -> Vector | None:
    """The direction of an axis about which the walls are far rounder than about one told."""
    best = min(free, key=lambda axis: axis.error, default=told)
    apart = abs(float(best.direction @ told.direction)) < np.cos(np.radians(_DEGREES))
    return best.direction if apart and best.error < _CONTRADICTS * told.error else None


def _poses(
    view: View, fitted: Sequence[Axis], known: Known, locate: locator.Locate
) -> tuple[Pose, ...]:
    """The poses of a sherd as it is shown; none where none is likely."""
    unit, direction = view.unit, known.direction
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
    points, made = view.fill.points, []
    for axis, table in zip(axes, tables, strict=True):
        made.append(_upright(axis, points, table[0], unit, known))
        # Given, it points from base to rim already.
        if direction is None:
            other = axis._replace(direction=-axis.direction)
            made.append(_upright(other, points, table[1], unit, known))
    poses = tuple(filter(None, made))
    return poses if any(table.max() >= _UNLIKELY for _, _, table in poses) else ()


def _held(fitted: Sequence[Axis], points: Points) -> float:
    """The least size of a pot that holds the sherd about one of these axes, in mm."""
    sizes = []
    for axis in fitted:
        radius, height = axis_fit.cylindrical(axis, points)
        sizes.append(max(2 * float(np.quantile(radius, 0.99)), float(np.ptp(height))))
    return min(sizes, default=0.0)


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
    best = [found[n] for n in np.argsort(-value)]
    return axis_fit.distinct(best, axis_fit.size(surface.points))[:MAX_AXES]


def _roundness(axes: Sequence[Axis], unit: float) -> Float[np.ndarray, "k"]:
    """How much the sherd's surface speaks for each axis, as a logarithm of likelihood."""
    errors = np.array([axis.error for axis in axes])
    return -AXIS_WEIGHT * np.log(errors / unit + _ALIKE_ERROR)


def _at_scales(
    tables: Float[np.ndarray, "... s p"], scales: Float[np.ndarray, "t"]
) -> Float[np.ndarray, "... t p"]:
    """Tables at other scales than `locator.SCALES`, by interpolation; the ends reach on."""
    where = np.interp(scales, locator.SCALES, np.arange(len(locator.SCALES)))
    low = np.minimum(where.astype(int), len(locator.SCALES) - 2)
    share = (where - low)[:, None]
    return (1 - share) * tables[..., low, :] + share * tables[..., low + 1, :]


def _upright(
    axis: Axis, points: Points, table: Float[np.ndarray, "_ p"], unit: float, known: Known
) -> Pose | None:
    """The pose of an axis from base to rim; None where the sherd is bigger than its pot then."""
    radius, height = axis_fit.cylindrical(axis, points)
    highest, widest = (axis_fit.MEASURED * (size or np.inf) for size in known[1:3])
    if np.ptp(height) > highest or 2 * np.quantile(radius, 0.99) > widest:
        return None
    scales, prior, fixed = _scales(unit, known)
    table = _at_scales(table, scales)
    inside = (scales >= locator.SCALES[0] - 0.1) & (scales <= locator.SCALES[-1] + 0.1)
    # Where the sizes are told, even an unusual wall is believed.
    table = np.where(inside[:, None] | fixed, table, _UNLIKELY)
    table = table + prior[:, None]
    voxels = unit * np.exp(scales)
    table = np.where(_fits(voxels, radius, height), table, 2 * _UNLIKELY)
    return axis, scales, table


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
