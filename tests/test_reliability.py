"""Reliability tables and calibration errors by hand, and a figure that shows them."""

import matplotlib.image
import numpy as np
import pytest

from scripts.lib import reliability


def test_table_by_hand():
    probability = np.array([0.0, 0.1, 0.5, 0.99, 1.0], np.float32)
    truth = np.array([False, True, False, True, True])
    table = reliability.reliability(probability, truth, bins=4)
    np.testing.assert_allclose(
        table, [[2, 0.1, 1], [0, 0, 0], [1, 0.5, 0], [2, 1.99, 2]], atol=1e-6
    )
    # |0.1 - 1| + |0.5 - 0| + |1.99 - 2| over 5 voxels; without the outer bins 0.5 over 1.
    assert reliability.ece(table) == pytest.approx(1.41 / 5, abs=1e-6)
    assert reliability.ece(reliability.unsure(table)) == pytest.approx(0.5)


def test_tables_add_up_and_stack():
    rng = np.random.default_rng(0)
    probability = rng.random(4000).astype(np.float32)
    truth = rng.random(4000) < probability
    halves = np.stack([reliability.reliability(probability[k::2], truth[k::2]) for k in (0, 1)])
    whole = reliability.reliability(probability, truth)
    assert halves.shape == (2, 15, 3)
    np.testing.assert_allclose(halves.sum(axis=0), whole, rtol=1e-6)
    assert reliability.ece(halves).shape == (2,)
    # Of calibrated probabilities only the noise is left, √(2 p (1-p) / (π 267)) a bin: 0.02.
    assert 0.005 < reliability.ece(whole) < 0.04
    # All probabilities squared are 1/6 too low on average.
    squared = reliability.reliability(probability**2, truth)
    assert reliability.ece(squared) == pytest.approx(1 / 6, abs=0.02)


def test_no_voxels_no_error():
    table = reliability.reliability(np.zeros(0, np.float32), np.zeros(0, bool))
    assert reliability.ece(table) == 0.0


def test_figure_is_written_whole(tmp_path):
    table = np.zeros((15, 3))
    table[0] = 1000, 10, 12
    table[7] = 50, 25, 40
    table[14] = 200, 199, 190
    path = tmp_path / "new" / "reliability.png"
    reliability.draw(table, path, "10 answers")
    assert [p.name for p in path.parent.iterdir()] == ["reliability.png"]
    image = matplotlib.image.imread(path)[..., :3]
    blue = np.abs(image - np.array([0x2F, 0x66, 0x90]) / 255).max(axis=-1) < 0.05
    assert 100 < blue.sum() < 20_000
    # The point of bin 7 lies at (0.5, 0.8), above the diagonal: blue left of it would be an error.
    rows, columns = np.nonzero(blue[: image.shape[0] * 2 // 3])
    assert columns.max() > image.shape[1] * 0.8 and rows.min() < image.shape[0] * 0.2
