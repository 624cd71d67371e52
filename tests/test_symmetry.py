"""The symmetries of the square: against NumPy, all different, each undone."""

import jax.numpy as jnp
import numpy as np

from voxgan_jax.geometry import symmetry


def turned(volume, number):
    """`symmetry.turn` by NumPy, for a volume (b, d, h, w, 1)."""
    volume = np.swapaxes(volume, 1, 2) if number & 4 else volume
    return volume[:, :: -1 if number & 1 else 1, :: -1 if number & 2 else 1]


def test_turning_is_undone():
    volume = np.random.default_rng(0).random((2, 5, 5, 3, 1)).astype(np.float32)
    seen = set()
    for number in range(symmetry.COUNT):
        out = symmetry.turn(jnp.asarray(volume), jnp.int32(number))
        np.testing.assert_array_equal(out, turned(volume, number))
        np.testing.assert_array_equal(symmetry.turn_back(out, jnp.int32(number)), volume)
        seen.add(np.asarray(out).tobytes())
    assert len(seen) == 8
