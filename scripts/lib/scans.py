"""Sherds as a scanner has them, of pots whose voxels and fragments are known.

Voxels make staircases, which no scanner sees. So a pot's half section is smoothed and turned, its
fragment cut out along rough breaks, and what kilns, soil and scanners do to a sherd is done to it.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import trimesh
from jaxtyping import Float, Int, UInt8
from scipy import ndimage, sparse
from scipy.spatial import KDTree
from skimage import measure

from voxgan_jax.geometry import lathe, profile_targets, solids, surface

if TYPE_CHECKING:
    import manifold3d

FACES = 200_000
"""Of a scan."""
FINEST = 0.3
"""In mm: no facet of a scan is asked to be smaller."""

_FINER = 3  # nodes a voxel on which breaks are rough
_GRAIN = 0.7  # mm: points of a scan nearer to each other have much the same error
_ROUGH = 0.25  # voxels, standard deviation of a break's roughness
_BEYOND = 3  # voxels that a fragment's part of space reaches beyond its clay
_SHARP = np.radians(35)
"""A scan's edges turn by more than this, and wear."""

Labels = UInt8[np.ndarray, "n n n"]


class Faults(NamedTuple):
    """What is done to a sherd; lengths in mm.

    `noise` is the standard deviation of its points along their normals, `oval` by how much of
    itself the pot is wider one way than across, `wear` how far from an edge it is worn. `one_sided`
    scans show what is seen from outside the pot.
    """

    noise: float = 0.0
    oval: float = 0.0
    wear: float = 0.0
    one_sided: bool = False


def draw_faults(rng: np.random.Generator) -> Faults:
    """Noise of 0.05 to 0.2 mm, an ovality of 1 to 2 %, edges worn over 0.3 to 1.5 mm, and one scan
    in ten from outside alone."""
    return Faults(
        noise=float(rng.uniform(0.05, 0.2)),
        oval=float(rng.uniform(0.01, 0.02)),
        wear=float(rng.uniform(0.3, 1.5)),
        one_sided=bool(rng.random() < 0.1),
    )


def scan(
    labels: Labels,
    fragment: int,
    matrix: Float[np.ndarray, "4 4"],
    faults: Faults,
    rng: np.random.Generator,
    faces: int = FACES,
) -> trimesh.Trimesh:
    """The scan of one fragment of a pot, in mm.

    Args:
        labels: 0, or a fragment's number, in a cube.
        matrix: from the cube's indices to mm, see `surface.frame`, in any pose.
        faces: so many, to within twice, if they are not finer than `FINEST` then.

    Raises:
        ValueError: no voxel is the fragment's, or nothing of it is on the turned pot.
    """
    if not (labels == fragment).any():
        raise ValueError(f"the pot has no fragment {fragment}")
    step = surface.step_of(matrix)
    distance, axis = profile_targets.target(labels > 0)
    pot = lathe.mesh(distance, matrix, axis=axis, chord_mm=0.05, spacing=1.0)
    region = _region(labels, fragment, matrix, rng)
    body = solids.solid(pot.vertices, pot.faces) ^ solids.solid(region.vertices, region.faces)
    sherd = _fine(_greatest(body, step), faces)
    if faults.wear:
        sherd.vertices = _worn(sherd, faults.wear)
    sherd.vertices = _squeezed(sherd.vertices, matrix, axis, faults.oval, rng)
    if faults.one_sided:
        sherd.update_faces(_outside(sherd, matrix, axis))
        sherd.remove_unreferenced_vertices()
    noise = faults.noise * _alike_nearby(sherd, rng)
    sherd.vertices = sherd.vertices + noise[:, None] * sherd.vertex_normals
    return sherd


def _region(
    labels: Labels, fragment: int, matrix: Float[np.ndarray, "4 4"], rng: np.random.Generator
) -> trimesh.Trimesh:
    """The part of space that is nearer to a fragment than to the others, its border rough."""
    own = labels == fragment
    box = tuple(
        slice(max(cells.min() - _BEYOND - 2, 0), cells.max() + _BEYOND + 3)
        for cells in np.nonzero(own)
    )
    # At the cube's border, too, it ends within the grid.
    own = np.pad(own[box], _BEYOND + 2)
    other = np.pad((labels[box] > 0) & (labels[box] != fragment), _BEYOND + 2)
    away = np.asarray(ndimage.distance_transform_edt(~own))
    further = np.asarray(ndimage.distance_transform_edt(~other)) if other.any() else away + 9.0
    inside = ndimage.gaussian_filter(np.minimum(further - away, _BEYOND), 0.7)
    nearest = np.minimum(inside, _BEYOND - away)
    zoomed = ndimage.zoom(nearest, _FINER, order=1, mode="grid-constant", grid_mode=True)
    fine = np.asarray(zoomed, float)
    rough = np.zeros_like(fine)
    for size in (1, 2, 4):
        rough += size**1.5 * np.asarray(ndimage.gaussian_filter(rng.normal(size=fine.shape), size))
    fine += _ROUGH * rough / np.std(rough)
    # Whatever the noise, it ends within the grid.
    fine = np.pad(fine[1:-1, 1:-1, 1:-1], 1, constant_values=-1.0)
    vertices, faces = measure.marching_cubes(fine, 0.0, allow_degenerate=False)[:2]
    first = [part.start - _BEYOND - 2 for part in box]
    index = (vertices + 0.5) / _FINER - 0.5 + first
    made = trimesh.Trimesh(index @ matrix[:3, :3].T + matrix[:3, 3], faces)
    if solids.volume(made.vertices, made.faces) < 0:
        made.invert()
    return made


def _greatest(body: "manifold3d.Manifold", step: float) -> trimesh.Trimesh:
    parts = body.decompose()
    if not parts:
        raise ValueError("nothing of the fragment lies on the turned pot")
    return solids.mesh(max(parts, key=lambda part: part.volume()), step)[0]


def _fine(sherd: trimesh.Trimesh, count: int) -> trimesh.Trimesh:
    """The same surface in facets as small as a scanner's."""
    # Of equilateral triangles; halving edges makes them smaller than asked.
    edge = max(FINEST, 1.2 * np.sqrt(float(sherd.area) / count * 4 / np.sqrt(3)))
    made = trimesh.remesh.subdivide_to_size(sherd.vertices, sherd.faces, edge, max_iter=20)
    return trimesh.Trimesh(*made[:2])


def _worn(sherd: trimesh.Trimesh, wear: float) -> Float[np.ndarray, "n 3"]:
    """The vertices with those near sharp edges drawn in, the nearest most."""
    sharp = sherd.face_adjacency_edges[sherd.face_adjacency_angles > _SHARP]
    points = np.array(sherd.vertices)
    if not len(sharp):
        return points
    away, _ = KDTree(points[np.unique(sharp)]).query(points, distance_upper_bound=3 * wear)
    weight = 0.7 * np.exp(-((np.minimum(away, 3 * wear) / wear) ** 2))[:, None]
    mean = _neighbours(sherd)
    for _ in range(_rounds(sherd, wear)):
        points += weight * (mean @ points - points)
    return points


def _alike_nearby(sherd: trimesh.Trimesh, rng: np.random.Generator) -> Float[np.ndarray, " n"]:
    """A number for each vertex, of variance 1, much the same for those within `_GRAIN`."""
    values = rng.normal(size=len(sherd.vertices))
    mean = _neighbours(sherd)
    for _ in range(_rounds(sherd, _GRAIN)):
        values = (values + mean @ values) / 2
    return values / np.std(values)


def _neighbours(sherd: trimesh.Trimesh) -> sparse.csr_array:
    """What takes the mean of each vertex's neighbours."""
    first, second = sherd.edges_unique.T
    shape = len(sherd.vertices), len(sherd.vertices)
    one_way = sparse.csr_array((np.ones(len(first)), (first, second)), shape)
    both = one_way + one_way.T
    return sparse.diags_array(1 / np.maximum(both.sum(axis=1), 1)) @ both


def _rounds(sherd: trimesh.Trimesh, reach: float) -> int:
    """How many means of neighbours, steps of a walk at random, reach so far."""
    return int(np.clip((reach / float(np.mean(sherd.edges_unique_length))) ** 2, 1, 16))


def _squeezed(
    points: Float[np.ndarray, "n 3"],
    matrix: Float[np.ndarray, "4 4"],
    axis: tuple[float, float],
    share: float,
    rng: np.random.Generator,
) -> Float[np.ndarray, "n 3"]:
    """The points of a pot that is wider by that share one way than across."""
    index = (points - matrix[:3, 3]) @ np.linalg.inv(matrix[:3, :3]).T
    turn = rng.uniform(0, np.pi)
    way = np.array([np.cos(turn), np.sin(turn)])
    out = index[:, :2] - axis
    along = out @ way
    index[:, :2] = axis + (1 - share / 2) * out + share * along[:, None] * way
    return index @ matrix[:3, :3].T + matrix[:3, 3]


def _outside(
    sherd: trimesh.Trimesh, matrix: Float[np.ndarray, "4 4"], axis: tuple[float, float]
) -> Int[np.ndarray, " m"]:
    """The faces that are seen from outside the pot, from where most of the sherd's outside is."""
    middle = np.asarray(sherd.triangles_center)
    on_axis = matrix[:3, :3] @ [*axis, 0.0] + matrix[:3, 3]
    up = matrix[:3, 2] / np.linalg.norm(matrix[:3, 2])
    out = middle - on_axis
    out -= (out @ up)[:, None] * up
    weight = np.asarray(sherd.area_faces)[:, None]
    way = (weight * out).sum(0)
    length = float(np.linalg.norm(way))
    # A floor lies all round the axis; it is seen from below, where height's index grows.
    around = length < 0.3 * float((weight[:, 0] * np.linalg.norm(out, axis=1)).sum())
    way = up if around else way / length
    return np.flatnonzero(np.asarray(sherd.face_normals) @ way > 0.15)
