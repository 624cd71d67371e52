"""A coarse model scored in finer voxels: what it sees, and what its answer comes to."""

import jax.numpy as jnp
import numpy as np
import pytest

from scripts.lib import finer


def test_it_sees_a_coarse_sherd_and_its_answer_is_enlarged():
    partial = np.zeros((2, 8, 8, 8, 1), np.float32)
    partial[0, 5, 0, 7] = 1
    seen = []

    def predict(coarse):
        seen.append(np.asarray(coarse))
        return jnp.full(coarse.shape, 0.25).at[1, 0, 1, 3].set(0.75)

    answer = np.asarray(finer.enlarged(predict, 4, 8)(jnp.asarray(partial)))
    assert seen[0].shape == (2, 4, 4, 4, 1) and np.argwhere(seen[0]).tolist() == [[0, 2, 0, 3, 0]]
    # The given voxel is not put in: models are scored by their own pots.
    assert not (answer[0] > 0.5).any()
    expected = np.zeros((8, 8, 8, 1), bool)
    expected[0:2, 2:4, 6:8] = True
    np.testing.assert_array_equal(answer[1] > 0.5, expected)
    assert np.unique(answer).tolist() == [0.25, 0.75]


def test_a_side_that_is_no_multiple_is_refused():
    with pytest.raises(ValueError, match="--resolution 100: no multiple of the model's 64"):
        finer.enlarged(lambda partial: partial, 64, 100)
