"""Meshes with fewer faces, as near to the given ones as may be."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import trimesh

_MANY = 300_000
"""A mesh of more faces is clustered at once: to simplify it would take too long."""
_TOLERANCE, _WIDER, _ROUNDS = 2e-4, 1.6, 12
"""Of the mesh's size; so many times it is widened by that factor before it is given up."""
_COARSER = 1.25
"""By this factor the cells of a cluster grow until the faces are few enough."""


def thinned(mesh: "trimesh.Trimesh", budget: int) -> "trimesh.Trimesh":
    """The mesh with about `budget` faces at most, or itself where it has no more.

    What bounds a body keeps its shape within a tolerance that grows until it is enough; of anything
    else, a scan with holes or of very many faces, the corners in one cell of a grid become one.
    """
    if len(mesh.faces) <= budget:
        return mesh
    size = float(np.linalg.norm(mesh.extents))
    if len(mesh.faces) <= _MANY and mesh.is_volume:
        found = _simplified(mesh, budget, size)
        if found is not None:
            return found
    cell = size / np.sqrt(budget)
    found = _clustered(mesh, cell)
    while len(found.faces) > budget:
        cell *= _COARSER
        found = _clustered(mesh, cell)
    return found


def _simplified(mesh: "trimesh.Trimesh", budget: int, size: float) -> "trimesh.Trimesh | None":
    """A watertight mesh within a tolerance of the given one; None where it cannot be had."""
    import manifold3d
    import trimesh

    body = manifold3d.Manifold(
        manifold3d.Mesh(np.asarray(mesh.vertices, np.float32), np.asarray(mesh.faces, np.uint32))
    )
    if body.status() != manifold3d.Error.NoError:
        return None
    tolerance = _TOLERANCE * size
    for _ in range(_ROUNDS):
        body = body.simplify(tolerance)
        if body.num_tri() <= budget:
            made = body.to_mesh()
            return trimesh.Trimesh(made.vert_properties[:, :3], made.tri_verts, process=False)
        tolerance *= _WIDER
    return None


def _clustered(mesh: "trimesh.Trimesh", cell: float) -> "trimesh.Trimesh":
    """The mesh with one corner for each cell of a grid, the mean of those in it."""
    import trimesh

    cells = np.floor((mesh.vertices - mesh.bounds[0]) / cell).astype(int)
    _, where, count = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
    where = where.ravel()
    corners = np.zeros((len(count), 3))
    np.add.at(corners, where, mesh.vertices)
    faces = where[mesh.faces]
    kept = (faces != np.roll(faces, 1, axis=1)).all(axis=1)
    _, first = np.unique(np.sort(faces[kept], axis=1), axis=0, return_index=True)
    return trimesh.Trimesh(corners / count[:, None], faces[kept][np.sort(first)], process=False)
