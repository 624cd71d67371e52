"""Pots of a split under the placement that hides their axis; each source has tests of its own."""

import numpy as np
import pytest

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
        split = source.open_split(data_dir, "test", resolution=32, placement="shifted")
        moved = sorted(split.pots, key=lambda pot: pot.name)
        assert split.num_pots == len(moved) == len(centred) == 6
        for before, after in zip(centred, moved, strict=True):
            assert after[1:] == before[1:]
            np.testing.assert_array_equal(after.labels, grid.shift(before.labels, before.name))
        changed = [(a.labels != b.labels).any() for a, b in zip(centred, moved, strict=True)]
        assert sum(changed) > 3


def test_some_rows_of_shifted_pots(vox_dir):
    place = {"resolution": 32, "placement": "shifted"}
    names = [pot.name for pot in source.open_split(vox_dir, "test", **place).pots]
    part = source.open_split(vox_dir, "test", rows=slice(1, 6, 2), **place)
    assert [pot.name for pot in part.pots] == names[1:6:2]


def test_shifted_pots_can_be_pooled(vox_dir):
    (pooled, *_) = source.open_split(
        vox_dir, "test", resolution=16, pool=2, placement="shifted"
    ).pots
    (centred, *_) = source.open_split(vox_dir, "test", resolution=16, pool=2).pots
    assert np.count_nonzero(pooled.labels) == np.count_nonzero(centred.labels) > 100
