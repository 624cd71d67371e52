"""Grids of voxels out of the bytes of a file: sizes are checked before anything is unpacked.

A parser takes bytes and gives a grid with axes (x, y, z), the side of a voxel in mm and the lowest
corner.
"""

import io
import zipfile
from typing import Any

import numpy as np
from jaxtyping import Shaped

from voxgan_jax.data import vox
from voxgan_jax.scan.source import Fault

MAX_SIDE = 512  # voxels
_MAX_BYTES = 1 << 29  # of an array: this many voxels, four bytes each
_SIDES = (1e-6, 1e9)  # mm

Parsed = tuple[np.ndarray, float, np.ndarray]


def magica(data: bytes) -> Parsed:
    """A `.vox` file."""
    # Back to (x, y, z): a grid's axes are (y, flipped z, x).
    return np.flip(vox.read(data), 1).transpose(2, 0, 1), 1.0, np.zeros(3)


def binvox(data: bytes) -> Parsed:
    """Runs of equal voxels, x slowest and y fastest; in version 2 their values are labels."""
    head, found, runs = data.partition(b"data\n")
    lines = [line.split() for line in head.decode("ascii", "replace").lower().splitlines()]
    told = {line[0]: line[1:] for line in lines if line}
    if "#binvox" not in told or not found:
        raise Fault("it is no binvox file; export it again")
    shape = np.array([int(side) for side in told["dim"]])
    _check_shape(shape)
    pairs = np.frombuffer(runs[: len(runs) // 2 * 2], np.uint8).reshape(-1, 2)
    if (total := int(pairs[:, 1].sum(dtype=np.int64))) != shape.prod():
        raise Fault(f"{total} voxels where its head tells of {shape.prod()}; export it again")
    values = pairs[:, 0] if told["#binvox"][:1] == ["2"] else pairs[:, 0] > 0
    volume = np.repeat(values, pairs[:, 1]).reshape(shape[[0, 2, 1]]).transpose(0, 2, 1)
    scale = float(told.get("scale", ["1"])[0])
    corner = np.array(told.get("translate", ["0", "0", "0"]), float)
    if len(corner) != 3:
        raise Fault("its translate is not three numbers; export it again")
    # Of the whole cube; trimesh takes it from the first voxel's middle to the last one's.
    sides = scale / shape
    known = np.isfinite(corner).all() and _SIDES[0] <= sides.min() <= sides.max() <= _SIDES[1]
    if not known or np.ptp(sides) > 1e-3 * sides.max():
        raise Fault("its voxels are no cubes; export it again with equal sides")
    return volume.astype(np.uint8), float(sides[0]), corner


def npy(data: bytes) -> Parsed:
    """An array: labels of 0…255, or fractions, above 0.5 occupied."""
    return _labels(_array(io.BytesIO(data)))


def npz(data: bytes) -> Parsed:
    """The array `labels`, or else the first."""
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        names = [name for name in packed.namelist() if name.endswith(".npy")]
        if not names:
            raise Fault("it holds no array; save it by numpy.savez")
        with packed.open("labels.npy" if "labels.npy" in names else names[0]) as file:
            return _labels(_array(file))


def _array(file: Any) -> Shaped[np.ndarray, "x y z"]:
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise Fault(f"its format is {version}; save it by numpy.save")
    read = np.lib.format.read_array_header_1_0
    shape, by_columns, kind = (read if version == (1, 0) else np.lib.format.read_array_header_2_0)(
        file
    )
    _check_shape(np.array(shape))
    if kind.kind not in "biuf":
        raise Fault(f"it holds {kind}; save labels as whole numbers")
    size = int(np.prod(shape)) * kind.itemsize
    if size > _MAX_BYTES:
        raise Fault(f"{size >> 20} MiB of {kind}; save labels as uint8")
    # No more than that, whatever comes.
    values = np.frombuffer(file.read(size), kind)
    return values.reshape(shape, order="F" if by_columns else "C")


def _labels(volume: Shaped[np.ndarray, "x y z"]) -> Parsed:
    if volume.dtype.kind == "f":
        volume = volume > 0.5
    elif volume.dtype != bool and (volume.min() < 0 or volume.max() > 255):
        raise Fault("labels outside 0…255; number the fragments from 2 on")
    return volume.astype(np.uint8), 1.0, np.zeros(3)


def _check_shape(shape: Shaped[np.ndarray, "..."]) -> None:
    if shape.shape != (3,) or not 0 < shape.min() <= shape.max() <= MAX_SIDE:
        told = tuple(shape.tolist())
        raise Fault(f"an array of {told}; a grid has three axes of 1…{MAX_SIDE}; save it so")
