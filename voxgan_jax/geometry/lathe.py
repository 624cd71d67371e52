"""A half section turned about its axis: voxels at any resolution, a closed mesh at any fineness.

The half section is a signed distance as `half_section` lays it, and the axis is upright: so the
distance of any point of space to the pot's surface is that of its height and radius.
"""

import math

import numpy as np
from jaxtyping import Float, Int
from scipy import linalg, ndimage

from voxgan_jax.geometry import half_section, solids, surface, wheel
from voxgan_jax.geometry.half_section import Distances, Line

SMOOTHED = 0.2
"""By how many voxels at most smoothing moves an outline."""

_SPACE = 0.25  # voxels between the points of an outline
_STIFF = 13.0  # waves of less than about 3 voxels are smoothed
_PAD = 24  # points beyond the ends of an outline
_NEAR, _FAR = 2, 6  # points from a corner where the sides are read that meet there
_CORNER = math.radians(40)
_CUT = 0.35  # a grid of half voxels cuts so much off a corner at most
_STRAIGHT = 0.03  # voxels by which a corner's side may bow; that of a small circle bows more


def field(
    distance: Distances, resolution: int, axis: tuple[float, float] | None = None
) -> Float[np.ndarray, "{resolution} {resolution} {resolution}"]:
    """The signed distance of the turned pot at the voxels' middles of a cube: clay is below 0.

    The half section is read linearly. Takes the memory of the answer and a twentieth more.

    Args:
        resolution: voxels along a side of the cube that the half section was laid for.
        axis: where it stands in d and h, in voxels of that cube as it was (a half section of 128
            rows is of 64³), from the middle of voxel 0; None: in the cube's middle.

    Returns:
        In voxels of the cube as it was, beyond the half section's last ring as in this ring.
    """
    rows, rings = distance.shape
    side = rows * half_section.STEP
    middle = (side - 1) / 2
    d, h = axis or (middle, middle)
    scale = side / resolution
    shift = (scale - 1) / 2
    columns = np.array([[(d - shift) / scale, (h - shift) / scale]])
    radius = wheel.radii((resolution, resolution), columns)[0] * (scale / half_section.STEP)
    row = ((np.arange(resolution) * scale + shift) / half_section.STEP + 0.5).clip(0, rows - 1)
    levels = _between(distance, row).T
    found = np.empty((resolution,) * 3, np.float32)
    for plane, ring in zip(found, radius.clip(0, rings - 1), strict=True):
        plane[:] = _between(levels, ring)
    return found


def _between(
    rows: Float[np.ndarray, "rows columns"], at: Float[np.ndarray, "n"]
) -> Float[np.ndarray, "n columns"]:
    """Rows between two others, linearly."""
    low = np.minimum(at.astype(int), len(rows) - 2)
    share = (at - low).astype(np.float32)[:, None]
    found = rows[low]
    found += share * (rows[low + 1] - found)
    return found


def chord(step: float) -> float:
    """How far off a facet may lie, in mm: 0.1, or a hundredth of a voxel, for pots of any size."""
    return max(0.1, step / 100)


def mesh(
    distance: Distances,
    matrix: surface.Matrix,
    *,
    axis: tuple[float, float] | None = None,
    chord_mm: float | None = None,
    spacing: float = math.inf,
) -> solids.Mesh:
    """The turned pot's surface in mm: watertight, facing outward, one vertex at each pole.

    No facet lies further than `chord_mm`, by default `chord`, from the surface that it stands for:
    half of it is spent along the outline, half around the axis.

    Args:
        matrix: from the grid's indices to mm, see `surface.frame`.
        axis: as `field` takes it.
        spacing: no facet is longer than so many voxels along the outline or around the axis.

    Raises:
        ValueError: the half section has no outline: it is all clay or all air.
    """
    import trimesh

    step = surface.step_of(matrix)
    chord_mm = chord_mm or chord(step)
    lines = smooth_outline(distance)
    if not lines:
        raise ValueError("the half section has no outline: it is all clay or all air")
    middle = (len(distance) * half_section.STEP - 1) / 2
    reach = max(line[:, 1].max() for line in lines) * step
    # Not coarser than a hexagon, however small the pot.
    bow = min(chord_mm / 2 / reach, 0.1)
    turns = math.ceil(max(math.pi / math.acos(1 - bow), 2 * math.pi * reach / (spacing * step)))
    vertices, faces = [], []
    count = 0
    for line in lines:
        points = fewer_points(line, chord_mm / 2 / step)
        some, corners = _turned(_divided(points, spacing), turns)
        vertices.append(some)
        faces.append(corners + count)
        count += len(some)
    places = np.concatenate(vertices) + np.array([*(axis or (middle, middle)), 0.0])
    pot = trimesh.Trimesh(
        places @ matrix[:3, :3].T + matrix[:3, 3], np.concatenate(faces), process=False
    )
    if solids.volume(pot.vertices, pot.faces) < 0:
        pot.invert()
    return pot


def fewer_points(line: Line, tolerance: float) -> Line:
    """A line that no left-out point lies further from than the tolerance (Douglas, Peucker 1973).

    Not scikit-image's: with it comes all of scipy.stats, which takes 1.5 s of every command.
    """
    kept, parts = np.zeros(len(line), bool), [(0, len(line) - 1)]
    kept[[0, -1]] = True
    while parts:
        first, last = parts.pop()
        start, step = line[first], line[last] - line[first]
        offset = line[first + 1 : last] - start
        along = np.clip(offset @ step / max(float(step @ step), 1e-12), 0, 1)
        away = np.hypot(*(offset - along[:, None] * step).T)
        if len(away) and away.max() > tolerance:
            middle = first + 1 + int(away.argmax())
            kept[middle] = True
            parts += [(first, middle), (middle, last)]
    return line[kept]


def _divided(line: Line, spacing: float) -> Line:
    """A line with points added, so that none is further than `spacing` from the next."""
    length = np.linalg.norm(np.diff(line, axis=0), axis=1)
    parts = np.maximum(np.ceil(length / spacing), 1).astype(int)
    at = np.repeat(np.arange(len(parts)), parts)
    share = (np.arange(len(at)) - np.repeat(np.cumsum(parts) - parts, parts)) / parts[at]
    return np.concatenate([line[at] + share[:, None] * np.diff(line, axis=0)[at], line[-1:]])


def _turned(
    line: Line, turns: int
) -> tuple[Float[np.ndarray, "vertices 3"], Int[np.ndarray, "faces 3"]]:
    """A line turned: vertices (d, h, w) about the axis at 0, and triangles."""
    closed = bool((line[0] == line[-1]).all())
    own = line[:-1] if closed else line
    angle = np.arange(turns) * (2 * np.pi / turns)
    around = own[:, 1, None] * np.cos(angle), own[:, 1, None] * np.sin(angle)
    rings = np.stack([*around, np.broadcast_to(own[:, :1], around[0].shape)], axis=2)
    # A ring on the axis is one vertex.
    sizes = np.where(own[:, 1] == 0, 1, turns)
    vertices = np.concatenate([ring[:size] for ring, size in zip(rings, sizes, strict=True)])
    index = (np.cumsum(sizes) - sizes)[:, None] + np.arange(turns) % sizes[:, None]
    a, b = index, np.roll(index, -1, axis=0)
    if not closed:
        a, b = a[:-1], b[:-1]
    after_a, after_b = np.roll(a, -1, axis=1), np.roll(b, -1, axis=1)
    halves = np.stack([a, b, after_b], axis=2), np.stack([a, after_b, after_a], axis=2)
    faces = np.concatenate([half.reshape(-1, 3) for half in halves])
    first, second, third = faces.T
    return vertices, faces[(first != second) & (second != third) & (third != first)]


def smooth_outline(distance: Distances) -> list[Line]:
    """The outline of a half section without the grid's and a network's ripples, its corners sharp.

    No point is moved by more than `SMOOTHED` voxels. Of pieces smaller than a voxel nothing is
    left.
    """
    lines = half_section.outline(distance)
    return [_smoothed(line) for line in lines if np.ptp(line, axis=0).max() > 1]


def _smoothed(line: Line) -> Line:
    closed = bool((line[0] == line[-1]).all())
    even = _evenly(line)
    if closed:
        even = even[:-1]
        points = np.pad(even, ((_PAD, _PAD), (0, 0)), "wrap")
    else:
        # Beyond the axis the outline is its own mirror image.
        points = np.pad(even, ((_PAD, _PAD), (0, 0)), "reflect")
        points[:_PAD, 1] *= -1
        points[-_PAD:, 1] *= -1
    points, corners = _sharpened(points)
    weight = np.ones(len(points))
    weight[corners] = 1e6
    # What bends is dear, but at corners.
    bend = np.full(len(points) - 2, _STIFF)
    bend[corners - 1] = 0
    bands = np.zeros((3, len(points)))
    bands[0] = weight
    for k, a in enumerate((1.0, -2.0, 1.0)):
        bands[0, k : len(bend) + k] += bend * a * a
    bands[1, :-2] += -2 * bend
    bands[1, 1:-1] += -2 * bend
    bands[2, :-2] += bend
    found = linalg.solveh_banded(bands, weight[:, None] * points, lower=True)
    moved = found - points
    far = np.maximum(np.linalg.norm(moved, axis=1, keepdims=True) / SMOOTHED, 1)
    found = (points + moved / far)[_PAD:-_PAD]
    if closed:
        found[:, 1] = np.maximum(found[:, 1], 1e-3)
        return np.concatenate([found, found[:1]])
    found[1:-1, 1] = np.maximum(found[1:-1, 1], 1e-3)
    found[[0, -1], 1] = 0
    return found


def _evenly(line: Line) -> Line:
    """A line with points `_SPACE` apart along it, about."""
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    count = max(round(along[-1] / _SPACE), 8) + 1
    at = np.linspace(0, along[-1], count)
    return np.stack([np.interp(at, along, column) for column in line.T], axis=1)


def _sharpened(points: Line) -> tuple[Line, Int[np.ndarray, "corners"]]:
    """Evenly spaced points with the corners that a grid cuts off put back, and where these are.

    A corner is where the straight lines along the two sides meet near to the line itself; where
    they meet further off, it is round.
    """
    i = np.arange(_FAR, len(points) - _FAR)
    before, after = points[i - _NEAR] - points[i - _FAR], points[i + _FAR] - points[i + _NEAR]
    before /= np.maximum(np.linalg.norm(before, axis=1, keepdims=True), 1e-9)
    after /= np.maximum(np.linalg.norm(after, axis=1, keepdims=True), 1e-9)
    cross = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    turn = np.abs(np.arctan2(cross, (before * after).sum(1)))
    between = points[i + _NEAR] - points[i - _NEAR]
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (between[:, 0] * after[:, 1] - between[:, 1] * after[:, 0]) / cross
        meet = points[i - _NEAR] + t[:, None] * before
    off = np.linalg.norm(meet - points[i], axis=1)
    half = (_NEAR + _FAR) // 2
    bow = [
        np.linalg.norm(
            points[i + s * half] - (points[i + s * _NEAR] + points[i + s * _FAR]) / 2, axis=1
        )
        for s in (-1, 1)
    ]
    good = (turn > _CORNER) & (off < _CUT) & (np.maximum(*bow) < _STRAIGHT)
    # Of neighbours the nearest to its meeting point.
    rank = np.where(good, off, np.inf)
    least = ndimage.minimum_filter1d(rank, 2 * _NEAR + 1, mode="constant", cval=np.inf)
    chosen = np.flatnonzero(good & (rank == least))
    sharp = points.copy()
    for k in chosen:
        sharp[i[k]] = meet[k]
        for side, along in ((-1, before[k]), (1, after[k])):
            for near in range(1, _NEAR):
                at = i[k] + side * near
                sharp[at] = meet[k] + ((points[at] - meet[k]) @ along) * along
    return sharp, i[chosen]
