"""Meshes with fewer faces, as near to the given ones as may be."""

import numpy as np
from scipy.spatial import KDTree

from voxgan_jax.geometry import solids
from voxgan_jax.geometry.solids import Labels, Mesh

_MANY = 300_000
"""A mesh of more faces is clustered at once: to simplify it would take too long."""
_TOLERANCE, _WIDER, _ROUNDS = 2e-4, 1.6, 12
"""Of the mesh's size; so many times it is widened by that factor before it is given up."""
_COARSER = 1.25
"""By this factor the cells of a cluster grow until the faces are few enough."""


def thinned(mesh: Mesh, budget: int, labels: Labels | None = None) -> tuple[Mesh, Labels]:
    """The mesh with about `budget` faces at most, or itself where it has no more; and its labels.

    What bounds a body keeps its shape and the borders of its labels within a tolerance that grows
    until it is enough; of anything else, a scan with holes or of very many faces, the corners in
    one cell of a grid become one.
    """
    own: Labels = np.zeros(len(mesh.faces), int) if labels is None else labels
    if len(mesh.faces) <= budget:
        return mesh, own
    size = float(np.linalg.norm(mesh.extents))
    if len(mesh.faces) <= _MANY and solids.is_body(mesh):
        found = _simplified(mesh, budget, size, own)
        if found is not None:
            return found
    cell, found = size / np.sqrt(budget) / _COARSER, mesh
    while len(found.faces) > budget:
        cell *= _COARSER
        found = _clustered(mesh, cell)
    if len(found.faces):
        own = own[KDTree(mesh.triangles_center).query(found.triangles_center)[1]]
    return found, own


def _simplified(mesh: Mesh, budget: int, size: float, labels: Labels) -> tuple[Mesh, Labels] | None:
    """A watertight mesh within a tolerance of the given one; None where it cannot be had."""
    import trimesh

    try:
        body = solids.solid(mesh.vertices, mesh.faces, labels)
    except ValueError:
        return None
    tolerance = _TOLERANCE * size
    for _ in range(_ROUNDS):
        body = body.simplify(tolerance)
        if body.num_tri() <= budget:
            made = trimesh.Trimesh(*solids.arrays(body), process=False)
            return made, solids.labels_of(body)
        tolerance *= _WIDER
    return None


def _clustered(mesh: Mesh, cell: float) -> Mesh:
    """The mesh with one corner for each cell of a grid, the mean of those in it."""
    import trimesh

    cells = np.floor((mesh.vertices - mesh.bounds[0]) / cell).astype(int)
    where = trimesh.grouping.unique_rows(cells)[1]
    count = np.bincount(where)
    corners = np.stack([np.bincount(where, along) for along in mesh.vertices.T], axis=1)
    faces = where[mesh.faces]
    kept = (faces != np.roll(faces, 1, axis=1)).all(axis=1)
    first = trimesh.grouping.unique_rows(np.sort(faces[kept], axis=1))[0]
    return trimesh.Trimesh(corners / count[:, None], faces[kept][np.sort(first)], process=False)
