"""Completing: what is given stays, where it was, and the rest is the model's."""

import jax.numpy as jnp
import numpy as np
import pytest

from voxgan_jax.data import grid, vox
from voxgan_jax.inference import predict
from voxgan_jax.inference.answer import GIVEN, INFERRED, Request
from voxgan_jax.inference.completer import Completer
from voxgan_jax.scan.pose import Sherd


def completer(answer, resolution=16, pool=1, placement="center"):
    """A completer that answers with the given grid."""
    volume = jnp.asarray(answer, jnp.float32)[None, ..., None]
    return Completer(lambda partial: volume, resolution, pool, placement, 0.5)


def sherd():
    labels = np.zeros((8, 6, 10), np.uint8)
    labels[2:4, 1:3, 5:9], labels[4, 1, 5] = 3, 4
    return labels


@pytest.mark.parametrize("placement", ["center", "corner"])
def test_given_voxels_keep_their_coordinates(placement):
    """The answer fills the pot's own box, so the file keeps its frame."""
    labels = sherd()
    region = grid.region(labels.shape, 16, placement=placement)
    answer = np.zeros((16, 16, 16))
    answer[region] = 0.9
    done = predict.complete(completer(answer, placement=placement), labels, ids=[3])
    assert (done.shift, done.left_out) == ((0, 0, 0), 0)
    assert done.labels.shape == labels.shape
    np.testing.assert_array_equal(done.labels == GIVEN, labels == 3)
    np.testing.assert_array_equal(done.labels == INFERRED, labels != 3)
    np.testing.assert_allclose(done.probabilities, answer, rtol=1e-6)


def test_given_voxels_stay_though_the_model_denies_them():
    done = predict.complete(completer(np.zeros((16, 16, 16))), sherd())
    np.testing.assert_array_equal(done.labels == GIVEN, sherd() > 0)
    assert not (done.labels == INFERRED).any()


def test_voxels_outside_the_box_are_counted_or_kept_in_the_cube(tmp_path):
    labels = sherd()
    answer = np.zeros((16, 16, 16))
    # The box of 8 × 6 × 10 stands at (4, 5, 3) and ends at 13: two voxels lie beyond.
    answer[6, 6, 12:15] = 1.0
    done = predict.complete(completer(answer), labels)
    assert (done.labels.shape, done.left_out, done.shift) == ((8, 6, 10), 2, (0, 0, 0))
    assert (done.labels == INFERRED).sum() == 1
    cube = predict.complete(completer(answer), labels, whole_cube=True)
    assert cube.labels.shape == (16, 16, 16)
    assert (cube.labels == INFERRED).sum() == 3
    vox.write(tmp_path / "before.vox", (labels > 0).astype(np.uint8))
    vox.write(tmp_path / "after.vox", (cube.labels == GIVEN).astype(np.uint8))

    def file_coordinates(path):
        y, flipped_z, x = np.nonzero(grid_of := vox.read(path))
        return np.stack([x, y, grid_of.shape[1] - 1 - flipped_z], 1)

    moved = file_coordinates(tmp_path / "after.vox") - file_coordinates(tmp_path / "before.vox")
    assert np.unique(moved, axis=0).tolist() == [list(cube.shift)] == [[3, 4, 5]]


def test_pooled_model_adds_blocks_and_keeps_single_voxels():
    labels = np.zeros((16, 16, 16), np.uint8)
    labels[7, 7, 7] = 2
    answer = np.zeros((8, 8, 8))
    answer[4, 3, 3] = 0.8
    done = predict.complete(completer(answer, resolution=8, pool=2), labels)
    assert (done.labels == GIVEN).sum() == 1
    assert done.labels[7, 7, 7] == GIVEN
    assert (done.labels[8:10, 6:8, 6:8] == INFERRED).all()
    assert (done.labels > 0).sum() == 9


def echo(resolution=16):
    """A completer whose answer is what it was given; it counts the rows of every call."""
    calls = []

    def same(partial):
        calls.append(len(partial))
        return partial

    return Completer(same, resolution, 1, "center", 0.5), calls


def test_a_batch_answers_each_pot_as_it_would_alone():
    model, calls = echo()
    thick = np.zeros((6, 6, 6), np.uint8)
    thick[1:5, 1:5, 1:5] = 2
    requests = [Request((Sherd(sherd(), (3,)),)), Request((Sherd(thick),))]
    together = predict.complete_batch(model, requests)
    alone = [predict.complete(model, sherd(), ids=[3]), predict.complete(model, thick)]
    assert calls == [2, 1, 1]
    for got, expected in zip(together, alone, strict=True):
        np.testing.assert_array_equal(got.labels, expected.labels)
        np.testing.assert_array_equal(got.probabilities, expected.probabilities)
    assert [(done.labels == GIVEN).sum() for done in together] == [16, 64]


@pytest.mark.parametrize("pool", [1, 2])
def test_two_sherds_of_one_pot_are_one_file_with_two_fragments(pool):
    def grown(partial):
        return jnp.maximum(0.9 * jnp.roll(partial, 1, axis=1), partial)

    model = Completer(grown, 16 // pool, pool, "center", 0.5)
    labels = sherd()
    labels[2:4, 4:6, 5:9] = 5  # a fragment that is not given
    apart = tuple(Sherd((labels * (labels == number)).astype(np.uint8)) for number in (3, 4))
    of_one_file = tuple(Sherd(labels, (number,), "a.vox") for number in (3, 4))
    (expected,) = predict.complete_batch(model, [Request((Sherd(labels, (3, 4)),))])
    assert (expected.labels == GIVEN).sum() == np.isin(labels, (3, 4)).sum()
    assert (expected.labels == INFERRED).any()
    for got in predict.complete_batch(model, [Request(apart), Request(of_one_file)]):
        np.testing.assert_array_equal(got.labels, expected.labels)
        np.testing.assert_array_equal(got.probabilities, expected.probabilities)
        assert got.pieces == expected.pieces


def test_sherds_of_different_boxes_are_no_request():
    model, _ = echo()
    one, other = Sherd(sherd(), source="a.vox"), Sherd(sherd()[1:], source="b.vox")
    with pytest.raises(ValueError, match=r"a\.vox and b\.vox: their boxes differ; place both in"):
        predict.complete_batch(model, [Request((one, other))])


def test_threshold():
    answer = np.full((16, 16, 16), 0.4)
    assert (predict.complete(completer(answer), sherd()).labels == 2).sum() == 0
    assert (predict.complete(completer(answer), sherd(), threshold=0.3).labels == 2).sum() > 0


def test_errors_name_the_file_and_what_it_has():
    blank = completer(np.zeros((16, 16, 16)))
    with pytest.raises(ValueError, match=r"a\.vox: no fragment 7; it has 3, 4"):
        predict.complete(blank, sherd(), ids=[3, 7], source="a.vox")
    with pytest.raises(ValueError, match=r"a\.vox: it holds no voxel"):
        predict.complete(blank, np.zeros((4, 4, 4), np.uint8), source="a.vox")
    with pytest.raises(grid.FitError, match=r"a\.vox.*--pool 2"):
        predict.complete(blank, np.ones((20, 4, 4), np.uint8), source="a.vox")
