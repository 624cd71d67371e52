"""Closed meshes as solids that can be united, cut and thinned; labels of their faces go with them.

manifold3d is imported where it is used, as it takes a while.
"""

from typing import TYPE_CHECKING, ForwardRef

import numpy as np
from jaxtyping import Float, Int

if TYPE_CHECKING:
    from manifold3d import Manifold as Solid
    from trimesh import Trimesh as Mesh
else:  # By their names alone, as trimesh takes half a second to import.
    Solid, Mesh = ForwardRef("manifold3d.Manifold"), ForwardRef("trimesh.Trimesh")

Vertices = Float[np.ndarray, "vertices 3"]
Faces = Int[np.ndarray, "faces 3"]
Labels = Int[np.ndarray, "faces"]


def solid(vertices: Vertices, faces: Faces, labels: Labels | None = None) -> Solid:
    """The solid of a closed mesh.

    Args:
        labels: of the faces, small whole numbers, which `labels_of` tells again of what is made of
            the solid; edges between faces of two labels stay.

    Raises:
        ValueError: the mesh is not watertight.
    """
    import manifold3d

    told = {}
    if labels is not None:
        order = np.argsort(labels, kind="stable")
        kinds, starts = np.unique(labels[order], return_index=True)
        faces = faces[order]
        told["run_index"] = np.append(3 * starts, 3 * len(faces)).astype(np.uint64)
        # Ids are never used twice, so that a label is what an id leaves over.
        first = manifold3d.Manifold.reserve_ids(2 * _IDS)
        told["run_original_id"] = (first + (kinds - first) % _IDS).astype(np.uint32)
    mesh = manifold3d.Mesh64(
        np.ascontiguousarray(vertices, np.float64), np.ascontiguousarray(faces, np.uint64), **told
    )
    body = manifold3d.Manifold(mesh)
    if body.status() != manifold3d.Error.NoError:
        raise ValueError(f"a mesh is not watertight ({body.status().name})")
    return body


_IDS = 16
"""Labels are below this."""


def arrays(body: Solid) -> tuple[Vertices, Faces]:
    """The vertices and faces of a solid."""
    data = body.to_mesh64()
    # A copy, as no solid is made of what is read-only.
    return data.vert_properties[:, :3].copy(), data.tri_verts.astype(np.int64)


def labels_of(body: Solid) -> Labels:
    """The labels of the faces that `arrays` gives."""
    data = body.to_mesh64()
    sizes = np.diff(np.asarray(data.run_index, np.int64)) // 3
    return np.repeat(np.asarray(data.run_original_id, np.int64) % _IDS, sizes)


def volume(vertices: Vertices, faces: Faces) -> float:
    """What a mesh encloses, in the cube of its unit; negative where its faces look inwards."""
    # About the middle, where sums are smallest. trimesh's volume comes with moments of inertia.
    (ax, bx, cx), (ay, by, cy), z = (vertices - vertices.mean(0)).T[:, faces.T]
    return float(((bx - ax) * (cy - ay) - (by - ay) * (cx - ax)) @ z.sum(0)) / 6


def is_body(mesh: Mesh) -> bool:
    """Whether a mesh is watertight, its faces all looking outwards."""
    closed = mesh.is_watertight and mesh.is_winding_consistent
    return bool(closed and volume(mesh.vertices, mesh.faces) > 0)


def mesh(body: Solid, step: float) -> tuple[Mesh, Labels]:
    """A solid in single precision, as STL holds it, where it is watertight in that; and its labels.

    Args:
        step: of this length at most 3 % are lost.
    """
    import trimesh

    for tolerance in (0, 1e-4, 1e-3, 1e-2, 3e-2):
        found = body.simplify(tolerance * step) if tolerance else body
        vertices, faces = arrays(found)
        made = trimesh.Trimesh(vertices.astype(np.float32), faces, process=True)
        a, b, c = made.faces.T
        kept = (a != b) & (b != c) & (c != a)
        made.update_faces(kept)
        if is_body(made):
            return made, labels_of(found)[kept]
    return trimesh.Trimesh(*arrays(body), process=False), labels_of(body)
