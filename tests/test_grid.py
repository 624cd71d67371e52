"""Placing in the cube and changing resolution."""

import numpy as np
import pytest

from voxgan_jax.data import grid


def random_labels(shape, fill=0.1, ids=6, seed=0):
    rng = np.random.default_rng(seed)
    return ((rng.random(shape) < fill) * rng.integers(1, ids, shape)).astype(np.uint8)


def test_center_pads_evenly_and_puts_the_odd_remainder_at_the_end():
    labels = np.full((3, 4, 8), 5, np.uint8)
    cube = grid.place(labels, 8)
    assert cube.shape == (8, 8, 8) and cube.dtype == np.uint8
    d, h, w = np.nonzero(cube)
    assert (d.min(), d.max()) == (2, 4)  # 5 spare: 2 before, 3 after
    assert (h.min(), h.max()) == (2, 5)
    assert (w.min(), w.max()) == (0, 7)
    assert np.count_nonzero(cube) == 96 and set(cube[cube > 0]) == {5}


def test_corner_starts_at_the_origin():
    labels = random_labels((3, 4, 5), fill=1.0)
    cube = grid.place(labels, 6, placement="corner")
    np.testing.assert_array_equal(cube[:3, :4, :5], labels)
    assert np.count_nonzero(cube) == 60


def test_pooling_follows_placing():
    labels = random_labels((33, 20, 61))
    placed = grid.place(labels, 64)
    np.testing.assert_array_equal(grid.place(labels, 32, pool=2), grid.downsample(placed, 2))
    assert grid.place(labels, 16, pool=4, placement="corner").shape == (16, 16, 16)


def test_any_resolution_holds_a_pot_of_its_size():
    for resolution in (1, 7, 32, 100):
        labels = np.full((resolution, 1, 1), 2, np.uint8)
        assert np.count_nonzero(grid.place(labels, resolution)) == resolution


def test_a_pot_that_does_not_fit_names_file_sizes_and_option():
    labels = np.ones((20, 70, 64), np.uint8)
    expected = (
        r"^a/b\.vox: 20 × 70 × 64 voxels do not fit a cube of 32; .*--pool 3 .*data\.pool = 3\)$"
    )
    with pytest.raises(grid.FitError, match=expected):
        grid.place(labels, 32, source="a/b.vox")
    grid.place(labels, 32, pool=3)
    with pytest.raises(grid.FitError, match=r"^the pot: .* cube of 64; .*--pool 3 "):
        grid.place(labels, 32, pool=2)


def test_unknown_placement_is_refused():
    with pytest.raises(ValueError, match=r"'middle' is none of \('center', 'corner'\)"):
        grid.place(np.ones((1, 1, 1), np.uint8), placement="middle")


@pytest.mark.parametrize("placement", grid.PLACEMENTS)
@pytest.mark.parametrize("pool", [1, 2])
def test_region_takes_a_completed_cube_back_to_the_pot(placement, pool):
    labels = random_labels((9, 13, 16))
    where = grid.region(labels.shape, 16 // pool, pool=pool, placement=placement)
    placed = grid.place(labels, 16 // pool, pool=pool, placement=placement)
    completed = grid.upsample(placed, pool)
    assert completed.shape == (16, 16, 16)
    back = completed[where]
    assert back.shape == labels.shape
    assert ((back > 0) | (labels == 0)).all()  # pooling only ever adds
    if pool == 1:
        np.testing.assert_array_equal(back, labels)


def test_upsample_repeats_cells():
    volume = np.array([[[1.0, 2.0]]])
    np.testing.assert_array_equal(
        grid.upsample(volume, 2), [[[1, 1, 2, 2], [1, 1, 2, 2]], [[1, 1, 2, 2], [1, 1, 2, 2]]]
    )


@pytest.mark.parametrize(
    ("cells", "winner"),
    [
        ([0, 0, 0, 0, 0, 0, 0, 0], 0),
        ([0, 0, 0, 0, 0, 0, 0, 9], 9),  # one cell is enough
        ([3, 3, 2, 2, 2, 0, 0, 0], 2),
        ([3, 3, 3, 2, 2, 0, 0, 0], 3),  # the majority of the occupied
        ([7, 7, 4, 4, 0, 0, 0, 0], 4),  # a tie goes to the lowest
        ([255, 1, 0, 0, 0, 0, 0, 0], 1),
        ([255, 255, 1, 0, 0, 0, 0, 0], 255),
        ([1, 2, 3, 4, 5, 6, 7, 8], 1),
    ],
)
def test_a_block_takes_the_label_of_most_of_its_occupied_cells(cells, winner):
    block = np.array(cells, np.uint8).reshape(2, 2, 2)
    assert grid.downsample(block, 2).item() == winner


@pytest.mark.parametrize(("factor", "shape"), [(2, (4, 6, 8)), (3, (6, 9, 3)), (4, (8, 4, 12))])
def test_downsample_agrees_with_counting_block_by_block(factor, shape):
    labels = random_labels(shape, fill=0.6, ids=5)
    pooled = grid.downsample(labels, factor)
    assert pooled.shape == tuple(size // factor for size in shape)
    for place in np.ndindex(pooled.shape):
        block = labels[tuple(slice(i * factor, (i + 1) * factor) for i in place)]
        votes = np.bincount(block[block > 0], minlength=1)
        assert pooled[place] == (votes.argmax() if votes.any() else 0)


@pytest.mark.parametrize("factor", [0, 1, 3])
def test_a_factor_that_does_not_divide_is_refused(factor):
    with pytest.raises(ValueError, match=rf"factor {factor} must be at least 2 and divide"):
        grid.downsample(np.zeros((4, 4, 4), np.uint8), factor)


def test_downsampling_noise_at_64_agrees_with_counting_each_label():
    labels = random_labels((64, 64, 64), fill=0.9, ids=19)
    blocks = labels.reshape(32, 2, 32, 2, 32, 2).transpose(0, 2, 4, 1, 3, 5).reshape(-1, 8)
    votes = np.stack([(blocks == label).sum(1) for label in range(1, 19)], 1)
    winners = np.where(votes.any(1), votes.argmax(1) + 1, 0).reshape(32, 32, 32)
    np.testing.assert_array_equal(grid.downsample(labels, 2), winners)
