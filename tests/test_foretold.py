"""Either half of a sherd foretells the other: what is right scores more than what is not."""

import numpy as np
import pytest

from voxgan_jax.placement import foretold


def ring(low: int, high: int, radius: float = 14.0) -> np.ndarray:
    """A turned wall two voxels thick, between two rows of a cube of 32."""
    across = np.arange(32) - 15.5
    around = np.abs(np.hypot(across, across[:, None]) - radius) < 1
    rows = (np.arange(32) >= low) & (np.arange(32) < high)
    return around[:, :, None] & rows


def piece(low: int, high: int) -> np.ndarray:
    made = ring(low, high)
    made[:16] = made[:, :12] = False
    return made


def test_the_halves_are_the_whole_and_of_one_size():
    given = piece(8, 20)
    first, last = foretold.halves(given)
    assert (first | last == given).all() and not (first & last).any()
    rows = [np.flatnonzero(half.any(axis=(0, 1))) for half in (first, last)]
    assert rows[0].max() < rows[1].min()
    assert 0.4 < first.sum() / given.sum() < 0.6


def test_a_pot_that_is_known_foretells_all_and_one_that_is_not_nothing():
    given, pot = piece(8, 20), ring(0, 32).astype(float)
    assert foretold.likelihood([pot, pot], given) == pytest.approx(2 * np.log(0.98))
    assert foretold.likelihood([1 - pot, 1 - pot], given) == pytest.approx(2 * np.log(0.02))
    even = np.full_like(pot, 0.5)
    assert foretold.likelihood([even, even], given) == pytest.approx(2 * np.log(0.5))


def test_a_wall_beside_the_true_one_foretells_less_and_one_far_away_counts_nothing():
    given, pot = piece(8, 20), ring(0, 32).astype(float)
    wider, both = (ring(0, 32, 15.0).astype(float), np.maximum(pot, ring(0, 32, 4.0)))
    right = foretold.likelihood([pot, pot], given)
    assert foretold.likelihood([wider, wider], given) < right - 1
    assert foretold.likelihood([both, both], given) == pytest.approx(right)


def test_each_half_is_told_by_the_answer_to_the_other():
    given, pot = piece(8, 20), ring(0, 32).astype(float)
    low = pot * (np.arange(32) < 14)
    # The answer to the second half lacks nothing of the first; that to the first lacks the second.
    best = foretold.likelihood([pot, low], given)
    assert best == pytest.approx(2 * np.log(0.98)) and foretold.likelihood([low, pot], given) < best


def test_a_sherd_in_one_row_foretells_nothing():
    flat = piece(8, 9)
    first, last = foretold.halves(flat)
    assert (first == flat).all() and not last.any()
    assert foretold.likelihood([np.zeros(flat.shape), np.ones(flat.shape)], flat) < 0
