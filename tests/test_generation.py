"""Scores of sets of pots, on sets whose scores are known."""

import numpy as np
import pytest

from voxgan_jax.evaluation import generation

SIDE = 12


def boxes(*sides):
    """Solid boxes of these sides in one corner of a cube."""
    pots = np.zeros((len(sides), SIDE, SIDE, SIDE), bool)
    for pot, (d, h, w) in zip(pots, sides, strict=True):
        pot[:d, :h, :w] = True
    return pots


def test_distances_by_hand():
    one, other = boxes((2, 2, 2), (4, 2, 2)), boxes((2, 2, 2), (2, 2, 4), (0, 0, 0))
    found = generation.overlap_distances(one, other)
    np.testing.assert_allclose(found, [[0, 0.5, 1], [0.5, 1 - 8 / 24, 1]], atol=1e-6)
    assert generation.overlap_distances(other[2:], other[2:]) == 0
    # A voxel five away from another, and the row of both.
    points = np.zeros((3, SIDE, SIDE, SIDE), bool)
    points[0, 0, 0, 0] = points[1, 5, 0, 0] = points[2, 0, 0, 0] = points[2, 5, 0, 0] = True
    away = generation.chamfer_distances(points, points)
    np.testing.assert_allclose(away, [[0, 5, 1.25], [5, 0, 1.25], [1.25, 1.25, 0]])
    nothing = generation.chamfer_distances(points[:1], np.zeros_like(points[:1]))
    np.testing.assert_allclose(nothing, SIDE)


def test_one_set_twice_and_two_that_are_strange_to_each_other():
    rng = np.random.default_rng(0)
    pots = boxes(*rng.integers(3, 9, (10, 3)))
    within = generation.overlap_distances(pots, pots)
    assert generation.mmd(within) == pytest.approx(0, abs=1e-6)
    assert generation.coverage(within) == 1
    # Each has its double in the other set.
    assert generation.nearest_neighbour_accuracy(within, within, within) < 0.2
    assert generation.occupancy_distance(pots, pots) == pytest.approx(0, abs=1e-6)
    far = np.flip(boxes(*rng.integers(2, 5, (10, 3))), (1, 2, 3))
    scores = generation.scores(far, pots, far)
    assert scores["nn_accuracy_iou"] == scores["nn_accuracy_chamfer"] == 1
    assert scores["mmd_iou"] == scores["occupancy_distance"] == 1
    assert scores["coverage_chamfer"] < 0.5
    assert scores["copying"] == pytest.approx(0, abs=1e-6)
    assert scores["share_whole"] == 1


def test_a_set_of_one_pot_covers_little_and_halves_are_told_at_even_odds():
    rng = np.random.default_rng(1)
    pots = boxes(*rng.integers(2, 12, (60, 3)))
    made, real = pots[::2], pots[1::2]
    within = [generation.overlap_distances(some, some) for some in (made, real)]
    across = generation.overlap_distances(made, real)
    accuracy = generation.nearest_neighbour_accuracy(within[0], across, within[1])
    assert 0.3 < accuracy < 0.7
    alone = generation.overlap_distances(np.repeat(made[:1], 30, axis=0), real)
    assert generation.coverage(alone) == 1 / 30 < generation.coverage(across)
    assert generation.mmd(alone) > generation.mmd(across)


def test_pieces_and_roundness():
    d, h = np.indices((16, 16))
    pots = np.zeros((4, 16, 16, 16), bool)
    pots[0, :, :, 2:12] = (np.hypot(d - 7.5, h - 7.5) < 6)[..., None]
    pots[1, :, :, 2:12] = (np.hypot(d - 6, h - 8) < 5)[..., None]  # about another axis
    pots[2, 2:14, 6:9, 2:12] = True  # a plank
    pots[3, 1:5, 1:5, 1:5] = pots[3, 8:12, 8:12, 8:12] = True  # two pieces
    assert [generation.share_round(pots[n : n + 1]) for n in range(4)] == [1, 1, 0, 0]
    # Pooled, a round pot whose axis goes through the middle of voxels is less so, and still round.
    away = np.hypot(*(np.indices((64, 64)) - 32))
    walls = np.repeat(((away < 24) & (away > 20))[..., None], 64, axis=2)
    pooled = walls.reshape(32, 2, 32, 2, 32, 2).max((1, 3, 5))
    assert [generation.share_round(pot[None]) for pot in (walls, pooled)] == [1, 1]
    assert generation._roundness(pooled) < 0.9 < generation._roundness(walls)
    assert generation.share_whole(pots) == 0.75
    assert generation.share_round(np.zeros((1, 8, 8, 8), bool)) == 0
