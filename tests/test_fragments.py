"""Which fragments are given: drawn at random for training, fixed for evaluation."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from voxgan_jax.data import fragments


def counts_of(*pots):
    """One row of 256 counts for each {label: voxels}."""
    rows = np.zeros((len(pots), 256), np.int64)
    for row, pot in zip(rows, pots, strict=True):
        row[0] = 1000
        for label, count in pot.items():
            row[label] = count
    return rows


def draw(pot, times=1, seed=0, **options):
    """Sets of given labels in `times` draws from one pot."""
    counts = np.repeat(counts_of(pot), times, axis=0)
    noise = np.random.default_rng(seed).random((times, 256), np.float32)
    return [set(np.flatnonzero(row).tolist()) for row in fragments.choose(counts, noise, **options)]


def test_counts_and_ids():
    labels = np.array([[[0, 1, 3], [3, 7, 7], [7, 0, 0]]], np.uint8)
    counts = fragments.voxel_counts(labels)
    assert counts.shape == (256,)
    assert {label: counts[label] for label in (0, 1, 2, 3, 7)} == {0: 3, 1: 1, 2: 0, 3: 2, 7: 3}
    assert fragments.fragment_ids(labels) == [3, 7]


def test_a_file_in_crumbs_colour_alone_is_one_fragment():
    labels = np.array([[[0, 1, 1]]], np.uint8)
    assert fragments.fragment_ids(labels) == [1]
    assert fragments.fragment_ids(np.zeros((2, 2, 2), np.uint8)) == []
    assert draw({1: 9}) == [{1}]
    assert draw({1: 9}, mode="all_but_k") == [{1}]
    assert draw({}) == [set()] and draw({}, mode="all_but_k") == [set()]


def test_the_fixed_fragment_follows_from_the_files_name():
    # echo -n AL_01-n005-t1600000000.vox | sha256sum begins 2f0175e3d3cf80a4 = 3387118016130941092,
    # which leaves 2 on division by 5 and 1 by 3.
    name = "AL_01-n005-t1600000000.vox"
    assert fragments.fixed_fragment(name, [2, 3, 4, 5, 6]) == 4
    assert fragments.fixed_fragment(name, [9, 2, 4]) == 4
    assert fragments.fixed_fragment(f"test/7/{name}", [6, 5, 4, 3, 2]) == 4
    assert fragments.fixed_fragment(f"test\\7\\{name}", (2, 3, 4, 5, 6)) == 4
    assert fragments.fixed_fragment(name, [3]) == 3
    with pytest.raises(ValueError, match=f"{name}: no fragment"):
        fragments.fixed_fragment(name, [])


def test_fixed_fragments_spread_evenly_over_files():
    drawn = [fragments.fixed_fragment(f"P-n004-t{i}.vox", [2, 3, 4, 5]) for i in range(4000)]
    assert chi_square(np.bincount(drawn)[2:]) < 16.3  # 3 degrees of freedom, p = 0.001


def test_given_table():
    table = fragments.given_table([2, 255])
    assert table.dtype == bool and np.flatnonzero(table).tolist() == [2, 255]
    assert not fragments.given_table([]).any()


def chi_square(observed):
    expected = np.sum(observed) / len(observed)
    return np.sum((observed - expected) ** 2 / expected)


def test_every_fragment_is_drawn_equally_often_whatever_its_size_and_crumbs_never():
    pot = {1: 500, **{label: 10 * label**2 for label in range(2, 12)}}
    drawn = draw(pot, times=10_000)
    assert all(len(given) == 1 for given in drawn)
    labels = np.bincount([label for given in drawn for label in given], minlength=13)
    assert labels[1] == 0 and labels[12] == 0
    assert chi_square(labels[2:12]) < 27.9  # 9 degrees of freedom, p = 0.001


def test_k_distinct_fragments_and_no_more_than_there_are():
    pot = {1: 5, 2: 10, 3: 10, 4: 10, 9: 10}
    drawn = draw(pot, times=6000, k=2)
    assert {len(given) for given in drawn} == {2}
    kinds = {given: drawn.count(set(given)) for given in map(frozenset, drawn)}
    assert len(kinds) == 6
    assert chi_square(np.array(list(kinds.values()))) < 20.5  # 5 degrees of freedom, p = 0.001
    assert draw(pot, k=7) == [{2, 3, 4, 9}]


def test_each_number_of_fragments_from_k_to_max_k_is_drawn_equally_often():
    pot = {label: 10 * label for label in range(1, 9)}
    drawn = draw(pot, times=9000, k=2, max_k=4)
    sizes = np.bincount([len(given) for given in drawn])
    assert not sizes[:2].any()
    assert chi_square(sizes[2:]) < 13.8  # 2 degrees of freedom, p = 0.001
    for size in (2, 3, 4):
        labels = [label for given in drawn if len(given) == size for label in given]
        # 7 fragments, drawn without return: at most as uneven as with it; p = 0.001.
        assert chi_square(np.bincount(labels, minlength=9)[2:]) < 22.5
    assert {len(given) for given in draw({2: 9, 3: 9}, times=50, max_k=5)} == {1, 2}
    withheld = draw(pot, times=300, mode="all_but_k", max_k=2)
    assert {len(given) for given in withheld} == {5, 6}
    assert draw(pot, times=50, k=3, max_k=3) == draw(pot, times=50, k=3)


def test_equal_noise_still_draws_k():
    counts = counts_of({2: 1, 3: 1, 4: 1})
    for k in (1, 2, 3):
        given = fragments.choose(counts, np.full((1, 256), 0.5), k=k)
        assert given.sum() == k


def test_all_but_k_withholds_the_drawn_and_leaves_one():
    pot = {1: 5, 2: 10, 3: 10, 4: 10}
    drawn = draw(pot, times=3000, mode="all_but_k")
    assert {len(given) for given in drawn} == {2} and not any(1 in given for given in drawn)
    withheld = [({2, 3, 4} - given).pop() for given in drawn]
    assert chi_square(np.bincount(withheld)[2:]) < 13.8  # 2 degrees of freedom, p = 0.001
    assert {len(given) for given in draw(pot, times=50, mode="all_but_k", k=2)} == {1}
    assert {len(given) for given in draw(pot, times=50, mode="all_but_k", k=9)} == {1}
    assert draw({5: 10}, mode="all_but_k") == [{5}]


def test_the_share_range_bounds_what_is_drawn():
    pot = {1: 10, 2: 50, 3: 20, 4: 15, 5: 5}  # shares of 100 voxels

    def ever_drawn(**options):
        return set().union(*draw(pot, times=200, **options))

    assert ever_drawn(min_share=0.1) == {2, 3, 4}
    assert ever_drawn(max_share=0.18) == {4, 5}
    assert ever_drawn(min_share=0.12, max_share=0.25) == {3, 4}
    assert ever_drawn(min_share=0.12, max_share=0.25, k=3) == {3, 4}
    # No fragment lies within: the nearest to the range.
    assert ever_drawn(min_share=0.6) == {2}
    assert ever_drawn(max_share=0.01) == {5}
    assert ever_drawn(min_share=0.25, max_share=0.30) == {3}
    # Under all_but_k the range is that of the withheld.
    assert draw(pot, mode="all_but_k", min_share=0.4) == [{3, 4, 5}]


def test_fragments_equally_near_the_range_share_the_draw():
    drawn = draw({2: 25, 3: 25, 4: 50}, times=100, min_share=0.3, max_share=0.4)
    assert set().union(*drawn) == {2, 3}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"mode": "some"}, r"'some' is none of \('k', 'all_but_k'\)"),
        ({"k": 0}, "k = 0 below 1"),
        ({"k": 3, "max_k": 2}, "max_k = 2 below k = 3; give 0"),
        ({"min_share": 0.5, "max_share": 0.4}, r"no share within 0\.5…0\.4"),
    ],
)
def test_options_that_cannot_be_are_refused(options, reason):
    with pytest.raises(ValueError, match=reason):
        draw({2: 1}, **options)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"k": 3},
        {"k": 2, "max_k": 5},
        {"mode": "all_but_k", "k": 2},
        {"min_share": 0.1, "max_share": 0.2},
        {"min_share": 0.99},
    ],
)
def test_the_same_noise_gives_the_same_choice_inside_jit(options):
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 500, (20, 256)) * (np.arange(256) < rng.integers(1, 20, (20, 1)))
    noise = rng.random((20, 256), np.float32)
    expected = fragments.choose(counts, noise, **options)
    assert isinstance(expected, np.ndarray) and expected.dtype == bool
    choose = jax.jit(functools.partial(fragments.choose, **options))
    given = choose(jnp.asarray(counts, jnp.int32), jnp.asarray(noise))
    assert isinstance(given, jax.Array)
    np.testing.assert_array_equal(given, expected)


LABELS = np.array([[[[0, 1, 2, 3]]], [[[2, 2, 0, 255]]]], np.uint8)


def test_select_parts_the_given_from_the_whole():
    given = np.stack([fragments.given_table([2]), fragments.given_table([3, 255])])
    partial, complete = fragments.select(LABELS, given)
    assert partial.shape == complete.shape == (2, 1, 1, 4, 1)
    assert partial.dtype == complete.dtype == np.uint8
    assert partial[..., 0].tolist() == [[[[0, 0, 1, 0]]], [[[0, 0, 0, 1]]]]
    assert complete[..., 0].tolist() == [[[[0, 1, 1, 1]]], [[[1, 1, 0, 1]]]]
    _, fragments_alone = fragments.select(LABELS, given, keep_crumbs=False)
    assert fragments_alone[..., 0].tolist() == [[[[0, 0, 1, 1]]], [[[1, 1, 0, 1]]]]


def test_without_crumbs_a_pot_of_nothing_else_is_still_there():
    given = np.stack([fragments.given_table([1])] * 2)
    partial, complete = fragments.select(LABELS[:1], given[:1], keep_crumbs=False)
    assert partial.ravel().tolist() == [0, 1, 0, 0]
    assert complete.ravel().tolist() == [0, 1, 1, 1]


@pytest.mark.parametrize("keep_crumbs", [True, False])
def test_select_is_the_same_inside_jit(keep_crumbs):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 256, (3, 4, 5, 6)).astype(np.uint8)
    given = rng.random((3, 256)) < 0.5
    given[:, 0] = False
    select = jax.jit(functools.partial(fragments.select, keep_crumbs=keep_crumbs))
    outcome = select(jnp.asarray(labels), jnp.asarray(given))
    expected = fragments.select(labels, given, keep_crumbs)
    for ours, theirs in zip(outcome, expected, strict=True):
        assert ours.dtype == jnp.uint8
        np.testing.assert_array_equal(ours, theirs)
    assert (expected[1] >= expected[0]).all()
