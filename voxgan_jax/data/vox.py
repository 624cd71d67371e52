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
import re
import struct
import uuid
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Shaped, UInt8
from pyvox.models import Color, Model, Size, Vox, Voxel
from pyvox.writer import VoxWriter

VERSIONS = (150, 200)
MAX_SIDE = 256  # coordinates are one byte
MAX_BYTES = 80 << 20
MAX_CHUNKS = 1 << 15
MAX_SCENE_BYTES = 1 << 22
MAX_VOXELS = 1 << 24  # painted, counting every instance of a model
MAX_GRID = 1 << 26  # cells of the merged grid
_BLOCK = 1 << 18  # voxels painted at a time, to bound the index arrays

_WHOLE_NUMBER = re.compile(rb"[+-]?[0-9]{1,10}")
_NO_ROTATION = ((0, 1, 2), (1, 1, 1))


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

    labels: UInt8[np.ndarray, "d h w"]
    palette: UInt8[np.ndarray, "256 4"] | None
    version: int
    num_models: int


def read(
    source: str | pathlib.Path | bytes, model: int | None = None
) -> UInt8[np.ndarray, "d h w"]:
    """The labels of `read_scene`, which see."""
    return read_scene(source, model).labels


def read_scene(source: str | pathlib.Path | bytes, model: int | None = None) -> Scene:
    """Read a `.vox` file, or its bytes.

    By default all models are merged as the scene graph places them: first frame, rotations
    honoured, hidden ones included, the later winning where two overlap; the grid is the box around
    their boxes. Without a scene graph they share their lowest corner. `model` picks one by its
    index in the file, in its own box and unrotated. A voxel of colour 0 is empty; of two voxels
    in one place the last counts.

    Raises:
        FileNotFoundError: no such file.
        VoxError: anything else that keeps the file from being read; there is no such `model`.
    """
    data, name = (source, "<bytes>") if isinstance(source, bytes) else _load(source)
    try:
        content = _parse(data)
        models = content.models
        if model is not None:
            if not 0 <= model < len(models):
                raise _Fault(None, f"it holds {len(models)} models, none of index {model}")
            placed = [_Placed(models[model], _NO_ROTATION, (0, 0, 0))]
        elif content.nodes:
            placed = _walk(content.nodes, models)
        else:
            placed = [_Placed(item, _NO_ROTATION, (0, 0, 0)) for item in models]
        return Scene(_paint(placed), content.palette, content.version, len(models))
    except _Fault as fault:
        raise VoxError(name, *fault.args) from None


def write(
    path: str | pathlib.Path,
    labels: Shaped[np.ndarray, "d h w"],
    palette: UInt8[np.ndarray, "256 4"] | None = None,
) -> None:
    """Write labels as a `.vox` file of one model that MagicaVoxel and pyvox open.

    Row k of `palette` is the RGBA colour of label k; `fragment_palette()` by default. The file
    appears whole or not at all: it is written beside its place and renamed.

    Raises:
        ValueError: labels that are no whole numbers of 0…255, or a side outside 1…256.
    """
    path = pathlib.Path(path)
    if not all(1 <= side <= MAX_SIDE for side in labels.shape):
        raise ValueError(f"{path}: sides {labels.shape} outside 1…{MAX_SIDE}, all a model can hold")
    if labels.dtype != bool and not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"{path}: labels must be whole numbers or bool, not {labels.dtype}")
    if labels.min() < 0 or labels.max() > 255:
        raise ValueError(f"{path}: labels outside 0…255")
    size_y, size_z, size_x = labels.shape
    y, z, x = np.nonzero(labels)
    columns = (x, y, size_z - 1 - z, labels[y, z, x].astype(np.uint8))
    voxels = [Voxel(*values) for values in zip(*(c.tolist() for c in columns), strict=True)]
    # Entry i of the file's palette is the colour of index i + 1 (pyvox is off by one here).
    colors = np.roll(fragment_palette() if palette is None else palette, -1, axis=0)
    vox = Vox([Model(Size(size_x, size_y, size_z), voxels)], [Color(*c) for c in colors.tolist()])
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        VoxWriter(str(temporary), vox).write()
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def fragment_palette() -> UInt8[np.ndarray, "256 4"]:
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


class _Fault(Exception):
    """args: offset or None, reason. Becomes a VoxError where the file's name is known."""


class _Model(NamedTuple):
    size: tuple[int, int, int]
    voxels: np.ndarray  # uint8 (n, 4): x, y, z, colour


class _Node(NamedTuple):
    """A node of the scene graph; only a shape has a model, only a transform moves."""

    offset: int
    children: tuple[int, ...] = ()
    model: int | None = None
    rotation: tuple = _NO_ROTATION
    translation: tuple = (0, 0, 0)


class _Placed(NamedTuple):
    """Voxel v lies at sign[i] · v[axis[i]] + start[i] on the scene's axis i."""

    model: _Model
    rotation: tuple
    start: tuple[int, int, int]


class _Content(NamedTuple):
    version: int
    models: list[_Model]
    nodes: dict[int, _Node]
    palette: np.ndarray | None


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
        raise
    except OSError as error:
        raise VoxError(name, None, f"it cannot be read: {error.strerror}") from error


def _unpack(form: str, data: bytes, offset: int, end: int, what: str) -> tuple:
    if offset + struct.calcsize(form) > end:
        raise _Fault(offset, f"{what} is cut short: {end - offset} bytes are left")
    return struct.unpack_from(form, data, offset)


def _chunks(data: bytes, offset: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Id, start and end of each chunk's content; children, which none but MAIN has, are skipped."""
    count = 0
    while offset < end:
        name, size, children = _unpack("<4sII", data, offset, end, "a chunk's header")
        start = offset + 12
        if size + children > end - start:
            raise _Fault(
                offset,
                f"chunk {name!r} announces {size} + {children} bytes, {end - start} are left",
            )
        count += 1
        if count > MAX_CHUNKS:
            raise _Fault(offset, f"more than {MAX_CHUNKS} chunks")
        yield name, start, start + size
        offset = start + size + children


def _parse(data: bytes) -> _Content:
    magic, version = _unpack("<4si", data, 0, len(data), "the header")
    if magic != b"VOX ":
        raise _Fault(0, f"it starts with {magic!r}, not b'VOX '")
    if version not in VERSIONS:
        raise _Fault(4, f"version {version} is none of {VERSIONS}")
    # What follows MAIN is not looked at.
    main, size, children = _unpack("<4sII", data, 8, len(data), "the MAIN chunk")
    if main != b"MAIN":
        raise _Fault(8, f"the first chunk is {main!r}, not b'MAIN'")
    if size + children > len(data) - 20:
        raise _Fault(8, f"MAIN announces {size} + {children} bytes, {len(data) - 20} are left")

    models: list[_Model] = []
    nodes: dict[int, _Node] = {}
    palette = announced = box = None
    scene_bytes = 0
    for name, start, end in _chunks(data, 20 + size, 20 + size + children):
        if name == b"PACK":
            announced = (start, *_unpack("<i", data, start, end, "PACK"))
        elif name == b"SIZE":
            box = _size(data, start, end)
        elif name == b"XYZI":
            if box is None:
                raise _Fault(start, "XYZI without a SIZE before it")
            models.append(_Model(box, _voxels(data, start, end, box)))
            box = None
        elif name == b"RGBA":
            _unpack("<1024x", data, start, end, "RGBA")
            palette = np.zeros((256, 4), np.uint8)
            palette[1:] = np.frombuffer(data, np.uint8, 1020, start).reshape(255, 4)
        elif name in _NODES:
            scene_bytes += end - start
            if scene_bytes > MAX_SCENE_BYTES:
                raise _Fault(start, f"a scene graph of more than {MAX_SCENE_BYTES} bytes")
            (key,) = _unpack("<i", data, start, end, "a scene node")
            if key in nodes:
                raise _Fault(start, f"scene node {key} exists twice")
            after = _pairs(data, start + 4, end)[1]
            nodes[key] = _NODES[name](data, start, after, end)
    if not models:
        raise _Fault(len(data), "it holds no model")
    if announced is not None and announced[1] != len(models):
        raise _Fault(announced[0], f"PACK announces {announced[1]} models, found {len(models)}")
    return _Content(version, models, nodes, palette)


def _size(data: bytes, start: int, end: int) -> tuple[int, int, int]:
    size = _unpack("<iii", data, start, end, "SIZE")
    if not all(1 <= side <= MAX_SIDE for side in size):
        raise _Fault(start, f"size {size} outside 1…{MAX_SIDE}")
    return size


def _voxels(data: bytes, start: int, end: int, size: tuple[int, int, int]) -> np.ndarray:
    (count,) = _unpack("<i", data, start, end, "XYZI")
    if 4 * count != end - start - 4:
        raise _Fault(start, f"XYZI announces {count} voxels, {end - start - 4} bytes follow")
    voxels = np.frombuffer(data, np.uint8, 4 * count, start + 4).reshape(count, 4)
    if count and any(voxels[:, axis].max() >= size[axis] for axis in range(3)):
        outside = int(np.argmax((voxels[:, :3] >= np.array(size)).any(axis=1)))
        place = tuple(voxels[outside, :3].tolist())
        raise _Fault(start + 4 + 4 * outside, f"voxel {place} outside the box of {size}")
    return voxels


def _pairs(data: bytes, offset: int, end: int) -> tuple[dict[bytes, tuple[bytes, int]], int]:
    """A DICT: key to value and its offset, and where the dict ends. Keys are never decoded."""
    (count,) = _unpack("<i", data, offset, end, "a dict")
    if not 0 <= count <= (end - offset) // 8:
        raise _Fault(offset, f"a dict of {count} pairs in {end - offset} bytes")
    strings = []
    start, offset = offset, offset + 4
    for _ in range(2 * count):
        (length,) = _unpack("<i", data, offset, end, "a string")
        if not 0 <= length <= end - offset - 4:
            raise _Fault(offset, f"a string of {length} bytes, {end - offset - 4} are left")
        strings.append((data[offset + 4 : offset + 4 + length], offset + 4))
        offset += 4 + length
    del start
    keys, values = strings[::2], strings[1::2]
    return {key: value for (key, _), value in zip(keys, values, strict=True)}, offset


def _transform(data: bytes, start: int, offset: int, end: int) -> _Node:
    child, _, _, frames = _unpack("<4i", data, offset, end, "nTRN")
    if frames < 0:
        raise _Fault(offset + 12, f"nTRN announces {frames} frames")
    frame = _pairs(data, offset + 16, end)[0] if frames else {}
    rotation, translation = _NO_ROTATION, (0, 0, 0)
    if b"_r" in frame:
        rotation = _rotation(*frame[b"_r"])
    if b"_t" in frame:
        text, place = frame[b"_t"]
        translation = _whole_numbers(text, place, 3)
    return _Node(start, (child,), None, rotation, translation)


def _group(data: bytes, start: int, offset: int, end: int) -> _Node:
    (count,) = _unpack("<i", data, offset, end, "nGRP")
    if not 0 <= count <= (end - offset - 4) // 4:
        raise _Fault(offset, f"nGRP announces {count} children, {end - offset - 4} bytes are left")
    return _Node(start, struct.unpack_from(f"<{count}i", data, offset + 4))


def _shape(data: bytes, start: int, offset: int, end: int) -> _Node:
    count, model = _unpack("<2i", data, offset, end, "nSHP")
    if count < 1:
        raise _Fault(offset, f"nSHP announces {count} models")
    return _Node(start, (), model)  # further models are the frames of an animation


_NODES = {b"nTRN": _transform, b"nGRP": _group, b"nSHP": _shape}


def _whole_numbers(text: bytes, offset: int, count: int) -> tuple[int, ...]:
    words = text.split()
    if len(words) != count or not all(_WHOLE_NUMBER.fullmatch(word) for word in words):
        raise _Fault(offset, f"{text[:40]!r} is not {count} whole numbers of at most 10 digits")
    return tuple(int(word) for word in words)


def _rotation(text: bytes, offset: int) -> tuple:
    """Rows of a signed permutation from its byte: two bits name each of the first two columns."""
    (bits,) = _whole_numbers(text, offset, 1)
    first, second = bits & 3, bits >> 2 & 3
    if not 0 <= bits < 128 or first == second or 3 in (first, second):
        raise _Fault(offset, f"{bits} is no rotation")
    signs = tuple(-1 if bits >> bit & 1 else 1 for bit in (4, 5, 6))
    return (first, second, 3 - first - second), signs


def _walk(nodes: dict[int, _Node], models: list[_Model]) -> list[_Placed]:
    """The models where the scene graph puts them, depth first; every node is visited once."""
    below = {child for node in nodes.values() for child in node.children}
    seen: set[int] = set()
    placed = []
    stack = [(key, node.offset, _NO_ROTATION, (0, 0, 0)) for key, node in nodes.items()]
    stack = [item for item in reversed(stack) if item[0] not in below]
    while stack:
        key, offset, (axes, signs), shift = stack.pop()
        if key not in nodes:
            raise _Fault(offset, f"scene node {key} does not exist")
        if key in seen:
            raise _Fault(offset, f"scene node {key} is reached twice")
        seen.add(key)
        node = nodes[key]
        moved = node.translation
        shift = tuple(shift[i] + signs[i] * moved[axes[i]] for i in range(3))
        inner_axes, inner_signs = node.rotation
        rotation = (
            tuple(inner_axes[axis] for axis in axes),
            tuple(sign * inner_signs[axis] for axis, sign in zip(axes, signs, strict=True)),
        )
        stack += [(child, node.offset, rotation, shift) for child in reversed(node.children)]
        if node.model is not None:
            if not 0 <= node.model < len(models):
                raise _Fault(node.offset, f"no model {node.model}, the file holds {len(models)}")
            placed.append(_place(models[node.model], rotation, shift))
    if len(seen) < len(nodes):
        lost = next(node for key, node in nodes.items() if key not in seen)
        raise _Fault(lost.offset, "the scene graph runs in a circle")
    if not placed:
        raise _Fault(None, "its scene graph shows no model")
    return placed


def _place(model: _Model, rotation: tuple, shift: tuple) -> _Placed:
    """A model turns about the middle of its box, rounded down, and voxels about their centres."""
    start = tuple(
        shift[i] - sign * (model.size[axis] // 2) - (sign < 0)
        for i, (axis, sign) in enumerate(zip(*rotation, strict=True))
    )
    return _Placed(model, rotation, start)


def _paint(placed: list[_Placed]) -> UInt8[np.ndarray, "d h w"]:
    lows, highs = [], []
    for model, rotation, start in placed:
        ends = [
            (first, first + sign * (model.size[axis] - 1))
            for first, axis, sign in zip(start, *rotation, strict=True)
        ]
        lows.append([min(pair) for pair in ends])
        highs.append([max(pair) for pair in ends])
    low = [min(values) for values in zip(*lows, strict=True)]
    x, y, z = (max(values) - low[i] + 1 for i, values in enumerate(zip(*highs, strict=True)))
    if x * y * z > MAX_GRID:
        raise _Fault(None, f"a scene of {x} × {y} × {z} cells, above the limit of {MAX_GRID}")
    total = sum(len(item.model.voxels) for item in placed)
    if total > MAX_VOXELS:
        raise _Fault(None, f"a scene of {total} voxels, above the limit of {MAX_VOXELS}")
    labels = np.zeros((y, z, x), np.uint8)
    flat = labels.reshape(-1)
    strides = (1, z * x, -x)  # of the scene's x, y, z; z runs backwards
    for model, rotation, start in placed:
        base = (z - 1) * x + sum(strides[i] * (start[i] - low[i]) for i in range(3))
        steps = [0, 0, 0]
        for stride, axis, sign in zip(strides, *rotation, strict=True):
            steps[axis] = stride * sign
        for first in range(0, len(model.voxels), _BLOCK):
            block = model.voxels[first : first + _BLOCK]
            colors = block[:, 3]
            if not colors.all():
                block = block[colors > 0]
                colors = block[:, 3]
            index = block[:, 0].astype(np.intp) * steps[0] + base
            index += block[:, 1].astype(np.intp) * steps[1]
            index += block[:, 2].astype(np.intp) * steps[2]
            flat[index] = colors
    return labels
