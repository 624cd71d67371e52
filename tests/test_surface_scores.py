"""Distances between surfaces against values worked out by hand and by brute force."""

import numpy as np
import pytest

from scripts.lib import surface_scores


def cube(start, side=4, grid=12):
    volume = np.zeros((grid, grid, grid), bool)
    volume[tuple(slice(first, first + side) for first in start)] = True
    return volume


def brute_force(answer, truth):
    ours, theirs = (np.argwhere(surface_scores.surface(volume)) for volume in (answer, truth))
    apart = np.linalg.norm(ours[:, None] - theirs[None], axis=-1)
    there, back = apart.min(1), apart.min(0)
    precision, recall = (there <= 1).mean(), (back <= 1).mean()
    return (there.mean() + back.mean()) / 2, 2 * precision * recall / (precision + recall)


def test_the_surface_of_a_cube_is_its_shell():
    # 4³ less the 2³ inside; a cube that fills its grid has the same shell.
    assert surface_scores.surface(cube((3, 3, 3))).sum() == 64 - 8
    assert surface_scores.surface(np.ones((4, 4, 4), bool)).sum() == 64 - 8
    assert not surface_scores.surface(cube((3, 3, 3)))[4:6, 4:6, 4:6].any()


def test_equal_volumes_have_no_distance():
    assert surface_scores.compare(cube((1, 2, 3)), cube((1, 2, 3))) == (0, 1)


def test_single_voxels_three_and_four_apart():
    there, here = cube((0, 0, 0), 1), cube((3, 4, 0), 1)
    assert surface_scores.compare(there, here) == (5, 0)


def test_a_cube_shifted_by_one():
    # Of 56 shell voxels these lie one from the other shell, the rest in it: the outer face's 16,
    # and the 4 in the middle of the opposite face, which lie inside the other cube.
    answer, truth = cube((3, 3, 3)), cube((4, 3, 3))
    assert surface_scores.compare(answer, truth) == (pytest.approx(20 / 56), 1)


def test_one_direction_alone_is_not_enough():
    # A part of the truth: each of its points is right, but few of the truth's are found.
    truth = np.zeros((12, 12, 12), bool)
    truth[:, 6, 6] = True
    answer = truth.copy()
    answer[4:] = False
    chamfer, f_score = surface_scores.compare(answer, truth)
    # Precision 1, recall 5 of 12; distances back 1 to 8 over 12.
    assert f_score == pytest.approx(2 * (5 / 12) / (1 + 5 / 12))
    assert chamfer == pytest.approx((0 + 36 / 12) / 2)
    assert surface_scores.compare(truth, answer) == pytest.approx((chamfer, f_score))


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_brute_force(seed):
    rng = np.random.default_rng(seed)
    answer, truth = rng.random((2, 7, 8, 9)) < 0.1
    assert surface_scores.compare(answer, truth) == pytest.approx(brute_force(answer, truth))


def test_empty_volumes():
    empty, full = np.zeros((12, 12, 12), bool), cube((0, 0, 0))
    assert surface_scores.compare(empty, empty) == (0, 1)
    for pair in ((empty, full), (full, empty)):
        assert surface_scores.compare(*pair) == (pytest.approx(11 * np.sqrt(3)), 0)


def test_scores_keep_the_fragment_and_apply_the_threshold():
    partial, complete = cube((3, 3, 3), 1), cube((3, 3, 3))
    volumes = [volume.astype(np.float32)[None, ..., None] for volume in (partial, complete)]
    nothing = surface_scores.scores(volumes[0], 0.4 * volumes[1], volumes[1], 0.5)
    fragment = surface_scores.compare(partial, complete)
    assert (nothing["chamfer"][0], nothing["f_score"][0]) == pytest.approx(fragment)
    filled = surface_scores.scores(volumes[0], 0.4 * volumes[1], volumes[1], 0.3)
    assert (filled["chamfer"].tolist(), filled["f_score"].tolist()) == ([0], [1])
