"""The `.vox` reader and writer, against pyvox and against files built byte by byte."""

import itertools
import math
import os
import pathlib
import pickle
import struct
import time

import numpy as np
import pytest
import vox_bytes as vb
from pyvox.parser import VoxParser
from pyvox.writer import VoxWriter

from voxgan_jax.data import vox, vox_scene


def pot_labels(shape=(40, 41, 64), seed=0):
    """A hollow ball in eighths with ids 2…9 and a few crumbs."""
    d, h, w = (np.abs(np.linspace(-1, 1, n)) for n in shape)
    radius = np.sqrt(d[:, None, None] ** 2 + h[None, :, None] ** 2 + w[None, None, :] ** 2)
    ids = 2 + sum(
        (np.arange(n) >= n // 2).reshape([-1 if i == axis else 1 for i in range(3)]) << axis
        for axis, n in enumerate(shape)
    )
    labels = np.where((radius > 0.8) & (radius < 1), ids, 0).astype(np.uint8)
    crumbs = np.random.default_rng(seed).random(shape) < 0.01
    return np.where(crumbs & (labels > 0), np.uint8(1), labels)


def test_plain_file_is_laid_as_to_dense_lays_it(tmp_path):
    labels = vox.read(vb.plain())
    assert labels.shape == (3, 4, 2)  # y, z, x
    assert labels[0, 0, 0] == 5 and labels[0, 0, 1] == 5  # z = 3 comes first
    assert labels[2, 0, 1] == 6 and labels[2, 3, 0] == 2
    assert np.count_nonzero(labels) == 4
    path = tmp_path / "plain.vox"
    path.write_bytes(vb.plain())
    np.testing.assert_array_equal(VoxParser(str(path)).parse().to_dense(), labels)
    np.testing.assert_array_equal(vox.read(path), labels)
    np.testing.assert_array_equal(vox.read(str(path)), labels)


def test_scene_merges_its_models_by_their_translations():
    scene = vox.read_scene(vb.scene())
    assert (scene.version, scene.num_models) == (200, 2)
    expected = np.zeros((2, 3, 6), np.uint8)  # y, flipped z, x
    expected[0, 2, 0], expected[1, 1, 1] = 7, 8
    expected[0, 2, 5], expected[0, 0, 5] = 9, 10
    np.testing.assert_array_equal(scene.labels, expected)
    assert scene.palette is not None
    assert scene.palette[0].tolist() == [0, 0, 0, 0]
    assert scene.palette[7].tolist() == [6, 249, 3, 255]
    assert vox.read_scene(vb.plain()).palette is None


def test_a_model_is_chosen_by_its_index():
    np.testing.assert_array_equal(vox.read(vb.scene(), 1).ravel(), [10, 0, 9])
    assert vox.read(vb.scene(), model=0).shape == (2, 2, 2)
    for index in (-1, 2):
        with pytest.raises(vox.VoxError, match=f"it holds 2 models, none of index {index}"):
            vox.read(vb.scene(), index)


def test_without_a_scene_graph_models_share_their_corner():
    labels = vox.read(
        vb.vox_file(
            *(vb.size(2, 1, 1), vb.xyzi([(0, 0, 0, 3), (1, 0, 0, 3)])),
            *(vb.size(1, 1, 2), vb.xyzi([(0, 0, 0, 4)])),
        )
    )
    np.testing.assert_array_equal(labels, [[[0, 0], [4, 3]]])


def test_rotation_byte_of_the_format_description():
    rotation = vox_scene._rotation(b"%d" % (1 | 2 << 2 | 1 << 5 | 1 << 6), 0)
    matrix = np.zeros((3, 3), int)
    for row, (axis, sign) in enumerate(zip(*rotation, strict=True)):
        matrix[row, axis] = sign
    np.testing.assert_array_equal(matrix, [[0, 1, 0], [0, 0, -1], [-1, 0, 0]])


def all_rotations():
    """Byte and matrix of the 48 signed permutations."""
    for axes in itertools.permutations(range(3)):
        for negative in itertools.product((0, 1), repeat=3):
            matrix = np.zeros((3, 3))
            for row in range(3):
                matrix[row, axes[row]] = -1 if negative[row] else 1
            bits = axes[0] | axes[1] << 2 | sum(bit << 4 + i for i, bit in enumerate(negative))
            yield bits, matrix


@pytest.mark.parametrize(("bits", "matrix"), list(all_rotations()))
def test_rotations_agree_with_matrices(bits, matrix):
    """A turned group round a turned model: floor(R₁(R₂(v + ½ - size//2) + t₂) + t₁)."""
    rng = np.random.default_rng(bits)
    inner_bits, inner = list(all_rotations())[rng.integers(48)]
    sides = np.array([2, 3, 4])
    cells = np.array(list(itertools.product(*(range(side) for side in sides))))
    cells = cells[rng.permutation(len(cells))[:10]]
    colors = np.arange(2, 12)
    t1, t2 = rng.integers(-9, 9, (2, 3))
    data = vb.vox_file(
        vb.size(*sides),
        vb.xyzi(np.c_[cells, colors].tolist()),
        vb.transform(0, 1, t=b"%d %d %d" % tuple(t1), r=b"%d" % bits),
        vb.group(1, [2]),
        vb.transform(2, 3, t=b"%d %d %d" % tuple(t2), r=b"%d" % inner_bits),
        vb.shape(3, 0),
        version=200,
    )

    def moved(points):
        inside = (points + 0.5 - sides // 2) @ inner.T + t2
        return np.floor(inside @ matrix.T + t1).astype(int)

    corners = moved(np.array([[0, 0, 0], sides - 1]))
    low, extent = corners.min(axis=0), np.ptp(corners, axis=0) + 1
    expected = np.zeros((extent[1], extent[2], extent[0]), np.uint8)
    x, y, z = (moved(cells) - low).T
    expected[y, extent[2] - 1 - z, x] = colors
    np.testing.assert_array_equal(vox.read(data), expected)


def test_later_models_win_where_they_overlap():
    data = vb.vox_file(
        *(vb.size(2, 1, 1), vb.xyzi([(0, 0, 0, 3), (1, 0, 0, 4)])),
        *(vb.size(2, 1, 1), vb.xyzi([(0, 0, 0, 5)])),
        *(vb.transform(0, 1), vb.group(1, [4, 2])),
        *(vb.transform(2, 3), vb.shape(3, 0), vb.transform(4, 5), vb.shape(5, 1)),
    )
    np.testing.assert_array_equal(vox.read(data).ravel(), [3, 4])


def test_what_is_odd_but_readable():
    model = (vb.size(2, 1, 1), vb.xyzi([(0, 0, 0, 3), (1, 0, 0, 0), (0, 0, 0, 4)]))
    # Colour 0 is empty, the last of two voxels in a place counts.
    np.testing.assert_array_equal(vox.read(vb.vox_file(*model)).ravel(), [4, 0])
    unknown = vb.chunk("NOTE", b"abc", vb.chunk("deep", b"de"))
    empty = (vb.size(1, 1, 1), vb.xyzi([]))
    for data in (
        vb.vox_file(*model, tail=b"garbage"),
        vb.vox_file(unknown, *model, unknown),
        vb.vox_file(*model, vb.shape(7, 0), vb.group(9, [])),
        vb.vox_file(vb.chunk("PACK", vb.ints(2)), *model, *empty),
        b"VOX " + vb.ints(200) + vb.chunk("MAIN", b"content", b"".join(model)),
    ):
        np.testing.assert_array_equal(vox.read(data).ravel(), [4, 0])
    np.testing.assert_array_equal(vox.read(vb.vox_file(*empty)), [[[0]]])


def test_a_deep_scene_graph_is_walked():
    depth = 10_000
    chain = [vb.transform(key, key + 1, t=b"1 0 -1") for key in range(depth)]
    data = vb.vox_file(vb.size(1, 1, 1), vb.xyzi([(0, 0, 0, 9)]), *chain, vb.shape(depth, 0))
    np.testing.assert_array_equal(vox.read(data), [[[9]]])


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
    with pytest.raises(FileNotFoundError, match=r"gone\.vox"):
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


def test_written_file_is_read_alike_by_pyvox_and_ours(tmp_path):
    labels, path = pot_labels(), tmp_path / "pot.vox"
    vox.write(path, labels)
    scene = vox.read_scene(path)
    np.testing.assert_array_equal(scene.labels, labels)
    assert scene.labels.dtype == np.uint8
    parsed = VoxParser(str(path)).parse()
    np.testing.assert_array_equal(parsed.to_dense(), labels)
    np.testing.assert_array_equal(scene.palette, vox.fragment_palette())
    # On disk entry i is the colour of index i + 1, and pyvox hands the entries out as they lie.
    assert tuple(parsed.palette[1]) == tuple(vox.fragment_palette()[2])
    assert [entry.name for entry in tmp_path.iterdir()] == ["pot.vox"]


def test_voxels_are_written_in_the_data_sets_order(tmp_path):
    labels, path = pot_labels(), tmp_path / "pot.vox"
    vox.write(path, labels)
    x, y, z = np.array([voxel[:3] for voxel in VoxParser(str(path)).parse().models[0].voxels]).T
    order = np.lexsort((x, -z, y))
    np.testing.assert_array_equal(order, np.arange(len(x)))


def test_a_palette_and_ids_up_to_255_are_kept(tmp_path):
    palette = np.random.default_rng(0).integers(0, 256, (256, 4)).astype(np.uint8)
    palette[0] = 0
    labels = np.arange(256, dtype=np.uint8).reshape(4, 8, 8)
    vox.write(tmp_path / "all.vox", labels, palette)
    scene = vox.read_scene(tmp_path / "all.vox")
    np.testing.assert_array_equal(scene.palette, palette)
    np.testing.assert_array_equal(scene.labels, labels)


@pytest.mark.parametrize("dtype", [bool, np.int64, np.uint16])
def test_bool_and_integers_are_cast(tmp_path, dtype):
    labels = np.array([[[0, 1], [1, 0]]], dtype)
    vox.write(tmp_path / "a.vox", labels)
    np.testing.assert_array_equal(vox.read(tmp_path / "a.vox"), [[[0, 1], [1, 0]]])


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (np.ones((2, 2, 2), np.float32), "whole numbers or bool, not float32"),
        (np.full((2, 2, 2), 256), "labels outside 0…255"),
        (np.full((2, 2, 2), -1), "labels outside 0…255"),
        (np.zeros((2, 257, 2), np.uint8), r"sides \(2, 257, 2\) outside 1…256"),
        (np.zeros((2, 0, 2), np.uint8), r"sides \(2, 0, 2\) outside"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, labels, reason):
    with pytest.raises(ValueError, match=reason):
        vox.write(tmp_path / "a.vox", labels)
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "pot.vox"
    vox.write(path, np.full((1, 1, 1), 7, np.uint8))

    def half(writer):
        pathlib.Path(writer.filename).write_bytes(b"VOX ")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(VoxWriter, "write", half)
    with pytest.raises(OSError, match="No space left"):
        vox.write(path, np.full((1, 1, 1), 8, np.uint8))
    assert [entry.name for entry in tmp_path.iterdir()] == ["pot.vox"]
    assert vox.read(path)[0, 0, 0] == 7


def test_palette_tells_fragments_apart():
    palette = vox.fragment_palette()
    assert palette[0].tolist() == [0, 0, 0, 0]
    assert palette[1].tolist() == [128, 128, 128, 255]
    assert (palette[1:, 3] == 255).all()
    assert len(np.unique(palette[1:], axis=0)) == 255
    # The data set has crumbs and up to 18 fragments: far apart, and colourful.
    used = palette[1:20, :3].astype(int)
    apart = [np.linalg.norm(a - b) for a, b in itertools.combinations(used, 2)]
    assert min(apart) > 55
    assert (np.ptp(used[1:], axis=1) > 90).all()


def test_a_pot_is_read_in_under_two_milliseconds(tmp_path):
    labels, path = pot_labels((64, 64, 64)), tmp_path / "pot.vox"
    assert 50_000 < np.count_nonzero(labels) < 80_000
    vox.write(path, labels)
    seconds = []
    for _ in range(20):
        start = time.perf_counter()
        vox.read(path)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.002


REAL = os.environ.get("VOXGAN_DATA", "")


@pytest.mark.skipif(not REAL, reason="VOXGAN_DATA names no folder of .vox files")
def test_real_files_round_trip(tmp_path):
    paths = sorted(pathlib.Path(REAL).rglob("*.vox"))
    paths = paths[:: math.ceil(len(paths) / 50)]
    assert paths
    for path in paths:
        labels = vox.read(path)
        parsed = VoxParser(str(path)).parse()
        np.testing.assert_array_equal(labels, parsed.to_dense())
        copy = tmp_path / path.name
        vox.write(copy, labels)
        np.testing.assert_array_equal(vox.read(copy), labels)
        # Same chunks PACK, SIZE and XYZI, byte for byte; ours adds a palette.
        assert copy.read_bytes()[20:-1036] == path.read_bytes()[20:]
