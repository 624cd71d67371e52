"""Reading sherds: voxel files and scans, to a grid in the pot's box and its place in mm.

`read` voxelises a mesh where it lies: the box is the mesh's own, or is told by the pot's height and
diameter. `placed` voxelises one that was placed by its shape (`placement`).
"""

import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float, Shaped, UInt8

from voxgan_jax.data import vox
from voxgan_jax.geometry import surface as meshes
from voxgan_jax.geometry import voxelise
from voxgan_jax.scan.pose import Placement

if TYPE_CHECKING:
    import trimesh

MESHES = (".stl", ".obj", ".ply", ".glb", ".off", ".3mf")
GRIDS = (".vox", ".binvox", ".npy", ".npz")
UNITS = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "in": 25.4}
_MAX_SIDE = 512
_MAX_BYTES = 2 << 30
_SPELT = {"millimeter": 1.0, "centimeter": 10.0, "meter": 1000.0, "inch": 25.4, "micron": 0.001}


class ScanError(ValueError):
    """A file that cannot be read as a sherd."""


class Scan(NamedTuple):
    """A sherd in its pot's box.

    `matrix` maps the grid's indices to the file's coordinates in mm (`mesh.frame`). `mesh` is what
    was read, in mm; None where the file holds voxels. `placement` says how it was placed; None
    where it lies as the file has it.
    """

    labels: UInt8[np.ndarray, "d h w"]
    matrix: Float[np.ndarray, "4 4"]
    mesh: "trimesh.Trimesh | None" = None
    placement: Placement | None = None


def read(
    path: str | pathlib.Path,
    *,
    longest: int = 64,
    unit: str | None = None,
    voxel_mm: float | None = None,
    up: str | None = None,
    height_mm: float | None = None,
    diameter_mm: float | None = None,
) -> Scan:
    """Read a file of one of MESHES or GRIDS, by its name's ending.

    A file of voxels is the pot's box as it is. A mesh lies in its own box; where the pot's height
    or diameter is given, the pot's axis is the coordinate axis `up` through the origin and its base
    is at 0, and what is not given is taken from the mesh.

    Args:
        longest: into so many voxels the longest side of a mesh's box is divided.
        unit: of a mesh's coordinates, of UNITS; None takes that of the file (3MF), metres for GLB,
            else mm.
        voxel_mm: the side of a voxel; None takes 1 mm for a file of voxels, and what `longest`
            gives for a mesh.
        up: from the base to the rim, of `mesh.UPS`; None takes -x for .vox, as vox_pottery has
            it, y for GLB, else z.
        height_mm, diameter_mm: of the whole pot, for a mesh.

    Raises:
        FileNotFoundError: no such file.
        ScanError: not a file that can be read, or not as these options have it.
    """
    path = pathlib.Path(path)
    suffix = path.suffix.lower()
    if suffix not in MESHES + GRIDS:
        known = ", ".join((*GRIDS, *MESHES))
        raise ScanError(f"{path}: {suffix or 'no ending'} is none of {known}; save it as one")
    check_sizes(path, {"voxel_mm": voxel_mm, "height_mm": height_mm, "diameter_mm": diameter_mm})
    if suffix in MESHES:
        found = read_mesh(path, unit)
        axis = up or ("y" if suffix == ".glb" else "z")
        return _voxelised(path, found, longest, voxel_mm, axis, height_mm, diameter_mm)
    if height_mm or diameter_mm:
        raise ScanError(
            f"{path}: --height-mm and --diameter-mm are for meshes; a file of voxels is the pot's"
            " box already: give the size of a voxel by --voxel-mm"
        )
    if suffix == ".vox":
        # Back to (x, y, z): a grid's axes are (y, flipped z, x).
        volume = np.flip(vox.read(path), 1).transpose(2, 0, 1)
        return _stood(volume, voxel_mm or 1.0, (0.0, 0.0, 0.0), up or "-x")
    if suffix == ".binvox":
        volume, step, corner = _binvox(path, UNITS[unit or "mm"])
        scale = (voxel_mm or step) / step
        return _stood(volume, step * scale, tuple(corner * scale), up or "z")
    return _stood(_array(path), voxel_mm or 1.0, (0.0, 0.0, 0.0), up or "z")


def check_sizes(path: pathlib.Path, told: Mapping[str, Any]) -> None:
    """Raise ScanError where `voxel_mm`, `height_mm` or `diameter_mm` is given and no size."""
    for name in ("voxel_mm", "height_mm", "diameter_mm"):
        value = told.get(name)
        if value is not None and not 0 < value < np.inf:
            raise ScanError(f"{path}: --{name.replace('_', '-')} {value:g}: give a size above 0")


def placed(mesh: "trimesh.Trimesh", placement: Placement, side: int) -> Scan:
    """A mesh in mm, voxelised in the model's cube of `side` voxels where a placement has it."""
    turned = mesh.copy()
    turned.apply_transform(np.linalg.inv(placement.matrix))
    occupied = voxelise.voxelise(turned, (-0.5, -0.5, -0.5), 1.0, (side, side, side))
    return Scan(occupied.astype(np.uint8), placement.matrix, mesh, placement)


def read_mesh(path: str | pathlib.Path, unit: str | None = None) -> "trimesh.Trimesh":
    """A mesh in mm, in the file's coordinates, equal vertices merged, equal faces taken once.

    Raises:
        FileNotFoundError: no such file.
        ScanError: not a mesh, or one without faces.
    """
    import trimesh

    path = pathlib.Path(path)
    _check_size(path)
    kind = path.suffix[1:].upper()
    try:
        scene = trimesh.load_scene(path)
        mesh: Any = scene.to_mesh()
        units = scene.units
    except Exception as error:  # Each format's parser fails in its own ways.
        raise ScanError(
            f"{path}: it cannot be read as {kind} ({_brief(error)}); export it again"
        ) from error
    if not len(mesh.faces):
        if scene.geometry:
            raise ScanError(f"{path}: it holds points but no faces; make a mesh of them")
        # So ends an STL of fewer triangles than it tells of.
        raise ScanError(
            f"{path}: no mesh can be read of it, so it is empty, cut off or damaged; copy or export"
            " it again"
        )
    if not np.isfinite(mesh.vertices).all() or mesh.faces.max() >= len(mesh.vertices):
        raise ScanError(f"{path}: its coordinates or faces are damaged; export it again")
    mesh.merge_vertices(merge_tex=True, merge_norm=True)
    mesh.update_faces(mesh.unique_faces() & mesh.nondegenerate_faces())
    mesh.remove_unreferenced_vertices()
    if not len(mesh.faces):
        raise ScanError(f"{path}: none of its faces has an area; export it again")
    if unit is None:
        scale = {".glb": 1000.0, ".3mf": _SPELT.get(units or "", 1.0)}.get(path.suffix.lower(), 1.0)
    else:
        scale = UNITS[unit]
    return trimesh.Trimesh(mesh.vertices * scale, mesh.faces, process=False)


def _stood(
    volume: UInt8[np.ndarray, "x y z"], step: float, corner: tuple[float, ...], up: str
) -> Scan:
    labels = np.ascontiguousarray(meshes.stand(volume, up))
    return Scan(labels, meshes.frame(labels.shape, step, corner, up))


def _voxelised(
    path: pathlib.Path,
    mesh: "trimesh.Trimesh",
    longest: int,
    voxel_mm: float | None,
    up: str,
    height_mm: float | None,
    diameter_mm: float | None,
) -> Scan:
    low, high = mesh.bounds.copy()
    axis, (first, second) = meshes.axes(up)
    if height_mm or diameter_mm:
        reach = np.linalg.norm(mesh.vertices[:, [first, second]], axis=1).max()
        radius = diameter_mm / 2 if diameter_mm else reach
        low[[first, second]], high[[first, second]] = -radius, radius
        if height_mm:
            low[axis], high[axis] = (-height_mm, 0.0) if up.startswith("-") else (0.0, height_mm)
    step = voxel_mm or float((high - low).max()) / longest
    over = float(np.maximum(low - mesh.bounds[0], mesh.bounds[1] - high).max())
    if over > step:
        raise ScanError(
            f"{path}: the sherd reaches {over:.1f} mm out of the pot's box; check --unit, --up,"
            f" --height-mm and --diameter-mm (its axis is {up.strip('-')} = 0, its base at 0)"
        )
    # To the nearest: what juts out by a quarter of a voxel holds no voxel's middle.
    shape = np.maximum(np.rint((high - low) / step), 1)
    if shape.max() > _MAX_SIDE:
        raise ScanError(
            f"{path}: {shape.max():.0f} voxels along the longest side; give --voxel-mm"
            f" {(high - low).max() / longest:.3g} or more"
        )
    origin = (low + high - shape * step) / 2
    shape = shape.astype(int).tolist()
    occupied = voxelise.voxelise(mesh, origin.tolist(), step, shape)
    scan = _stood(occupied.astype(np.uint8), step, tuple(origin.tolist()), up)
    return scan._replace(mesh=mesh)


def _array(path: pathlib.Path) -> UInt8[np.ndarray, "x y z"]:
    """A NumPy file's grid, axes (x, y, z): labels of 0…255, or fractions, above 0.5 occupied."""
    _check_size(path)
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if path.suffix.lower() == ".npz":
                loaded = loaded["labels" if "labels" in loaded.files else loaded.files[0]]
        volume = np.asarray(loaded)
    except Exception as error:  # zlib, zipfile and NumPy fail in their own ways.
        raise ScanError(
            f"{path}: it cannot be read as a NumPy file ({_brief(error)}); save it by numpy.save"
        ) from error
    _check_shape(path, volume)
    if np.issubdtype(volume.dtype, np.floating):
        return (volume > 0.5).astype(np.uint8)
    if volume.dtype != bool and not np.issubdtype(volume.dtype, np.integer):
        raise ScanError(f"{path}: it holds {volume.dtype}; save labels as whole numbers")
    if volume.size and (volume.min() < 0 or volume.max() > 255):
        raise ScanError(f"{path}: labels outside 0…255; number the fragments from 2 on")
    return volume.astype(np.uint8)


def _binvox(
    path: pathlib.Path, scale: float
) -> tuple[UInt8[np.ndarray, "x y z"], float, Float[np.ndarray, "3"]]:
    """A binvox file's voxels, their side in mm and the lowest corner of their box."""
    import trimesh

    _check_size(path)
    try:
        voxels: Any = trimesh.load(path)
        volume = np.asarray(voxels.encoding.dense)
        transform = np.asarray(voxels.transform, float)
    except Exception as error:  # The parser fails in its own ways.
        raise ScanError(
            f"{path}: it cannot be read as binvox ({_brief(error)}); export it again"
        ) from error
    _check_shape(path, volume)
    step = transform.diagonal()[:3]
    if not np.isfinite(transform).all() or (step <= 0).any() or np.ptp(step) > 1e-3 * step.max():
        raise ScanError(f"{path}: its voxels are no cubes; export it again with equal sides")
    side = float(step[0])
    corner = (transform[:3, 3] - side / 2) * scale
    return volume.astype(np.uint8), side * scale, corner


def _check_size(path: pathlib.Path) -> None:
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file")
    if not path.is_file():
        raise ScanError(f"{path}: it is not a file")
    size = path.stat().st_size
    if not size:
        raise ScanError(f"{path}: the file is empty; export it again")
    if size > _MAX_BYTES:
        raise ScanError(f"{path}: {size / 2**30:.1f} GiB; reduce the scan below 2 GiB")


def _check_shape(path: pathlib.Path, volume: Shaped[np.ndarray, "..."]) -> None:
    if volume.ndim != 3 or not volume.size or max(volume.shape) > _MAX_SIDE:
        raise ScanError(
            f"{path}: an array of {volume.shape}; a grid has three axes of 1…{_MAX_SIDE}"
        )


def _brief(error: Exception) -> str:
    text = " ".join(str(error).split())[:100]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
