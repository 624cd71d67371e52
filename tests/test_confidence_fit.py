"""The fitted rule: sherds that the model understands are told from cubes, noise and furniture."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from scripts.lib import baselines, confidence_fit
from voxgan_jax.data import fragments, grid
from voxgan_jax.data.synthetic import pots
from voxgan_jax.evaluation import protocol
from voxgan_jax.geometry import wheel
from voxgan_jax.inference import confidence
from voxgan_jax.inference.completer import Completer
from voxgan_jax.pottery.fracture import fracture

SIDE = 32


@jax.jit
def revolve_softly(partial):
    """Each ring as sure as its share, compared with the fullest ring of its height: no learning."""
    counts = baselines.ring_counts(partial, baselines.COARSE)
    sizes = baselines.ring_counts(jnp.ones_like(partial), baselines.COARSE)
    share = counts / jnp.maximum(sizes, 1)
    relative = share / jnp.maximum(share.max(axis=1, keepdims=True), 1e-6)
    ring = wheel.nearest_rings(SIDE, baselines.COARSE)
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
    completer = Completer(revolve_softly, SIDE, 1, "center", 0.5)
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
    completer = Completer(lambda partial: jnp.asarray(next(batches)), SIDE, 1, "center", 0.5)
    part = confidence_fit.calibrate(completer, samples, batch_size=8)
    assert part["files"] == part["pots"] == 40
    for half in part["crossed"]:
        assert half["rank_correlation"] > 0.8
        assert half["mean_absolute_error"] < 0.1
        assert sum(said["share"] for said in half["words"].values()) == pytest.approx(1)


def test_fit_finds_a_logistic_rule():
    rng = np.random.default_rng(0)
    features = [confidence.Features(*row) for row in rng.random((4000, 7))]
    iou = [1 / (1 + np.exp(-(2 * row.own_iou - 1 * row.thickness))) for row in features]
    rule = confidence_fit.fit(features, iou)
    found = [confidence.expected_iou(rule, row) for row in features]
    np.testing.assert_allclose(found, iou, atol=0.02)
    assert set(rule.bounds) == set(confidence.SUSPICIONS)
    for bounds in rule.bounds.values():
        np.testing.assert_allclose(bounds, [0.005, 0.995], atol=0.01)
    with pytest.raises(ValueError, match="9 answers are too few"):
        confidence_fit.fit(features[:9], iou[:9])


def test_one_pot_is_too_few():
    completer = Completer(revolve_softly, SIDE, 1, "center", 0.5)
    with pytest.raises(ValueError, match="give two"):
        confidence_fit.calibrate(completer, make_samples(1, 0), batch_size=1)


def test_a_card_without_a_fitting_rule_gives_none(part):
    assert confidence.from_card({}) is None
    assert confidence.from_card({"confidence": part | {"coefficients": {"other": 1.0}}}) is None
