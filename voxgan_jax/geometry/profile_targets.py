"""The half section of a voxel pot as a signed distance: what a network of profiles learns.

Voxels know a turned wall finely: a height's voxels lie at many distances from the axis, so the
radius at which clay ends is known there to a few hundredths of a voxel. Between two heights nothing
is known; so the outline runs straight from one height's radius to the next one's, and what closes
beyond a height (a lip, a floor) is the circle that the last two widths give, or flat.
"""

import itertools
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Shaped
from scipy import sparse
from skimage import measure

from voxgan_jax.geometry import half_section, wheel
from voxgan_jax.geometry.half_section import Distances, Line

Point = Float[np.ndarray, "2"]

_LEVEL = 0.5
"""A ring with more clay than this lies in the wall. Handles, which fill less of it, drop out."""
_ARC = 0.25  # at most so many voxels between the points of a circle
_ROUND = 1.3  # above: 1, the next height's middle, is missed by more than noise; the end is flat
_PARALLEL = 0.25  # squared voxels: sides that widen less are upright, and what they end in is flat
_LEAN = 0.5  # a flat end is at most so much wider or narrower than the height before it


class Target(NamedTuple):
    """A pot's half section and where its axis stands in d and h (`wheel.find_axis`)."""

    distance: Distances
    axis: tuple[float, float]


def target(occupied: Bool[np.ndarray, "n n n"]) -> Target:
    """The signed distance of a pot's half section about its round axis, see `half_section`.

    Args:
        occupied: the pot in a cube, its height along the last axis.

    Raises:
        ValueError: no voxel is occupied.
    """
    axis = wheel.find_axis(occupied)
    lines = outline(share(occupied, axis))
    return Target(half_section.signed_distance(lines, len(occupied)), axis)


def share(
    occupied: Shaped[np.ndarray, "n n n"], axis: tuple[float, float]
) -> Float[np.ndarray, "n rings"]:
    """The share of each ring that is clay, at each height: an anti-aliased half section.

    Ring k has the radius k/2; a voxel between two rings counts for both in proportion. A ring that
    no voxel is near to (there are some next to the axis) is taken between those beside it.
    """
    n = len(occupied)
    radius = wheel.radii((n, n), np.array([axis]))[0].ravel() / half_section.STEP
    ring = np.arange(wheel.num_rings(n, half_section.STEP))
    # What `wheel.ring_shares` gives, of which all but two in a row are 0.
    inner = np.floor(radius).astype(int)
    parts = np.concatenate([1 + inner - radius, radius - inner]).astype(np.float32)
    rings, columns = np.concatenate([inner, inner + 1]), np.tile(np.arange(n * n), 2)
    held = rings < len(ring)
    entries = parts[held], (rings[held], columns[held])
    weights = sparse.csr_array(entries, shape=(len(ring), n * n))
    sums = weights @ occupied.reshape(n * n, n).astype(np.float32)
    size = np.asarray(weights.sum(1))
    known = np.flatnonzero(size > 0.3)
    shares = sums[known] / size[known, None]
    after = np.clip(np.searchsorted(known, ring), 1, len(known) - 1)
    low, high = known[after - 1], known[after]
    t = np.clip((ring - low) / (high - low), 0, 1)[:, None].astype(np.float32)
    return ((1 - t) * shares[after - 1] + t * shares[after]).T


def outline(shares: Float[np.ndarray, "n rings"]) -> list[Line]:
    """The lines between clay and air of an anti-aliased half section."""
    # Beyond the grid is air; the axis, where lines may end, is no border.
    field = np.pad(shares, ((1, 1), (0, 1)))
    traced = (line - [1.0, 0.0] for line in measure.find_contours(field, _LEVEL))
    return [_straightened(line * [1.0, half_section.STEP]) for line in traced]


def _straightened(line: Line) -> Line:
    """A traced line with its points on heights kept and those between two heights thought anew."""
    on = np.flatnonzero(line[:, 0] == np.rint(line[:, 0]))
    if not len(on):
        return line
    closed = bool((line[0] == line[-1]).all())
    known = line[on]
    if closed:
        if on[0] == 0:
            on, known = on[:-1], known[:-1]
        beyond = np.concatenate([line[on[-1] + 1 : -1], line[: on[0]]])
        between = [line[a + 1 : b] for a, b in itertools.pairwise(on)] + [beyond]
    else:
        # From the axis to it: the line is continued by its own mirror image.
        between = [line[a + 1 : b] for a, b in itertools.pairwise(on)]
        known = np.concatenate([known[1::-1] * [1, -1], known, known[:-3:-1] * [1, -1]])
        ends = line[: on[0]], line[on[-1] + 1 :]
        between = [ends[0], *between, ends[1]]
        between[0] = np.concatenate([between[0][:0:-1] * [1, -1], between[0]])
        between[-1] = np.concatenate([between[-1], between[-1][-2::-1] * [1, -1]])
    count = len(known)
    points = []
    first = 0 if closed else min(len(on), 2) - 1
    for i, loose in enumerate(between, start=first):
        before, a, b, after = (known[(i + k) % count] for k in (-1, 0, 1, 2))
        points.append(a[None])
        if a[0] == b[0] and len(loose):
            points.append(_end(before, a, b, after, loose))
    path = np.concatenate(points)
    if closed:
        return np.concatenate([path, path[:1]])
    return _from_axis(np.concatenate([path, known[None, (first + len(between)) % count]]))


def _from_axis(path: Line) -> Line:
    """The part of a line that lies on this side of the axis, from it and to it."""
    right = np.flatnonzero(path[:, 1] > 0)
    start, stop = right[0], right[-1]
    parts = [path[start : stop + 1]]
    for i, j, at in ((start - 1, start, 0), (stop + 1, stop, len(parts))):
        if 0 <= i < len(path):
            t = path[i, 1] / (path[i, 1] - path[j, 1])
            foot = np.array([[path[i, 0] + t * (path[j, 0] - path[i, 0]), 0.0]])
            parts.insert(0 if at == 0 else len(parts), foot)
    return np.concatenate(parts)


def _end(before: Point, a: Point, b: Point, after: Point, loose: Line) -> Line:
    """Where a line turns back beyond a height, from its point `a` there to `b`.

    Args:
        before, after: its points at the next heights; of no use where they are at other ones.
        loose: its points as they were traced, half a height beyond.
    """
    height, side = a[0], float(np.sign(loose[:, 0].mean() - a[0])) or 1.0
    known = before[0] == after[0] == height - side
    half, wider = abs(b[1] - a[1]) / 2, abs(after[1] - before[1]) / 2
    if known:
        # A circle of radius R whose top is h beyond: half² = 2Rh - h², wider² with h + 1 likewise.
        more = max(wider**2 - half**2, 0.0)
        h = (np.sqrt((more + 1) ** 2 + 4 * half**2) - more - 1) / 2
        if h < _ROUND and more > _PARALLEL:
            h = min(h, 1.0)
            circle = (half**2 / h + h) / 2
            angle = np.arctan2(half, circle - h)
            count = int(np.ceil(2 * angle * circle / _ARC)) + 1
            turn = np.linspace(-angle, angle, count)[1:-1] * np.sign(b[1] - a[1])
            top = height + side * (h - circle + circle * np.cos(turn))
            return np.stack([top, (a[1] + b[1]) / 2 + circle * np.sin(turn)], axis=1)
    lean = [
        np.clip(_LEAN * (p[1] - q[1]), -_LEAN, _LEAN) if q[0] == height - side else 0.0
        for p, q in ((a, before), (b, after))
    ]
    corners = np.array([[loose[0, 0], a[1] + lean[0]], [loose[-1, 0], b[1] + lean[1]]])
    low, high = sorted(corners[:, 1])
    if (corners[1, 1] - corners[0, 1]) * (b[1] - a[1]) <= 0:
        return loose
    inner = loose[(loose[:, 1] > low) & (loose[:, 1] < high)]
    return np.concatenate([corners[:1], inner, corners[1:]])
