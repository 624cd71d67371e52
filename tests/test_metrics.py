"""Metrics against numbers worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from voxgan_jax.evaluation import metrics


def grid(*rows):
    """Rows of eight values as a batch of 2 × 2 × 2 grids."""
    return jnp.asarray(np.array(rows, np.float32).reshape(-1, 2, 2, 2, 1))


COMPLETE = grid([1, 1, 1, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0], [0] * 8)
COMPLETED = grid([0.9, 0.6, 0.4, 0, 0.8, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0], [0] * 8)
PARTIAL = grid([1, 0, 0, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0], [0] * 8)


def test_iou():
    # First row at 0.5: answer {0, 1, 4}, truth {0, 1, 2, 3}; 2 shared of 5. Third: both empty.
    np.testing.assert_allclose(metrics.iou(COMPLETED, COMPLETE), [2 / 5, 1, 1], rtol=1e-6)


@pytest.mark.parametrize(
    ("threshold", "expected"), [(0.3, 3 / 5), (0.5, 2 / 5), (0.7, 1 / 5), (0.85, 1 / 4), (0.95, 0)]
)
def test_iou_depends_on_threshold(threshold, expected):
    value = metrics.iou(COMPLETED[:1], COMPLETE[:1], threshold)
    np.testing.assert_allclose(value, [expected], rtol=1e-6)


def test_a_value_at_the_threshold_is_empty():
    half = jnp.full((1, 2, 2, 2, 1), 0.5, jnp.float32)
    np.testing.assert_array_equal(metrics.iou(half, jnp.ones_like(half)), [0])


def test_dice():
    np.testing.assert_allclose(metrics.dice(COMPLETED, COMPLETE), [4 / 7, 1, 1], rtol=1e-6)


def test_dice_follows_from_iou():
    rng = np.random.default_rng(0)
    completed = jnp.asarray(rng.random((5, 4, 4, 4, 1)), jnp.float32)
    complete = jnp.asarray(rng.random((5, 4, 4, 4, 1)) > 0.6, jnp.float32)
    iou = metrics.iou(completed, complete)
    np.testing.assert_allclose(metrics.dice(completed, complete), 2 * iou / (1 + iou), rtol=1e-6)


def test_mse_is_on_the_probabilities():
    # 0.1² + 0.4² + 0.6² + 1² + 0.8² = 2.17
    np.testing.assert_allclose(metrics.mse(COMPLETED, COMPLETE), [2.17 / 8, 0, 0], rtol=1e-6)


def test_missing_iou():
    # Without the given voxel 0: answer {1, 4}, truth {1, 2, 3}; 1 shared of 4. Second: all given.
    value = metrics.missing_iou(PARTIAL, COMPLETED, COMPLETE)
    np.testing.assert_allclose(value, [1 / 4, 1, 1], rtol=1e-6)


def test_missing_iou_counts_what_was_added_to_a_whole_pot():
    added = grid([1, 1, 1, 0, 0, 0, 0, 0])
    value = metrics.missing_iou(PARTIAL[1:2], added, COMPLETE[1:2])
    np.testing.assert_array_equal(value, [0])


@pytest.mark.parametrize("metric", [metrics.iou, metrics.dice, metrics.mse])
def test_one_float32_per_example_under_jit(metric):
    value = jax.jit(metric)(COMPLETED, COMPLETE)
    assert value.shape == (3,)
    assert value.dtype == jnp.float32
    np.testing.assert_allclose(value, metric(COMPLETED, COMPLETE), rtol=1e-6)
