"""The missing piece: what a restored pot adds to the original, as one printable body or several.

The original grown by the clearance is cut from the restored pot. Grown means: a level of the
distance from its surface, computed on a grid around it. How near the piece then comes to the
original is measured, and where that is too near the level is raised and the cut made again.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import ndimage
from scipy.spatial import KDTree

from voxgan_jax.geometry import connections, solids, voxelise
from voxgan_jax.geometry.solids import Mesh, Solid, arrays, solid
from voxgan_jax.scan.walls import Points

THIN = 0.8
"""In mm, two lines of a printer's usual nozzle of 0.4 mm: what is thinner may be left out."""
_MAX_CELLS = 4_000_000
"""So many points at most hold distances; of a bigger piece they lie further apart."""
_ROUNDS = 12
"""So often at most the cut is made; after three the level is raised by twice as much each time."""
_CRUMB = 8
"""Voxels: bodies of less volume are left out."""
_FINE = 2
"""So many points a voxel hold distances along each axis."""
_CUT = 0.2
"""In voxels, by how much marching cubes on those points cut the original's corners, rounded up."""
_LEAF = 40
"""Points in a leaf of the tree; more make it quicker to build and slower to ask."""


class MissingPiece(NamedTuple):
    """`gap`: measured, in mm, the least distance between the piece and the original; `pieces`: how
    many separate bodies it has; `left_out`: the volume in mm³ of the slivers that were dropped.
    """

    mesh: Mesh
    gap: float
    pieces: int
    left_out: float


def attempt(
    completed: Mesh, original: Mesh, step: float, clearance: float
) -> tuple[MissingPiece | None, str | None]:
    """`missing_piece`, or why there is none of this original.

    Raises:
        ValueError: a negative clearance.
    """
    try:
        made = missing_piece(completed, original, step, clearance)
        why = f"{clearance:g} mm away from the original nothing of {_CRUMB} voxels or more is left"
        return made, None if made else why
    except (ValueError, MemoryError) as error:
        if not 0 <= clearance < np.inf:
            raise
        return None, str(error) or "it takes more memory than there is"


def missing_piece(
    completed: Mesh, original: Mesh, step: float, clearance: float = 0.2
) -> MissingPiece | None:
    """What `completed` has and `original` has not, nowhere nearer to it than `clearance`.

    Bodies of less than eight voxels, or too thin to be printed (`THIN`) or a wall, are
    dropped: slivers along the original's surface, where the restored pot is a hair thicker.

    Args:
        completed: watertight, in mm.
        original: in mm; it may have holes, and is then taken as `voxelise.inside` sees it.
        step: the side of a voxel in mm.
        clearance: in mm, at least 0.

    Returns:
        None where nothing is missing.

    Raises:
        ValueError: a negative clearance, or none that can be kept.
    """
    if not 0 <= clearance < np.inf:
        raise ValueError(f"clearance {clearance:g} mm: give 0 or more")
    whole = solid(completed.vertices, completed.faces)
    exact = _exact(original)
    samples = voxelise.sample(original, step / 4)
    # Quickly built, which serves points as evenly spread as these.
    tree = KDTree(samples, leafsize=_LEAF, balanced_tree=False, compact_nodes=False)
    reach = clearance + step / 2
    levels = _distances(original, samples, tree, step, reach)
    level = clearance + _CUT * step
    gap = 0.0
    for number in range(_ROUNDS):
        if level > reach + 2 * levels.fine:  # Further out the grid ends, and so would the body.
            break
        cut = whole - _grown(levels, level)
        piece, pieces = _without_slivers(cut, step)
        if piece is None:
            return None
        gap = _gap(piece, exact, tree, level + step / 4)
        if gap >= clearance:
            return MissingPiece(
                solids.mesh(piece, step)[0], gap, pieces, cut.volume() - piece.volume()
            )
        level += 1.05 * 2.0 ** max(number - 2, 0) * (clearance - gap) + 1e-3 * step
    raise ValueError(
        f"no missing piece keeps {clearance:g} mm from the original ({gap:g} mm at best); give"
        " another --clearance-mm"
    )


def _without_slivers(cut: Solid, step: float) -> tuple[Solid | None, int]:
    """The bodies of a cut that are no slivers, as one (None without any), and how many they are.

    A body's thickness is here twice its volume by its surface, as that of a plate is.
    """
    if cut.is_empty():
        return None, 0
    vertices, faces = arrays(cut)
    body = connections.bodies(len(vertices), faces)[faces[:, 0]]
    # About the middle, where what is summed is smallest.
    a, b, c = (vertices[corner] - vertices.mean(0) for corner in faces.T)
    across = np.cross(b - a, c - a)
    volume = np.bincount(body, (a * across).sum(1)) / 6
    area = np.bincount(body, np.linalg.norm(across, axis=1)) / 2
    kept = (volume >= _CRUMB * step**3) & (2 * volume >= min(THIN, step) * area)
    piece = solid(vertices, faces[kept[body]]) if kept.any() else None
    return piece, int(kept.sum())


def _exact(mesh: Mesh) -> Solid | None:
    """The body of a mesh; None where it is open, or touches itself so that it is no manifold."""
    try:
        return solid(mesh.vertices, mesh.faces) if solids.is_body(mesh) else None
    except ValueError:
        return None


class _Distances(NamedTuple):
    """The distance from a mesh in mm, negative inside, at points `fine` mm apart from `origin` on.

    Right up to the distance asked for, and a lower bound further out.
    """

    field: Float[np.ndarray, "_ _ _"]
    origin: Float[np.ndarray, "3"]
    fine: float


def _distances(mesh: Mesh, samples: Points, tree: KDTree, step: float, reach: float) -> _Distances:
    from skimage import measure

    low, high = mesh.bounds
    fine = step / _FINE
    fine = max(fine, (float((high - low + 2 * reach + 6 * fine).prod()) / _MAX_CELLS) ** (1 / 3))
    origin = low - reach - 3 * fine
    shape = np.ceil((high - origin + reach + 3 * fine) / fine).astype(int).tolist()
    marked = np.ones(shape, bool)
    marked[tuple(((samples - origin) / fine).astype(int).T)] = False
    cells = np.asarray(ndimage.distance_transform_cdt(marked, "chessboard"))
    # No sample can be nearer than this.
    field = np.maximum(cells - 0.5, 0) * fine
    inner = voxelise.inside(mesh, origin.tolist(), fine, shape)
    # A scan that is open may be hollow; nothing is to be printed into it.
    rooms = np.asarray(measure.label(~inner & marked, connectivity=1))
    inner |= (rooms != rooms[0, 0, 0]) & marked
    near = (field < reach) & ~inner
    found = _nearest(tree, origin + (np.argwhere(near) + 0.5) * fine, reach + 2 * fine)
    # The nearest sample is further than the nearest point of the mesh, by no more than this.
    off = step / 4 / np.sqrt(3)
    field[near] = np.sqrt(np.maximum(found**2 - off**2, 0))
    return _Distances(np.where(inner, -field, field), origin + fine / 2, fine)


def _nearest(tree: KDTree, points: Points, limit: float) -> Float[np.ndarray, " n"]:
    """Distances from a tree's nearest points; infinite beyond `limit`."""
    return tree.query(points, distance_upper_bound=limit, workers=-1)[0]


def _grown(distances: _Distances, level: float) -> Solid:
    """The body whose surface is at a distance."""
    from skimage import measure

    field, origin, fine = distances
    vertices, faces, *_ = measure.marching_cubes(field, level, allow_degenerate=False)
    return solid(origin + vertices.astype(np.float64) * fine, faces)


def _gap(
    piece: Solid,
    original: Solid | None,
    samples: KDTree,
    limit: float,
) -> float:
    """The least distance between two bodies, or `limit` where they are further apart; 0 or less
    where they overlap. Exact where the original is watertight, else from its samples."""
    if original is not None:
        gap = piece.min_gap(original, limit)
        if gap > 0:
            return gap
        overlap = piece ^ original
        return 0.0 if overlap.is_empty() else -float(samples.query(arrays(overlap)[0])[0].max())
    mesh = solids.mesh(piece, limit)[0]
    return float(min(_nearest(samples, voxelise.sample(mesh, limit / 4), limit).min(), limit))
