"""The walls of a sherd: points on its surface, without the break edges, and how thick it is."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import sparse
from scipy.spatial import KDTree

from voxgan_jax.geometry.solids import Mesh

Points = Float[np.ndarray, "n 3"]

POINTS = 6000  # on a sherd
_NOT_A_WALL = 0.3  # share of them; with fewer on walls, the scan is an open shell


class Wall(NamedTuple):
    """Points on a sherd's two walls, in mm.

    `normals` are outward unit normals, smoothed, and `anchors` the places that they belong to, near
    the points; `thickness` is the median distance from one wall to the other, None where the scan
    shows only one.
    """

    points: Points
    normals: Points
    anchors: Points
    thickness: float | None


def wall(mesh: Mesh, seed: int = 0) -> Wall:
    """The walls of a sherd: evenly drawn points whose back is another wall at the usual distance.

    Where less than a third of the surface has such a back, the scan is taken for an open shell and
    all of it for the wall.
    """
    points, normals = drawn(mesh, POINTS, seed)
    spacing = np.sqrt(float(mesh.area) / len(points))
    reach = 2 * max(spacing, float(np.median(mesh.edges_unique_length)))
    smooth, anchors = _smoothed(points, normals, reach)
    depth = _depth(points, smooth)
    known = np.isfinite(depth)
    if known.mean() < _NOT_A_WALL:
        return Wall(points, smooth, anchors, None)
    thickness = float(np.median(depth[known]))
    # The mode of the walls themselves: break edges see each other from far.
    near = known & (depth < 2 * thickness)
    thickness = float(np.median(depth[near]))
    smooth, anchors = _smoothed(points, normals, max(reach, 0.7 * thickness))
    depth = _depth(points, smooth)
    good = (depth > 0.5 * thickness) & (depth < 1.6 * thickness)
    if good.mean() < _NOT_A_WALL:
        return Wall(points, smooth, anchors, None)
    return Wall(points[good], smooth[good], anchors[good], float(np.median(depth[good])))


def thickened(points: Points, surface: Wall, thickness: float) -> Points:
    """Points of a sherd moved along its walls' normals as if these were so thick, in mm.

    What lies half-way between the walls stays; of a scan that shows only one wall all does.
    """
    if not surface.thickness or not len(points):
        return points
    half = surface.thickness / 2
    _, near = KDTree(surface.points).query(points)
    normals = surface.normals[near]
    depth = np.einsum("ij,ij->i", surface.points[near] - points, normals)
    share = 1 - np.clip(depth, 0, half) / half
    return points + (share * (thickness / 2 - half))[:, None] * normals


def thick(mesh: Mesh, thickness: float) -> Mesh:
    """A sherd with walls of that thickness (`thickened`)."""
    made = mesh.copy()
    made.vertices = thickened(np.asarray(mesh.vertices), wall(mesh), thickness)
    return made


def drawn(mesh: Mesh, count: int, seed: int = 0) -> tuple[Points, Points]:
    """Points evenly over the surface, and the normals of their faces."""
    rng = np.random.default_rng(seed)
    ends = np.cumsum(mesh.area_faces)
    where = (np.arange(count) + rng.random(count)) / count * ends[-1]
    face = np.minimum(np.searchsorted(ends, where), len(ends) - 1)
    a, b = rng.random((2, count, 1))
    a, b = np.where(a + b > 1, 1 - a, a), np.where(a + b > 1, 1 - b, b)
    corner = np.asarray(mesh.triangles)[face]
    points = corner[:, 0] + a * (corner[:, 1] - corner[:, 0]) + b * (corner[:, 2] - corner[:, 0])
    return points, np.asarray(mesh.face_normals)[face]


def facing(mesh: Mesh, count: int, reach: float) -> tuple[Points, Points]:
    """Points as `drawn`, and where the surface looks there: in the mean over `reach` mm around, as
    single faces of a fine scan look wherever its noise has them."""
    points, normals = drawn(mesh, count)
    spacing = float(np.sqrt(mesh.area / count))
    return points, _smoothed(points, normals, max(reach, 2 * spacing))[0]


def _smoothed(points: Points, normals: Points, reach: float) -> tuple[Points, Points]:
    """The mean normal of the neighbours on the same side, and their mean place.

    At an edge the neighbours lie to one side, and so does the place whose normal the mean is.
    """
    pairs = KDTree(points).query_pairs(reach, output_type="ndarray")
    alike = np.einsum("ij,ij->i", normals[pairs[:, 0]], normals[pairs[:, 1]]) > 0.3
    first, second = pairs[alike].T
    count = len(points)
    one_way = sparse.csr_array((np.ones(len(first)), (first, second)), (count, count))
    total = normals + one_way @ normals + one_way.T @ normals
    place = points + one_way @ points + one_way.T @ points
    near = 1 + one_way.sum(axis=1) + one_way.sum(axis=0)
    length = np.linalg.norm(total, axis=1)
    return total / np.maximum(length, 1e-12)[:, None], place / near[:, None]


def _depth(points: Points, normals: Points) -> Float[np.ndarray, "n"]:
    """How far behind each point the surface lies that looks the other way; inf where none does."""
    # Near in place and opposite in direction, in one search: an error of 30° counts as much as
    # half of this length.
    length = float(np.linalg.norm(np.ptp(points, axis=0))) / 4
    tree = KDTree(np.hstack([points, length * normals]))
    _, back = tree.query(np.hstack([points, -length * normals]))
    step = points - points[back]
    depth = np.einsum("ij,ij->i", step, normals)
    aside = np.linalg.norm(step - depth[:, None] * normals, axis=1)
    opposite = np.einsum("ij,ij->i", normals, normals[back]) < -0.7
    return np.where(opposite & (depth > 0) & (aside < depth), depth, np.inf)
