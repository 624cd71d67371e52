"""Reading sherds: files of voxels and meshes, to a grid in the pot's box and its place in mm.

What is known of a kind of file is its row in FORMATS; a new one is a loader and a row. `read` takes
a mesh where it lies: the box is the mesh's own, or follows from the pot's height and diameter.
`in_cube` takes one that was placed by its shape (`placement.place`).
"""

import contextlib
import pathlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Shaped

from voxgan_jax.data import vox
from voxgan_jax.geometry import surface, voxelise
from voxgan_jax.scan.pose import Placement, Sherd

if TYPE_CHECKING:
    import trimesh

UNITS = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "in": 25.4}
_SPELT = {"millimeter": 1.0, "centimeter": 10.0, "meter": 1000.0, "inch": 25.4, "micron": 0.001}
_MAX_SIDE = 512  # voxels
_MAX_BYTES = 2 << 30


class ScanError(ValueError):
    """A file that cannot be read as a sherd."""


class Format(NamedTuple):
    """A kind of file.

    `load` gives a grid with axes (x, y, z), the side of a voxel and the lowest corner; or, where
    the file holds a mesh (`is_mesh`), the mesh and what the file calls its unit. `unit` is that of
    coordinates in mm where the user names none; None takes the file's. `up` is where the rim is,
    seen from the base. `scaled` is False where the file does not say how big a voxel is.
    """

    load: Callable[[pathlib.Path], tuple[Any, ...]]
    is_mesh: bool = False
    unit: float | None = 1.0
    up: str = "z"
    scaled: bool = True


def _vox(path: pathlib.Path) -> tuple[Any, ...]:
    # Back to (x, y, z): a grid's axes are (y, flipped z, x).
    return np.flip(vox.read(path), 1).transpose(2, 0, 1), 1.0, np.zeros(3)


def _binvox(path: pathlib.Path) -> tuple[Any, ...]:
    import trimesh

    with _parsing(path, "binvox"):
        voxels: Any = trimesh.load(path)
        volume = np.asarray(voxels.encoding.dense)
        transform = np.asarray(voxels.transform, float)
    _check_shape(path, volume)
    sides = transform.diagonal()[:3]
    if not np.isfinite(transform).all() or (sides <= 0).any() or np.ptp(sides) > 1e-3 * sides.max():
        raise ScanError(f"{path}: its voxels are no cubes; export it again with equal sides")
    return volume.astype(np.uint8), float(sides[0]), transform[:3, 3] - sides[0] / 2


def _array(path: pathlib.Path) -> tuple[Any, ...]:
    """A NumPy file's grid: labels of 0…255, or fractions, above 0.5 occupied."""
    with _parsing(path, "a NumPy file", "save it by numpy.save"), path.open("rb") as file:
        loaded = np.load(file, allow_pickle=False)
        if path.suffix.lower() == ".npz":
            loaded = loaded["labels" if "labels" in loaded.files else loaded.files[0]]
        volume = np.asarray(loaded)
    _check_shape(path, volume)
    if np.issubdtype(volume.dtype, np.floating):
        volume = volume > 0.5
    elif volume.dtype != bool and not np.issubdtype(volume.dtype, np.integer):
        raise ScanError(f"{path}: it holds {volume.dtype}; save labels as whole numbers")
    elif volume.min() < 0 or volume.max() > 255:
        raise ScanError(f"{path}: labels outside 0…255; number the fragments from 2 on")
    return volume.astype(np.uint8), 1.0, np.zeros(3)


def _mesh(path: pathlib.Path) -> tuple[Any, ...]:
    """All faces of a file as one mesh."""
    import trimesh

    with _parsing(path, path.suffix[1:].upper()):
        scene = trimesh.load_scene(path)
        mesh: Any = scene.to_mesh()
        unit = scene.units
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
    return mesh, unit


FORMATS = {
    ".vox": Format(_vox, up="-x", scaled=False),  # as vox_pottery has it
    ".binvox": Format(_binvox),
    ".npy": Format(_array, scaled=False),
    ".npz": Format(_array, scaled=False),
    ".stl": Format(_mesh, is_mesh=True),
    ".obj": Format(_mesh, is_mesh=True),
    ".ply": Format(_mesh, is_mesh=True),
    ".glb": Format(_mesh, is_mesh=True, unit=UNITS["m"], up="y"),
    ".off": Format(_mesh, is_mesh=True),
    ".3mf": Format(_mesh, is_mesh=True, unit=None),
}
"""What can be read, by the ending of the file's name."""


def is_mesh(path: pathlib.Path) -> bool:
    """Whether a file of this name holds a mesh, not voxels."""
    known = FORMATS.get(path.suffix.lower())
    return known is not None and known.is_mesh


def read(
    path: str | pathlib.Path,
    *,
    longest: int = 64,
    unit: str | None = None,
    voxel_mm: float | None = None,
    up: str | None = None,
    height_mm: float | None = None,
    diameter_mm: float | None = None,
) -> Sherd:
    """Read a file of one of FORMATS.

    A file of voxels is the pot's box as it is. A mesh lies in its own box; where the pot's height
    or diameter is given, the pot's axis is the coordinate axis `up` through the origin and its base
    is at 0, and what is not given is taken from the mesh.

    Args:
        longest: into so many voxels the longest side of a mesh's box is divided.
        unit: of the coordinates, of UNITS; None takes that of the format.
        voxel_mm: the side of a voxel; None takes the file's or 1 mm, and what `longest` gives for
            a mesh.
        up: from the base to the rim, of `surface.UPS`; None takes that of the format.
        height_mm, diameter_mm: of the whole pot, for a mesh.

    Raises:
        FileNotFoundError: no such file.
        ScanError: not a file that can be read, or not as these options have it.
    """
    path = pathlib.Path(path)
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        endings = ", ".join(FORMATS)
        raise ScanError(f"{path}: {suffix or 'no ending'} is none of {endings}; save it as one")
    check_sizes(path, voxel_mm=voxel_mm, height_mm=height_mm, diameter_mm=diameter_mm)
    known = FORMATS[suffix]
    up = up or known.up
    if known.is_mesh:
        mesh = read_mesh(path, unit)
        corner, side, shape = _box(path, mesh, longest, voxel_mm, up, height_mm, diameter_mm)
        volume, scaled = voxelise.voxelise(mesh, corner, side, shape).astype(np.uint8), True
    elif height_mm or diameter_mm:
        raise ScanError(
            f"{path}: --height-mm and --diameter-mm are for meshes; a file of voxels is the pot's"
            " box already: give the size of a voxel by --voxel-mm"
        )
    else:
        mesh = None
        volume, own, corner = known.load(path)
        side = voxel_mm or own * (UNITS[unit or "mm"] if known.scaled else 1.0)
        corner, scaled = (corner * side / own).tolist(), known.scaled or voxel_mm is not None
    labels = np.ascontiguousarray(surface.stand(volume, up))
    matrix = surface.frame(labels.shape, side, corner, up)
    return Sherd(labels, (), str(path), matrix, mesh, scaled=scaled)


def read_mesh(path: str | pathlib.Path, unit: str | None = None) -> "trimesh.Trimesh":
    """A mesh in mm, in the file's coordinates, equal vertices merged, equal faces taken once.

    Raises:
        FileNotFoundError: no such file.
        ScanError: not a mesh, or one without faces.
    """
    import trimesh

    path = pathlib.Path(path)
    known = FORMATS[path.suffix.lower()]
    mesh, spelt = known.load(path)
    mesh.merge_vertices(merge_tex=True, merge_norm=True)
    mesh.update_faces(mesh.unique_faces() & mesh.nondegenerate_faces())
    mesh.remove_unreferenced_vertices()
    if not len(mesh.faces):
        raise ScanError(f"{path}: none of its faces has an area; export it again")
    scale = UNITS[unit] if unit else known.unit or _SPELT.get(spelt, 1.0)
    return trimesh.Trimesh(mesh.vertices * scale, mesh.faces, process=False)


def in_cube(mesh: "trimesh.Trimesh", placement: Placement, side: int, source: str = "") -> Sherd:
    """A mesh in mm, voxelised in the model's cube of `side` voxels where a placement has it."""
    turned = mesh.copy()
    turned.apply_transform(np.linalg.inv(placement.matrix))
    occupied = voxelise.voxelise(turned, (-0.5, -0.5, -0.5), 1.0, (side, side, side))
    return Sherd(occupied.astype(np.uint8), (), source, placement.matrix, mesh, placement)


def check_sizes(path: pathlib.Path, **sizes: float | None) -> None:
    """Raise ScanError where a size is given, such as `voxel_mm`, that is not above 0."""
    for name, value in sizes.items():
        if value is not None and not 0 < value < np.inf:
            raise ScanError(f"{path}: --{name.replace('_', '-')} {value:g}: give a size above 0")


def _box(
    path: pathlib.Path,
    mesh: "trimesh.Trimesh",
    longest: int,
    voxel_mm: float | None,
    up: str,
    height_mm: float | None,
    diameter_mm: float | None,
) -> tuple[list[float], float, list[int]]:
    """The pot's box: its lowest corner, the side of a voxel, how many of them along x, y and z."""
    low, high = mesh.bounds.copy()
    axis, (first, second) = surface.axes(up)
    if height_mm or diameter_mm:
        reach = np.linalg.norm(mesh.vertices[:, [first, second]], axis=1).max()
        radius = diameter_mm / 2 if diameter_mm else reach
        low[[first, second]], high[[first, second]] = -radius, radius
        if height_mm:
            low[axis], high[axis] = (-height_mm, 0.0) if up.startswith("-") else (0.0, height_mm)
    side = voxel_mm or float((high - low).max()) / longest
    over = float(np.maximum(low - mesh.bounds[0], mesh.bounds[1] - high).max())
    if over > side:
        raise ScanError(
            f"{path}: the sherd reaches {over:.1f} mm out of the pot's box; check --unit, --up,"
            f" --height-mm and --diameter-mm (its axis is {up.strip('-')} = 0, its base at 0)"
        )
    # To the nearest: what juts out by a quarter of a voxel holds no voxel's middle.
    shape = np.maximum(np.rint((high - low) / side), 1)
    if shape.max() > _MAX_SIDE:
        raise ScanError(
            f"{path}: {shape.max():.0f} voxels along the longest side; give --voxel-mm"
            f" {(high - low).max() / longest:.3g} or more"
        )
    return ((low + high - shape * side) / 2).tolist(), side, shape.astype(int).tolist()


@contextlib.contextmanager
def _parsing(path: pathlib.Path, kind: str, remedy: str = "export it again") -> Iterator[None]:
    """Within, a file is read; parsers fail in their own ways, which are told in one line."""
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file")
    if not path.is_file():
        raise ScanError(f"{path}: it is not a file")
    size = path.stat().st_size
    if not size:
        raise ScanError(f"{path}: the file is empty; export it again")
    if size > _MAX_BYTES:
        raise ScanError(f"{path}: {size / 2**30:.1f} GiB; reduce the scan below 2 GiB")
    try:
        yield
    except Exception as error:
        text = " ".join(str(error).split())[:100]
        said = f"{type(error).__name__}: {text}" if text else type(error).__name__
        raise ScanError(f"{path}: it cannot be read as {kind} ({said}); {remedy}") from error


def _check_shape(path: pathlib.Path, volume: Shaped[np.ndarray, "..."]) -> None:
    if volume.ndim != 3 or not volume.size or max(volume.shape) > _MAX_SIDE:
        raise ScanError(
            f"{path}: an array of {volume.shape}; a grid has three axes of 1…{_MAX_SIDE}"
        )
