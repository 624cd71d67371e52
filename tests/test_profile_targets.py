"""Profiles of voxel pots: as exact as turned solids are known, and back to the same voxels."""

import numpy as np
import pytest
from turned_solids import BOWL, CENTRE, ball, polygon, sampled, shell, voxels

from voxgan_jax.data import grid
from voxgan_jax.data.synthetic import pots
from voxgan_jax.geometry import lathe, profile_targets

AXES = (CENTRE, (32.0, 31.5), (31.8, 31.3))
TURN = np.linspace(0, np.pi / 2, 24)
ROUND_BOWL = polygon(
    *np.stack([31.5 + 26 * np.cos(TURN), 26 * np.sin(TURN)], 1)[:-1],
    (31.5, 26),
    (31.5, 22),
    *np.stack([31.5 + 22 * np.cos(TURN), 22 * np.sin(TURN)], 1)[-2::-1],
)
SOLIDS = {
    "shell": shell(31.7, 21.3, 2.1),
    "thin shell": shell(31.2, 25.0, 1.2),
    "ball": ball(30.0, 18.4),
    "ring": ball(31.3, 6.3, 17.2),
    "thin ring": ball(31.3, 2.3, 17.2),
    "bowl": polygon(*BOWL),
    "tube": polygon((9.5, 14.1), (9.5, 17.3), (51.5, 17.3), (51.5, 14.1)),
    "cylinder": polygon((9.5, 0), (9.5, 17.3), (51.5, 17.3), (51.5, 0)),
    "round bowl": ROUND_BOWL,
}


@pytest.mark.parametrize("name", SOLIDS)
def test_the_distance_of_turned_solids_is_found_to_a_tenth_of_a_voxel(name):
    exact = sampled(SOLIDS[name])
    near = np.abs(exact) < 3
    for axis in AXES:
        distance, found = profile_targets.target(voxels(SOLIDS[name], axis))
        assert distance.shape == (128, 72) and distance.dtype == np.float32
        assert np.abs(np.subtract(found, axis)).max() < 0.13
        error = np.abs(distance - exact)[near]
        assert error.mean() < 0.07, axis
        assert np.quantile(error, 0.9) < 0.15, axis


def test_a_pot_turned_again_is_the_pot():
    """Those of the recipes are oval and lean a little."""
    scores = []
    for seed in range(6):
        drawn = pots.make_pot(seed, None, handled=0.0).astype(np.uint8)
        pot = grid.place(drawn, 64) > 0
        distance, axis = profile_targets.target(pot)
        again = lathe.field(distance, 64, axis) < 0
        scores.append((again & pot).sum() / (again | pot).sum())
    assert np.median(scores) > 0.95 and min(scores) > 0.9


def test_handles_and_crumbs_are_no_part_of_a_profile():
    pot = voxels(polygon(*BOWL))
    bare = profile_targets.target(pot).distance
    pot[54:60, 30:34, 20:40] = True
    pot[20:23, 31:33, 20] = True
    assert np.abs(profile_targets.target(pot).distance - bare).max() < 0.05


def test_shares_are_those_of_rings():
    pot = voxels(polygon(*BOWL), (31.8, 31.3))
    shares = profile_targets.share(pot, (31.8, 31.3))
    assert shares.shape == (64, 72) and shares.min() >= 0 and shares.max() <= 1 + 1e-6
    # A solid floor up to the axis, and air inside from it on.
    np.testing.assert_allclose(shares[12, :27], 1, atol=1e-6)
    np.testing.assert_allclose(shares[30, :20], 0, atol=1e-6)
    radius = np.hypot(*(np.indices((64, 64)) - np.array([31.8, 31.3])[:, None, None]))
    weight = np.maximum(1 - np.abs(2 * radius - 40), 0)
    assert shares[35, 40] == pytest.approx((weight * pot[..., 35]).sum() / weight.sum(), abs=1e-6)


def test_an_empty_grid_has_no_profile():
    with pytest.raises(ValueError, match="no voxel is occupied"):
        profile_targets.target(np.zeros((32, 32, 32), bool))


def test_one_voxel_has_a_profile():
    one = np.zeros((32, 32, 32), bool)
    one[16, 16, 16] = True
    distance = profile_targets.target(one).distance
    assert -0.6 < distance.min() < -0.2 and 1 <= (distance < 0).sum() <= 6
