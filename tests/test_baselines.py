"""The answers without learning, on small turned pots made here."""

import jax.numpy as jnp
import numpy as np
import pytest

from scripts.lib import baselines
from voxgan_jax.data.folder import PotFile
from voxgan_jax.evaluation import metrics
from voxgan_jax.geometry import wheel

SIDE = 24
OFFSET = np.arange(SIDE) - (SIDE - 1) / 2
RADIUS = np.hypot(OFFSET[:, None], OFFSET[None, :])
HEIGHT = np.arange(SIDE)


def vase(base, growth, wall=1.25):
    """A hollow pot about the cube's axis: labels 2 to 5 are its quarters."""
    profile = base + growth * np.sin(HEIGHT / SIDE * np.pi)
    shell = np.abs(RADIUS[:, :, None] - profile[None, None, :]) <= wall
    bottom = (RADIUS[:, :, None] <= base) & (HEIGHT[None, None, :] < 2)
    d, h = np.indices((SIDE, SIDE)) >= SIDE // 2
    quarter = (2 + d + 2 * h).astype(np.uint8)
    return np.where(shell | bottom, quarter[:, :, None], 0).astype(np.uint8)


VASES = [vase(5, 2), vase(4, 5), vase(8, -3), vase(9, 2)]
NAMES = ["A", "B", "C", "D"]
TRAIN = [
    PotFile(labels, f"{pot}-n004-t{stamp}.vox", pot, "1", labels.shape)
    for labels, pot in zip(VASES, NAMES, strict=True)
    for stamp in range(2)
]


def volume(labels, of=None):
    voxels = labels > 0 if of is None else labels == of
    return jnp.asarray(voxels[None, ..., None], jnp.float32)


def test_rings_of_a_small_cube():
    # Radii of a 4 × 4 layer: √0.5 = 0.71 in the middle, √2.5 = 1.58 beside, √4.5 = 2.12 outside.
    np.testing.assert_array_equal(
        wheel.nearest_rings(4, 1.0), [[2, 2, 2, 2], [2, 1, 1, 2], [2, 1, 1, 2], [2, 2, 2, 2]]
    )
    np.testing.assert_array_equal(
        wheel.nearest_rings(4, 0.5), [[4, 3, 3, 4], [3, 1, 1, 3], [3, 1, 1, 3], [4, 3, 3, 4]]
    )


def test_ring_counts_of_a_full_cube_are_the_ring_sizes():
    counts = baselines.ring_counts(jnp.ones((2, 4, 4, 4, 1), jnp.float32), 0.5)
    np.testing.assert_array_equal(counts, np.tile(np.array([0, 4, 0, 8, 4.0])[:, None], (2, 1, 4)))


@pytest.mark.parametrize(("method", "floor"), [("revolve", 0.9), ("revolve_fine", 0.96)])
@pytest.mark.parametrize("quarter", [2, 3, 4, 5])
def test_revolve_completes_a_quarter_of_a_solid_of_revolution(method, floor, quarter):
    predict, threshold = baselines.make(method)
    wide = vase(7, 3, wall=3)
    partial = volume(wide, quarter)
    completed = predict(partial)
    assert metrics.iou(partial, volume(wide))[0] < 0.26
    assert metrics.iou(completed, volume(wide), threshold)[0] > floor
    assert (completed >= partial).all()


def test_fine_rings_follow_a_thin_wall_better():
    partial, complete = volume(VASES[1], 2), volume(VASES[1])
    fine = metrics.iou(baselines.revolve(partial, 0.5), complete)[0]
    assert fine > metrics.iou(baselines.revolve(partial, 1.0), complete)[0] + 0.02


def test_revolve_fills_one_ring_for_one_voxel():
    partial = np.zeros((1, 4, 4, 4, 1), np.float32)
    partial[0, 0, 1, 2, 0] = 1
    expected = np.zeros_like(partial)
    for d, h in [(0, 1), (0, 2), (1, 0), (2, 0), (1, 3), (2, 3), (3, 1), (3, 2)]:
        expected[0, d, h, 2, 0] = 1
    np.testing.assert_array_equal(baselines.revolve(jnp.asarray(partial), 0.5), expected)


def test_retrieval_finds_the_pot_in_the_library():
    predict, threshold = baselines.make("retrieval", TRAIN)
    for labels in VASES:
        completed = predict(volume(labels, 3))
        np.testing.assert_array_equal(completed, volume(labels))
        assert metrics.iou(completed, volume(labels), threshold)[0] == 1


def test_retrieval_answers_each_row_of_a_batch():
    predict, _ = baselines.make("retrieval", TRAIN)
    partial = jnp.concatenate([volume(VASES[2], 2), volume(VASES[0], 5)])
    expected = jnp.concatenate([volume(VASES[2]), volume(VASES[0])])
    np.testing.assert_array_equal(predict(partial), expected)


def test_retrieval_takes_the_nearest_of_pots_that_differ():
    predict, _ = baselines.make("retrieval", TRAIN)
    np.testing.assert_array_equal(predict(volume(vase(5, 2.3), 2)), volume(VASES[0]))


def test_match_is_the_iou_with_the_revolved_fragment():
    partial = volume(VASES[1], 2)
    library = baselines.make_library(TRAIN)
    expected = [metrics.iou(baselines.revolve(partial, 0.5), volume(pot))[0] for pot in VASES]
    np.testing.assert_allclose(baselines.match(library, partial)[0], expected, rtol=1e-6)


@pytest.mark.parametrize("voters", [2, 8])  # of four pots: where there are fewer, all vote
def test_a_vote_is_the_mean_profile_of_the_nearest(voters):
    partial = volume(VASES[1], 2)
    library = baselines.make_library(TRAIN)
    order = np.argsort(-np.asarray(baselines.match(library, partial)[0]))
    ring = wheel.nearest_rings(SIDE, 0.5)
    completed = np.asarray(baselines.vote(library, partial, voters))[0, ..., 0]
    given = np.asarray(partial)[0, ..., 0] > 0
    np.testing.assert_array_equal(completed[given], 1)
    for index in (9, 17):
        cells = ring == index
        filled = np.mean([(VASES[pot][cells] > 0).mean(0) for pot in order[:voters]], axis=0)
        columns = completed[cells & ~given.any(axis=2)]
        np.testing.assert_allclose(columns, np.tile(filled, (len(columns), 1)), atol=1e-6)


def test_a_vote_completes_a_known_pot():
    predict, threshold = baselines.make("vote8", TRAIN[:2])
    assert metrics.iou(predict(volume(VASES[0], 3)), volume(VASES[0]), threshold)[0] > 0.9


def test_mean_of_four_pots():
    mean, threshold = baselines.mean_pot(TRAIN)
    # Each pot counts once though it has two files.
    expected = np.mean([labels > 0 for labels in VASES], axis=0)
    np.testing.assert_allclose(mean[..., 0], expected, rtol=1e-6)
    scores = {
        value: float(
            np.mean([metrics.iou(jnp.asarray(mean[None]), volume(v), value)[0] for v in VASES])
        )
        for value in baselines.MEAN_THRESHOLDS
    }
    assert scores[threshold] == pytest.approx(max(scores.values()), rel=1e-6)
    predict, chosen = baselines.make("mean", TRAIN)
    assert chosen == threshold
    completed = predict(volume(VASES[0]))
    assert completed.shape == (1, SIDE, SIDE, SIDE, 1)
    np.testing.assert_allclose(completed[0], mean, rtol=1e-6)


def test_fragment_gives_the_fragment():
    predict, threshold = baselines.make("fragment")
    partial = volume(VASES[0], 2)
    np.testing.assert_array_equal(predict(partial), partial)
    assert threshold == 0.5


@pytest.mark.parametrize("method", sorted(baselines.NEEDS_TRAINING_POTS))
def test_a_method_that_learns_from_pots_needs_them(method):
    with pytest.raises(ValueError, match="no training pots"):
        baselines.make(method)


def test_an_unknown_method_lists_the_known():
    with pytest.raises(ValueError, match="fragment, mean, revolve, revolve_fine, retrieval"):
        baselines.make("nearest")
