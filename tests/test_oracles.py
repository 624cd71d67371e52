"""Answers that are told the class or the truth, on small boxes."""

import jax.numpy as jnp
import numpy as np
import pytest

from scripts.lib import baselines, oracles
from voxgan_jax.data.folder import PotFile
from voxgan_jax.evaluation import protocol

SIDE = 8


def box(height, pot, category, stamp=0, fragments=2):
    """The lowest layers of the cube, in two fragments."""
    labels = np.zeros((SIDE, SIDE, SIDE), np.uint8)
    labels[:4, :, :height] = 2
    labels[4:, :, :height] = fragments + 1
    name = f"{pot}-n{fragments:03d}-t{stamp}.vox"
    return PotFile(labels, name, pot, category, (SIDE, SIDE, height))


# Of class 1 heights 2, 2, 4 (the last pot in two files), of class 2 height 6.
TRAIN = [
    box(2, "A", "1"), box(2, "B", "1"), box(4, "C", "1"), box(4, "C", "1", 1), box(6, "D", "2")
]  # fmt: skip


def records(method, pots, batch_size=3):
    predict, threshold = oracles.METHODS[method](TRAIN)
    samples = protocol.samples(pots)
    return protocol.evaluate(predict, samples, batch_size=batch_size, threshold=threshold)


def test_class_mean_answers_by_class():
    predict, threshold = oracles.make_class_mean(TRAIN)
    samples = list(protocol.samples([box(3, "X", "2"), box(3, "Y", "1")]))
    (batch,) = protocol.batches(samples, 3)
    completed = np.asarray(predict.predict(jnp.zeros((3, SIDE, SIDE, SIDE, 1)), batch))
    # Down a column: all of class 2 reach 6; of class 1 all reach 2 and a third 4.
    assert completed[0, 0, 0, :, 0].tolist() == [1] * 6 + [0] * 2
    np.testing.assert_allclose(completed[1, 5, 5, :, 0], [1, 1, 1 / 3, 1 / 3, 0, 0, 0, 0])
    assert not completed[2].any()
    # Above a third: IoU 1, 1, 2/4; below 2/4, 2/4, 1. Class 2 has no say.
    assert 1 / 3 < threshold <= 0.5


def test_class_mean_scores():
    scored = records("class_mean", [box(2, "X", "1"), box(4, "Y", "1"), box(3, "Z", "2")])
    assert [row.iou for row in scored] == pytest.approx([1, 2 / 4, 3 / 6])


def test_a_class_without_training_pots_is_named():
    with pytest.raises(ValueError, match=r"X-n002-t0\.vox: no training pot is of its class '3'"):
        records("class_mean", [box(2, "X", "3")])


def test_oracle_takes_the_nearest_of_all_classes():
    # Height 5 is as near to 4 (4/5) as 6 is not (5/6); 3 is nearer to 4 (3/4) than to 2 (2/3).
    scored = records("oracle", [box(5, "X", "1"), box(3, "Y", "2"), box(2, "Z", "2"), TRAIN[0]])
    assert [row.iou for row in scored] == pytest.approx([5 / 6, 3 / 4, 1, 1])
    assert scored[0].mse == pytest.approx(1 / 8)


@pytest.mark.parametrize("seed", range(2))
def test_oracle_is_never_below_another_known_pot(seed):
    rng = np.random.default_rng(seed)
    train = [
        PotFile(
            (rng.random((SIDE,) * 3) < 0.4).astype(np.uint8) * 2, f"{i}.vox", str(i), "1", (8, 8, 8)
        )
        for i in range(20)
    ]
    pots = [box(3, "X", "1"), box(6, "Y", "1")]
    predict, threshold = oracles.make_oracle(train)
    best = protocol.evaluate(predict, protocol.samples(pots), batch_size=2, threshold=threshold)
    for row, pot in zip(best, pots, strict=True):
        truth = pot.labels > 0
        ious = [((t.labels > 0) & truth).sum() / ((t.labels > 0) | truth).sum() for t in train]
        assert row.iou == pytest.approx(max(ious), rel=1e-6)


@pytest.mark.parametrize("method", sorted(oracles.METHODS))
def test_without_training_pots_there_is_no_answer(method):
    with pytest.raises(ValueError, match="no training pots"):
        oracles.METHODS[method]([])


def test_bounds_are_not_among_the_methods():
    assert not oracles.METHODS.keys() & baselines.METHODS.keys()
