"""Confidence: sherds that the model understands are told from cubes, noise and furniture."""

import csv

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from voxgan_jax.data import fragments, grid
from voxgan_jax.data.synthetic import pots
from voxgan_jax.data.synthetic.fracture import fracture
from voxgan_jax.evaluation import baselines, confidence_fit, protocol
from voxgan_jax.inference import answer as answers
from voxgan_jax.inference import completer as model
from voxgan_jax.inference import confidence
from voxgan_jax.report import index as index_page
from voxgan_jax.report import overview, page_text
from voxgan_jax.restore import pot as completion
from voxgan_jax.scan import pose

SIDE = 32


@jax.jit
def revolve_softly(partial):
    """Each ring as sure as its share, compared with the fullest ring of its height: no learning."""
    counts = baselines.ring_counts(partial, baselines.COARSE)
    sizes = baselines.ring_counts(jnp.ones_like(partial), baselines.COARSE)
    share = counts / jnp.maximum(sizes, 1)
    relative = share / jnp.maximum(share.max(axis=1, keepdims=True), 1e-6)
    ring = baselines.ring_index(SIDE, baselines.COARSE)
    return jnp.where(partial > 0, 1.0, jnp.take(relative, ring, axis=1)[..., None])


def make_samples(count, seed):
    """One of five fragments of each pot."""
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        labels = grid.place(fracture(rng, pots.make_pot(rng, resolution=SIDE), 5), SIDE)
        ids = fragments.fragment_ids(labels)
        name = f"{seed}-{number}"
        yield protocol.Sample(labels, name, name, "", ids[number % len(ids)], 0.2)


@pytest.fixture(scope="module")
def part():
    completer = model.Completer(revolve_softly, SIDE, 1, "center", 0.5)
    return confidence_fit.calibrate(completer, make_samples(40, 0), batch_size=8)


@pytest.fixture(scope="module")
def rule(part):
    rule = confidence.from_card({"confidence": part})
    assert rule is not None
    return rule


def judge(rule, given):
    answer = np.asarray(revolve_softly(jnp.asarray(given[None, ..., None], jnp.float32)))
    return confidence.judge(rule, confidence.measure(given, answer[0, ..., 0]))


def box(volume, d, h, w):
    volume[slice(*d), slice(*h), slice(*w)] = True


def strange_shapes():
    shapes = {}
    for name in ("cube", "cube on the axis", "chair", "noise", "crumbly block"):
        shapes[name] = np.zeros((SIDE,) * 3, bool)
    box(shapes["cube"], (4, 12), (15, 23), (10, 20))
    box(shapes["cube on the axis"], (11, 21), (11, 21), (11, 21))
    chair = shapes["chair"]
    box(chair, (4, 20), (4, 20), (15, 17))
    box(chair, (4, 20), (4, 6), (2, 17))
    for d, h in ((4, 4), (4, 18), (18, 4), (18, 18)):
        box(chair, (d, d + 2), (h, h + 2), (15, 30))
    rng = np.random.default_rng(0)
    shapes["noise"] |= rng.random((SIDE,) * 3) < 0.05
    shapes["crumbly block"][5:15, 5:15, 5:15] = rng.random((10,) * 3) < 0.3
    return shapes


@pytest.mark.parametrize("name", strange_shapes())
def test_what_is_no_sherd_is_called_strange(rule, name):
    said = judge(rule, strange_shapes()[name])
    assert said.word == "low"
    assert said.sentence.startswith(confidence.STRANGE + ": ")


def test_sherds_of_other_pots_are_not_called_strange(rule):
    said = [judge(rule, sample.labels == sample.fragment) for sample in make_samples(20, 1)]
    strange = [row for row in said if row.sentence.startswith(confidence.STRANGE)]
    assert len(strange) <= 3


def test_the_expected_iou_follows_the_true_one():
    """Of a model that knows the pots, but some only as through a fog."""
    samples = list(make_samples(40, 2))
    fogged = [
        ndimage.gaussian_filter((sample.labels > 0).astype(np.float32), 0.3 + 0.05 * number)
        for number, sample in enumerate(samples)
    ]
    batches = iter(np.stack(fogged).reshape(5, 8, SIDE, SIDE, SIDE, 1))
    completer = model.Completer(lambda partial: jnp.asarray(next(batches)), SIDE, 1, "center", 0.5)
    part = confidence_fit.calibrate(completer, samples, batch_size=8)
    assert part["files"] == part["pots"] == 40
    for half in part["crossed"]:
        assert half["rank_correlation"] > 0.8
        assert half["mean_absolute_error"] < 0.1
        assert sum(said["share"] for said in half["words"].values()) == pytest.approx(1)


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


def test_fit_finds_a_logistic_rule():
    rng = np.random.default_rng(0)
    features = [confidence.Features(*row) for row in rng.random((4000, 7))]
    iou = [1 / (1 + np.exp(-(2 * row.own_iou - 1 * row.thickness))) for row in features]
    rule = confidence.fit(features, iou)
    found = [confidence.expected_iou(rule, row) for row in features]
    np.testing.assert_allclose(found, iou, atol=0.02)
    assert set(rule.bounds) == set(confidence.SUSPICIONS)
    for bounds in rule.bounds.values():
        np.testing.assert_allclose(bounds, [0.005, 0.995], atol=0.01)
    with pytest.raises(ValueError, match="9 answers are too few"):
        confidence.fit(features[:9], iou[:9])


@pytest.mark.parametrize(("iou", "word"), [(0.8, "high"), (0.6, "fair"), (0.3, "low")])
def test_words(iou, word):
    wide = {name: [-9.0, 9.0] for name in confidence.SUSPICIONS}
    none = dict.fromkeys(confidence.Features._fields, 0.0)
    rule = confidence.Rule(float(np.log(iou / (1 - iou))), none, wide)
    said = confidence.judge(rule, confidence.Features(*[0.0] * 7))
    assert said.word == word
    assert said.sentence == f"{word}: expected IoU with the true pot {iou:.2f}"


def test_a_card_without_a_fitting_rule_gives_none(part):
    assert confidence.from_card({}) is None
    assert confidence.from_card({"confidence": part | {"coefficients": {"other": 1.0}}}) is None


def test_one_pot_is_too_few():
    completer = model.Completer(revolve_softly, SIDE, 1, "center", 0.5)
    with pytest.raises(ValueError, match="give two"):
        confidence_fit.calibrate(completer, make_samples(1, 0), batch_size=1)


@pytest.mark.parametrize(
    ("own", "place", "least"),
    [
        ("high", "low", "low"),
        ("high", "fair", "fair"),
        ("fair", "low", "low"),
        ("low", "fair", "low"),
    ],
)
def test_a_doubtful_place_bounds_the_confidence(own, place, least):
    found = confidence.Confidence(own, 0.77, f"{own}: expected IoU with the true pot 0.77")
    bounded = confidence.bounded(found, {"word": place, "confidence": 0.191})
    assert bounded == (
        least,
        0.77,
        f"{least}: the confidence of its place is {place} (0.19); if it lay there as placed, that"
        f" of the pot is {found.sentence}",
    )


@pytest.mark.parametrize("place", [None, {"word": "high", "confidence": 0.9}, {"sentence": "Up."}])
def test_a_sure_place_leaves_the_confidence(place):
    found = confidence.Confidence("high", 0.77, "high: expected IoU with the true pot 0.77")
    assert confidence.bounded(found, place) is found
    assert confidence.bounded(None, place) is None


def test_every_result_shows_the_bounded_confidence():
    share = {"high": 0.9, "low": 0.19}
    reports = {}
    for word, value in share.items():
        placement = pose.Placement(
            np.eye(4), np.zeros(3), np.array([0.0, 0.0, 1.0]), 1.0, 90.0, 80.0, 40.0, -1.0, value
        )
        assert placement.word == word
        labels = np.zeros((8, 8, 8), np.uint8)
        labels[1:7, 1:7, 1:7] = 1
        found = confidence.Confidence("high", 0.77, "high: expected IoU with the true pot 0.77")
        belief = labels.astype(np.float32)
        answer = answers.Answer(labels, 0, (0, 0, 0), belief, belief, found)
        request = answers.Request((pose.Sherd(labels, source="a.stl", placement=placement),))
        pot = completion.restore(request, answer, name=word)
        assert pot.report["confidence"] == (pot.confidence and pot.confidence._asdict())
        reports[word] = pot.report
    page = page_text.confidence(reports["low"])
    assert '<p class="grade">Low</p><p>The confidence of its place is low (0.19); if it' in page
    assert '<p class="grade">High</p><p>Expected IoU' in page_text.confidence(reports["high"])
    index = index_page.index([{"name": word, "report": reports[word]} for word in reports])
    assert ">low <span" in index and "≤\xa00.77</span>" in index
    assert 'data-value="2.77">high <span class="soft">0.77</span>' in index
    lines = list(csv.DictReader(overview.summary(list(reports.values()), []).splitlines()))
    told = [(line["confidence"], line["placement"], line["expected_iou"]) for line in lines]
    assert told == [("high", "high", "0.77"), ("low", "low", "0.77")]
