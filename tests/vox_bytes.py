"""Builds `.vox` files byte by byte, for the tests of the reader."""

import struct
from collections.abc import Iterable, Mapping, Sequence


def chunk(name: str, content: bytes = b"", children: bytes = b"") -> bytes:
    return struct.pack("<4sII", name.encode(), len(content), len(children)) + content + children


def vox_file(*chunks: bytes, version: int = 150, tail: bytes = b"") -> bytes:
    """Header (8 bytes), MAIN's header (12), then the chunks from byte 20 on."""
    return struct.pack("<4si", b"VOX ", version) + chunk("MAIN", b"", b"".join(chunks)) + tail


def ints(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}i", *values)


def size(x: int, y: int, z: int) -> bytes:
    return chunk("SIZE", ints(x, y, z))


def xyzi(voxels: Sequence[Iterable[int]], count: int | None = None) -> bytes:
    rows = b"".join(bytes(row) for row in voxels)
    return chunk("XYZI", ints(len(voxels) if count is None else count) + rows)


def pairs(values: Mapping[bytes, bytes]) -> bytes:
    strings = [ints(len(text)) + text for pair in values.items() for text in pair]
    return ints(len(values)) + b"".join(strings)


def transform(key: int, child: int, t: bytes | None = None, r: bytes | None = None) -> bytes:
    frame = {name: text for name, text in ((b"_r", r), (b"_t", t)) if text is not None}
    return chunk("nTRN", ints(key) + pairs({}) + ints(child, -1, 0, 1) + pairs(frame))


def group(key: int, children: Sequence[int]) -> bytes:
    return chunk("nGRP", ints(key) + pairs({}) + ints(len(children), *children))


def shape(key: int, model: int) -> bytes:
    return chunk("nSHP", ints(key) + pairs({}) + ints(1, model) + pairs({}))


def rgba() -> bytes:
    """Entry i is (i, 255 - i, i // 2, 255), the colour of index i + 1."""
    return chunk("RGBA", b"".join(bytes((i, 255 - i, i // 2, 255)) for i in range(256)))


def plain() -> bytes:
    """One model of 2 × 3 × 4 as in the data set. SIZE's content starts at 48, XYZI's at 72."""
    voxels = [(0, 0, 3, 5), (1, 0, 3, 5), (1, 2, 3, 6), (0, 2, 0, 2)]
    return vox_file(chunk("PACK", ints(1)), size(2, 3, 4), xyzi(voxels))


def scene() -> bytes:
    """Two models as MagicaVoxel 0.99.7 saves them, with chunks that a reader may not know.

    Model 0 (2 × 2 × 2) fills x 0…1, y 0…1, z 0…1; model 1 (1 × 1 × 3) stands at x 5, y 0, z 0…2.
    """
    name = pairs({b"_name": b"rim"})
    return vox_file(
        size(2, 2, 2),
        xyzi([(0, 0, 0, 7), (1, 1, 1, 8)]),
        size(1, 1, 3),
        xyzi([(0, 0, 0, 9), (0, 0, 2, 10)]),
        transform(0, 1),
        group(1, [2, 4]),
        transform(2, 3, t=b"1 1 1"),
        shape(3, 0),
        chunk("nTRN", ints(4) + name + ints(5, -1, 0, 1) + pairs({b"_r": b"4", b"_t": b"5 0 1"})),
        shape(5, 1),
        chunk("LAYR", ints(0) + pairs({b"_name": b"\xff\xfe"}) + ints(-1)),
        rgba(),
        chunk("MATL", ints(1) + pairs({b"_type": b"_diffuse"})),
        chunk("rOBJ", pairs({b"_type": b"_inf"})),
        chunk("IMAP", bytes(range(256))),
        version=200,
    )
