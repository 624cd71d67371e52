"""A missing piece on its way to the printer: standing upright, and what of it makes trouble.

Nothing is repaired here; each number tells what to look at before one prints or glues.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from voxgan_jax.geometry import connections, solids, surface
from voxgan_jax.report.missing_piece import THIN, MissingPiece
from voxgan_jax.report.splits import Part, put_in

End = Literal["base", "rim"]

_RAYS = 2000
"""So many points of the surface are asked how thick the piece is there."""
_STEEP = -np.sqrt(0.5)
"""Faces that look down more than this, 45°, need a support."""
_BETWEEN = 5.0
"""In mm: so far apart stand the bodies of a piece."""


@dataclass(frozen=True, kw_only=True)
class PutIn:
    """A part of the missing piece that can be put in straight."""

    volume_mm3: float
    direction: Annotated[tuple[float, float, float], "in which it is put in, of length 1"]

    @classmethod
    def of(cls, part: Part) -> "PutIn":
        """A part as it is told, rounded."""
        x, y, z = (round(float(value), 4) for value in part.way)
        volume = solids.volume(part.mesh.vertices, part.mesh.faces)
        return cls(volume_mm3=round(volume, 3), direction=(x, y, z))


class Printing(NamedTuple):
    """How a piece prints and fits.

    `upright` stands on the bed (z = 0) on its `foot`, its bodies side by side; in mm, z up.
    `thin_share` of its surface is nearer than `THIN` to the surface behind. `loops` are the tunnels
    through its bodies: one for a sherd amid a wall, say, or a handle. Of the joint `undercut_share`
    is in the way, by half a voxel or more, when each body is put in straight in the best direction;
    of the surface `overhang_share` looks down, standing so, more steeply than 45° and needs
    supports. `parts` are put in one after another (`splits`); none where no way was found.
    """

    piece: MissingPiece
    upright: solids.Mesh
    foot: End
    thin_share: float
    loops: int
    undercut_share: float
    overhang_share: float
    parts: tuple[Part, ...]


def prepare(
    piece: MissingPiece,
    original: solids.Mesh,
    matrix: surface.Matrix,
    axis: tuple[float, float],
) -> Printing:
    """The missing piece of an original made ready for the printer.

    Args:
        matrix: from the grid's indices to mm; the base of the pot is at high w.
        axis: where that of the pot stands in d and h.
    """
    mesh, step = piece.mesh, surface.step_of(matrix)
    up = -matrix[:3, 2] / step
    # Right-handed, as the grid is not.
    turn = np.array([matrix[:3, 0] / step, np.cross(up, matrix[:3, 0] / step), up])
    frame = np.eye(4)
    frame[:3] = np.column_stack([turn, -turn @ (matrix @ [*axis, 0.0, 1.0])[:3]])
    undercut, parts = put_in(mesh, original, frame, step)
    stands = {foot: _overhang(mesh, way, step) for foot, way in (("base", up), ("rim", -up))}
    body = connections.bodies(len(mesh.vertices), mesh.faces)
    foot: End = "rim" if stands["rim"] < stands["base"] else "base"
    return Printing(
        piece=piece,
        upright=_upright(mesh, up if foot == "base" else -up),
        foot=foot,
        thin_share=_thin_share(mesh),
        loops=max(int(body.max()) + 1 - mesh.euler_number // 2, 0),
        undercut_share=undercut,
        overhang_share=stands[foot],
        parts=parts,
    )


def _thin_share(piece: solids.Mesh) -> float:
    """By rays from points spread evenly over the surface, inwards."""
    body = solids.solid(piece.vertices, piece.faces)
    reached = np.cumsum(piece.area_faces)
    places = (np.arange(_RAYS) + 0.5) / _RAYS * reached[-1]
    faces = np.searchsorted(reached, places)
    inward, start = -piece.face_normals[faces], piece.triangles_center[faces]
    # Not the face itself.
    rays = zip((start + 1e-3 * inward).tolist(), (start + THIN * inward).tolist(), strict=True)
    return float(np.mean([bool(body.ray_cast(*ray)) for ray in rays]))


def _overhang(piece: solids.Mesh, up: Float[np.ndarray, "3"], step: float) -> float:
    """What looks down, and does not lie on the bed, as a share of the surface."""
    height = piece.triangles_center @ up
    down = (piece.face_normals @ up < _STEEP) & (height > (piece.vertices @ up).min() + step / 2)
    return float(piece.area_faces[down].sum() / piece.area)


def _upright(piece: solids.Mesh, up: Float[np.ndarray, "3"]) -> solids.Mesh:
    """The piece turned so that `up` is z, every body on the bed, in a row along x."""
    import trimesh

    made = piece.copy()
    made.apply_transform(trimesh.geometry.align_vectors(up, [0.0, 0.0, 1.0]))
    points, body = np.array(made.vertices), connections.bodies(len(made.vertices), made.faces)
    end = 0.0
    for one in range(int(body.max()) + 1):
        own = body == one
        low, high = points[own].min(axis=0), points[own].max(axis=0)
        points[own] -= [low[0] - end, (low[1] + high[1]) / 2, low[2]]
        end += high[0] - low[0] + _BETWEEN
    points[:, 0] -= (end - _BETWEEN) / 2
    made.vertices = points
    return made
