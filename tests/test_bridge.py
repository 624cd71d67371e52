"""Pots in pieces: what is joined, and how; what is dropped; what stays apart."""

import numpy as np
import pytest
from scipy import ndimage

from voxgan_jax.inference import bridge

SIDE, MIDDLE = 32, 15.5
D, H, W = np.indices((SIDE, SIDE, SIDE))
RADIUS = np.hypot(D - MIDDLE, H - MIDDLE)
NONE = np.zeros((SIDE, SIDE, SIDE), bool)
THRESHOLD = 0.45


def ring(radius, wall, first, last, most=1.0):
    """A wall of a radius (a number, or one for each row) over some rows, probable by so much."""
    inside = (np.abs(RADIUS - radius) < wall / 2) & (first <= W) & (last >= W)
    return np.where(inside, np.float32(most), np.float32(0))


def disc(radius, first, last, most=0.9):
    return np.where(
        (radius >= RADIUS) & (first <= W) & (last >= W), np.float32(most), np.float32(0)
    )


def pieces(found, given=NONE):
    return ndimage.label((found > THRESHOLD) | given)[1]  # pyright: ignore


def floating(gap=0.2, wall=3.0):
    """A wall of rows 4…15 and a base of rows 24 and 25, and between them a wall less probable."""
    pot = np.maximum(ring(8, wall, 4, 15, 0.9), disc(9.5, 24, 25))
    return np.maximum(pot, ring(8, wall, 16, 23, gap))


def test_a_floating_base_is_joined_by_a_ring_as_thick_as_the_wall():
    pot = floating()
    made = bridge.join(pot, NONE, THRESHOLD)
    assert pieces(pot) == 2 and pieces(made.probabilities) == 1
    assert made.pieces[:4] == (2, 1, made.bridges.sum(), 0)
    np.testing.assert_array_equal(
        made.bridges, (made.probabilities > THRESHOLD) & (pot < THRESHOLD)
    )
    # Only where the wall was likely, or half a voxel beside it; in every direction.
    assert np.abs(RADIUS[made.bridges] - 8).max() < 2.5
    rows = made.bridges.sum(axis=(0, 1))
    assert (rows[16:24] > 0).all() and rows[:16].sum() == rows[24:].sum() == 0
    for row in range(17, 23):
        assert 1.8 < rows[row] / (2 * np.pi * 8) < 4.2
        one = made.bridges[..., row]
        assert (one & np.rot90(one)).sum() > 0.9 * one.sum()
    np.testing.assert_array_equal(made.probabilities[pot > THRESHOLD], pot[pot > THRESHOLD])


def test_the_ring_follows_the_likely_wall_where_that_bulges():
    """From the wall's end at radius 6 to the base at 6, by way of radius 10."""
    bulge = 6 + 4 * np.sin(np.pi * np.clip((W - 10) / 12, 0, 1))
    pot = np.maximum(ring(6, 3, 3, 10, 0.9), disc(7, 22, 24))
    pot = np.maximum(pot, ring(bulge, 3, 11, 21, 0.15))
    pot = np.maximum(pot, ring(bulge, 1.5, 11, 21, 0.3))
    made = bridge.join(pot, NONE, THRESHOLD)
    assert made.pieces.left == 1
    at = made.bridges & (W == 16)
    assert RADIUS[at].mean() == pytest.approx(10, abs=0.6)
    assert (pot[made.bridges] > 0).mean() > 0.65


def test_a_thick_wall_gets_a_thicker_ring():
    thin, thick = (bridge.join(floating(wall=wall), NONE, THRESHOLD) for wall in (2.0, 5.0))
    assert thin.pieces.left == thick.pieces.left == 1
    assert thick.pieces.added > 1.6 * thin.pieces.added


def test_an_axis_beside_the_middle_is_found():
    pot = np.roll(floating(), (3, -2), axis=(0, 1))
    made = bridge.join(pot, NONE, THRESHOLD)
    assert made.pieces.left == 1
    aside = np.hypot(D - MIDDLE - 3, H - MIDDLE + 2)[made.bridges]
    assert np.abs(aside - 8).max() < 2.5


def test_a_pot_in_one_piece_is_left_as_it_is():
    pot = floating(gap=0.6)
    # Plates, rings and specks below the threshold are no pieces.
    pot = np.maximum(pot, disc(4, 4, 4, 0.44))
    before = pot.copy()
    made = bridge.join(pot, NONE, THRESHOLD)
    assert made.probabilities is pot
    np.testing.assert_array_equal(pot, before)
    assert made.pieces[:4] == (1, 1, 0, 0) and not made.bridges.any()
    assert bridge.join(np.zeros_like(pot), NONE, THRESHOLD).pieces == bridge.Pieces(0, 0)


def test_a_plate_that_hangs_in_the_mouth_is_dropped_unless_it_was_given():
    bowl = np.maximum(ring(10, 3, 6, 22, 0.9), disc(11, 22, 24))
    plate = disc(5, 6, 6, 0.95)
    pot = np.maximum(bowl, plate)
    made = bridge.join(pot, NONE, THRESHOLD)
    assert made.pieces[:4] == (2, 1, 0, (plate > 0).sum())
    np.testing.assert_array_equal(made.probabilities > THRESHOLD, bowl > THRESHOLD)
    given = (plate > 0) & (D > MIDDLE)
    kept = bridge.join(pot, given, THRESHOLD)
    assert kept.pieces[:4] == (2, 2, 0, 0)
    np.testing.assert_array_equal(kept.probabilities, pot)


def test_a_base_without_any_likely_way_is_joined_and_no_plate():
    made = bridge.join(floating(gap=0.0), NONE, THRESHOLD)
    assert made.pieces.left == 1 and made.pieces.dropped == 0 < made.pieces.added


def test_crumbs_are_dropped_unless_they_were_given():
    pot = floating(gap=0.8)
    pot[1, 1, 30] = pot[15, 15, 8] = 0.9
    given = NONE.copy()
    given[15, 15, 8] = True
    made = bridge.join(pot, given, THRESHOLD)
    assert made.pieces[:4] == (3, 2, 0, 1)
    assert made.probabilities[1, 1, 30] < THRESHOLD < made.probabilities[15, 15, 8]


def test_given_pieces_stay_apart_where_nothing_is_likely_between_them():
    pot = np.zeros((SIDE, SIDE, SIDE), np.float32)
    given = NONE.copy()
    given[4:8, 10:20, 4:8] = given[20:24, 10:20, 20:26] = True
    made = bridge.join(pot, given, THRESHOLD)
    assert made.pieces[:4] == (2, 2, 0, 0)
    np.testing.assert_array_equal(made.probabilities, pot)


def test_a_given_piece_is_joined_where_the_wall_between_is_likely():
    pot = floating()
    given = (pot > THRESHOLD) & (W < 12) & (D > 20)
    model = np.where(W < 16, np.float32(0.3), np.float32(1)) * (pot > 0)
    made = bridge.join(model, given, THRESHOLD)
    assert made.pieces[:2] == (2, 1)
    assert not (made.bridges & given).any()


@pytest.mark.parametrize(("step", "added"), [((1, 1, 0), 2), ((1, 1, 1), 6)])
def test_pieces_that_touch_by_an_edge_or_a_corner_get_few_voxels(step, added):
    pot = np.zeros((SIDE, SIDE, SIDE), np.float32)
    pot[10:14, 10:14, 10:14] = 0.9
    a, b, c = (13 + each for each in step)
    pot[a : a + 4, b : b + 4, (c if c > 13 else 13) : (c if c > 13 else 13) + 4] = 0.9
    made = bridge.join(pot, NONE, THRESHOLD)
    assert made.pieces[:4] == (2, 1, added, 0)
    assert pieces(made.probabilities) == 1


def test_random_pots_lose_nothing_that_was_given_and_gain_no_piece():
    rng = np.random.default_rng(5)
    for _ in range(8):
        noise = ndimage.gaussian_filter(rng.random((SIDE, SIDE, SIDE)), 2)
        pot = np.clip((noise - noise.mean()) / noise.std() * 0.2 + 0.2, 0, 1).astype(np.float32)
        given = NONE.copy()
        given[tuple(rng.integers(0, SIDE, (3, 4)))] = True
        made = bridge.join(pot, given, THRESHOLD)
        whole = (made.probabilities > THRESHOLD) | given
        assert made.pieces.made == pieces(pot, given) > 1
        assert made.pieces.left == pieces(made.probabilities, given) <= made.pieces.made
        before = (pot > THRESHOLD) | given
        assert (before & ~whole).sum() == made.pieces.dropped
        np.testing.assert_array_equal(made.bridges, whole & ~before)
