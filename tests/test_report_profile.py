"""Profiles: about the axis, as fine as the belief, and what of them the sherd shows."""

import numpy as np
import pytest
from round_pots import cup, profile_of

from voxgan_jax.data.synthetic import pots
from voxgan_jax.drawing import measures, profile
from voxgan_jax.geometry import rings, wheel
from voxgan_jax.inference.answer import INFERRED


def test_the_profile_follows_belief_more_finely_than_voxels():
    """The uppermost voxels at 0.75 belief, with 0.25 above: the rim is half-way between them."""
    pot = cup()
    belief = pot.astype(np.float32)
    top = np.zeros_like(pot)
    top[..., 3] = pot[..., 4]
    belief[top] = 0.25
    belief[..., 4][pot[..., 4]] = 0.75
    labels = pot * np.uint8(INFERRED)
    found = measures.measure(profile.profile_of(labels, belief, 1.0))
    assert found.height_mm == pytest.approx(31, abs=0.25)
    belief[top] = 0.45
    higher = measures.measure(profile.profile_of(labels, belief, 1.0))
    assert higher.height_mm > found.height_mm + 0.1


def test_a_handle_moves_neither_axis_nor_profile():
    pot = cup()
    d, h, w = np.indices(pot.shape)
    handle = (np.abs(h - 19.5) < 2.5) & (d > 33) & (d < 39) & (w > 12) & (w < 22)
    with_handle = profile_of(pot | handle)
    assert wheel.find_axis(pot | handle) == pytest.approx((19.5, 19.5), abs=0.05)
    found, bare = measures.measure(with_handle), measures.measure(profile_of(pot))
    for name in ("height_mm", "max_diameter_mm", "wall_mm", "capacity_ml"):
        assert getattr(found, name) == pytest.approx(getattr(bare, name), rel=0.01), name
    assert found.volume_ml == pytest.approx(bare.volume_ml + handle.sum() / 1000)


def test_the_axis_is_that_of_training():
    import jax.numpy as jnp

    pot = np.pad(pots.make_pot(3, resolution=32), 3)
    moved = np.roll(pot, (2, -1), axis=(0, 1))
    expected = rings.round_axis(jnp.asarray(moved[None, ..., None], jnp.float32))[0]
    assert wheel.find_axis(moved) == pytest.approx(np.asarray(expected).tolist(), abs=1e-3)


def test_the_base_lies_at_high_w():
    upside_down = measures.measure(profile_of(np.flip(cup(), 2)))
    assert upside_down.capacity_ml is None
    with pytest.raises(ValueError, match="no voxel is occupied"):
        profile_of(np.zeros_like(cup()))


def test_what_is_given_is_told_by_height_and_direction():
    pot = cup()
    d, h, w = np.indices(pot.shape)
    given = pot & (d > 19.5) & (h > 19.5) & (w < 15)
    profile = profile_of(pot, given, step=2.0)
    rows = np.isfinite(profile.outer)
    # From the base up: 20 rows without the sherd, 11 with a quarter of them.
    assert profile.given[rows] == pytest.approx([0.0] * 20 + [0.25] * 11, abs=0.01)
    assert profile.heights[rows] == pytest.approx(2.0 * (np.arange(31) + 0.5))
    seen = profile.seen[rows]
    assert not seen[:20].any()
    angles = np.arange(seen.shape[1]) * 360 / seen.shape[1]
    shown = angles[seen[25]]
    # Counterclockwise from d to h, seen from the rim: the first quarter.
    assert 0 <= shown.min() < 5 and 85 < shown.max() <= 90
    assert profile.known[rows][25].max() > 0.99 and not profile.known[rows][10].any()
