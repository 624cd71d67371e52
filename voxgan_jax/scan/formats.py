"""Reading sherds: files of voxels and meshes, to a grid in the pot's box and its place in mm.

What is known of a kind of file is its row in FORMATS; a new one is a loader and a row. `read` takes
a mesh where it lies: the box is the mesh's own, or follows from the pot's height and diameter.
`in_cube` takes one that was placed by its shape (`placement.place`).
"""

import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8

from voxgan_jax.data import vox
from voxgan_jax.geometry import surface, voxelise
from voxgan_jax.geometry.solids import Mesh
from voxgan_jax.scan import (
    colours,
    glb,
    mesh_files,
    origin,
    ply,
    source,
    text_meshes,
    threemf,
    voxel_files,
    walls,
    worker,
)
from voxgan_jax.scan.contents import NOTHING, Contents, Which
from voxgan_jax.scan.pose import Placement, Sherd
from voxgan_jax.scan.source import ScanError

UNITS = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "in": 25.4}


class Format(NamedTuple):
    """A kind of file.

    `parse` gives of its bytes what `voxel_files` tells, or where the file holds a mesh (`is_mesh`)
    `mesh_files`. `unit` is that of coordinates in mm where the user names none; None takes the
    file's. `up` is where the rim is, seen from the base. `scaled` is False where the file does not
    say how big a voxel is.
    """

    parse: Callable[[bytes], tuple[Any, ...]]
    is_mesh: bool = False
    unit: float | None = 1.0
    up: str = "z"
    scaled: bool = True


FORMATS = {
    ".vox": Format(voxel_files.magica, up="-x", scaled=False),  # as vox_pottery has it
    ".binvox": Format(voxel_files.binvox),
    ".npy": Format(voxel_files.npy, scaled=False),
    ".npz": Format(voxel_files.npz, scaled=False),
    ".stl": Format(text_meshes.stl, is_mesh=True),
    ".obj": Format(text_meshes.obj, is_mesh=True),
    ".ply": Format(ply.read, is_mesh=True),
    ".glb": Format(glb.read, is_mesh=True, unit=UNITS["m"], up="y"),
    ".off": Format(text_meshes.off, is_mesh=True),
    ".3mf": Format(threemf.read, is_mesh=True, unit=None),
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
    which: Which = None,
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
        which: as `read_mesh` takes it.

    Raises:
        FileNotFoundError: no such file.
        ScanError: not a file that can be read, or not as these options have it.
    """
    path = pathlib.Path(path)
    suffix = path.suffix.lower()
    source.require(path)
    if suffix not in FORMATS:
        endings = ", ".join(FORMATS)
        raise ScanError(f"{path}: {suffix or 'no ending'} is none of {endings}; save it as one")
    check_sizes(path, voxel_mm=voxel_mm, height_mm=height_mm, diameter_mm=diameter_mm)
    with source.told(path, f"read as {suffix[1:].upper()}"):
        known = FORMATS[suffix]
        up = up or known.up
        if known.is_mesh:
            mesh, about, contents = read_mesh(path, unit, which)
            if height_mm or diameter_mm:
                # The pot's box is about the file's own origin.
                mesh.apply_translation(contents.origin)
                contents = contents._replace(origin=(0.0, 0.0, 0.0))
            corner, side, shape = _box(path, mesh, longest, voxel_mm, up, height_mm, diameter_mm)
            volume, scaled = _voxelised(str(path), mesh, corner, side, shape), True
        elif height_mm or diameter_mm:
            raise ScanError(
                f"{path}: --height-mm and --diameter-mm are for meshes; a file of voxels is the"
                " pot's box already: give the size of a voxel by --voxel-mm"
            )
        else:
            mesh = None
            volume, own, corner, about = _read_voxels(path)
            side = voxel_mm or own * (UNITS[unit or "mm"] if known.scaled else 1.0)
            corner, scaled = corner * side / own, known.scaled or voxel_mm is not None
            middle = origin.local(corner, corner + side * np.array(volume.shape))
            corner, contents = (corner - middle).tolist(), Contents(origin=tuple(middle.tolist()))
        labels = np.ascontiguousarray(surface.stand(volume, up))
        matrix = surface.frame(labels.shape, side, corner, up)
        told = {"scaled": scaled, "input": about, "contents": contents}
        return Sherd(labels, (), str(path), matrix, mesh, **told)


class Scan(NamedTuple):
    """A mesh in mm, the record of the file (`source.load`), and what the file held."""

    mesh: Mesh
    input: dict[str, Any]
    contents: Contents


def read_mesh(path: str | pathlib.Path, unit: str | None = None, which: Which = None) -> Scan:
    """A mesh, equal vertices merged, equal faces taken once, without dust (`bodies.cleaned`).

    Its colours are the file's, its coordinates, too, but for `contents.origin`. It is read in a
    process of its own (`worker`). Its metadata tell how many mm a coordinate was taken for
    (`unit_mm`).

    Args:
        which: the number of the body that is taken, from 1 on; all are where none is named.

    Raises:
        FileNotFoundError: no such file.
        ScanError: not a mesh, one without faces or without that body, or one that takes too much
            memory or time.
    """
    worker.start()
    # It starts while this is imported.
    import trimesh

    path = pathlib.Path(path)
    known = FORMATS[path.suffix.lower()]
    try:
        read = worker.call(mesh_files.read, known.parse, str(path), path.absolute(), which)
    except worker.Lost as lost:
        why = source.too_long() if lost.late else source.too_much()
        raise ScanError(f"{path}: {why}") from None
    scale = UNITS[unit] if unit else known.unit or threemf.UNITS[read.unit or ""]
    mesh = trimesh.Trimesh(read.vertices * scale, read.faces, process=False)
    mesh.metadata["unit_mm"] = scale
    contents = read.contents.scaled(scale)
    if read.coloured:
        try:
            where = read.vertices + read.contents.origin
            found, note = worker.call(colours.read, path.absolute(), where)
        except worker.Lost as lost:
            found, note = None, colours.LEFT_OUT.format("too slow" if lost.late else "too big")
        look: Any = mesh.visual
        look.vertex_colors, contents = found, contents._replace(colours=note)
    return Scan(mesh, read.input, contents)


def _read_voxels(path: pathlib.Path) -> tuple[Any, ...]:
    """What a file's parser gives, and the record of what was read."""
    data, about = source.load(path)
    try:
        with source.told(path, f"read as {path.suffix[1:].upper()}"):
            return *FORMATS[path.suffix.lower()].parse(data), about
    except ScanError as error:
        if isinstance(error.__cause__, vox.VoxError):
            raise vox.VoxError(str(path), *error.__cause__.args[1:]) from None
        raise


def in_cube(
    mesh: Mesh,
    placement: Placement,
    side: int,
    source: str = "",
    input: dict[str, Any] | None = None,
    contents: Contents = NOTHING,
) -> Sherd:
    """A mesh in mm, voxelised in the model's cube of `side` voxels where a placement has it."""
    shown = placement.shown_wall_mm
    turned = walls.thick(mesh, shown) if shown else mesh.copy()
    turned.apply_transform(np.linalg.inv(placement.matrix))
    labels = _voxelised(source, turned, (-0.5, -0.5, -0.5), 1.0, (side, side, side))
    told = {"input": input, "contents": contents}
    return Sherd(labels, (), source, placement.matrix, mesh, placement, **told)


def _voxelised(name: str, mesh: Mesh, *grid: Any) -> UInt8[np.ndarray, "x y z"]:
    try:
        return voxelise.voxelise(mesh, *grid).astype(np.uint8)
    except ValueError as error:
        raise ScanError(f"{name}: {error}") from error


def check_sizes(path: pathlib.Path, **sizes: float | None) -> None:
    """Raise ScanError where a size is given, such as `voxel_mm`, that is not above 0."""
    for name, value in sizes.items():
        if value is not None and not 0 < value < np.inf:
            raise ScanError(f"{path}: --{name.replace('_', '-')} {value:g}: give a size above 0")


def _box(
    path: pathlib.Path,
    mesh: Mesh,
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
    if shape.max() > voxel_files.MAX_SIDE:
        raise ScanError(
            f"{path}: {shape.max():.0f} voxels along the longest side; give --voxel-mm"
            f" {(high - low).max() / longest:.3g} or more"
        )
    return ((low + high - shape * side) / 2).tolist(), side, shape.astype(int).tolist()
