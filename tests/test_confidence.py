"""Confidence: what is measured about an answer, and how it is said."""

import csv

import numpy as np
import pytest
from restored_bowl import words

from voxgan_jax.inference import confidence
from voxgan_jax.inference.answer import Answer, Request
from voxgan_jax.report import overview
from voxgan_jax.restore import pot as completion
from voxgan_jax.scan import pose

SIDE = 32
MATRIX = np.diag([10.0, 10.0, 10.0, 1.0])  # voxels of 10 mm


def box(volume, d, h, w):
    volume[slice(*d), slice(*h), slice(*w)] = True


def placement(share):
    up = np.array([0.0, 0.0, 1.0])
    return pose.Placement(np.eye(4), np.zeros(3), up, 1.0, 90.0, 80.0, 40.0, -1.0, share)


def test_features_of_a_known_answer():
    """A tube about the axis, its wall at radii from 8 to 12, of which one half is given."""
    offset = np.arange(SIDE) - (SIDE - 1) / 2
    radius = np.hypot(offset[:, None], offset[None, :])
    tube = np.repeat(((radius > 8) & (radius < 12))[:, :, None], SIDE, axis=2)
    tube[..., :10] = tube[..., 20:] = False
    given = tube & (offset > 0)[:, None, None]
    features = confidence.measure(given, np.where(tube, 0.8, 0.0))
    # Given: 1; the other half: 0.8; nothing outside.
    assert features.own_iou == pytest.approx(0.9)
    assert features.log_share == pytest.approx(np.log10(0.5))
    assert features.filled == 1.0
    # Rings of a voxel's width reach a little beyond the wall.
    assert 0.6 < features.support < 0.8
    assert 2 < features.thickness < 4
    assert features.log_piece == pytest.approx(np.log10(given.sum()))
    assert features.branches == 1.0
    lacking = given.copy()
    lacking[..., 10:15] &= (radius > 10)[:, :, None]
    features = confidence.measure(lacking, np.where(tube, 0.8, 0.0))
    assert features.filled == pytest.approx(lacking.sum() / given.sum(), abs=0.02)


def test_legs_are_branches_and_several_sherds_are_not():
    legs = np.zeros((SIDE,) * 3, bool)
    for d, h in ((4, 4), (4, 26), (26, 4), (26, 26)):
        box(legs, (d, d + 2), (h, h + 2), (4, 20))
    assert confidence.measure(legs, np.zeros((SIDE,) * 3)).branches == 1.0
    box(legs, (4, 28), (4, 28), (0, 4))
    # One run at four heights, four at sixteen.
    assert confidence.measure(legs, np.zeros((SIDE,) * 3)).branches == pytest.approx(3.4)


def test_a_whole_pot_has_nothing_to_ask():
    everything = np.ones((16, 16, 16), bool)
    features = confidence.measure(everything, np.ones((16, 16, 16)))
    assert (features.own_iou, features.log_share, features.support) == (1.0, 0.0, 1.0)


@pytest.mark.parametrize(("iou", "word"), [(0.8, "high"), (0.6, "fair"), (0.3, "low")])
def test_words(iou, word):
    wide = {name: [-9.0, 9.0] for name in confidence.SUSPICIONS}
    none = dict.fromkeys(confidence.Features._fields, 0.0)
    rule = confidence.Rule(float(np.log(iou / (1 - iou))), none, wide)
    said = confidence.judge(rule, confidence.Features(*[0.0] * 7))
    assert said.word == word
    assert said.sentence == f"{word}: expected overlap with the true pot {iou:.2f}"


@pytest.mark.parametrize(
    ("own", "place", "share", "least"),
    [
        ("high", "low", 0.191, "low"),
        ("high", "fair", 0.411, "fair"),
        ("fair", "low", 0.191, "low"),
        ("low", "fair", 0.411, "low"),
    ],
)
def test_a_doubtful_place_bounds_the_confidence(own, place, share, least):
    found = confidence.Confidence(own, 0.77, f"{own}: expected overlap with the true pot 0.77")
    bounded = confidence.bounded(found, placement(share))
    assert bounded == (
        least,
        0.77,
        f"{least}: the confidence of its place is {place} ({share:.2f}); if it lay there as"
        f" placed, that of the pot is {found.sentence}",
    )


@pytest.mark.parametrize("share", [None, 0.9])
def test_a_sure_place_leaves_the_confidence(share):
    place = share and placement(share)
    found = confidence.Confidence("high", 0.77, "high: expected overlap with the true pot 0.77")
    assert confidence.bounded(found, place) is found
    assert confidence.bounded(None, place) is None


def test_every_result_shows_the_bounded_confidence():
    share = {"high": 0.9, "low": 0.19}
    reports = {}
    for word, value in share.items():
        place = placement(value)
        assert place.word == word
        labels = np.zeros((8, 8, 8), np.uint8)
        labels[1:7, 1:7, 1:7] = 1
        found = confidence.Confidence("high", 0.77, "high: expected overlap with the true pot 0.77")
        belief = labels.astype(np.float32)
        answer = Answer(labels, 0, (0, 0, 0), belief, belief, found)
        request = Request((pose.Sherd(labels, (), "a.stl", MATRIX, placement=place),))
        pot = completion.restore(request, answer, name=word)
        assert pot.report.confidence == pot.confidence
        reports[word] = pot.report
    page = words(reports["low"])
    assert '<p class="grade">Low</p><p>The confidence of its place is low (0.19); if it' in page
    assert '<p class="grade">High</p><p>Expected overlap' in words(reports["high"])
    index = overview.index([overview.Row(report, "", "") for report in reports.values()])
    assert ">low <span" in index and "≤&nbsp;0.77</span>" in index
    assert 'data-value="2.77">high <span class="soft">0.77</span>' in index
    lines = list(csv.DictReader(overview.summary(list(reports.values()), []).splitlines()))
    told = [(line["confidence"], line["placement"], line["expected_iou"]) for line in lines]
    assert told == [("high", "high", "0.77"), ("low", "low", "0.77")]
