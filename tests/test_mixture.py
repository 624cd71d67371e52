"""Synthetic pots behind a split: the rows asked for, their own chance, no share in validation."""

from typing import Any

import numpy as np
import pytest

from voxgan_jax.data import fragments, mixture, resident, source
from voxgan_jax.devices import parallel
from voxgan_jax.training import build

ONE = parallel.make_mesh()
PLACE = {"resolution": 32, "pool": 1, "placement": "center"}


def real_pots(rows: slice) -> Any:
    yield from range(3)[rows]


def numbers(pots: Any) -> list[Any]:
    """Which real ones, and the names of the synthetic ones."""
    return [pot if isinstance(pot, int) else pot.name for pot in pots]


def test_rows_of_both_kinds_whatever_is_asked_for():
    read, count = mixture.append(real_pots, 3, 2, seed=5, **PLACE)
    assert count == 3 + 2 * 4
    whole = numbers(read(slice(None)))
    assert whole[:3] == [0, 1, 2] and len(whole) == 11
    assert [name.split("-n")[0] for name in whole[3:]] == ["SYNTHETIC_5_00000"] * 4 + [
        "SYNTHETIC_5_00001"
    ] * 4
    for rows in (slice(1, 5), slice(2, 3), slice(5, 9), slice(0, 11, 3), slice(4, 40, 2)):
        assert numbers(read(rows)) == whole[rows]
    assert numbers(read(slice(20, 30))) == []
    assert mixture.append(real_pots, 3, 0, seed=5, **PLACE)[1] == 3


def test_a_pot_is_broken_into_four_numbers_of_fragments():
    pots = [mixture.broken_pot(number, seed=0, **PLACE) for number in range(12)]
    for k in range(0, 12, 4):
        same = pots[k : k + 4]
        assert len({(pot.labels > 0).tobytes() for pot in same}) == 1
        ids = [fragments.fragment_ids(pot.labels) for pot in same]
        pieces = [int(pot.name.split("-n")[1][:3]) for pot in same]
        assert [len(present) for present in ids] == pieces
        assert len(set(pieces)) == 4 and set(pieces) <= set(range(3, 19))
        assert [max(pot.size) for pot in same] == [32] * 4
        # In the middle of the cube.
        cells = np.argwhere(same[0].labels)
        assert ((31 - cells.max(0) - cells.min(0)) >= 0).all()
        assert ((31 - cells.max(0) - cells.min(0)) <= 1).all()
    assert len({(pot.labels > 0).tobytes() for pot in pots}) == 3


def test_the_same_seed_gives_the_same_pot_in_any_order():
    first = mixture.broken_pot(6, seed=0, **PLACE)
    mixture.broken_pot(1, seed=0, **PLACE)
    again = mixture.broken_pot(6, seed=0, **PLACE)
    np.testing.assert_array_equal(first.labels, again.labels)
    other = mixture.broken_pot(6, seed=1, **PLACE)
    assert (first.labels > 0).tobytes() != (other.labels > 0).tobytes()
    # As long as a real pot where the cube has room for more, and pooled as those are.
    assert max(mixture.broken_pot(6, seed=0, resolution=80).size) == 64
    pooled = mixture.broken_pot(6, seed=0, resolution=32, pool=2)
    assert max(pooled.size) == 64 and pooled.labels.shape == (32, 32, 32)


@pytest.fixture
def config(resident_config):
    resident_config.data.update(PLACE)
    return resident_config


def test_a_feed_of_both_kinds_tells_itself_apart(config, vox_dir):
    alone = resident.open_feed(config, ONE)
    config.data.synthetic_pots = 3
    mixed = resident.open_feed(config, ONE)
    assert tuple(alone.plan) == (4, 16) and tuple(mixed.plan) == (7, 28)
    assert mixed.fingerprint.startswith("train+3 synthetic pots:28:")
    config.seed = 1
    assert resident.open_feed(config, ONE).fingerprint != mixed.fingerprint
    labels = np.asarray(next(mixed.items(0))["labels"])
    np.testing.assert_array_equal(labels[:16], next(alone.items(0))["labels"])
    expected = np.stack([mixture.broken_pot(n, seed=0, **PLACE).labels for n in range(12)])
    np.testing.assert_array_equal(labels[16:], expected)
    # What is scored during training is read from the folder alone.
    assert source.open_split(vox_dir, "validation", **PLACE).num_pots == 2


def test_pots_of_the_world_come_by_the_same_door(config):
    config.data.synthetic_pots, config.data.synthetic_kind = 1, "world"
    mixed = resident.open_feed(config, ONE)
    assert mixed.fingerprint.startswith("train+1 synthetic pots of the world:20:")
    labels = np.asarray(next(mixed.items(0))["labels"])[16:]
    expected = [mixture.broken_pot(n, seed=0, kind="world", **PLACE) for n in range(4)]
    np.testing.assert_array_equal(labels, np.stack([pot.labels for pot in expected]))
    assert len({(pot > 0).tobytes() for pot in labels}) == 1
    assert max(expected[0].size) == 32
    other = mixture.broken_pot(0, seed=0, **PLACE).labels
    assert ((labels[0] > 0) != (other > 0)).any()


def test_what_does_not_suit_is_refused(config):
    config.data.synthetic_kind = "martian"
    with pytest.raises(ValueError, match=r"synthetic_kind 'martian'; known: iberian, world"):
        resident.open_feed(config, ONE)
    config.data.synthetic_kind = "iberian"
    config.data.synthetic_pots, config.data.source = 2, "tfdata"
    with pytest.raises(ValueError, match=r"set config\.data\.source=resident, or it to 0"):
        build.open_feed(config, ONE)
    config.data.synthetic_pots, config.data.profiles = 0, True
    with pytest.raises(ValueError, match=r"config\.data\.profiles are made for data that the dev"):
        build.open_feed(config, ONE)
