"""A restored pot's surface brought to the scan of its sherd, so that no step shows at the break.

Where the pot lies over a wall of the scan it takes the scan's place; from there on it returns to
its own within one wall's thickness.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool
from scipy.spatial import KDTree

from voxgan_jax.geometry import solids
from voxgan_jax.inference.wall_fit import ALIKE, POINTS, REACH, Points
from voxgan_jax.scan import walls

_SUNK = 0.2
"""In voxels: so deep does the pot lie under the scan, for whose solid it makes room there."""
_COMPANY, _UNLIKE = 12, 0.3
"""A move that differs from the median of so many around by more than so many voxels is none."""
_NEAR = 4
"""So many points of the scan say where its wall is, and of the pot how far it moves beside it."""


class Fit(NamedTuple):
    """A pot's mesh brought to a scan. In `body` it lies a little under the scan's walls, but at the
    break: so it makes room for the scan's solid. `over` are the faces that lie over the scan."""

    mesh: solids.Mesh
    body: solids.Mesh
    over: Bool[np.ndarray, " faces"]


def fitted(pot: solids.Mesh, scan: solids.Mesh, step: float) -> Fit:
    """A pot's mesh with its vertices moved to the scan.

    Args:
        pot: with facets not much longer than a voxel.
        step: the side of a voxel.
    """
    points, facing = walls.facing(scan, POINTS, REACH * step)
    apart = float(np.sqrt(scan.area / POINTS))
    thick = 2 * abs(solids.volume(pot.vertices, pot.faces)) / float(pot.area)
    vertices, normals = np.array(pot.vertices), np.asarray(pot.vertex_normals)
    low, high = (points + sign * (REACH * step + thick) for sign in (-1, 1))
    near = np.flatnonzero(((vertices >= low.min(0)) & (vertices <= high.max(0))).all(axis=1))
    moves, over = _moves(vertices[near], normals[near], points, facing, apart, step)
    covered = np.zeros(len(vertices), bool)
    covered[near[over]] = True
    if not covered.any():
        return Fit(pot, pot, np.zeros(len(pot.faces), bool))
    vertices[near[over]] += moves[over]
    beside = near[~over]
    vertices[beside] += _eased(pot.vertices[beside], pot.vertices[near[over]], moves[over], thick)
    mesh, body = pot.copy(), pot.copy()
    mesh.vertices = vertices
    border = KDTree(vertices[beside]).query(vertices[covered])[0] if len(beside) else step
    depth = _SUNK * np.minimum(border, step)
    sunk = vertices.copy()
    sunk[covered] -= np.reshape(depth, (-1, 1)) * normals[covered]
    body.vertices = sunk
    return Fit(mesh, body, np.asarray(covered[pot.faces].all(axis=1)))


def _moves(
    vertices: Points, normals: Points, points: Points, facing: Points, apart: float, step: float
) -> tuple[Points, Bool[np.ndarray, "_"]]:
    """Along its normal the way of each vertex to the scan over or under it; and whether that is.

    Break edges face other ways.
    """
    # Near in place and alike in direction, in one search.
    turn = 3 * step
    tree = KDTree(np.hstack([points, turn * facing]))
    ranks = list(range(1, min(_NEAR, len(points)) + 1))
    _, which = tree.query(np.hstack([vertices, turn * normals]), k=ranks)  # pyright: ignore
    off = points[which] - vertices[:, None]
    wall, own = facing[which], normals[:, None]
    alike = (wall * own).sum(2)
    # To the plane through the point.
    along = (off * wall).sum(2) / np.maximum(alike, 0.1)
    aside = np.linalg.norm(off - (off * own).sum(2, keepdims=True) * own, axis=2)
    good = (alike > ALIKE) & (np.abs(along) < REACH * step)
    over = (good & (aside < apart + 0.3 * np.abs(along))).any(axis=1)
    weight = good / (aside**2 + (0.3 * apart) ** 2)
    mean = (weight * along).sum(1) / np.maximum(weight.sum(1), 1e-12)
    moves = mean[:, None] * normals
    over[over] = _in_company(vertices[over], moves[over], step)
    return moves, over


def _in_company(vertices: Points, moves: Points, step: float) -> Bool[np.ndarray, "_"]:
    """Which moves are like those around: at a break's corners some are taken for another wall."""
    if len(vertices) < _COMPANY:
        return np.zeros(len(vertices), bool)
    _, which = KDTree(vertices).query(vertices, k=_COMPANY)
    usual = np.median(moves[which], axis=1)
    return np.asarray(np.linalg.norm(moves - usual, axis=1) < _UNLIKE * step)


def _eased(vertices: Points, known: Points, moves: Points, thick: float) -> Points:
    """How far vertices beside those whose moves are known move with them."""
    ranks = list(range(1, min(_NEAR, len(known)) + 1))
    away, which = KDTree(known).query(vertices, k=ranks)  # pyright: ignore
    weight = 1 / np.maximum(away, 1e-3 * thick) ** 2
    mean = (weight[:, :, None] * moves[which]).sum(1) / weight.sum(1, keepdims=True)
    share = np.clip(1 - away[:, :1] / thick, 0, 1)
    return share * share * (3 - 2 * share) * mean
