"""The `.vox` reader, against pyvox and against files built byte by byte."""

import itertools

import numpy as np
import pytest
import vox_bytes as vb
from pyvox.parser import VoxParser

from voxgan_jax.data import vox, vox_scene


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
