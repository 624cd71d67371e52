"""Several answers are scored as defined, each file once, with intervals by pots."""

import jax.numpy as jnp
import numpy as np
import pytest

from scripts.lib import hypothesis_scores, reliability
from voxgan_jax.data.folder import PotFile
from voxgan_jax.evaluation import protocol


def grid(*voxels, side=4):
    volume = np.zeros((side,) * 3, bool)
    for voxel in voxels:
        volume[voxel] = True
    return volume


def pots(count=6, side=8):
    """Slabs at different heights, each broken in two."""
    files = []
    for i in range(count):
        labels = np.zeros((side,) * 3, np.uint8)
        labels[:, :4, i % 3 : 5] = 2
        labels[:, 4:, i % 3 : 5] = 3
        name = f"P{i // 2}-n002-t{i:03d}.vox"
        files.append(PotFile(labels, name, f"P{i // 2}", "1", (side, side, side)))
    return files


def test_mutual_difference_by_hand():
    a, b, c = grid((0, 0, 0), (0, 0, 1)), grid((0, 0, 1), (0, 0, 2)), grid()
    answers = jnp.asarray(np.stack([a, b, c, c]))[:, None, ..., None]
    # Distances: a-b 1 - 1/3; a, b to the empty ones 1; between these 0.
    expected = (2 * 2 / 3 + 2 * 4 * 1.0) / 3
    np.testing.assert_allclose(hypothesis_scores.mutual_difference(answers), [expected], rtol=1e-6)
    np.testing.assert_allclose(hypothesis_scores.mutual_difference(answers[:1]), [0.0])
    # K answers, all apart: each is 1 from the others, so K.
    apart = jnp.asarray(np.stack([grid((0, 0, k)) for k in range(4)]))[:, None, ..., None]
    np.testing.assert_allclose(hypothesis_scores.mutual_difference(apart), [4.0], rtol=1e-6)


def test_fidelity_by_hand():
    given = grid((0, 0, 0), (0, 0, 3))
    kept, lost = grid((0, 0, 0), (0, 0, 3), (1, 1, 1)), grid((0, 0, 0), (2, 0, 1))
    # From (0, 0, 3) the nearest filled voxel of `lost` is (2, 0, 1), √8 away.
    assert hypothesis_scores.fidelity(given, np.stack([kept])) == 0.0
    both = hypothesis_scores.fidelity(given, np.stack([kept, lost]))
    assert both == pytest.approx(np.sqrt(8) / 2)
    assert hypothesis_scores.fidelity(given, np.stack([grid()])) == pytest.approx(np.sqrt(48))


def three_answers(partial):
    """The sherd alone; all below height 5; all below height 6. The second has most weight."""
    height = jnp.arange(partial.shape[3])[None, None, None, :, None]
    answers = [
        partial,
        *(jnp.maximum(partial, (height < top).astype(jnp.float32)) for top in (5, 6)),
    ]
    weight = jnp.asarray([0.2, 0.5, 0.3])[:, None]
    return jnp.stack(answers), jnp.broadcast_to(weight, (3, len(partial)))


def test_scores_of_one_file_by_hand():
    (sample,) = protocol.samples(pots(1))
    result = hypothesis_scores.evaluate(
        lambda partial: 0.9 * partial, three_answers, [sample], batch_size=2
    )
    (row,) = result.scores
    assert row[:4] == (sample.name, "P0", "1", sample.fragment)
    # The pot fills heights 0 to 4, the sherd half of it.
    assert row.single == row.share == pytest.approx(0.5)
    assert row.best == row.first == pytest.approx(1.0)
    assert row.mean == pytest.approx((0.5 + 1.0 + 5 / 6) / 3)
    # Weight 0.8 lies on the pot's own voxels and 0.3 on those above.
    assert row.vote == pytest.approx(1.0)
    distances = 1 - np.array([160 / 320, 160 / 384, 320 / 384])
    assert row.tmd == pytest.approx(2 * distances.sum() / 2)
    assert row.uhd == 0.0
    # Unobserved: 160 of the pot at 0.8, 64 above it at 0.3, 128 at 0.
    table = result.tables[0]
    assert table.sum(axis=0) == pytest.approx([352, 160 * 0.8 + 64 * 0.3, 160])
    assert reliability.ece(table) == pytest.approx((160 * 0.2 + 64 * 0.3) / 352, abs=1e-6)


def test_a_lost_sherd_shows_in_the_scores():
    (sample,) = protocol.samples(pots(1))

    def nothing(partial):
        return jnp.zeros((2, *partial.shape)), jnp.ones((2, len(partial)))

    (row,) = hypothesis_scores.evaluate(lambda partial: partial, nothing, [sample]).scores
    assert row.uhd == pytest.approx(np.sqrt(3 * 8**2))
    assert (row.best, row.tmd) == (0.0, 0.0)


def test_padding_changes_nothing_and_summary_counts_pots():
    results = [
        hypothesis_scores.evaluate(
            lambda partial: partial, three_answers, protocol.samples(pots()), batch_size=size
        )
        for size in (4, 6)
    ]
    assert results[0].scores == results[1].scores
    assert [row.name for row in results[0].scores] == [item.name for item in pots()]
    np.testing.assert_allclose(results[0].tables, results[1].tables)
    summary = hypothesis_scores.summarise(results[0], resamples=200)
    gains = [row.best - row.single for row in results[0].scores]
    assert summary["gain"]["mean"] == pytest.approx(np.mean(gains))
    assert summary["gain"]["low"] <= summary["gain"]["mean"] <= summary["gain"]["high"]
    total = results[0].tables.sum(axis=0)
    assert summary["ece"]["mean"] == pytest.approx(reliability.ece(total))
    assert summary["ece_unsure"]["mean"] == pytest.approx(
        reliability.ece(reliability.unsure(total))
    )
    assert (summary["files"], summary["pots"]) == (6, 3)
    assert list(summary["by_share"]) == ["30+"]
    text = hypothesis_scores.table(summary)
    assert max(map(len, text.splitlines())) <= 80
    assert f"{summary['gain']['mean']:.4f}" in text


def test_one_pot_has_no_interval():
    result = hypothesis_scores.evaluate(
        lambda partial: partial, three_answers, protocol.samples(pots(2))
    )
    summary = hypothesis_scores.summarise(result)
    assert summary["best"]["low"] is None and summary["ece"]["high"] is None
    assert " - – -" in hypothesis_scores.table(summary)


def test_answers_must_be_finite_and_there_must_be_files():
    def broken(partial):
        return three_answers(partial)[0] * jnp.nan, jnp.ones((3, len(partial)))

    with pytest.raises(ValueError, match=r"P0-n002-t000\.vox .*not finite"):
        hypothesis_scores.evaluate(lambda partial: partial, broken, protocol.samples(pots(1)))
    with pytest.raises(ValueError, match="no file"):
        hypothesis_scores.evaluate(lambda partial: partial, three_answers, [])
