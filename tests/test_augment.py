"""Changed pots: the eight symmetries, stretched boxes, moved boxes; and how all these are drawn."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from changed_pots import AUGMENT, REBOX, apply, augmented, box_of, pot, solid

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


@pytest.mark.parametrize(
    "options", [{}, {"scale_radius": 0.3, "scale_height": 0.3, "warp": 0.2, "shift": True}]
)
def test_rows_under_a_mapped_axis_are_those_of_the_whole_batch(options):
    labels = jnp.asarray(np.stack([grid.place(pot((5, 8, 4), s), 8) for s in range(6)]))
    whole = AUGMENT({"labels": labels}, jax.random.key(0), jnp.int32(5), **options)
    of_each = functools.partial(augment.augment_batch, axis_name="data", **options)
    mapped = jax.vmap(of_each, in_axes=({"labels": 0}, None, None), axis_name="data")
    batch = {"labels": labels.reshape(3, 2, 8, 8, 8)}
    divided = jax.jit(mapped)(batch, jax.random.key(0), jnp.int32(5))
    np.testing.assert_array_equal(divided["labels"].reshape(6, 8, 8, 8), whole["labels"])


def test_boxes():
    labels = np.zeros((3, 8, 8, 6), np.uint8)
    labels[0, 2, 3, 1] = labels[0, 5, 3, 5] = 7
    labels[1] = 2
    starts, sizes = augment.boxes(jnp.asarray(labels))
    assert starts.tolist() == [[2, 3, 1], [0, 0, 0], [0, 0, 0]]
    assert sizes.tolist() == [[4, 1, 5], [8, 8, 6], [8, 8, 6]]


@pytest.mark.parametrize("old", range(1, 17))
def test_a_line_is_stretched_to_the_nearest_cells_and_stays_symmetric(old):
    labels = np.zeros((8, 16, 16, 16), np.uint8)
    labels[:, 0, 0, 16 - old :] = np.arange(1, old + 1)
    news = np.arange(8) * 2 + 2 - old % 2
    sizes = np.stack([np.ones(8, int), np.ones(8, int), news], 1).astype(np.int32)
    target = jnp.zeros((8, 3), jnp.int32), jnp.asarray(sizes)
    lines = np.asarray(REBOX(jnp.asarray(labels), jnp.zeros(8, jnp.int32), *target))[:, 0, 0]
    for new, line in zip(news.tolist(), lines.astype(int), strict=True):
        shown = line[:new]
        # Each cell's centre lies in the cell that it shows, ends included.
        centre = (np.arange(new) + 0.5) * old / new
        assert (shown - 1 <= centre).all() and (centre <= shown).all()
        assert (shown + shown[::-1] == old + 1).all()
        assert not line[new:].any()
        if new >= old / 2:
            assert shown[0] == 1 and shown[-1] == old


def test_stretched_sizes_by_hand():
    sizes = jnp.array([[40, 40, 64], [40, 39, 20], [5, 7, 1], [64, 63, 30]])
    stretched = functools.partial(augment.stretched_sizes, sizes, limits=jnp.array([[64, 64, 64]]))
    factors = jnp.array([[1.25, 1.25], [0.75, 1.49], [0.5, 0.5], [1.2, 0.95]])
    # Wished for: 50 50 80; 30 29.25 29.8; 2.5 3.5 0.5; 76.8 75.6 28.5. The nearest of the same
    # parity, within the cube, the second side grown no further than the first.
    assert stretched(factors).tolist() == [[50, 50, 64], [30, 29, 30], [3, 3, 1], [64, 63, 28]]
    # The same times 64/80, 40/30, 7/3.5, 64/76.8.
    kept = stretched(factors, keep_longest=True).tolist()
    assert kept == [[40, 40, 64], [40, 39, 40], [5, 7, 1], [64, 63, 24]]


@pytest.mark.parametrize("placement", grid.PLACEMENTS)
@pytest.mark.parametrize("shape", [(10, 10, 8), (9, 9, 7), (12, 11, 16)])
def test_a_stretched_pot_lies_where_its_box_would_be_placed(placement, shape):
    labels = np.stack([solid(shape, placement=placement)] * 64)
    options = {"scale_radius": 0.4, "scale_height": 0.3, "placement": placement}
    widths, heights = set(), set()
    for image in augmented(labels, **options):
        (_, _, bottom), size = box_of(image)
        np.testing.assert_array_equal(image, solid(size, placement=placement))
        assert bottom == ((16 - size[2]) // 2 if placement == "center" else 0)
        # A quarter turn may exchange the first two; an odd side stays odd.
        assert sorted(side % 2 for side in size[:2]) == sorted(side % 2 for side in shape[:2])
        widths.add(next(side for side in size[:2] if side % 2 == shape[0] % 2))
        heights.add(size[2])
    # From 0.6 to 1.4 times and from 0.7 to 1.3 times, to the nearest of the same parity; cube 16.
    expected = {
        10: ({6, 8, 10, 12, 14}, {6, 8, 10}),
        9: ({5, 7, 9, 11, 13}, {5, 7, 9}),
        12: ({8, 10, 12, 14, 16}, {12, 14, 16}),
    }
    assert (widths, heights) == expected[shape[0]]


def test_a_stretched_ring_keeps_its_axis_and_its_fragments():
    side = np.arange(40) - 19.5
    radius = np.hypot(side[:, None], side[None, :])
    ring = ((radius < 18) & (radius > 13)).astype(np.uint8)
    labels = np.repeat(grid.place(ring[:, :, None] * np.uint8(2), 40), 1, axis=2)
    labels[:, :, :20] = (ring * np.where(side > 0, 2, 3)[:, None].astype(np.uint8))[:, :, None]
    images = augmented(np.stack([labels] * 32), scale_radius=0.2, turn=False)
    outer = set()
    for image in images:
        cells = np.argwhere(image)
        np.testing.assert_array_equal(cells.min(0)[:2] + cells.max(0)[:2], [39, 39])
        assert set(np.unique(image)) == {0, 2, 3}
        plane = image[:, :, 0] > 0
        np.testing.assert_array_equal(plane, plane[::-1])
        np.testing.assert_array_equal(plane, plane.T)
        np.testing.assert_array_equal(image[20:, :, 0] > 0, image[20:, :, 0] == 2)
        # The outline of the ring, drawn at the new size.
        wide = np.ptp(cells[:, 0]) + 1
        drawn = (radius < wide / 2) & (radius > wide / 2 * 13 / 18)
        assert (plane & drawn).sum() / (plane | drawn).sum() > 0.85
        outer.add(int(wide))
    assert {30, 32, 34, 36, 38, 40} <= outer <= {28, 30, 32, 34, 36, 38, 40}


def test_factors_are_uniform_in_their_logarithm_and_radius_and_height_independent():
    labels = np.stack([grid.place(np.full((20, 20, 20), 2, np.uint8), 32)] * 256)
    scales = {"scale_radius": 0.5, "scale_height": 0.5}
    images = np.concatenate([augmented(labels, step, **scales) for step in range(4)])
    sizes = np.array([box_of(image)[1] for image in images])
    assert (sizes[:, 0] == sizes[:, 1]).all()
    bounds = np.log(np.array([10, *range(11, 30, 2), 30]) / 20)
    expected = 1024 * np.diff(bounds) / (bounds[-1] - bounds[0])
    for axis in (0, 2):
        counts = np.bincount(sizes[:, axis] // 2, minlength=16)[5:16]
        # 10 degrees of freedom, 29.6 at 0.1 %.
        assert ((counts - expected) ** 2 / expected).sum() < 29.6
    assert abs(np.corrcoef(sizes[:, 0], sizes[:, 2])[0, 1]) < 0.11  # 3.5 deviations of 1024


def test_proportions_change_while_the_longest_side_stays():
    labels = np.stack([solid((16, 16, 10)), solid((8, 8, 16))] * 20)
    options = {"scale_radius": 0.3, "scale_height": 0.3, "keep_longest": True}
    sizes = [box_of(image)[1] for image in augmented(labels, **options)]
    assert {max(size) for size in sizes} == {16}
    assert {size[2] for size in sizes[::2]} == {6, 8, 10, 12, 14, 16}
    assert {size[0] for size in sizes[1::2]} == {4, 6, 8, 10, 12, 14}


def test_a_pot_is_moved_to_every_place_where_it_fits():
    labels = np.stack([grid.place(pot((8, 6, 7)), 8)] * 400)
    images = augmented(labels, shift=True, turn=False)
    starts = [tuple(box_of(image)[0]) for image in images]
    assert set(starts) == {(0, h, w) for h in range(3) for w in range(2)}
    counts = np.unique(starts, axis=0, return_counts=True)[1]
    assert ((counts - 400 / 6) ** 2 / (400 / 6)).sum() < 20.5  # 5 degrees of freedom, 0.1 %
    for image, (_, h, w) in zip(images, starts, strict=True):
        np.testing.assert_array_equal(image[:, h : h + 6, w : w + 7], pot((8, 6, 7)))
    moved = augmented(labels, shift=True, scale_radius=0.3, scale_height=0.3)
    assert len({image.tobytes() for image in moved}) > 50


def test_nothing_asked_for_changes_nothing():
    labels = np.stack([grid.place(pot((5, 8, 4)), 8, placement="corner")] * 3)
    np.testing.assert_array_equal(augmented(labels, turn=False), labels)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"scale_radius": 0.6}, r"scale_radius 0\.6 and scale_height 0\.0 must lie in 0…0\.5"),
        ({"scale_height": -0.1}, r"scale_height -0\.1 must lie"),
        ({"warp": 0.31}, r"warp 0\.31 must lie in 0…0\.3"),
        ({"warp": -0.1}, r"warp -0\.1 must lie"),
        ({"placement": "middle"}, "'middle' is none of"),
    ],
)
def test_options_that_cannot_be_are_refused(options, reason):
    with pytest.raises(ValueError, match=reason):
        augmented(np.zeros((1, 4, 4, 4), np.uint8), **options)
