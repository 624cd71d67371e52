"""Floors with a hole: closed by a disc about the axis, unless the sherd shows the hole."""

import numpy as np
import pytest
from test_bridge import NONE, RADIUS, THRESHOLD, D, H, W, disc, ring

from voxgan_jax.inference import bridge, floor
from voxgan_jax.inference.bridge import Pieces
from voxgan_jax.inference.confidence import Confidence, of_pot

HIGH = Confidence("high", 0.9, "high: expected overlap with the true pot 0.90")


def pot(hole, belief=0.3, neck=12.0):
    """A jar with a floor of rows 24 and 25, which up to a radius is less probable."""
    body = np.maximum(ring(12, 3, 8, 25, 0.9), disc(12, 24, 25, 0.9))
    shoulder = np.where((W == 7) & (RADIUS < 13.5) & (neck - 1.5 < RADIUS), np.float32(0.9), 0)
    volume = np.maximum(body, shoulder).astype(np.float32)
    volume[(hole > RADIUS) & (W >= 24)] = belief
    return volume


def made(volume, given=NONE):
    found = floor.whole(volume, given, THRESHOLD)
    return found, (found.probabilities > THRESHOLD) | given


@pytest.mark.parametrize("hole", [1.0, 3.0, 8.0])
@pytest.mark.parametrize("neck", [5.0, 12.0])
def test_a_hole_in_the_floor_is_closed_where_the_floor_was_likeliest(hole, neck):
    volume = pot(hole, neck=neck)
    before = volume > THRESHOLD
    assert floor.hole(before).any() and bridge.count(before) == 1
    found, whole = made(volume)
    assert not floor.hole(whole).any() and bridge.count(whole) == 1
    assert found.pieces.floor == (whole & ~before).sum() == found.bridges.sum() > 0
    # A disc there, as thick as the floor, and nowhere else.
    assert RADIUS[found.bridges].max() < hole + 2
    assert set(np.unique(W[found.bridges])) <= {23, 24, 25, 26}
    np.testing.assert_array_equal(whole & before, before)


def test_a_floor_of_which_the_model_knows_nothing_is_closed_too():
    _, whole = made(pot(5.0, belief=0.0))
    assert not floor.hole(whole).any()


def test_pinholes_beside_the_axis_are_closed_and_no_more():
    volume = pot(0.0)
    for d, h in ((20, 15), (10, 11), (15, 22)):
        volume[d, h, 24:] = 0.3
    found, whole = made(volume)
    assert floor.hole(volume > THRESHOLD).sum() == 3
    assert not floor.hole(whole).any() and found.pieces.floor < 3 * 9 * 3


def test_a_hole_that_the_sherd_shows_stays_and_the_pot_is_never_called_sure():
    volume = pot(4.0)
    given = (volume > THRESHOLD) & (W >= 22)
    found, whole = made(volume, given)
    assert found.pieces.floor == 0 and floor.hole(whole).any()
    # Half of it does not show that there was none.
    _, half = made(volume, given & (D > 15))
    assert not floor.hole(half).any()


def test_whole_pots_handles_and_pedestals_are_let_be():
    closed = pot(0.0)
    handle = (np.abs(np.hypot(D - 15.5, H - 28) - 3.0) < 1) & (W == 15)
    beside = np.where(handle, np.float32(0.9), closed)
    # A bowl on a hollow foot: from above the bowl's floor hides the hollow.
    foot = ring(6, 3, 15, 28, 0.9)
    bowl = np.maximum(np.maximum(disc(12, 14, 15), ring(12, 3, 4, 14, 0.9)), foot)
    for volume in (closed, beside, bowl):
        found, whole = made(volume)
        assert not floor.hole(whole).any() and found.pieces.floor == 0
        np.testing.assert_array_equal(found.probabilities, volume)
    assert not floor.hole(NONE).any()


def test_the_confidence_of_a_pot_in_pieces_or_with_an_open_floor_is_never_high():
    assert of_pot(HIGH, Pieces(2, 1, 10, floor=30)) is HIGH and of_pot(HIGH, None) is HIGH
    apart = of_pot(HIGH, Pieces(2, 2))
    assert apart.word == "fair" and apart.expected_iou == 0.9
    assert apart.sentence == "fair: it is in 2 pieces; expected overlap with the true pot 0.90"
    assert "fair: its floor is open; " in of_pot(HIGH, Pieces(1, 1, is_open=True)).sentence
    low = Confidence("low", 0.2, "low: strange")
    assert of_pot(low, Pieces(2, 2, is_open=True)) is low
