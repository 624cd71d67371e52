"""What of a grid lies inside a mesh, be the mesh whole or not, and points on its surface."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage

if TYPE_CHECKING:
    import trimesh

_LINES_AT_ONCE = 1 << 22
"""Pairs of a line and a triangle that are held at once, of some 150 bytes each."""

_BESIDE_MIDDLES = (1.37e-4, 2.19e-4)
"""In voxels: rays pass so far beside the voxels' middles. A ray through an edge would meet two
triangles or none, and meshes made of voxels have their edges exactly on the middles."""


def inside(
    mesh: "trimesh.Trimesh", origin: Sequence[float], step: float, shape: Sequence[int]
) -> Bool[np.ndarray, "_ _ _"]:
    """Which voxels' middles lie inside a mesh, as the majority of rays along x, y and z has it.

    Along each line the signed crossings are summed, so bodies that overlap are one; where a mesh's
    faces are not turned alike, crossings are counted as odd or even. A line whose sum is not zero
    at its end passed a hole and has no vote; a voxel without a vote is outside.

    Args:
        origin: the lowest corner of the grid, in the mesh's coordinates.
        shape: of the grid along x, y, z.
    """
    signed = bool(mesh.is_winding_consistent)
    triangles = (np.asarray(mesh.triangles) - np.asarray(origin, float)) / step - 0.5
    votes = np.zeros(tuple(shape), np.int8)
    for axis in range(3):
        order = ((axis + 1) % 3, (axis + 2) % 3, axis)
        column, height, sign = _crossings(triangles[:, :, order], [shape[a] for a in order[:2]])
        n = shape[axis]
        change = np.zeros((shape[order[0]] * shape[order[1]], n + 1), np.int32)
        first = np.clip(np.ceil(height).astype(int), 0, n)
        np.add.at(change, (column, first), sign if signed else 1)
        total = change.cumsum(axis=1, dtype=np.int32)
        end = total[:, -1]
        within = total[:, :-1] != 0 if signed else total[:, :-1] % 2 == 1
        whole = (end == 0) if signed else (end % 2 == 0)
        vote = np.where(within, np.int8(1), np.int8(-1)) * whole[:, None]
        vote = vote.reshape([shape[a] for a in order])
        votes += vote.transpose(np.argsort(order))
    return votes > 0


def _crossings(
    triangles: Float[np.ndarray, "n 3 3"], shape: Sequence[int]
) -> tuple[Int[np.ndarray, "k"], Float[np.ndarray, "k"], Int[np.ndarray, "k"]]:
    """Where lines along the third axis, one a cell of the first two, meet triangles.

    Returns:
        The lines' numbers, the heights, and 1 where the triangle is seen from behind, else -1.
    """
    aside = np.array(_BESIDE_MIDDLES)
    flat = triangles[:, :, :2] - aside
    low = np.clip(np.ceil(flat.min(axis=1)).astype(int), 0, None)
    high = np.minimum(np.floor(flat.max(axis=1)).astype(int), np.array(shape) - 1)
    size = np.maximum(high - low + 1, 0)
    counts = size.prod(axis=1)
    found = []
    busy = np.flatnonzero(counts)
    groups = np.cumsum(counts[busy]) // _LINES_AT_ONCE
    for group in range(int(groups[-1]) + 1 if busy.size else 0):
        rows = busy[groups == group]
        triangle = np.repeat(rows, counts[rows])
        within = np.arange(triangle.size) - np.repeat(
            np.cumsum(counts[rows]) - counts[rows], counts[rows]
        )
        u, v = np.divmod(within, size[triangle, 1])
        point = np.stack([u, v], 1) + low[triangle]
        a, b, c = (flat[triangle, k] - point for k in range(3))
        parts = np.stack([_cross(b, c), _cross(c, a), _cross(a, b)], 1)
        hit = (parts > 0).all(axis=1) | (parts < 0).all(axis=1)
        parts, triangle, point = parts[hit], triangle[hit], point[hit]
        area = parts.sum(axis=1)
        height = (parts * triangles[triangle, :, 2]).sum(axis=1) / area
        found.append((point[:, 0] * shape[1] + point[:, 1], height, -np.sign(area).astype(int)))
    if not found:
        return np.zeros(0, int), np.zeros(0), np.zeros(0, int)
    column, height, sign = (np.concatenate(part) for part in zip(*found, strict=True))
    return column, height, sign


def _cross(a: Float[np.ndarray, "n 2"], b: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n"]:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def sample(mesh: "trimesh.Trimesh", spacing: float) -> Float[np.ndarray, "n 3"]:
    """Points on a mesh, none of whose points is further than spacing / √3 from the nearest.

    In a lattice on each triangle, the same every time: points at random, as `trimesh.sample` draws
    them, would leave gaps, and more of them in vain.
    """
    triangles = np.asarray(mesh.triangles)
    sides = np.linalg.norm(triangles - np.roll(triangles, 1, axis=1), axis=2)
    parts = np.maximum(np.ceil(sides.max(axis=1) / spacing).astype(int), 1)
    points = []
    for n in np.unique(parts):
        i, j = np.nonzero(np.add.outer(np.arange(n + 1), np.arange(n + 1)) <= n)
        weights = np.stack([i, j, n - i - j], 1) / n
        points.append((weights @ triangles[parts == n]).reshape(-1, 3))
    return np.concatenate(points) if points else np.zeros((0, 3))


def voxelise(
    mesh: "trimesh.Trimesh", origin: Sequence[float], step: float, shape: Sequence[int]
) -> Bool[np.ndarray, "_ _ _"]:
    """The voxels of a mesh: those whose middles are `inside`, and thin walls.

    Where the surface passes through a voxel and none of the 27 about it has its middle inside, that
    voxel is taken too: walls thinner than a voxel and scans of one side only do not vanish.
    """
    occupied = inside(mesh, origin, step, shape)
    cells = np.floor((sample(mesh, step / 2) - np.asarray(origin, float)) / step).astype(int)
    limit = np.array(shape)
    cells = cells[((cells >= 0) & (cells < limit)).all(axis=1)]
    touched = np.zeros(tuple(shape), bool)
    touched[tuple(cells.T)] = True
    walls = np.asarray(ndimage.binary_dilation(occupied, np.ones((3, 3, 3), bool)), bool)
    return occupied | (touched & ~walls)
