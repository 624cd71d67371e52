"""Damaged `.vox` files: each fault is named with its place."""

import os
import pathlib
import pickle
import struct

import numpy as np
import pytest
import vox_bytes as vb

from voxgan_jax.data import vox

MODEL = (vb.size(2, 3, 4), vb.xyzi([(0, 0, 0, 5), (1, 2, 3, 6)]))  # bytes 20 to 68
GOOD = vb.vox_file(*MODEL)


def patched(offset, value, data=GOOD):
    return data[:offset] + struct.pack("<I", value & 0xFFFFFFFF) + data[offset + 4 :]


def with_nodes(*nodes):
    """The first node's content starts at byte 80: its chunk's header takes 68 to 79."""
    return vb.vox_file(*MODEL, *nodes)


def node(name, *content):
    return with_nodes(vb.chunk(name, b"".join(content)))


BOX = (vb.size(64, 64, 64), vb.xyzi([(x, y, z, 1) for z, y, x in np.ndindex(64, 64, 64)]))
NO_PAIRS = vb.pairs({})
TEXT = 80 + 4 + 4 + 16 + 4 + 4 + 2 + 4  # of a transform's first value
FAULTS = {
    "empty": (b"", 0, "the header is cut short: 0 bytes are left"),
    "magic alone": (b"VOX ", 0, "the header is cut short: 4 bytes"),
    "wrong magic": (b"PK\3\4" + GOOD[4:], 0, r"it starts with b'PK\\x03\\x04', not b'VOX '"),
    "version 151": (patched(4, 151), 4, r"version 151 is none of \(150, 200\)"),
    "negative version": (patched(4, -1), 4, "version -1"),
    "header alone": (GOOD[:8], 8, "the MAIN chunk is cut short: 0 bytes"),
    "no MAIN": (GOOD[:8] + GOOD[20:], 8, "the first chunk is b'SIZE', not b'MAIN'"),
    "cut short": (GOOD[:-1], 8, r"MAIN announces 0 \+ 48 bytes, 47 are left"),
    "MAIN of 4 GiB": (patched(16, -1), 8, r"MAIN announces 0 \+ 4294967295 bytes, 48 are left"),
    "chunk of 4 GiB": (patched(48, -16), 44, r"b'XYZI' announces 4294967280 \+ 0 bytes, 12 are"),
    "children of 4 GiB": (patched(52, -1), 44, r"b'XYZI' announces 12 \+ 4294967295 bytes, 12"),
    "stray bytes in MAIN": (vb.vox_file(*MODEL, b"12345"), 68, "a chunk's header is cut short: 5"),
    "size 0": (patched(32, 0), 32, r"size \(0, 3, 4\) outside 1…256"),
    "size below 0": (patched(36, -1), 32, r"size \(2, -1, 4\) outside"),
    "size of 2³¹ - 1": (patched(40, 2**31 - 1), 32, r"size \(2, 3, 2147483647\) outside"),
    "size of two sides": (
        vb.vox_file(vb.chunk("SIZE", vb.ints(1, 1))),
        32,
        "SIZE is cut short: 8 bytes are left",
    ),
    "count below 0": (patched(56, -1), 56, "XYZI announces -1 voxels, 8 bytes follow"),
    "count of 2³¹ - 1": (patched(56, 2**31 - 1), 56, "XYZI announces 2147483647 voxels, 8 bytes"),
    "count too small": (patched(56, 1), 56, "XYZI announces 1 voxels, 8 bytes follow"),
    "no count": (vb.vox_file(MODEL[0], vb.chunk("XYZI")), 56, "XYZI is cut short: 0 bytes"),
    "XYZI first": (vb.vox_file(MODEL[1]), 32, "XYZI without a SIZE of its own"),
    "XYZI twice": (vb.vox_file(*MODEL, MODEL[1]), 80, "XYZI without a SIZE of its own"),
    "outside in x": (patched(64, 0x06_03_02_02), 64, r"voxel \(2, 2, 3\) outside .* \(2, 3, 4\)"),
    "outside in z": (patched(60, 0x06_FF_02_01), 60, r"voxel \(1, 2, 255\) outside the box"),
    "no model": (vb.vox_file(), 20, "it ends without a model"),
    "size alone": (vb.vox_file(MODEL[0]), 44, "it ends without a model"),
    "PACK too many": (
        vb.vox_file(vb.chunk("PACK", vb.ints(2**30)), *MODEL),
        32,
        "PACK announces 1073741824 models, 1 follow",
    ),
    "PACK below 0": (vb.vox_file(vb.chunk("PACK", vb.ints(-1)), *MODEL), 32, "announces -1 models"),
    "PACK empty": (vb.vox_file(vb.chunk("PACK"), *MODEL), 32, "PACK is cut short: 0 bytes"),
    "short palette": (node("RGBA", b"1234"), 80, "RGBA is cut short: 4 bytes are left"),
    "too many chunks": (
        vb.vox_file(*[vb.chunk("NOTE")] * 32_769),
        20 + 12 * 32_768,
        "more than 32768 chunks",
    ),
    "node without id": (node("nTRN"), 80, "a scene node is cut short: 0 bytes"),
    "node twice": (with_nodes(vb.shape(3, 0), vb.group(3, [])), 112, "scene node 3 exists twice"),
    "dict below 0": (node("nGRP", vb.ints(0, -1)), 84, "a dict of -1 pairs, 0 bytes are left"),
    "dict of 2³⁰": (node("nGRP", vb.ints(0, 2**30, 0)), 84, "a dict of 1073741824 pairs, 4 bytes"),
    "dict cut": (
        node("nGRP", vb.ints(0, 1, 4, 0)),
        96,
        "a string is cut short: 0 bytes are left",
    ),
    "string of 4 GiB": (node("nGRP", vb.ints(0, 1, -1, 0)), 88, "a string of -1 bytes, 4 are left"),
    "string too long": (node("nGRP", vb.ints(0, 1, 5, 0)), 88, "a string of 5 bytes, 4 are left"),
    "transform cut": (node("nTRN", vb.ints(0), NO_PAIRS), 88, "nTRN is cut short: 0 bytes"),
    "no frame": (
        node("nTRN", vb.ints(0), NO_PAIRS, vb.ints(1, -1, 0, 0), NO_PAIRS),
        100,
        "nTRN announces 0 frames",
    ),
    "translation NaN": (
        with_nodes(vb.transform(0, 1, t=b"nan 0 0"), vb.shape(1, 0)),
        TEXT,
        "b'nan 0 0' is not 3 whole numbers",
    ),
    "translation infinite": (with_nodes(vb.transform(0, 1, t=b"1e999 0 0")), TEXT, "b'1e999 0 0'"),
    "translation of 11 digits": (
        with_nodes(vb.transform(0, 1, t=b"10000000000 0 0")),
        TEXT,
        "is not 3 whole numbers of at most 10 digits",
    ),
    "translation of two": (with_nodes(vb.transform(0, 1, t=b"1 2")), TEXT, "b'1 2' is not 3 whole"),
    "translation of a million digits": (
        with_nodes(vb.transform(0, 1, t=b"1" * 10**6)),
        TEXT,
        f"b'{'1' * 40}' is not 3 whole numbers",
    ),
    "translation no text": (with_nodes(vb.transform(0, 1, t=b"\xff\0")), TEXT, r"b'\\xff\\x00' is"),
    "translation far": (
        with_nodes(
            *(vb.group(0, [1, 3]), vb.transform(1, 2, t=b"-2147483648 0 0"), vb.shape(2, 0)),
            *(vb.transform(3, 4, t=b"2147483647 0 0"), vb.shape(4, 0)),
        ),
        None,
        "a scene of 4294967297 × 3 × 4 cells, above the limit of 67108864",
    ),
    "rotation 3": (with_nodes(vb.transform(0, 1, r=b"3")), TEXT, "3 is no rotation"),
    "rotation 5": (with_nodes(vb.transform(0, 1, r=b"5")), TEXT, "5 is no rotation"),
    "rotation 132": (with_nodes(vb.transform(0, 1, r=b"132")), TEXT, "132 is no rotation"),
    "rotation in words": (with_nodes(vb.transform(0, 1, r=b"up")), TEXT, "b'up' is not 1 whole"),
    "group below 0": (node("nGRP", vb.ints(0, 0, -1)), 88, "nGRP announces -1 children, 0 bytes"),
    "group of 2³⁰": (node("nGRP", vb.ints(0, 0, 2**30)), 88, "announces 1073741824 children, 0"),
    "shape of none": (node("nSHP", vb.ints(0, 0, 0, 0)), 88, "nSHP announces 0 models"),
    "shape cut": (node("nSHP", vb.ints(0, 0, 1)), 88, "nSHP is cut short: 4 bytes are left"),
    "no such model": (with_nodes(vb.shape(0, 1)), 80, "a shape of model 1, the file holds 1"),
    "model below 0": (with_nodes(vb.shape(0, -1)), 80, "a shape of model -1, the file holds 1"),
    "no such node": (with_nodes(vb.transform(0, 8)), 80, "node 0 holds node 8, which does not"),
    "circle": (
        with_nodes(vb.shape(9, 0), vb.transform(0, 1), vb.group(1, [0])),
        112,
        "scene node 0 lies in a circle",
    ),
    "own child": (with_nodes(vb.group(4, [4])), 80, "scene node 4 lies in a circle"),
    "reached twice": (
        with_nodes(vb.group(0, [1, 1]), vb.shape(1, 0)),
        80,
        "scene node 1 is reached twice",
    ),
    "nothing shown": (with_nodes(vb.group(0, [])), None, "its scene graph shows no model"),
    "too many voxels": (
        vb.vox_file(*BOX, vb.group(0, range(1, 66)), *(vb.shape(i, 0) for i in range(1, 66))),
        None,
        "a scene of 17039360 voxels, above the limit of 16777216",
    ),
    "scene graph too large": (
        node("nGRP", bytes(2**21 + 4)),
        80,
        "a scene graph of more than 2097152 bytes",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_named(name, tmp_path):
    data, offset, reason = FAULTS[name]
    path = tmp_path / "broken.vox"
    path.write_bytes(data)
    with pytest.raises(vox.VoxError, match=reason) as caught:
        vox.read(path)
    assert (caught.value.source, caught.value.offset) == (str(path), offset)
    where = "" if offset is None else f"byte {offset}: "
    assert str(caught.value) == f"{path}: {where}{caught.value.reason}"
    assert "\n" not in str(caught.value)


def test_every_truncation_is_an_error():
    for data in (vb.plain(), vb.scene()):
        for end in range(len(data)):
            with pytest.raises(vox.VoxError):
                vox.read(data[:end])


def test_error_names_bytes_and_survives_pickling():
    with pytest.raises(vox.VoxError, match=r"^<bytes>: byte 0: ") as caught:
        vox.read(b"")
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value) and again.offset == 0


def test_paths_that_hold_no_file(tmp_path):
    with pytest.raises(vox.VoxError, match="it is not a file") as caught:
        vox.read(tmp_path)
    assert caught.value.source == str(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"gone\.vox: there is no such file$"):
        vox.read(tmp_path / "gone.vox")
    with pytest.raises(vox.VoxError, match="it cannot be read: embedded null byte"):
        vox.read("a\0.vox")
    with pytest.raises(vox.VoxError, match="it cannot be read: File name too long"):
        vox.read(tmp_path / ("a" * 300))
    pipe = tmp_path / "pipe.vox"
    os.mkfifo(pipe)
    with pytest.raises(vox.VoxError, match="it is not a file"):
        vox.read(pipe)


def test_a_file_without_permission_is_named(tmp_path, monkeypatch):
    path = tmp_path / "locked.vox"
    path.write_bytes(vb.plain())

    def denied(*_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(pathlib.Path, "open", denied)
    with pytest.raises(vox.VoxError, match=r"locked\.vox: it cannot be read: Permission denied"):
        vox.read(path)
