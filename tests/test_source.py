"""Pots under the placement that hides their axis; each source has tests of its own."""

import numpy as np
import pytest

from scripts.lib import shifted
from voxgan_jax.data import cache, grid, source


@pytest.fixture(scope="module")
def cache_file(vox_dir, tmp_path_factory):
    path = tmp_path_factory.mktemp("cache") / "pots.npz"
    cache.write(path, vox_dir, resolution=32)
    return path


def test_shifted_pots_are_the_centred_ones_moved(vox_dir, prepared_dir, cache_file):
    pots = source.open_split(vox_dir, "test", resolution=32).pots
    centred = sorted(pots, key=lambda pot: pot.name)
    for data_dir in (vox_dir, prepared_dir, cache_file):
        split = shifted.open_split(data_dir, "test", resolution=32, placement="shifted")
        moved = sorted(split.pots, key=lambda pot: pot.name)
        assert split.num_pots == len(moved) == len(centred) == 6
        for before, after in zip(centred, moved, strict=True):
            assert after[1:] == before[1:]
            np.testing.assert_array_equal(after.labels, shifted.shift(before.labels, before.name))
        changed = [(a.labels != b.labels).any() for a, b in zip(centred, moved, strict=True)]
        assert sum(changed) > 3


def test_some_rows_of_shifted_pots(vox_dir):
    place = {"resolution": 32, "placement": "shifted"}
    names = [pot.name for pot in shifted.open_split(vox_dir, "test", **place).pots]
    part = shifted.open_split(vox_dir, "test", rows=slice(1, 6, 2), **place)
    assert [pot.name for pot in part.pots] == names[1:6:2]


def test_shifted_pots_can_be_pooled(vox_dir):
    (pooled, *_) = shifted.open_split(
        vox_dir, "test", resolution=16, pool=2, placement="shifted"
    ).pots
    (centred, *_) = source.open_split(vox_dir, "test", resolution=16, pool=2).pots
    assert np.count_nonzero(pooled.labels) == np.count_nonzero(centred.labels) > 100


# By hand: bytes 8 to 16, 16 to 24 and 24 to 32 of sha256 of the names, modulo 12 places.
SHIFTS = {"AL_01-n002-t1600000000.vox": (4, 6, 4), "AL_01-n003-t1600000001.vox": (9, 0, 2)}


@pytest.mark.parametrize(("name", "start"), SHIFTS.items())
def test_a_shifted_pot_starts_where_its_name_says(name, start):
    labels = np.random.default_rng(0).integers(1, 9, (5, 5, 5)).astype(np.uint8)
    where = tuple(slice(first, first + 5) for first in start)
    for placement in grid.PLACEMENTS:
        moved = shifted.shift(grid.place(labels, 16, placement=placement), f"a/b\\{name}")
        np.testing.assert_array_equal(moved[where], labels)
        assert np.count_nonzero(moved) == 125


def test_shifts_reach_every_place_alike():
    cube = grid.place(np.full((2, 3, 4), 7, np.uint8), 4)
    starts = np.array(
        [[cells.min() for cells in np.nonzero(shifted.shift(cube, f"{i}.vox"))] for i in range(600)]
    )
    for axis, places in enumerate((3, 2, 1)):
        counts = np.bincount(starts[:, axis], minlength=places)
        assert len(counts) == places
        np.testing.assert_allclose(counts / 600, 1 / places, atol=0.06)
    # No axis tells of another.
    assert abs(np.corrcoef(starts[:, 0], starts[:, 1])[0, 1]) < 0.12


def test_nothing_and_a_full_cube_stay():
    for labels in (np.zeros((3, 3, 3), np.uint8), np.ones((3, 3, 3), np.uint8)):
        np.testing.assert_array_equal(shifted.shift(labels, "a.vox"), labels)
