"""Voxels to watertight triangle meshes in mm, and meshes to files.

trimesh and scikit-image are imported where they are used: they take half a second.
"""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped, UInt8
from scipy import ndimage

from voxgan_jax.files import write_whole
from voxgan_jax.geometry import solids

UPS = ("x", "y", "z", "-x", "-y", "-z")
_BLUR = 0.5
"""Standard deviation of the filter that takes the steps off, in voxels."""
_MARGIN = 0.05
"""The field at a voxel's middle is at least so far from the level, on the side of the voxel."""
_LEVELS = (0.3, 0.6)
_FIRST_LEVEL = 0.48
"""Where the search for the level starts, and between which levels it stays."""
_VOLUME_ERROR = 0.003
"""The share of the volume by which the surface may miss it."""
_SLOPE = -1.2
"""By how much of itself the volume grows where the level rises by 1: of thin walls, about."""

Matrix = Float[np.ndarray, "4 4"]
Field = Float[np.ndarray, "_ _ _"]
Voxels = Bool[np.ndarray, "_ _ _"]


def stand(volume: Shaped[np.ndarray, "x y z"], up: str = "z") -> Shaped[np.ndarray, "_ _ _"]:
    """A volume with axes (x, y, z) as a grid (d, h, w), the base at high w: `up` is −w.

    The other two axes follow `up` in the order x, y, z, x …; one is flipped, as `.vox` files are
    laid (`vox.read` gives up = "-x"), so a grid is the mirror image of what stands in space.
    """
    axis, (first, second) = axes(up)
    volume = volume.transpose(first, second, axis)
    return np.flip(volume, 1 if up.startswith("-") else 2)


def frame(
    shape: Sequence[int],
    step: float = 1.0,
    origin: Sequence[float] = (0.0, 0.0, 0.0),
    up: str = "-x",
) -> Matrix:
    """The matrix from a grid's indices, a voxel's middle being whole, to coordinates (x, y, z).

    Args:
        shape: of the grid (d, h, w), as `stand` gives it.
        step: the side of a voxel.
        origin: the lowest corner of the grid's box, in coordinates.
        up: whither the rim looks. A `.vox` file's own coordinates are (w, d, height − h), up "-x".
    """
    axis, (first, second) = axes(up)
    matrix = np.zeros((4, 4))
    matrix[3, 3] = 1
    flipped = 1 if up.startswith("-") else 2
    for row, column in ((first, 0), (second, 1), (axis, 2)):
        back = column == flipped
        matrix[row, column] = -step if back else step
        matrix[row, 3] = origin[row] + step * (shape[column] - 0.5 if back else 0.5)
    return matrix


def axes(up: str) -> tuple[int, tuple[int, int]]:
    """The number of the coordinate that is height, and of the other two in a grid's order.

    Raises:
        ValueError: `up` is none of UPS.
    """
    if up not in UPS:
        raise ValueError(f"up {up!r} is none of {', '.join(UPS)}")
    axis = "xyz".index(up[-1])
    return axis, ((axis + 1) % 3, (axis + 2) % 3)


def step_of(matrix: Matrix) -> float:
    """The side of a voxel, in the coordinates of such a `frame`."""
    return float(abs(np.linalg.det(matrix[:3, :3])) ** (1 / 3))


def smooth(
    occupied: Bool[np.ndarray, "d h w"],
    probabilities: Float[np.ndarray, "d h w"] | None = None,
    given: Bool[np.ndarray, "d h w"] | None = None,
) -> Float[np.ndarray, "d+4 h+4 w+4"]:
    """What surfaces are drawn through: a smooth field, two voxels of nothing around it.

    Args:
        occupied: the voxels of the pot.
        probabilities: where 0.5 is the limit of `occupied`; None takes the voxels themselves.
        given: voxels that are certain; a doubtful neighbour does not thicken them.
    """
    belief = occupied.astype(np.float32)
    if probabilities is not None:
        belief = probabilities.astype(np.float32)
    if given is not None:
        touched = ndimage.binary_dilation(given, np.ones((3, 3, 3), bool))
        belief = np.where(touched & ~occupied, np.float32(0), belief)
        belief = np.where(given, np.float32(1), belief)
    return ndimage.gaussian_filter(np.pad(belief, 2), _BLUR)


def find_level(field: Field, occupied: Voxels) -> float:
    """The level at which the surface of `smooth` holds the volume of the voxels.

    At 0.5 walls of two voxels lose up to a twentieth. Found by secants, between 0.3 and 0.6.
    """
    target = int(occupied.sum())
    low, high = _LEVELS
    level, slope = _FIRST_LEVEL, _SLOPE
    before: tuple[float, float] | None = None
    for _ in range(7):
        error = abs(solids.volume(*_cubes(field, occupied, level))) / target - 1
        if abs(error) <= _VOLUME_ERROR:
            break
        low, high = (low, level) if error < 0 else (level, high)
        if before:
            slope = min((error - before[1]) / (level - before[0]), _SLOPE / 10)
        before = level, error
        level -= error / slope
        if not low < level < high:
            level = (low + high) / 2
    return level


def surface(field: Field, occupied: Voxels, matrix: Matrix, level: float = 0.5) -> solids.Mesh:
    """The watertight surface of `smooth`'s field, by marching cubes, outward normals.

    The middle of every occupied voxel is inside it, that of every other outside, so thin walls
    survive and voxels taken at the middles of the mesh are the same again.

    Raises:
        ValueError: no voxel is occupied.
    """
    import trimesh

    if not occupied.any():
        raise ValueError("no voxel is occupied, so there is no surface")
    vertices, faces = _cubes(field, occupied, level)
    if np.linalg.det(matrix[:3, :3]) < 0:
        faces = faces[:, ::-1]
    # No vertex is there twice, so nothing is to be merged.
    return trimesh.Trimesh(vertices @ matrix[:3, :3].T + matrix[:3, 3], faces, process=False)


def of_voxels(
    occupied: Voxels,
    matrix: Matrix,
    probabilities: Field | None = None,
    given: Voxels | None = None,
    level: float | None = None,
) -> tuple[solids.Mesh, float]:
    """The surface of voxels, through the field that `smooth` makes of them, at a level; by default
    at that which keeps their volume (`find_level`). The level comes with it."""
    field = smooth(occupied, probabilities, given)
    level = find_level(field, occupied) if level is None else level
    return surface(field, occupied, matrix, level), level


def _cubes(
    field: Field, occupied: Voxels, level: float
) -> tuple[Float[np.ndarray, "vertices 3"], Int[np.ndarray, "faces 3"]]:
    """Marching cubes, in the grid's indices, faces turned outward."""
    from skimage import measure

    inside = np.pad(occupied, 2)
    field = np.where(inside, np.maximum(field, level + _MARGIN), np.minimum(field, level - _MARGIN))
    vertices, faces, *_ = measure.marching_cubes(
        field, level, allow_degenerate=False, gradient_direction="ascent"
    )
    return vertices.astype(np.float64) - 2, faces


def face_labels(
    mesh: solids.Mesh, labels: UInt8[np.ndarray, "d h w"], matrix: Matrix
) -> Int[np.ndarray, "faces"]:
    """The label of the voxel next to each face of a mesh, below the face's middle."""
    below = mesh.triangles_center - 0.25 * step_of(matrix) * mesh.face_normals
    places = (below - matrix[:3, 3]) @ np.linalg.inv(matrix[:3, :3]).T
    cells = np.clip(np.rint(places).astype(int) + 1, 0, np.add(labels.shape, 1))
    padded = np.pad(labels, 1)
    nearest = np.asarray(
        ndimage.distance_transform_edt(padded == 0, return_distances=False, return_indices=True)
    )
    return padded[tuple(nearest[:, *cells.T])].astype(int)


def write_stl(path: str | pathlib.Path, mesh: solids.Mesh) -> None:
    """Write a mesh as binary STL, whole or not at all."""
    write_whole(path, cast(bytes, mesh.export(file_type="stl")))


def write_glb(
    path: str | pathlib.Path,
    mesh: solids.Mesh,
    labels: Int[np.ndarray, "faces"],
    parts: Mapping[int, tuple[str, Sequence[int]]],
    own: int | None = None,
) -> None:
    """Write a mesh in mm as GLB, whole or not at all: a named, coloured part for each label.

    Lengths are metres, as glTF has them; the coordinates are otherwise those of the mesh.

    Args:
        parts: a label's name and its colour in sRGB.
        own: the label of what has the mesh's own colours, if it has any.
    """
    import trimesh
    from trimesh.visual import TextureVisuals, color
    from trimesh.visual.material import PBRMaterial

    scene, look = trimesh.Scene(), cast(Any, mesh.visual)
    for label, (name, colour) in parts.items():
        faces = np.flatnonzero(labels == label)
        if not faces.size:
            continue
        used, corners = np.unique(mesh.faces[faces], return_inverse=True)
        dyed = label == own and look.kind == "vertex"
        # glTF's colours are linear, not sRGB.
        linear = color.srgb_to_linear(np.array((255,) * 3 if dyed else colour[:3]) / 255)
        material = PBRMaterial(
            name=name, baseColorFactor=[*linear, 1.0], metallicFactor=0.0, roughnessFactor=0.9
        )
        part = trimesh.Trimesh(
            mesh.vertices[used] / 1000,
            corners.reshape(-1, 3),
            # Those of the whole mesh: without them a seam would show between the parts.
            vertex_normals=mesh.vertex_normals[used],
            process=False,
        )
        part.visual = TextureVisuals(material=material)
        if dyed:
            shares = color.srgb_to_linear(look.vertex_colors[used, :3] / 255)
            part.visual.vertex_attributes["color"] = color.to_rgba(shares)
        scene.add_geometry(part, node_name=name, geom_name=name)
    write_whole(path, cast(bytes, scene.export(file_type="glb", include_normals=True)))
