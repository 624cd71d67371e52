"""The lines of a drawn profile: the wall's outline, the edge, its turns, the sherd's face.

Points are (radius, height) in mm, heights from the pot's lowest point up.
"""

import itertools
import math

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from voxgan_jax.drawing.profile import Profile
from voxgan_jax.geometry import lathe

_UP = 4
"""Rings are read so many times as densely, rows twice that: both an eighth of a voxel."""
_SIGMA = 0.45
"""By so much, in voxels, the fields are smoothed that lines are drawn through."""
_MIDDLE = np.pi / 4
"""Where the middle of the sherd is shown: half-way from the centre line to the edge."""
_TURN = 0.6
"""An edge turns sharply from so many radians on."""
_APART = 2.5
"""Lines that run round are drawn no nearer to each other along the edge, in voxels."""
_SPECK = 12
"""Holes in the sherd's face of fewer square voxels than this are not drawn."""

Points = Float[np.ndarray, "_ 2"]


def fields(
    profile: Profile,
) -> tuple[Float[np.ndarray, "rows rings"], Float[np.ndarray, "rows rings"]]:
    """Wall and sherd, smoothed and above 0 inside, an eighth of a voxel apart both ways."""
    fields = []
    for field, level in ((profile.clay, profile.level), (profile.known, 0.5)):
        padded = np.pad(field, ((0, 0), (0, 4))) - level
        whole = np.concatenate([padded[:, :0:-1], padded], axis=1)
        rough, smooth = (
            _denser(part) for part in (whole, ndimage.gaussian_filter(whole, (_SIGMA, 2 * _SIGMA)))
        )
        fields.append(smooth - _same_area(smooth, float((rough > 0).sum())))
    return fields[0], fields[1]


def _denser(field: Float[np.ndarray, "rows _"]) -> Float[np.ndarray, "_ _"]:
    """The right half of a field, an eighth of a voxel apart both ways."""
    dense = ndimage.zoom(field, (2 * _UP, _UP), order=1, grid_mode=True, mode="nearest")
    dense = np.asarray(dense)
    return dense[:, dense.shape[1] // 2 :]


def _same_area(field: Float[np.ndarray, "rows _"], target: float) -> float:
    """The level, near 0, above which there is so much of a field: smoothing must not thin walls."""
    low, high = -0.25, 0.25
    for _ in range(8):
        level = (low + high) / 2
        low, high = (low, level) if (field > level).sum() < target else (level, high)
    return (low + high) / 2


def halves(field: Float[np.ndarray, "rows rings"], profile: Profile) -> list[Points]:
    """The lines around what is above 0 in a field, at radius 0 or more, smoothed."""
    from skimage import measure

    fine = profile.step_mm / (2 * _UP)
    field = np.concatenate([field[:, ::-1], field], axis=1)
    middle = (field.shape[1] - 1) / 2
    # The lowest clay is two rows up.
    lines = []
    for line in measure.find_contours(field, 0.0):
        if len(line) < 4 * _UP or not np.allclose(line[0], line[-1]):
            continue
        smooth = _rounded(line[:-1], 2.0 * _UP)
        height = (smooth[:, 0] + 0.5) * fine - 2 * profile.step_mm
        points = np.stack([(smooth[:, 1] - middle) * fine, height], 1)
        points = np.concatenate([points, points[:1]])
        lines.append(_half(lathe.fewer_points(points, 0.02 * profile.step_mm)))
    return lines


def _rounded(line: Points, sigma: float) -> Points:
    """A closed line without the steps of the voxels, hardly shrunk."""
    once = ndimage.gaussian_filter1d(line, sigma, axis=0, mode="wrap")
    return once + ndimage.gaussian_filter1d(line - once, sigma, axis=0, mode="wrap")


def _half(points: Points) -> Points:
    """The part of a closed line at radius 0 or more."""
    kept = []
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        if (x0 < 0) != (x1 < 0):
            kept.append((0.0, y0 + (y1 - y0) * x0 / (x0 - x1)))
        if x1 >= 0:
            kept.append((x1, y1))
    return np.array(kept) if kept else np.zeros((0, 2))


def edge_of(outline: Points, step: float) -> Points:
    """The outer side of the closed section from its lowest point up to its highest, evenly."""
    points = outline[:-1] if np.allclose(outline[0], outline[-1]) else outline
    resting = points[:, 1] < points[:, 1].min() + 0.25 * step
    low = int(np.argmax(np.where(resting, points[:, 0], -1)))
    points = np.roll(points, -low, axis=0)
    high = int(points[:, 1].argmax())
    ways = points[: high + 1], np.concatenate([points[high:], points[:1]])[::-1]
    line = max(ways, key=_reach)
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    even = np.linspace(0, along[-1], max(2, round(along[-1] / step * 2 * _UP)))
    return np.stack([np.interp(even, along, line[:, axis]) for axis in (0, 1)], 1)


def _reach(line: Points) -> float:
    """The mean radius along a line."""
    if len(line) < 2:
        return 0.0
    length = np.hypot(*np.diff(line, axis=0).T)
    return float(length @ (line[1:, 0] + line[:-1, 0]) / 2 / max(length.sum(), 1e-9))


def turns(edge: Points, step: float) -> list[int]:
    """Where the edge turns sharply, as places in it: shoulders, ridges, the foot of a lip."""
    reach = round(1.5 * 2 * _UP)
    if len(edge) < 4 * reach:
        return []
    ahead = edge[2 * reach :] - edge[reach:-reach]
    behind = edge[reach:-reach] - edge[: -2 * reach]
    crossed = ahead[:, 0] * behind[:, 1] - ahead[:, 1] * behind[:, 0]
    turn = np.abs(np.arctan2(crossed, (ahead * behind).sum(axis=1)))
    found: list[int] = []
    # At the ends there is a line anyway.
    ends = round(2 * _UP * _APART) - reach
    turn[:ends], turn[len(turn) - ends :] = 0, 0
    for place in np.argsort(-turn):
        if turn[place] < _TURN:
            break
        if all(abs(place + reach - other) > _APART * 2 * _UP for other in found):
            found.append(int(place) + reach)
    return sorted(found)


def middle_of(profile: Profile) -> float:
    """In which direction about the axis the middle of the sherd's outer face lies, in radians."""
    angles = np.arange(profile.seen.shape[1]) * (2 * np.pi / profile.seen.shape[1])
    return float(np.angle((profile.seen.sum(axis=0) * np.exp(1j * angles)).sum()))


def front_of(profile: Profile, side: int) -> float:
    """The direction from which the outside is seen that is drawn on a side, as `patch` has it."""
    return middle_of(profile) - side * _MIDDLE


def patch(profile: Profile, edge: Points, side: int) -> list[Points]:
    """The outline of the sherd's outer face.

    Args:
        edge: the pot's outer side, as `edge_of` gives it.
        side: 1: seen from where its middle lies half to the right, and only what is right of the
            axis; -1: to the left, likewise; 0: seen from its middle, whole.
    """
    from skimage import measure

    if not profile.seen.any():
        return []
    directions, wide = profile.seen.shape[1], float(edge[:, 0].max())
    # A quarter of a voxel apart both ways.
    rows, columns = 4 * len(profile.heights), 4 * math.ceil(wide / profile.step_mm)
    heights = np.linspace(profile.heights[0], profile.heights[-1], rows)
    order = np.argsort(edge[:, 1])
    radius = np.interp(heights, edge[order, 1], edge[order, 0], left=0, right=0)
    x = np.linspace(-0.02 if side else -1.0, 1.0, columns) * wide * (side or 1)
    sine = x[None, :] / np.maximum(radius, 1e-6)[:, None]
    azimuth = (np.arcsin(np.clip(sine, -1, 1)) + front_of(profile, side)) % (2 * np.pi)
    column = azimuth / (2 * np.pi) * directions
    row = np.interp(heights, profile.heights, np.arange(len(profile.heights)))
    seen = ndimage.gaussian_filter1d(profile.seen.astype(np.float32), 0.8, axis=0)
    seen = ndimage.gaussian_filter1d(seen, 0.8, axis=1, mode="wrap")
    places = np.stack([np.broadcast_to(row[:, None], column.shape), column])
    shown = ndimage.map_coordinates(seen, places, order=1, mode="grid-wrap")
    # Beyond the edge nothing shows, nor, of a half, beyond the centre line.
    shown = np.minimum(shown - 0.5, 0.5 * (1 - np.abs(sine)) * radius[:, None] / profile.step_mm)
    shown[:, x * side < 0] = -0.5
    lines = []
    for line in measure.find_contours(np.pad(shown, 1, constant_values=-0.5), 0.0):
        u, v = line.T
        area = abs(float(u @ np.roll(v, 1) - v @ np.roll(u, 1))) / 2
        if len(line) > 40 and area > _SPECK * 16:
            smooth = _rounded(line[:-1] - 1, 3.0)
            scale = np.interp(smooth[:, 1], np.arange(columns), x)
            height = np.interp(smooth[:, 0], np.arange(rows), heights)
            lines.append(np.stack([scale, np.clip(height, *edge[order[[0, -1]], 1])], 1))
    return lines
