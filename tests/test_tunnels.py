"""Tunnels through a wall of which the model is not sure: filled by few voxels; handles stay."""

import numpy as np
import pytest
from scipy import ndimage
from skimage import measure
from test_bridge import NONE, RADIUS, THRESHOLD, D, H, W, disc, ring

from voxgan_jax.geometry import surface
from voxgan_jax.inference import bridge, floor, tunnels

JAR = np.maximum(ring(9, 3, 4, 25, 0.9), disc(9, 24, 25, 0.9)).astype(np.float32)


def lace():
    """A jar whose wall is less probable, a little below the threshold, in two dozen places."""
    angle = np.arctan2(D - 15.5, H - 15.5)
    doubtful = (np.sin(6 * angle) * np.sin(0.8 * W) > 0.4) & (W > 6) & (W < 22) & (RADIUS > 7)
    return np.where((JAR > 0) & doubtful, np.float32(0.42), JAR)


def euler(occupied):
    return measure.euler_number(occupied, 3)


def test_lace_becomes_a_wall_by_as_few_voxels_as_will_do():
    volume = lace()
    before = volume > THRESHOLD
    assert euler(before) < -5 and not floor.hole(before).any()
    added = tunnels.filled(before, volume, THRESHOLD)
    whole = before | added
    assert euler(whole) == measure.euler_number(whole, 1) == 1
    field = surface.smooth(whole, np.where(whole, np.float32(0.8), np.float32(0.1)))
    made = surface.surface(field, whole, surface.frame(whole.shape))
    assert made.is_volume and made.euler_number == 2
    assert 0 < added.sum() < ((volume > 0.4) & ~before).sum()
    assert (volume[added] > 0.4).all()
    made = floor.whole(volume, NONE, THRESHOLD)
    np.testing.assert_array_equal(made.probabilities > THRESHOLD, before | added)
    assert made.pieces.plugs == added.sum() and (made.bridges == added).all()
    assert bridge.count(made.probabilities > THRESHOLD) == 1


def test_what_the_sherd_surrounds_stays_open():
    volume = lace()
    made = floor.whole(volume, volume > THRESHOLD, THRESHOLD)
    assert made.pieces.plugs == 0


def test_handles_are_no_holes_and_whole_pots_stay():
    loop = np.hypot(D - 26, W - 12)
    handle = (np.abs(loop - 3) < 1) & (np.abs(H - 15.5) < 1)
    volume = np.where(handle, np.float32(0.9), JAR)
    assert euler(volume > THRESHOLD) == 0 and RADIUS[handle].max() > 12
    for pot in (volume, JAR):
        assert not tunnels.filled(pot > THRESHOLD, pot, THRESHOLD).any()
        made = floor.whole(pot, NONE, THRESHOLD)
        np.testing.assert_array_equal(made.probabilities, pot)


@pytest.mark.parametrize("seed", range(3))
def test_thinning_keeps_pieces_tunnels_and_hollows(seed):
    rng = np.random.default_rng(seed)
    belief = rng.random((9, 9, 9)).astype(np.float32)
    more = belief > 0.4
    core = belief > 0.8
    places, _ = bridge.ndimage.label(more)  # pyright: ignore
    more = np.isin(places, np.unique(places[core]))
    thin = tunnels._thinned(core, more, belief)
    assert (core <= thin).all() and (thin <= more).all() and (thin != more).any()
    for corners in (1, 3):
        assert measure.euler_number(thin, corners) == measure.euler_number(more, corners)
    assert bridge.count(thin) == bridge.count(more)


def test_a_voxel_can_go_where_all_around_it_hangs_together():
    """Bit by bit as by labels, of walls, edges and what chance makes."""
    rng = np.random.default_rng(0)
    others = np.ones((3, 3, 3), bool)
    others[1, 1, 1] = False

    def is_one(cells, structure, near):
        places, _ = ndimage.label(cells, structure)  # pyright: ignore
        return len(np.unique(places[near & cells])) == 1

    faces, edges, corners = (ndimage.generate_binary_structure(3, n) for n in (1, 2, 3))
    found = []
    for share in np.linspace(0, 1, 2000):
        around = rng.random((3, 3, 3)) < share
        around[rng.integers(3)] |= share > 0.5
        bits = sum(1 << int(n) for n in np.flatnonzero(around))
        found.append(tunnels._is_simple(bits))
        assert found[-1] == all(
            is_one(cells & others, corners, others) and is_one(cells & others & edges, faces, faces)
            for cells in (around, ~around)
        )
    assert 100 < sum(found) < 1900
