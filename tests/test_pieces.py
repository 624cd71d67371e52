"""A pot that the model makes in pieces, from its answer to the files: joined, and said so."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from restored_bowl import report, words
from scipy import ndimage

from voxgan_jax.inference import predict
from voxgan_jax.inference.answer import GIVEN, UNCERTAIN, Request, mark
from voxgan_jax.inference.completer import Completer
from voxgan_jax.report import sentences
from voxgan_jax.report.record import Pieces, Report
from voxgan_jax.restore.pot import restore
from voxgan_jax.scan.pose import Sherd

SIDE = 24
D, H, W = np.indices((SIDE, SIDE, SIDE))
RADIUS = np.hypot(D - 11.5, H - 11.5)
WALL = (np.abs(RADIUS - 8) < 1.5) & (W >= 3) & (W < 19)
BASE = (RADIUS < 9.5) & (W >= 19) & (W < 22)
GAP = WALL & (W >= 12)
SHERD = WALL & (D > 15) & (W < 9)
PLATE = (RADIUS < 4) & (W == 3)


def probabilities(gap):
    volume = np.where(WALL | BASE, 0.9, 0.0)
    volume[GAP] = gap
    volume[PLATE] = 0.95
    return volume.astype(np.float32)


def completer(volume, pool=1, several=False):
    answer = jnp.asarray(volume)[None, ..., None]
    made = Completer(lambda partial: answer, SIDE, pool, "center", 0.45)
    if several:
        shares = jnp.asarray([[1.0]])
        made = made._replace(alternatives=lambda partial: (answer[None], shares))
    return made


@pytest.fixture(scope="module")
def answer():
    request = Request((Sherd(SHERD.astype(np.uint8), source="a/sherd.vox"),))
    made = completer(probabilities(0.2), several=True)
    (answer,) = predict.complete_batch(made, [request])
    return request, answer


def test_the_bridge_is_uncertain_and_what_was_given_stays(answer):
    _, done = answer
    whole = done.labels > 0
    assert ndimage.label(whole)[1] == 1  # pyright: ignore
    np.testing.assert_array_equal(done.labels == GIVEN, SHERD)
    bridge = done.labels == UNCERTAIN
    assert np.abs(RADIUS[bridge] - 8).max() < 2.5
    assert done.pieces[:4] == (3, 1, bridge.sum(), PLATE.sum())
    assert not whole[PLATE].any()
    np.testing.assert_array_equal(whole, (done.belief > 0.5) | SHERD)
    np.testing.assert_array_equal(done.probabilities > 0.45, done.belief > 0.5)
    assert 0.5 < done.belief[bridge].mean() < 0.7
    # However sure its surroundings are, a bridge stays a guess.
    marked = mark(done.labels, np.ones_like(done.belief))
    np.testing.assert_array_equal(marked == UNCERTAIN, bridge)


def test_a_hypothesis_is_joined_too(answer):
    _, done = answer
    (other,) = done.hypotheses
    np.testing.assert_array_equal(other.labels, done.labels)
    np.testing.assert_array_equal(other.belief, done.belief)


def test_blocks_of_a_coarser_model_are_joined_and_counted():
    sherd = np.zeros((48, 48, 48), np.uint8)
    sherd[np.kron(SHERD, np.ones((2, 2, 2), bool))] = 1
    done = predict.complete(completer(probabilities(0.2), pool=2), sherd)
    assert done.pieces is not None and done.pieces[:2] == (3, 1)
    assert done.pieces.added == (done.labels == UNCERTAIN).sum()
    assert done.pieces.dropped == 8 * PLATE.sum()


def test_meshes_report_and_page_are_those_of_the_joined_pot(answer, tmp_path):
    pot = restore(*answer)
    assert len(pot.pot.split()) == 1
    assert len(pot.hypothesis_meshes[0].split()) == 1
    pot.write(tmp_path, ["json"])
    report = json.loads((tmp_path / "sherd.json").read_text())
    found = report["pieces"]
    bridge = int((answer[1].labels == UNCERTAIN).sum())
    assert (found["made"], found["left"], found["bridge_voxels"]) == (3, 1, bridge)
    total = report["given_voxels"] + report["inferred_voxels"]
    assert found["share_bridges"] == pytest.approx(bridge / total, abs=1e-4)
    assert report["uncertain_voxels"] >= bridge
    text = words(Report.from_json(report))
    assert "Joined by a guess" in text and "in 3 pieces" in text
    assert sentences.percent(found["share_bridges"]) in text
    assert found["dropped_voxels"] == PLATE.sum()
    assert found["share_dropped"] == pytest.approx(PLATE.sum() / (total + PLATE.sum()), abs=1e-6)
    assert sentences.percent(found["share_dropped"]) in text and "falls apart" not in text


def test_the_page_says_what_stays_apart_and_nothing_of_a_whole_pot():
    volume = probabilities(0.9)
    volume[PLATE] = 0
    done = predict.complete(completer(volume), SHERD.astype(np.uint8))
    assert done.pieces is not None and done.pieces[:4] == (1, 1, 0, 0)
    assert done.probabilities is not None
    np.testing.assert_array_equal(done.probabilities, volume)
    assert sentences.pieces(report(pieces=Pieces.of(done.pieces, 100))) == []
    assert sentences.pieces(report(pieces=None)) == []
    both = (SHERD | PLATE).astype(np.uint8)
    apart = predict.complete(completer(volume), both)
    assert apart.pieces is not None and apart.pieces[:4] == (2, 2, 0, 0)
    text = str(sentences.pieces(report(pieces=Pieces.of(apart.pieces, 100))))
    assert "In 2 pieces" in text and "falls apart" in text and "guess" not in text
