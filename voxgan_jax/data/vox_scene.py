"""The scene graph of a `.vox` file (chunks nTRN, nGRP, nSHP) and painting its models on a grid.

Format: ephtracy's `MagicaVoxel-file-format-vox-extension.txt` (github.com/ephtracy/voxel-model).
A rotation is a signed permutation (axes, signs): R(v)[i] = signs[i] · v[axes[i]].
"""

import re
import struct
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

MAX_VOXELS = 1 << 24  # painted, counting every instance of a model
MAX_GRID = 1 << 26  # cells of the merged grid
_BLOCK = 1 << 18  # voxels painted at a time, to bound the index arrays
NO_ROTATION = ((0, 1, 2), (1, 1, 1))
_WHOLE_NUMBER = re.compile(rb"[+-]?[0-9]{1,10}")

Rotation = tuple[tuple[int, ...], tuple[int, ...]]
Vector = tuple[int, ...]


class Fault(Exception):
    """What is wrong with a file, args (offset or None, reason); the reader adds the file's name."""


class VoxelModel(NamedTuple):
    """A box of x × y × z cells and its voxels, rows of x, y, z and colour."""

    size: tuple[int, int, int]
    voxels: UInt8[np.ndarray, "n 4"]


class Node(NamedTuple):
    """A node of the scene graph at byte `offset`; only a shape has a model, a transform moves."""

    offset: int
    children: tuple[int, ...] = ()
    model: int | None = None
    rotation: Rotation = NO_ROTATION
    translation: Vector = (0, 0, 0)


class Placed(NamedTuple):
    """Voxel v lies at signs[i] · v[axes[i]] + start[i] on the scene's axis i."""

    model: VoxelModel
    rotation: Rotation
    start: Vector


def unpack(form: str, data: bytes, offset: int, end: int, what: str) -> tuple:
    """`struct.unpack_from` that stops at `end` with a Fault naming `what`."""
    if offset + struct.calcsize(form) > end:
        raise Fault(offset, f"{what} is cut short: {end - offset} bytes are left")
    return struct.unpack_from(form, data, offset)


def parse_node(kind: bytes, data: bytes, start: int, end: int) -> tuple[int, Node]:
    """A node's id and content from the chunk content data[start:end].

    Raises:
        Fault: it is cut short, or holds counts, lengths or numbers that cannot be.
    """
    (key,) = unpack("<i", data, start, end, "a scene node")
    _, offset = _pairs(data, start + 4, end)
    return key, PARSERS[kind](data, start, offset, end)


def _pairs(data: bytes, offset: int, end: int) -> tuple[dict[bytes, tuple[bytes, int]], int]:
    """A DICT, its values with their offsets, and where it ends. Keys need not be UTF-8."""
    (count,) = unpack("<i", data, offset, end, "a dict")
    if not 0 <= count <= (end - offset - 4) // 8:
        raise Fault(offset, f"a dict of {count} pairs, {end - offset - 4} bytes are left")
    offset += 4
    strings = []
    for _ in range(2 * count):
        (length,) = unpack("<i", data, offset, end, "a string")
        offset += 4
        if not 0 <= length <= end - offset:
            raise Fault(offset - 4, f"a string of {length} bytes, {end - offset} are left")
        strings.append((data[offset : offset + length], offset))
        offset += length
    keys = (key for key, _ in strings[::2])
    return dict(zip(keys, strings[1::2], strict=True)), offset


def _transform(data: bytes, start: int, offset: int, end: int) -> Node:
    child, _, _, frames = unpack("<4i", data, offset, end, "nTRN")
    if frames < 1:
        raise Fault(offset + 12, f"nTRN announces {frames} frames")
    frame, _ = _pairs(data, offset + 16, end)  # the first one stands for an animation
    rotation = _rotation(*frame[b"_r"]) if b"_r" in frame else NO_ROTATION
    translation = _whole_numbers(*frame[b"_t"], 3) if b"_t" in frame else (0, 0, 0)
    return Node(start, (child,), rotation=rotation, translation=translation)


def _group(data: bytes, start: int, offset: int, end: int) -> Node:
    (count,) = unpack("<i", data, offset, end, "nGRP")
    if not 0 <= count <= (end - offset - 4) // 4:
        raise Fault(offset, f"nGRP announces {count} children, {end - offset - 4} bytes are left")
    return Node(start, struct.unpack_from(f"<{count}i", data, offset + 4))


def _shape(data: bytes, start: int, offset: int, end: int) -> Node:
    count, model = unpack("<2i", data, offset, end, "nSHP")
    if count < 1:
        raise Fault(offset, f"nSHP announces {count} models")
    return Node(start, model=model)  # further models are the later frames of an animation


PARSERS = {b"nTRN": _transform, b"nGRP": _group, b"nSHP": _shape}


def _whole_numbers(text: bytes, offset: int, count: int) -> tuple[int, ...]:
    words = text.split()
    if len(words) != count or not all(_WHOLE_NUMBER.fullmatch(word) for word in words):
        raise Fault(offset, f"{text[:40]!r} is not {count} whole numbers of at most 10 digits")
    return tuple(int(word) for word in words)


def _rotation(text: bytes, offset: int) -> Rotation:
    """Two bits each name the column of the first and second row's entry; then the rows' signs."""
    (bits,) = _whole_numbers(text, offset, 1)
    first, second = bits & 3, bits >> 2 & 3
    if not 0 <= bits < 128 or first == second or 3 in (first, second):
        raise Fault(offset, f"{bits} is no rotation")
    signs = tuple(-1 if bits >> bit & 1 else 1 for bit in (4, 5, 6))
    return (first, second, 3 - first - second), signs


def walk(nodes: dict[int, Node]) -> list[Node]:
    """The models that a scene shows, depth first from the nodes that no other holds: shapes, with
    how they are turned, then moved in the scene.

    A transform turns and moves all below it. Deep graphs are no danger: nothing recurses.

    Raises:
        Fault: a node that does not exist, is reached twice, or lies in a circle.
    """
    below = {child for node in nodes.values() for child in node.children}
    seen = [key for key in nodes if key not in below]
    reached = set(seen)
    stack = [(key, NO_ROTATION, (0, 0, 0)) for key in reversed(seen)]
    shapes = []
    while stack:
        key, (axes, signs), shift = stack.pop()
        node = nodes[key]
        (inner_axes, inner_signs), step = node.rotation, node.translation
        shift = tuple(shift[i] + signs[i] * step[axes[i]] for i in range(3))
        signs = tuple(signs[i] * inner_signs[axes[i]] for i in range(3))
        rotation = (tuple(inner_axes[axis] for axis in axes), signs)
        if node.model is not None:
            shapes.append(node._replace(rotation=rotation, translation=shift))
        for child in node.children:
            if child not in nodes:
                reason = f"scene node {key} holds node {child}, which does not exist"
                raise Fault(node.offset, reason)
            if child in reached:
                raise Fault(node.offset, f"scene node {child} is reached twice")
            reached.add(child)
        stack += [(child, rotation, shift) for child in reversed(node.children)]
    for key, node in nodes.items():
        if key not in reached:
            raise Fault(node.offset, f"scene node {key} lies in a circle")
    return shapes


def place(models: list[VoxelModel], nodes: dict[int, Node]) -> list[Placed]:
    """All models as the scene graph shows them or, without nodes, with a corner in common.

    A model turns about the middle of its box, rounded down; voxels stand for their centres. So
    MagicaVoxel does: cell = floor(R(v + ½ - size // 2) + t), see jpaver/opengametools issue 19.

    Raises:
        Fault: see `walk`; a model that does not exist; none shown.
    """
    if not nodes:
        return [Placed(model, NO_ROTATION, (0, 0, 0)) for model in models]
    placed = []
    for shape in walk(nodes):
        if shape.model is None or not 0 <= shape.model < len(models):
            reason = f"a shape of model {shape.model}, the file holds {len(models)}"
            raise Fault(shape.offset, reason)
        model = models[shape.model]
        start = tuple(
            shift - sign * (model.size[axis] // 2) - (sign < 0)
            for shift, axis, sign in zip(shape.translation, *shape.rotation, strict=True)
        )
        placed.append(Placed(model, shape.rotation, start))
    if not placed:
        raise Fault(None, "its scene graph shows no model")
    return placed


def paint(placed: list[Placed]) -> UInt8[np.ndarray, "d h w"]:
    """The box around all models, the later ones over the earlier.

    Raises:
        Fault: too many cells or voxels.
    """
    corners = [item.start for item in placed]
    for model, rotation, start in placed:
        pairs = zip(start, *rotation, strict=True)
        corners.append(tuple(at + sign * (model.size[axis] - 1) for at, axis, sign in pairs))
    corners = np.array(corners)
    low = corners.min(axis=0).tolist()
    x, y, z = (np.ptp(corners, axis=0) + 1).tolist()
    if x * y * z > MAX_GRID:
        raise Fault(None, f"a scene of {x} × {y} × {z} cells, above the limit of {MAX_GRID}")
    total = sum(len(item.model.voxels) for item in placed)
    if total > MAX_VOXELS:
        raise Fault(None, f"a scene of {total} voxels, above the limit of {MAX_VOXELS}")

    labels = np.zeros((y, z, x), np.uint8)
    flat = labels.reshape(-1)
    strides = (1, z * x, -x)  # along the scene's x, y and z, which runs backwards
    for model, (axes, signs), start in placed:
        base = (z - 1) * x + sum(strides[i] * (start[i] - low[i]) for i in range(3))
        steps = np.zeros(3, np.intp)
        for stride, axis, sign in zip(strides, axes, signs, strict=True):
            steps[axis] = stride * sign
        for first in range(0, len(model.voxels), _BLOCK):
            block = model.voxels[first : first + _BLOCK]
            places = sum(block[:, axis] * steps[axis] for axis in range(3))
            flat[places + base] = block[:, 3]
    return labels
