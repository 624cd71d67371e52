"""The `.vox` writer, against pyvox and our reader, and real files there and back."""

import itertools
import math
import os
import pathlib

import numpy as np
import pytest
from pyvox.parser import VoxParser
from pyvox.writer import VoxWriter

from voxgan_jax.data import vox


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
