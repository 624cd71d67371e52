"""The eight symmetries: a group that keeps fragments, boxes and heights, all of them drawn."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from voxgan_jax.data import augment, grid

# What each id does, on NumPy: exchange, then mirror.
BY_HAND = [
    lambda x: x,
    lambda x: x[::-1],
    lambda x: x[:, ::-1],
    lambda x: x[::-1, ::-1],
    lambda x: x.transpose(1, 0, 2),
    lambda x: x.transpose(1, 0, 2)[::-1],
    lambda x: x.transpose(1, 0, 2)[:, ::-1],
    lambda x: x.transpose(1, 0, 2)[::-1, ::-1],
]


def apply(labels, ids):
    return np.asarray(augment.symmetries(jnp.asarray(labels), jnp.asarray(ids)))


def pot(shape, seed=0):
    """A lump without symmetry that touches all six sides of its box."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(shape) < 0.4) * rng.integers(1, 20, shape)
    labels[0, 0, 0], labels[-1, -1, -1] = 2, 3
    return labels.astype(np.uint8)


@pytest.mark.parametrize("shape", [(6, 8, 5), (5, 7, 8), (5, 6, 3), (8, 3, 7), (1, 1, 1)])
@pytest.mark.parametrize("placement", grid.PLACEMENTS)
def test_it_is_what_placing_the_turned_pot_gives(shape, placement):
    small = pot(shape)
    placed = grid.place(small, 8, placement=placement)
    turned = apply(np.stack([placed] * 8), np.arange(8))
    for number, by_hand in enumerate(BY_HAND):
        expected = grid.place(by_hand(small), 8, placement=placement)
        np.testing.assert_array_equal(turned[number], expected)


def test_a_group_of_eight():
    placed = grid.place(pot((5, 8, 4)), 8)[None]
    images = [apply(placed, np.array([g])) for g in range(8)]
    prints = {image.tobytes(): g for g, image in enumerate(images)}
    assert len(prints) == 8
    table = np.array(
        [[prints[apply(image, np.array([g])).tobytes()] for g in range(8)] for image in images]
    )
    # Each row and each column has all eight: closed, and every one has an inverse.
    for line in (*table, *table.T):
        assert sorted(line) == list(range(8))
    assert table[0].tolist() == list(range(8))
    # Four of them, and the two half-way mirrors, undo themselves; the quarter turns do not.
    assert [g for g in range(8) if table[g, g] == 0] == [0, 1, 2, 3, 4, 7]
    assert (table != table.T).any()


def test_rows_are_independent_and_heights_and_labels_stay():
    batch = np.stack([grid.place(pot((7, 6, 5), seed), 8) for seed in range(20)])
    ids = np.arange(20) % 8
    turned = apply(batch, ids)
    for row, number in enumerate(ids):
        alone = apply(batch[row : row + 1], np.array([number]))
        np.testing.assert_array_equal(turned[row], alone[0])
    for height in range(8):
        for row in range(20):
            np.testing.assert_array_equal(
                np.bincount(turned[row, :, :, height].ravel(), minlength=256),
                np.bincount(batch[row, :, :, height].ravel(), minlength=256),
            )


def test_an_empty_grid_stays_empty():
    assert not apply(np.zeros((8, 4, 4, 4), np.uint8), np.arange(8)).any()


def test_all_eight_are_drawn_equally_often_and_follow_from_key_and_step():
    labels = jnp.asarray(np.stack([grid.place(pot((5, 8, 4)), 8)] * 64))
    prints = {apply(np.asarray(labels[:1]), np.array([g])).tobytes(): g for g in range(8)}
    draw = jax.jit(augment.augment_batch)
    given = jnp.ones((64, 256), bool)
    seen, out = [], {}
    for step in range(25):
        out = draw({"labels": labels, "given": given}, jax.random.key(3), jnp.int32(step))
        np.testing.assert_array_equal(out["given"], given)
        seen += [prints[image[None].tobytes()] for image in np.asarray(out["labels"])]
    counts = np.bincount(seen, minlength=8)
    # 1,600 draws: chi-square of 7 degrees of freedom, 24.3 at 0.1 %.
    assert ((counts - 200) ** 2 / 200).sum() < 24.3
    again = draw({"labels": labels, "given": given}, jax.random.key(3), jnp.int32(24))
    np.testing.assert_array_equal(again["labels"], out["labels"])
    for key, step in ((4, 24), (3, 23)):
        other = draw({"labels": labels, "given": given}, jax.random.key(key), jnp.int32(step))
        assert (np.asarray(other["labels"]) != np.asarray(out["labels"])).any()


def test_rows_under_a_mapped_axis_are_those_of_the_whole_batch():
    labels = jnp.asarray(np.stack([grid.place(pot((5, 8, 4), s), 8) for s in range(6)]))
    whole = augment.augment_batch({"labels": labels}, jax.random.key(0), jnp.int32(5))
    divided = jax.vmap(
        functools.partial(augment.augment_batch, axis_name="data"),
        in_axes=({"labels": 0}, None, None),
        axis_name="data",
    )({"labels": labels.reshape(3, 2, 8, 8, 8)}, jax.random.key(0), jnp.int32(5))
    np.testing.assert_array_equal(divided["labels"].reshape(6, 8, 8, 8), whole["labels"])
