"""Pots to learn an answer from: each once, none that is scored, packed to bits and back."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from scripts.lib import training_pots
from voxgan_jax.data import cache
from voxgan_jax.data.folder import PotPath


@pytest.fixture(scope="module")
def cache_file(vox_dir, tmp_path_factory):
    path = tmp_path_factory.mktemp("cache") / "pots.npz"
    cache.write(path, vox_dir, resolution=32)
    return path


def random_labels(shape, fill=0.1, ids=6, seed=0):
    rng = np.random.default_rng(seed)
    return ((rng.random(shape) < fill) * rng.integers(1, ids, shape)).astype(np.uint8)


def test_training_pots_are_each_pot_once(vox_dir, prepared_dir):
    for data_dir in (vox_dir, prepared_dir):
        pots = list(training_pots.read(data_dir, resolution=32))
        assert len(pots) == len({pot.pot for pot in pots}) == 9


def test_training_pots_leave_out_what_is_scored(vox_dir, prepared_dir):
    for data_dir in (vox_dir, prepared_dir):
        known = list(training_pots.read(data_dir, leave_out="validation", resolution=32))
        assert len(known) == 8
        with pytest.raises(ValueError, match="no training pots there beside those to be scored"):
            training_pots.read(data_dir, leave_out="train+validation", resolution=32)


def test_training_pots_once_each(cache_file, vox_dir):
    known = [pot.name for pot in training_pots.read(cache_file, resolution=32)]
    assert sorted(known) == sorted(p.name for p in training_pots.read(vox_dir, resolution=32))
    assert len(known) == 9  # of 12, 3 are in the test split
    without = training_pots.read(cache_file, resolution=32, leave_out="validation")
    assert len(list(without)) == 8


def test_pots_to_learn_from_stay_in_the_centre(vox_dir, cache_file):
    for data_dir in (vox_dir, cache_file):
        known = training_pots.read(data_dir, resolution=32)
        shifted = training_pots.read(data_dir, resolution=32, placement="shifted")
        for pot, other in zip(known, shifted, strict=True):
            np.testing.assert_array_equal(pot.labels, other.labels)


def test_first_of_each_pot_saves_reading():
    paths = [
        PotPath(pathlib.Path(name), "train", category, "A")
        for name, category in [("a", "1"), ("b", "1"), ("c", "2")]
    ]
    assert [item.path.name for item in training_pots.first_of_each_pot(paths)] == ["a", "c"]


def test_packed_volumes_take_32_kib_in_numpys_order():
    volumes = random_labels((2, 64, 64, 64))
    packed = training_pots.pack_bits(volumes)
    assert packed.shape == (2, 32 * 1024) and packed.dtype == np.uint8
    np.testing.assert_array_equal(packed[1], np.packbits(volumes[1] > 0))
    np.testing.assert_array_equal(training_pots.unpack_bits(packed, (64, 64, 64)), volumes > 0)
    assert training_pots.pack_bits(np.array([[[True, 0, 0, 0, 0, 0, 0, True, True]]])).tolist() == [
        129,
        128,
    ]


def test_a_single_volume_of_a_size_that_is_no_multiple_of_eight():
    volume = random_labels((3, 5, 7), fill=0.5)
    packed = training_pots.pack_bits(volume)
    assert packed.shape == (14,)
    np.testing.assert_array_equal(training_pots.unpack_bits(packed, (3, 5, 7)), volume > 0)


def test_packing_is_the_same_inside_jit():
    volumes = random_labels((2, 8, 8, 8))
    packed = jax.jit(training_pots.pack_bits)(jnp.asarray(volumes))
    assert isinstance(packed, jax.Array)
    np.testing.assert_array_equal(packed, training_pots.pack_bits(volumes))
    unpacked = jax.jit(lambda bits: training_pots.unpack_bits(bits, (8, 8, 8)))(packed)
    assert unpacked.dtype == jnp.uint8
    np.testing.assert_array_equal(unpacked, volumes > 0)
