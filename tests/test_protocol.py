"""The protocol counts each file once and scores it as defined."""

import os

import jax.numpy as jnp
import numpy as np
import pytest

from scripts.lib import baselines, surface_scores
from scripts.lib import summary as report
from voxgan_jax.data import folder
from voxgan_jax.data.folder import PotFile
from voxgan_jax.evaluation import protocol

# By hand: sha256 of these names, first 8 bytes modulo 2, gives the fragment of [2, 3].
FIXED = {"AL_01-n002-t1600000000.vox": 2, "AL_01-n003-t1600000001.vox": 3}


def pot_file(name="AL_01-n002-t1600000000.vox", side=4):
    """Two fragments of 4 and 3 voxels and a crumb."""
    labels = np.zeros((side, side, side), np.uint8)
    labels[0, :4, 0] = 2
    labels[1, :3, 0] = 3
    labels[2, 2, 2] = 1
    return PotFile(labels, name, name[:5], "1", (4, 4, 3))


def random_pots(count, side=8):
    rng = np.random.default_rng(1)
    return [
        PotFile(
            (rng.integers(1, 5, (side,) * 3) * (rng.random((side,) * 3) < 0.2)).astype(np.uint8),
            f"P{i // 2}-n004-t{i:03d}.vox",
            f"P{i // 2}",
            str(1 + i % 3),
            (side, side, side),
        )
        for i in range(count)
    ]


@pytest.mark.parametrize(("name", "fragment"), FIXED.items())
def test_samples_give_the_fixed_fragment_and_its_share(name, fragment):
    (sample,) = protocol.samples([pot_file(name)])
    assert sample.fragment == fragment
    assert sample.share == pytest.approx({2: 4 / 8, 3: 3 / 8}[fragment])
    assert (sample.name, sample.pot, sample.category) == (name, "AL_01", "1")


def test_a_pot_without_voxels_is_named():
    empty = pot_file()._replace(labels=np.zeros((4, 4, 4), np.uint8), name="empty.vox")
    with pytest.raises(ValueError, match=r"empty\.vox"):
        list(protocol.samples([empty]))


def test_batches_are_padded_to_one_size():
    batches = list(protocol.batches(protocol.samples(random_pots(7)), 3))
    assert [batch.labels.shape for batch in batches] == [(3, 8, 8, 8)] * 3
    assert [batch.mask.tolist() for batch in batches] == [[True] * 3] * 2 + [[True, False, False]]
    assert [len(batch.samples) for batch in batches] == [3, 3, 1]
    assert not batches[2].labels[1:].any() and not batches[2].given[1:].any()
    assert np.flatnonzero(batches[0].given[0]).tolist() == [batches[0].samples[0].fragment]


def test_scores_of_one_file_by_hand():
    # Given 4 of 8 voxels at 0.9, nothing else: IoU 4/8, Dice 8/12, MSE (4·0.01 + 4)/64.
    (row,) = protocol.evaluate(
        lambda partial: 0.9 * partial, protocol.samples([pot_file()]), batch_size=2
    )
    assert row[:4] == ("AL_01-n002-t1600000000.vox", "AL_01", "1", 2)
    expected = (0.5, 4 / 8, 8 / 12, 4.04 / 64, 0)
    assert row[4:9] == pytest.approx(expected, rel=1e-6)
    assert row[9:] == (None, None)


def test_surfaces_of_one_file_by_hand():
    (row,) = protocol.evaluate(
        lambda partial: 0.9 * partial,
        protocol.samples([pot_file()]),
        score=surface_scores.with_surfaces,
    )
    (plain,) = protocol.evaluate(lambda partial: 0.9 * partial, protocol.samples([pot_file()]))
    assert row[:-2] == plain[:-2]
    # Answered: a line of 4. Missing beside it: a line of 3, each 1 away, and a crumb at (2, 2, 2),
    # √8 away. The answer's own voxels are all right.
    assert row.chamfer == pytest.approx((0 + (3 + np.sqrt(8)) / 8) / 2)
    assert row.f_score == pytest.approx(2 * (7 / 8) / (1 + 7 / 8))


def test_an_informed_answer_sees_the_batch():
    def truth(partial, batch):
        assert batch.mask.tolist() == [True, False]
        return jnp.asarray(batch.labels[..., None] > 0, jnp.float32)

    (row,) = protocol.evaluate(
        protocol.Informed(truth), protocol.samples([pot_file()]), batch_size=2
    )
    assert (row.iou, row.mse, row.missing_iou) == (1, 0, 1)


def test_the_threshold_applies():
    samples = list(protocol.samples([pot_file()]))
    (row,) = protocol.evaluate(lambda partial: 0.9 * partial, samples, threshold=0.95)
    assert (row.iou, row.dice) == (0, 0)


def test_padding_does_not_change_the_records():
    runs = [
        protocol.evaluate(
            baselines.revolve, protocol.samples(random_pots(7)), batch_size=batch_size
        )
        for batch_size in (3, 7)
    ]
    assert runs[0] == runs[1]
    assert [row.name for row in runs[0]] == [item.name for item in random_pots(7)]
    assert len({row.iou for row in runs[0]}) == 7


def test_only_one_batch_is_read_ahead():
    read, answered = [], []

    def progress(samples):
        for sample in samples:
            read.append(sample.name)
            yield sample

    def predict(partial):
        answered.append(len(read))
        return partial

    protocol.evaluate(predict, protocol.samples(random_pots(7)), batch_size=2, progress=progress)
    assert answered == [2, 4, 6, 7]


def test_low_precision_answers_are_scored_in_float32():
    (row,) = protocol.evaluate(
        lambda partial: partial.astype(jnp.bfloat16), protocol.samples([pot_file()])
    )
    assert row.mse == pytest.approx(4 / 64, rel=1e-6)


def test_an_answer_that_is_not_finite_is_an_error():
    with pytest.raises(ValueError, match=r"AL_01-n002-t1600000000\.vox .*not finite"):
        protocol.evaluate(lambda partial: partial * jnp.nan, protocol.samples([pot_file()]))


@pytest.mark.skipif("VOXGAN_DATA" not in os.environ, reason="VOXGAN_DATA names no real .vox files")
def test_revolve_on_real_pots():
    items = folder.scan(os.environ["VOXGAN_DATA"])
    spread = items[:: max(1, len(items) // 48)]
    samples = list(protocol.samples(map(folder.read, spread)))
    means = {}
    for method in ("fragment", "revolve"):
        predict, threshold = baselines.make(method)
        records = protocol.evaluate(predict, samples, threshold=threshold)
        means[method] = report.summarise(records)["iou"]["mean"]
    assert 0.05 < means["fragment"] < 0.5
    assert means["fragment"] + 0.1 < means["revolve"] < 0.92
