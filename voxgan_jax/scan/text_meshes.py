"""STL, OBJ and OFF: formats that are texts, or began as such.

They are parsed by their lines of vertices and faces alone: names, groups and materials are of no
use here, and cost. What they refer to is not opened.
"""

import contextlib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from voxgan_jax.scan import faces, ply, source
from voxgan_jax.scan.source import Fault

Parsed = tuple[np.ndarray, np.ndarray, None]

_NUMBER = rb"(?:nan|[-+]?inf|[-+.\d])\S*"
_CORNER = re.compile(rb"\bvertex\s+(" + rb"\s+".join([_NUMBER] * 3) + rb")", re.IGNORECASE)


def stl(data: bytes) -> Parsed:
    """Binary where so many triangles as it tells of are there, whatever follows; else text."""
    count = int.from_bytes(data[80:84], "little")
    # A text has letters there, and they would be a count that no file reaches.
    if 0 < 50 * count <= len(data) - 84:
        source.check_faces(count)
        triangle = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("more", "<u2")])
        corners = np.frombuffer(data, triangle, count, 84)["corners"].reshape(-1, 3)
    else:
        text = _plain(data)
        del data
        whole = re.compile(rb"\s*solid.*endsolid", re.IGNORECASE | re.DOTALL)
        rows = _CORNER.findall(text) if whole.match(text) else []
        source.check_faces(len(rows) // 3)
        if len(rows) % 3:
            raise Fault("one of its facets has not three corners; export it again")
        corners = _numbers(rows, 3)
    return corners, np.arange(len(corners)).reshape(-1, 3), None


_OBJ_FACE = re.compile(rb"^[ \t]*fo?[ \t]+([^\n#]+)", re.MULTILINE)
_OBJ_VERTEX = re.compile(rb"^[ \t]*v[ \t]+([^\n#]+)", re.MULTILINE)
_OBJ_REFUSED = {
    "free-form curves or surfaces": rb"cstype|curv2?|surf|bzp|bsp|cdc|cdp|res",
    "commands that read other files": rb"call|csh",
}


def obj(data: bytes) -> Parsed:
    """Vertices and faces of all objects and groups."""
    text = re.sub(rb"\\\n", b" ", _plain(data))
    del data
    for what, words in _OBJ_REFUSED.items():
        if found := re.search(rb"^[ \t]*(" + words + rb")[ \t]", text, re.MULTILINE):
            word = found[1].decode()
            raise Fault(f"it has {what} ({word!r}), which are not read; export it as triangles")
    rows = _OBJ_FACE.findall(text)
    source.check_faces(len(rows))
    vertices = _numbers(_OBJ_VERTEX.findall(text), 3)
    # A corner is vertex/texture/normal.
    polygons: list[Sequence[Any]] = [re.sub(rb"/\S*", b"", row).split() for row in rows]
    if back := [number for number, row in enumerate(rows) if b"-" in row]:
        # Negative ones count back from the last vertex above their face.
        above = [found.start() for found in _OBJ_VERTEX.finditer(text)]
        places = [found.start() for found in _OBJ_FACE.finditer(text)]
        for number, last in zip(back, np.searchsorted(above, places)[back].tolist(), strict=True):
            corners = [int(corner) for corner in polygons[number]]
            polygons[number] = [at + last + 1 if at < 0 else at for at in corners]
    del text, rows
    corners = faces.fans(faces.by_size(polygons)) - 1
    if (corners < 0).any():
        raise Fault("a face names a vertex before the first, which is 1; export it again")
    return vertices, corners, None


_OFF_HEAD = re.compile(rb"(?:\s|#[^\n]*\n)*(?:(ST)?(C)?(N)?(4?n?)OFF)?[ \t]*(BINARY[^\n]*\n)?")


def off(data: bytes) -> Parsed:
    """With or without colours, normals and texture, as text or binary."""
    data = data if b"BINARY" in data[:80] else _plain(data)
    found = _OFF_HEAD.match(data)
    assert found
    texture, colours, normals, dimensions, binary = found.groups()
    if dimensions:
        raise Fault(f"it is a {dimensions.decode()}OFF, not of three dimensions; export it as OFF")
    if binary:
        width = 3 + 3 * bool(normals) + 4 * bool(colours) + 2 * bool(texture)
        return _binary_off(data, found.end(), width)
    text = re.sub(rb"#[^\n]*", b"", data[found.end() :])
    lines = [line for line in text.split(b"\n") if line and not line.isspace()]
    if not lines or not re.fullmatch(rb"\s*\d+\s+\d+(\s.*)?", lines[0]):
        raise Fault("it is no OFF file, or damaged; export it again")
    points, polygons = map(int, lines[0].split()[:2])
    if points + polygons > len(lines) - 1:
        raise Fault("it tells of more vertices and faces than it has; copy or export it again")
    vertices, last = _numbers(lines[1 : 1 + points], 3), lines[1 + points : 1 + points + polygons]
    triangles = _alike(last, 4)
    if triangles is not None and (triangles[:, 0] == 3).all():
        return vertices, triangles[:, 1:].astype(int), None
    rows = [line.split() for line in last]
    if any(int(row[0]) >= len(row) for row in rows):
        raise Fault("one of its faces has less corners than it tells of; export it again")
    # Colours follow.
    groups = faces.by_size([row[1 : 1 + int(row[0])] for row in rows])
    return vertices, faces.fans(groups), None


def _binary_off(data: bytes, start: int, width: int) -> Parsed:
    """Numbers of four bytes, the highest first; a vertex has `width`."""
    body = np.frombuffer(data, np.uint8)
    counts = [int.from_bytes(data[start + at : start + at + 4]) for at in (0, 4)]
    vertex = [ply.Property(str(n), ">f4") for n in range(width)]
    face = [ply.Property("corners", ">i4", ">i4"), ply.Property("colours", ">f4", ">i4")]
    points, start = ply.table(body, start + 12, counts[0], vertex)
    polygons, _ = ply.table(body, start, counts[1], face)
    if not points or not polygons:
        raise Fault("it has no faces; export it again")
    vertices = np.concatenate([points[str(axis)][0] for axis in range(3)], axis=1)
    return vertices.astype(float), faces.fans(polygons["corners"]), None


def _plain(data: bytes) -> bytes:
    """A text in UTF-8 or whatever has the same digits, its lines ended by line feeds."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        data = data.decode("utf-16").encode()
    data = data.removeprefix(b"\xef\xbb\xbf")
    return re.sub(rb"\r\n?", b"\n", data) if b"\r" in data else data


def _numbers(rows: Sequence[bytes], width: int) -> Float[np.ndarray, "n w"]:
    """The first numbers of each row."""
    if (found := _alike(rows, width)) is not None:
        return found
    try:
        return np.array([row.split()[:width] for row in rows], float).reshape(-1, width)
    except ValueError:
        raise Fault(f"one of its vertices has not {width} numbers; export it again") from None


def _alike(rows: Sequence[bytes], width: int) -> Float[np.ndarray, "n w"] | None:
    """The same of rows of equal length, which takes little time and memory; None of others."""
    columns = len(rows[0].split()) if rows else 0
    with contextlib.suppress(ValueError):
        found = np.fromstring(b" ".join(rows), sep=" ")
        if found.size == len(rows) * columns and columns >= width:
            return found.reshape(-1, columns)[:, :width]
    return None
