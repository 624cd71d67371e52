"""What of a grid lies inside a mesh, be the mesh whole or not, and points on its surface."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage

from voxgan_jax.files import READ_SECONDS, USUAL_SECONDS, read_seconds
from voxgan_jax.geometry.solids import Mesh

_AT_ONCE = 1 << 19
"""Points, or pairs of a line and a triangle, that are held at once, of some 300 bytes each."""
_MOST_CROSSINGS, _MOST_POINTS = 1 << 24, 1 << 26
"""So many pairs along each axis, and points, are looked at at most: ten seconds' work, or more
where the environment allows more for reading. Ordinary scans of two million faces need a tenth of
it in the finest grid."""
_MOST_KEPT = 1 << 24
"""So many points at most does `sample` keep, of 24 bytes each."""
_ROW = (2 / 3) ** 0.5
"""Of the spacing: points and rows of them that are so far apart leave none further than 1 / √3."""

_BESIDE_MIDDLES = (1.37e-4, 2.19e-4)
"""In voxels: rays pass so far beside the voxels' middles. A ray through an edge would meet two
triangles or none, and meshes made of voxels have their edges exactly on the middles."""

Counts = Int[np.ndarray, "n"]
Numbers = Int[np.ndarray, "k"]
Triangles = Float[np.ndarray, "n 3 3"]
Corners = Float[np.ndarray, "3 3 n"]
"""Along x, y and z those of each triangle: in this order NumPy is ten times as quick with them."""


def inside(
    mesh: Mesh, origin: Sequence[float], step: float, shape: Sequence[int]
) -> Bool[np.ndarray, "_ _ _"]:
    """Which voxels' middles lie inside a mesh, as the majority of rays along x, y and z has it.

    Along each line the signed crossings are summed, so bodies that overlap are one; where a mesh's
    faces are not turned alike, crossings are counted as odd or even. A line whose sum is not zero
    at its end passed a hole and has no vote; a voxel without a vote is outside.

    Args:
        origin: the lowest corner of the grid, in the mesh's coordinates.
        shape: of the grid along x, y, z.

    Raises:
        ValueError: faces so big and so many that it would take too long.
    """
    signed = bool(mesh.is_winding_consistent)
    corners = _corners((np.asarray(mesh.triangles) - np.asarray(origin, float)) / step - 0.5)
    votes = np.zeros(tuple(shape), np.int8)
    for axis in range(3):
        order = ((axis + 1) % 3, (axis + 2) % 3, axis)
        n = shape[axis]
        # Summed along each line in place: of a fine grid this is what takes memory.
        total = np.zeros((shape[order[0]] * shape[order[1]], n + 1), np.int32)
        for column, height, sign in _crossings(corners[list(order)], [shape[a] for a in order]):
            first = np.clip(np.ceil(height), 0, n).astype(int)
            np.add.at(total, (column, first), sign if signed else 1)
        np.cumsum(total, axis=1, out=total)
        end = total[:, -1]
        within = total[:, :-1] != 0 if signed else total[:, :-1] % 2 == 1
        whole = (end == 0) if signed else (end % 2 == 0)
        vote = np.where(within, np.int8(1), np.int8(-1)) * whole[:, None]
        vote = vote.reshape([shape[a] for a in order])
        votes += vote.transpose(np.argsort(order))
    return votes > 0


def _corners(triangles: Triangles) -> Corners:
    return np.ascontiguousarray(triangles.transpose(2, 1, 0))


def _crossings(
    corners: Corners, shape: Sequence[int]
) -> Iterator[tuple[Numbers, Float[np.ndarray, "k"], Numbers]]:
    """Where lines along the third axis, one a cell of the first two, meet triangles.

    Yields:
        The lines' numbers, the heights, and 1 where the triangle is seen from behind, else -1.
    """
    flat = corners[:2] - np.reshape(_BESIDE_MIDDLES, (2, 1, 1))
    limit = np.reshape(shape[:2], (2, 1))
    low = np.clip(np.ceil(flat.min(axis=1)), 0, limit).astype(int)
    high = np.clip(np.floor(flat.max(axis=1)), -1, limit - 1).astype(int)
    rows = np.where((high >= low).all(axis=0), high[0] - low[0] + 1, 0)
    # A triangle is met about as often as it is big, if as much of it lies over the grid.
    areas = np.abs(_cross(flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0])) / 2
    over = np.minimum(areas, rows * (high[1] - low[1] + 1))
    _check_work(int(rows.sum() + over.sum()), _MOST_CROSSINGS)
    met = np.flatnonzero(rows)
    for some in _groups(met, rows[met]):
        # Of each row of lines only those that a triangle can meet: a long thin one meets few.
        owner, u = _spread(rows[some])
        owner, u = some[owner], u + low[0, some][owner]
        first, last = _stretch(flat, owner, u, low[1], high[1])
        counts = last - first + 1
        busy = np.flatnonzero(counts)
        for group in _groups(busy, counts[busy]):
            row, within = _spread(counts[group])
            row = group[row]
            point = np.stack([u[row], first[row] + within])
            whose = owner[row]
            hit, height, sign = _hits(flat[..., whose] - point[:, None], corners[2, :, whose].T)
            yield (point[0] * shape[1] + point[1])[hit], height, sign


def _hits(
    flat: Float[np.ndarray, "2 3 k"], heights: Float[np.ndarray, "3 k"]
) -> tuple[Bool[np.ndarray, "k"], Float[np.ndarray, "h"], Int[np.ndarray, "h"]]:
    """Which triangles the vertical through 0 meets; there how high, and as `_crossings` has it."""
    a, b, c = flat.transpose(1, 0, 2)
    parts = np.stack([_cross(b, c), _cross(c, a), _cross(a, b)])
    hit = np.asarray((parts > 0).all(axis=0) | (parts < 0).all(axis=0))
    parts = parts[:, hit]
    area = parts.sum(axis=0)
    return hit, (parts * heights[:, hit]).sum(axis=0) / area, -np.sign(area).astype(int)


def _stretch(
    flat: Float[np.ndarray, "2 3 n"], owner: Numbers, u: Numbers, low: Counts, high: Counts
) -> tuple[Numbers, Numbers]:
    """From where to where along v the triangle of each row `u` reaches, and a hair further.

    Within `low` to `high`; the end is just before the start where it reaches nowhere.
    """
    start, end = np.full(len(u), np.inf), np.full(len(u), -np.inf)
    for k in range(3):
        here, there = flat[:, k], flat[:, k - 1]
        slope = there - here
        # Sides along v are met at their ends, which other sides have, too.
        share = (u - here[0, owner]) / np.where(slope[0] == 0, np.inf, slope[0])[owner]
        v = here[1, owner] + share * slope[1, owner]
        met = (share >= -1e-9) & (share <= 1 + 1e-9)
        start, end = np.where(met, np.fmin(start, v), start), np.where(met, np.fmax(end, v), end)
    first = np.clip(np.ceil(start - 1e-3), low[owner], high[owner] + 1).astype(int)
    return first, np.clip(np.floor(end + 1e-3), first - 1, high[owner]).astype(int)


def _check_work(count: int, most: int) -> None:
    seconds = read_seconds()
    limit = most * seconds / USUAL_SECONDS
    if count > limit:
        raise ValueError(
            f"its faces are so big and so many ({count:.2g} steps to follow them all, above the"
            f" limit of {limit:.2g}) that it is no scan of a sherd; repair or simplify the mesh, or"
            f" set {READ_SECONDS}={math.ceil(seconds * count / limit)}"
        )


def _groups(rows: Counts, counts: Counts) -> list[Numbers]:
    """Rows in groups whose counts sum to `_AT_ONCE` or little more."""
    ends = np.flatnonzero(np.diff(np.cumsum(counts) // _AT_ONCE)) + 1
    return [group for group in np.split(rows, ends) if len(group)]


def _spread(counts: Counts) -> tuple[Numbers, Numbers]:
    """For things of which there are `counts` in rows: in which row each is, and its place there."""
    row = np.repeat(np.arange(len(counts)), counts)
    return row, np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)


def _cross(a: Float[np.ndarray, "2 n"], b: Float[np.ndarray, "2 n"]) -> Float[np.ndarray, "n"]:
    return a[0] * b[1] - a[1] * b[0]


def sample(mesh: Mesh, spacing: float) -> Float[np.ndarray, "n 3"]:
    """Points on a mesh, none of whose points is further than spacing / √3 from the nearest.

    Their number goes with its area and the length of its edges, and they are the same every time:
    points at random, as `trimesh.sample` draws them, would leave gaps, and more of them in vain.

    Raises:
        ValueError: they would be too many.
    """
    return spread(np.asarray(mesh.triangles), spacing)


def spread(triangles: Triangles, spacing: float) -> Float[np.ndarray, "k 3"]:
    """`sample` of triangles that are no mesh."""
    return np.concatenate([np.zeros((0, 3)), *_samples(triangles, spacing, _MOST_KEPT)])


def _samples(triangles: Triangles, spacing: float, most: int) -> Iterator[Float[np.ndarray, "k 3"]]:
    """`sample`'s points, so many at most, in chunks.

    Rows of points lie along a triangle's longest side and parallel to it, up to the third corner.
    Next to the other sides, where a row ends before the one below it does, points lie along them.
    """
    apart = spacing * _ROW
    length = np.linalg.norm(triangles - np.roll(triangles, -1, axis=1), axis=2)
    longest = length.max(axis=1, initial=0)
    small = np.flatnonzero(longest <= apart)
    for start in range(0, len(small), _AT_ONCE // 3):
        yield triangles[small[start : start + _AT_ONCE // 3]].reshape(-1, 3)
    big = longest > apart
    triangles, length, longest = triangles[big], length[big], longest[big]
    turn = (length.argmax(axis=1)[:, None] + np.arange(3)) % 3 if len(length) else np.zeros((0, 3))
    corners = np.take_along_axis(triangles, turn.astype(int)[:, :, None], axis=1)
    area = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    rows = np.maximum(np.ceil(area / np.maximum(longest, 1e-300) / apart), 1)
    counts = (rows + 1) * (longest / apart / 2 + 2) + 2 * longest / apart
    _check_work(int(counts.sum()), most)
    for group in _groups(np.arange(len(rows)), counts.astype(int)):
        yield _in_rows(corners[group], rows[group].astype(int), apart)


def _in_rows(corners: Triangles, rows: Counts, apart: float) -> Float[np.ndarray, "k 3"]:
    """Points in rows along the first side of triangles, their ends included."""
    a, b, c = corners.transpose(1, 0, 2)
    triangle, row = _spread(rows + 1)
    up = (row / rows[triangle])[:, None]
    starts = [a[triangle] + up * (c - a)[triangle]]
    ends = [b[triangle] + up * (c - b)[triangle]]
    for low in (a, b):
        steep = np.linalg.norm(c - low, axis=1) > apart * rows
        starts, ends = [*starts, low[steep]], [*ends, c[steep]]
    start, end = np.concatenate(starts), np.concatenate(ends)
    parts = np.ceil(np.linalg.norm(end - start, axis=1) / apart).astype(int)
    segment, place = _spread(parts + 1)
    share = (place / np.maximum(parts, 1)[segment])[:, None]
    return start[segment] + share * (end - start)[segment]


def voxelise(
    mesh: Mesh, origin: Sequence[float], step: float, shape: Sequence[int]
) -> Bool[np.ndarray, "_ _ _"]:
    """The voxels of a mesh: those whose middles are `inside`, and thin walls.

    Where the surface passes through a voxel and none of the 27 about it has its middle inside, that
    voxel is taken too: walls thinner than a voxel and scans of one side only do not vanish.

    Raises:
        ValueError: faces so big and so many that it would take too long.
    """
    touched = np.zeros(tuple(shape), bool)
    limit = np.array(shape)
    triangles = (np.asarray(mesh.triangles) - np.asarray(origin, float)) / step
    corners = _corners(triangles)
    near = ((corners.max(axis=1) >= 0) & (corners.min(axis=1) < limit[:, None])).all(axis=0)
    for points in _samples(triangles[near], 0.5, _MOST_POINTS):
        cells = points[((points >= 0) & (points < limit)).all(axis=1)].astype(int)
        touched[tuple(cells.T)] = True
    occupied = inside(mesh, origin, step, shape)
    walls = np.asarray(ndimage.binary_dilation(occupied, np.ones((3, 3, 3), bool)), bool)
    return occupied | (touched & ~walls)
