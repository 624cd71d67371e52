"""Bent profiles: a warped pot stays round, whole and in its box."""

import jax.numpy as jnp
import numpy as np
from changed_pots import REBOX, apply, augmented, box_of, pot
from scipy import ndimage

from voxgan_jax.data import augment, grid
from voxgan_jax.data.synthetic import pots


def shell(outer, wall, heights, resolution):
    """An upright tube around the axis of the cube, in four fragments one above the other."""
    side = np.arange(resolution) - (resolution - 1) / 2
    radius = np.hypot(side[:, None], side[None, :])
    ring = ((radius < outer) & (radius > outer - wall)).astype(np.uint8)
    start = (resolution - heights) // 2
    ids = np.zeros(resolution, np.uint8)
    ids[start : start + heights] = 2 + np.arange(heights) * 4 // heights
    return ring[:, :, None] * ids[None, None, :]


def test_waves_of_no_height_change_nothing():
    labels = jnp.asarray(np.stack([grid.place(pot((7, 6, 5), seed), 8) for seed in range(8)]))
    ids = jnp.arange(8)
    starts, sizes = augment.boxes(labels)
    turned = [jnp.where((ids >= 4)[:, None], x[:, [1, 0, 2]], x) for x in (starts, sizes)]
    flat = REBOX(labels, ids, *turned, jnp.zeros((8, 5)))
    np.testing.assert_array_equal(flat, apply(labels, np.arange(8)))


def test_a_warped_tube_is_round_in_its_box_and_has_its_fragments():
    labels = shell(12, 4, 24, 32)
    images = augmented(np.stack([labels] * 16), warp=0.2, turn=False)
    profiles, thickness = [], []
    for image in images:
        assert box_of(image) == ([4, 4, 4], [24, 24, 24]) == box_of(labels)
        np.testing.assert_array_equal(image, image[::-1])
        np.testing.assert_array_equal(image, image.transpose(1, 0, 2))
        # From below to above: each height shows one of the four, in their order, and all are there.
        shown = image.max(axis=(0, 1))[4:28].astype(int)
        assert set(np.unique(image)) == {0, 2, 3, 4, 5}
        assert (np.diff(shown) >= 0).all()
        assert num_parts(image) == 1
        filled = (image > 0).any(axis=1)[:, 4:28]
        profiles.append(tuple(filled.sum(axis=0).tolist()))
        thickness += (image[:, 16, 4:28] > 0).sum(axis=0).tolist()
    assert len(set(profiles)) == 16
    # The widest ring fills the box of 24; the others are down to about half of it.
    assert all(max(profile) == 24 for profile in profiles)
    assert 12 <= min(min(profile) for profile in profiles) < 20
    assert min(thickness) >= 3 and max(thickness) >= 8


def test_heights_move_by_the_waves():
    labels = np.zeros((3, 1, 1, 64), np.uint8)
    labels[:, 0, 0] = np.arange(1, 65)
    waves = np.zeros((3, 5), np.float32)
    waves[0, 0], waves[1, 1], waves[2, 2:] = 0.3, -0.3, 0.3
    starts, sizes = jnp.zeros((3, 3), jnp.int32), jnp.array([[1, 1, 64]] * 3)
    lines = REBOX(jnp.asarray(labels), jnp.zeros(3, jnp.int32), starts, sizes, jnp.asarray(waves))
    lines = np.asarray(lines)[:, 0, 0].astype(int)
    u = (np.arange(64) + 0.5) / 64
    for line, number, amplitude in ((lines[0], 1, 0.3), (lines[1], 2, -0.3)):
        shown = u + amplitude * np.sin(np.pi * number * u) / (np.pi * number)
        assert np.abs(line - 0.5 - 64 * shown).max() <= 0.51
        assert (np.diff(line) >= 0).all() and line[0] == 1 and line[-1] == 64
        assert set(np.diff(line)) == {0, 1, 2}
    np.testing.assert_array_equal(lines[2], labels[2, 0, 0])


def num_parts(image) -> int:
    labelled: Any = ndimage.label(image, np.ones((3, 3, 3)))
    return labelled[1]


def test_a_warped_pot_stays_whole():
    whole = pots.make_pot(3, resolution=64, handled=0.0).astype(np.uint8) * np.uint8(2)
    labels = np.stack([grid.place(whole, 64)] * 8)
    images = augmented(labels, warp=0.15, turn=False)
    old_start, old_size = box_of(labels[0])
    for image in images:
        assert num_parts(image) == 1
        start, size = box_of(image)
        assert start[2] == old_start[2] and size[2] == old_size[2]
        assert any(size[axis] == old_size[axis] for axis in range(2))
        for axis in range(2):
            assert 2 * start[axis] + size[axis] == 2 * old_start[axis] + old_size[axis]
    both, either = ((images > 0) & (labels > 0)), ((images > 0) | (labels > 0))
    agreement = both.sum((1, 2, 3)) / either.sum((1, 2, 3))
    # Another pot, but not any pot.
    assert agreement.min() > 0.1 and agreement.max() < 0.95
    np.testing.assert_array_equal(images, augmented(labels, warp=0.15, turn=False))


def test_an_empty_grid_stays_empty_when_warped():
    assert not augmented(np.zeros((2, 8, 8, 8), np.uint8), warp=0.3).any()
