"""PLY files, as text or binary, with lists of any lengths and types.

Not by trimesh, which takes no lists of different lengths from binary files, nor by plyfile, whose
licence is the GPL. A text is read like a binary file whose numbers are all of eight bytes.
"""

import array
import re
import struct
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Shaped, UInt8

from voxgan_jax.scan import faces
from voxgan_jax.scan.source import Fault

_TYPES = {
    **{"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4"},
    **{"float": "f4", "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2"},
    **{"int32": "i4", "uint32": "u4", "int64": "i8", "uint64": "u8"},
    **{"float32": "f4", "float64": "f8"},
}
_ORDERS = {"binary_big_endian": ">", "binary_little_endian": "<", "ascii": ""}
_NUMBERS = re.compile(rb"[-+.\d\seEinfaINFA]*")
"""Whatever else is behind them in a text."""
_CORNERS = ("vertex_indices", "vertex_index")

Bytes = UInt8[np.ndarray, "_"]
Groups = list[Shaped[np.ndarray, "_ _"]]
"""Values of a property: rows of one length in an array. What is no list is in rows of one."""


class Property(NamedTuple):
    """A value of each row, of NumPy's type `kind`; of a list `length` is that of its length."""

    name: str
    kind: str
    length: str | None = None


def read(data: bytes) -> tuple[np.ndarray, np.ndarray, None]:
    """Vertices, and faces and strips of triangles as faces."""
    elements, start, is_text = _head(data)
    body = np.frombuffer(data, np.uint8)
    if is_text:
        numbers = _NUMBERS.match(data, start)
        body = np.fromstring(numbers[0] if numbers else b"", sep=" ").view(np.uint8)
        start = 0
    none = np.zeros((0, 3))
    vertices, made = none, [none.astype(int)]
    for name, count, properties in elements:
        found, start = table(body, start, count, properties)
        if name == "vertex" and count:
            if not {"x", "y", "z"} <= found.keys():
                raise Fault("its vertices have no x, y and z; export it again")
            vertices = np.concatenate([found[axis][0] for axis in "xyz"], axis=1).astype(float)
        elif name in ("face", "tristrips") and count:
            lists = [known.name for known in properties if known.length]
            named = [known for known in lists if known in _CORNERS] or lists
            if len(named) != 1:
                raise Fault(f"its {name} element has no list of vertices; export it again")
            groups = found[named[0]]
            if name == "face":
                made.append(faces.fans(groups))
            else:
                ended = [
                    np.pad(g.astype(int), ((0, 0), (0, 1)), constant_values=-1) for g in groups
                ]
                made.append(faces.strips(np.concatenate([group.ravel() for group in ended])))
        elif name == "range_grid":
            raise Fault("it is a range grid, points seen from one side; make a mesh of it")
    return vertices, np.concatenate(made), None


def _head(data: bytes) -> tuple[list[tuple[str, int, list[Property]]], int, bool]:
    """Elements, their number of rows and properties; where the data begin; whether as text."""
    first = re.match(rb"ply[ \t]*(\r\n|\r|\n)", data)
    ends = rb"\r" if first and first[1] == b"\r" else rb"\r?\n"
    last = re.search(ends + rb"end_header[ \t]*" + ends, data)
    if not first or not last:
        raise Fault("it is no PLY file, or cut off; copy or export it again")
    # Comments may be in any language.
    lines = data[first.end() : last.start()].decode("latin-1").splitlines()
    order, elements = None, list[tuple[str, int, list[Property]]]()
    for words in map(str.split, lines):
        if words[:1] == ["format"]:
            order = _ORDERS.get(words[1])
        elif words[:1] == ["element"]:
            elements.append((words[1], int(words[2]), []))
        elif words[:1] == ["property"]:
            kinds = [_TYPES.get(word) for word in words[1:-1] if word != "list"]
            if order is None or None in kinds or not elements:
                raise Fault(f"its head has {' '.join(words)[:60]!r}; export it again")
            kinds = [order + kind if order else "<f8" for kind in kinds if kind]
            elements[-1][2].append(Property(words[-1], kinds[-1], kinds[0] if kinds[1:] else None))
    if order is None:
        raise Fault("its head names no format of PLY; export it again")
    return elements, last.end(), not order


def table(
    body: Bytes, start: int, count: int, properties: Sequence[Property]
) -> tuple[dict[str, Groups], int]:
    """The values of each property in so many rows that follow each other, and where they end.

    Raises:
        Fault: there are not so many bytes.
    """
    if count < 0:
        raise Fault("its head counts below 0; export it again")
    if not count or not properties:
        return {}, start
    # All rows as the first has it, or else one by one.
    places, sizes, end = _walk(body, start, 1, properties)
    stride = end - start
    lists = [
        (known, at[0], size[0]) for known, at, size in zip(properties, places, sizes, strict=True)
    ]
    if start + count * stride <= len(body) and all(
        (_column(body, at - _width(known.length), count, stride, known.length, 1) == size).all()
        for known, at, size in lists
        if known.length
    ):
        columns = {
            known.name: [_column(body, at, count, stride, known.kind, size)]
            for known, at, size in lists
        }
        return columns, start + count * stride
    if not any(known.length for known in properties):
        raise _cut()
    places, sizes, end = _walk(body, start, count, properties)
    found = {}
    for known, at, size in zip(properties, places, sizes, strict=True):
        at, size, width = np.array(at), np.array(size), _width(known.kind)
        found[known.name] = [
            body[at[size == n][:, None] + np.arange(n * width)].view(known.kind)
            for n in np.unique(size)
        ]
    return found, end


def _cut() -> Fault:
    return Fault("it is cut off or damaged; copy or export it again")


def _width(kind: str | None) -> int:
    return np.dtype(kind).itemsize if kind else 0


def _column(
    body: Bytes, start: int, count: int, stride: int, kind: str, size: int
) -> Shaped[np.ndarray, "_ _"]:
    return np.ndarray((count, size), kind, body, start, (stride, _width(kind)))


def _walk(
    body: Bytes, start: int, count: int, properties: Sequence[Property]
) -> tuple[list["array.array[int]"], list["array.array[int]"], int]:
    """For each property where its values begin, row by row, and how many they are; the end."""
    places = [array.array("q") for _ in properties]
    sizes = [array.array("q") for _ in properties]
    steps = []
    for known, at_once, of_list in zip(properties, places, sizes, strict=True):
        kind = np.dtype(known.length or "u1")
        # Not of the machine's order, but of the file's, is what the type says.
        length = (
            struct.Struct(("<" if kind.str[0] != ">" else ">") + kind.char)
            if known.length
            else None
        )
        steps.append((length, kind.itemsize, _width(known.kind), at_once.append, of_list.append))
    at, most = start, len(body)
    for _ in range(count):
        for length, before, width, place, size in steps:
            many = 1
            if length:
                if at + before > most:
                    raise _cut()
                many = int(length.unpack_from(body, at)[0])
                at += before
            place(at)
            size(many)
            at += many * width
            if many < 0 or at > most:
                raise _cut()
    return places, sizes, at


def as_ply(vertices: Float[np.ndarray, "_ 3"], corners: Int[np.ndarray, "_ 3"]) -> bytes:
    """A PLY file in double precision, which trimesh does not write."""
    head = "\n".join(
        [
            *("ply", "format binary_little_endian 1.0", f"element vertex {len(vertices)}"),
            *(f"property double {axis}" for axis in "xyz"),
            *(f"element face {len(corners)}", "property list uchar int vertex_indices"),
            "end_header\n",
        ]
    )
    rows = np.zeros(len(corners), [("count", "u1"), ("corners", "<i4", 3)])
    rows["count"], rows["corners"] = 3, corners
    return head.encode() + np.asarray(vertices, "<f8").tobytes() + rows.tobytes()
