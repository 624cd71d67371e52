"""MagicaVoxel `.vox` files to labelled grids and back.

Writing goes through pyvox, and a grid lies as its `to_dense()` lays it: axes (y, flipped z, x).
Reading is our own, because pyvox's reader stops at version 200, at chunks it does not know and
at scene graphs, and takes 16 ms a pot. The format: ephtracy's `MagicaVoxel-file-format-vox.txt`
and its extension with the scene graph (github.com/ephtracy/voxel-model).

Any bytes give a grid or a `VoxError`, in bounded time and memory: the limits below leave room for
a model filled to MagicaVoxel's last voxel.
"""

import colorsys
import os
import pathlib
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Shaped, UInt8

from voxgan_jax.data import vox_scene
from voxgan_jax.data.vox_scene import Fault, Node, VoxelModel, unpack
from voxgan_jax.files import whole

VERSIONS = (150, 200)
MAX_SIDE = 256  # coordinates are one byte
MAX_BYTES = 80 << 20
MAX_CHUNKS = 1 << 15
MAX_SCENE_BYTES = 1 << 21

Labels = UInt8[np.ndarray, "d h w"]
Palette = UInt8[np.ndarray, "256 4"]


class VoxError(ValueError):
    """A `.vox` file that cannot be read: `source`, byte `offset` (None: the whole), `reason`."""

    def __init__(self, source: str, offset: int | None, reason: str):
        super().__init__(source, offset, reason)
        self.source, self.offset, self.reason = source, offset, reason

    def __str__(self) -> str:
        where = "" if self.offset is None else f"byte {self.offset}: "
        return f"{self.source}: {where}{self.reason}"


class Scene(NamedTuple):
    """What a `.vox` file holds.

    `palette` has one RGBA row a label (row 0, empty, is transparent), or is None where the file
    relies on MagicaVoxel's own. `num_models` counts the models that the file stores.
    """

    labels: Labels
    palette: Palette | None
    version: int
    num_models: int


def read(source: str | pathlib.Path | bytes, model: int | None = None) -> Labels:
    """The labels of `read_scene`, which see."""
    return read_scene(source, model).labels


def read_scene(source: str | pathlib.Path | bytes, model: int | None = None) -> Scene:
    """Read a `.vox` file, or its bytes.

    By default all models are merged as the scene graph places them: first frame, rotations
    honoured, hidden ones included, the later winning where two overlap; the grid is the box around
    their boxes. Without a scene graph they share their lowest corner. `model` picks one by its
    index in the file, in its own box and unrotated. Of several voxels in one place the last
    counts; one of colour 0 leaves it empty.

    Raises:
        FileNotFoundError: no such file.
        VoxError: anything else that keeps the file from being read; there is no such `model`.
    """
    data, name = (source, "<bytes>") if isinstance(source, bytes) else _load(source)
    try:
        version, palette, models, nodes = _parse(data)
        count = len(models)
        if model is not None:
            if not 0 <= model < count:
                raise Fault(None, f"it holds {count} models, none of index {model}")
            models, nodes = models[model : model + 1], {}
        labels = vox_scene.paint(vox_scene.place(models, nodes))
        return Scene(labels, palette, version, count)
    except Fault as fault:
        raise VoxError(name, *fault.args) from None


def write(
    path: str | pathlib.Path, labels: Shaped[np.ndarray, "d h w"], palette: Palette | None = None
) -> None:
    """Write labels as a `.vox` file of one model that MagicaVoxel and pyvox open.

    Row k of `palette` is the RGBA colour of label k; `fragment_palette()` by default. The file
    appears whole or not at all.

    Raises:
        ValueError: labels that are no whole numbers of 0…255, or a side outside 1…256.
    """
    # Imported here, so that reading needs no pyvox.
    from pyvox.models import Color, Model, Size, Vox
    from pyvox.writer import VoxWriter

    path = pathlib.Path(path)
    if not all(1 <= side <= MAX_SIDE for side in labels.shape):
        raise ValueError(f"{path}: sides {labels.shape} outside 1…{MAX_SIDE}, all a model can hold")
    if labels.dtype != bool and not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"{path}: labels must be whole numbers or bool, not {labels.dtype}")
    if labels.min() < 0 or labels.max() > 255:
        raise ValueError(f"{path}: labels outside 0…255")
    size_y, size_z, size_x = labels.shape
    y, z, x = np.nonzero(labels)
    voxels = np.stack([x, y, size_z - 1 - z, labels[y, z, x]], axis=1).astype(np.uint8)

    class Writer(VoxWriter):
        """Packs all voxels at once; one by one takes seconds of 256³."""

        def _chunk(self, id: bytes, content: bytes, chunks: Any = ()) -> bytes:
            if id == b"XYZI":
                content = struct.pack("<i", len(voxels)) + voxels.tobytes()
            return super()._chunk(id, content, chunks)

    # Entry i of the file's palette is the colour of index i + 1 (pyvox is off by one here).
    colors = np.roll(fragment_palette() if palette is None else palette, -1, axis=0)
    vox = Vox([Model(Size(size_x, size_y, size_z), [])], [Color(*c) for c in colors.tolist()])
    with whole(path) as unfinished:
        Writer(str(unfinished), vox).write()


def fragment_palette() -> Palette:
    """One opaque colour a label: 0 transparent, crumbs (1) grey, every fragment a hue of its own.

    Neighbouring ids lie a golden section of the colour circle apart, three shades in turn.
    """
    shades = ((0.75, 0.95), (0.55, 0.70), (0.95, 0.80))
    palette = np.zeros((256, 4), np.uint8)
    palette[1] = (128, 128, 128, 255)
    for label in range(2, 256):
        saturation, value = shades[label % 3]
        color = colorsys.hsv_to_rgb((label - 2) * 0.6180339887 % 1, saturation, value)
        palette[label] = (*(round(255 * part) for part in color), 255)
    return palette


def _load(path: str | pathlib.Path) -> tuple[bytes, str]:
    name = str(path)
    try:
        path = pathlib.Path(path)
        if path.exists() and not path.is_file():
            raise VoxError(name, None, "it is not a file")
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > MAX_BYTES:
                raise VoxError(name, None, f"{size} bytes, above the limit of {MAX_BYTES}")
            return file.read(size), name
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: there is no such file") from None
    except VoxError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        reason = getattr(error, "strerror", None) or error
        raise VoxError(name, None, f"it cannot be read: {reason}") from error


def _chunks(data: bytes, offset: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Id, start and end of each chunk's content; children, which none but MAIN has, are skipped."""
    for _ in range(MAX_CHUNKS):
        if offset == end:
            return
        name, size, children = unpack("<4sII", data, offset, end, "a chunk's header")
        start = offset + 12
        if size + children > end - start:
            reason = f"{name!r} announces {size} + {children} bytes, {end - start} are left"
            raise Fault(offset, reason)
        yield name, start, start + size
        offset = start + size + children
    if offset < end:
        raise Fault(offset, f"more than {MAX_CHUNKS} chunks")


def _parse(
    data: bytes,
) -> tuple[int, np.ndarray | None, list[VoxelModel], dict[int, Node]]:
    magic, version = unpack("<4si", data, 0, len(data), "the header")
    if magic != b"VOX ":
        raise Fault(0, f"it starts with {magic!r}, not b'VOX '")
    if version not in VERSIONS:
        raise Fault(4, f"version {version} is none of {VERSIONS}")
    main, size, children = unpack("<4sII", data, 8, len(data), "the MAIN chunk")
    if main != b"MAIN":
        raise Fault(8, f"the first chunk is {main!r}, not b'MAIN'")
    end = 20 + size + children  # what follows MAIN is not looked at
    if end > len(data):
        raise Fault(8, f"MAIN announces {size} + {children} bytes, {len(data) - 20} are left")

    models: list[VoxelModel] = []
    nodes: dict[int, Node] = {}
    palette = box = pack = None
    scene_bytes = 0
    for name, start, stop in _chunks(data, 20 + size, end):
        if name == b"PACK":
            pack = (start, *unpack("<i", data, start, stop, "PACK"))
        elif name == b"SIZE":
            box = unpack("<iii", data, start, stop, "SIZE")
            if not all(1 <= side <= MAX_SIDE for side in box):
                raise Fault(start, f"size {box} outside 1…{MAX_SIDE}")
        elif name == b"XYZI":
            if box is None:
                raise Fault(start, "XYZI without a SIZE of its own before it")
            models.append(VoxelModel(box, _voxels(data, start, stop, box)))
            box = None
        elif name == b"RGBA":
            unpack("<1024x", data, start, stop, "RGBA")
            palette = np.zeros((256, 4), np.uint8)
            palette[1:] = np.frombuffer(data, np.uint8, 1020, start).reshape(255, 4)
        elif name in vox_scene.PARSERS:
            scene_bytes += stop - start
            if scene_bytes > MAX_SCENE_BYTES:
                raise Fault(start, f"a scene graph of more than {MAX_SCENE_BYTES} bytes")
            key, node = vox_scene.parse_node(name, data, start, stop)
            if key in nodes:
                raise Fault(start, f"scene node {key} exists twice")
            nodes[key] = node
    if pack and pack[1] != len(models):
        raise Fault(pack[0], f"PACK announces {pack[1]} models, {len(models)} follow")
    if not models:
        raise Fault(end, "it ends without a model")
    return version, palette, models, nodes


def _voxels(data: bytes, start: int, end: int, size: tuple[int, int, int]) -> np.ndarray:
    (count,) = unpack("<i", data, start, end, "XYZI")
    if 4 * count != end - start - 4:
        raise Fault(start, f"XYZI announces {count} voxels, {end - start - 4} bytes follow")
    voxels = np.frombuffer(data, np.uint8, 4 * count, start + 4).reshape(count, 4)
    if any(voxels[:, axis].max(initial=0) >= side for axis, side in enumerate(size)):
        outside = int((voxels[:, :3] >= np.array(size)).any(axis=1).argmax())
        place = tuple(voxels[outside, :3].tolist())
        raise Fault(start + 4 + 4 * outside, f"voxel {place} outside the box of {size}")
    return voxels
