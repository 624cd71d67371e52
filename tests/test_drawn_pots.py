"""A model that draws: the mean is the answer, clusters are the others, and the spread is told."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from restored_bowl import MEASURES, report
from round_pots import drawn
from turned_solids import BOWL, polygon, sampled

from configs import profile_flow as config_of_flow
from voxgan_jax import models
from voxgan_jax.drawing.measures import NO_SCALE
from voxgan_jax.inference import completer, predict
from voxgan_jax.inference.answer import Drawn, Request
from voxgan_jax.models import weights
from voxgan_jax.report import record, sizes, spread
from voxgan_jax.restore.pot import restore
from voxgan_jax.scan.pose import Sherd

SIDE, DRAWS = 16, 3
UPRIGHT = [(61 - h, r) for h, r in BOWL]
"""BOWL with its base at high heights, as a grid has it."""


pytestmark = pytest.mark.usefixtures("shallow")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """The weights of a small model that was not trained."""
    config = config_of_flow.get_config()
    config.data.resolution, config.generator.features = SIDE, 4
    config.sample.draws, config.sample.steps = DRAWS, 2
    model = models.build(config.generator)
    empty = jnp.zeros((1, SIDE, SIDE, SIDE, 1))
    variables = jax.jit(lambda key: model.init(key, empty, train=False))(jax.random.key(0))
    rng = np.random.default_rng(0)
    drawn = jax.tree.map(lambda leaf: rng.normal(0, 0.2, leaf.shape).astype(np.float32), variables)
    path = tmp_path_factory.mktemp("flow") / "flow.safetensors"
    weights.save(path, drawn, config)
    return path


@pytest.fixture(scope="module")
def model(file):
    return completer.load(weights_file=file, num_hypotheses=2)


@pytest.fixture(scope="module")
def partial():
    d, h, w = np.indices((SIDE, SIDE, SIDE))
    radius = np.hypot(d - 7.5, h - 7.5)
    sherd = (np.abs(radius - 5) < 1) & (d > 9) & (w > 3) & (w < 12)
    return jnp.asarray(np.stack([sherd, np.flip(sherd, 0)])[..., None], jnp.float32)


def test_the_answer_is_the_mean_of_draws_and_depends_on_nothing_else(file, model, partial):
    mean, halves, axes = map(np.asarray, model.several(partial))
    assert halves.shape == (2, DRAWS, 2 * SIDE, 24) and axes.shape == (2, DRAWS, 2)
    np.testing.assert_array_equal(model.predict(partial), mean)
    assert (mean[np.asarray(partial) > 0] == 1).all() and 0 <= mean.min() <= mean.max() <= 1
    assert np.ptp(halves, axis=1).max() > 0.1
    # Whatever stands in the rows behind it.
    np.testing.assert_allclose(model.predict(partial[:1]), mean[:1], atol=1e-5)
    quick = completer.load(weights_file=file, draws=0)
    assert quick.several is None and quick.quick is None
    at_once = np.asarray(quick.predict(partial))
    np.testing.assert_allclose(model.glance(partial), at_once, atol=1e-6)
    assert np.abs(at_once - mean).max() > 0.01
    more = completer.load(weights_file=file, draws=5, average=8)
    assert more.several is None and more.predict(partial).shape == partial.shape


def test_other_answers_are_clusters_of_draws(model, partial):
    found, shares = map(np.asarray, model.alternatives(partial))
    assert found.shape == (2, *partial.shape) and shares.shape == (2, 2)
    np.testing.assert_allclose(shares.sum(axis=0), 1, rtol=1e-6)
    assert (np.diff(shares, axis=0) <= 0).all()
    # A share is a number of 32 draws.
    np.testing.assert_allclose(shares * 32, np.rint(shares * 32), atol=1e-4)
    assert (found[:, np.asarray(partial) > 0] == 1).all()
    assert np.abs(found[0] - found[1]).max() > 0.01


def test_an_answer_brings_its_draws(model, partial):
    sherd = np.asarray(partial)[0, 2:14, :, 2:, 0].astype(np.uint8)
    (answer,) = predict.complete_batch(model, [Request((Sherd(sherd),))], threshold=0.3)
    assert answer.drawn is not None and answer.drawn.distance.shape == (DRAWS, 2 * SIDE, 24)
    assert answer.drawn.start == (2.0, 0.0, 1.0) and len(answer.hypotheses) == 2
    (whole,) = predict.complete_batch(model, [Request((Sherd(sherd),))], whole_cube=True)
    assert whole.drawn is not None and whole.drawn.start == (0.0, 0.0, 0.0)


def bowls(*heights):
    """Bowls that are so many voxels higher than BOWL, which has 40, on the same base."""
    outlines = ([(50.5 + (h - 50.5) * (1 + more / 40), r) for h, r in UPRIGHT] for more in heights)
    return np.stack([sampled(polygon(*outline)) for outline in outlines])


def test_sizes_have_intervals_and_walls_thin_lines():
    halves = bowls(-4, -2, 0, 2, 4)
    drawn = Drawn(halves, np.full((5, 2), 31.5), (0.0, 0.0, 0.0), 1)
    found = spread.of(drawn, 5.0)
    assert found is not None and found.draws == 5 and found.height_mm is not None
    # Heights of 220, 210, 200, 190 and 180 mm, each of which stands for a fifth.
    assert found.height_mm.half == pytest.approx((187.5, 212.5), abs=1.5)
    assert found.height_mm.most == pytest.approx((180, 220), abs=2)
    assert found.max_diameter_mm and found.rim_diameter_mm and found.by_share is None
    assert found.max_diameter_mm.most == pytest.approx((242, 242), abs=4)
    assert found.rim_diameter_mm is not None
    assert found.rim_diameter_mm.half == pytest.approx((242, 242), abs=4)
    labels = np.zeros((64, 64, 64), np.uint8)
    labels[..., 11:51] = 2
    lines = spread.outlines(drawn, labels, 5.0)
    assert len(lines) == 5
    assert [line[:, 1].max() for line in lines] == pytest.approx([180, 190, 200, 210, 220], abs=3)
    assert all(abs(line[:, 1].min()) < 1.5 for line in lines)
    nothing = Drawn(np.full((2, 128, 72), 3, np.float32), np.zeros((2, 2)), (0.0, 0.0, 0.0), 1)
    assert spread.of(nothing, 5.0) is None
    assert spread.of(drawn._replace(distance=halves[:1]), 5.0) is None
    assert spread.outlines(nothing, labels, 5.0) == []


def sized(height, rim=None):
    return dataclasses.replace(MEASURES, height_mm=height, rim_diameter_mm=rim)


def test_hypotheses_count_by_their_shares_and_none_of_no_draws():
    pots = [
        (sized(100.0), 0.1),
        (sized(120.0, 80.0), 0.8),
        (sized(200.0), 0.1),
        (sized(900.0), 0.0),
    ]
    found = spread.of_hypotheses(pots)
    assert found is not None and (found.draws, found.by_share) == (3, True)
    # In the middle of the shares, at 5, 50 and 95 %, the heights are 100, 120 and 200 mm.
    assert found.height_mm == sizes.Interval(half=(108.889, 164.444), most=(100.0, 200.0))
    assert found.rim_diameter_mm == sizes.Interval(half=(80.0, 80.0), most=(80.0, 80.0))
    # Both ends of the rim are one.
    assert "rim diameter 80.0 mm (80.0 mm)" in spread.sentence(report(spread=found))
    # Of less than half, by shares.
    assert found.capacity_ml is None and spread.of_hypotheses(pots[:1]) is None
    rest = [(sized(100.0, 70.0), 0.4), (sized(120.0), 0.6)]
    told = spread.of_hypotheses(rest)
    assert told is not None and told.rim_diameter_mm is None
    said = spread.sentence(report(spread=found))
    assert said.startswith("Of 3 other possible pots, each counted by its likelihood, half lie")
    assert "height 109–164 mm (100–200 mm)" in said
    assert "height 109–164 voxels (100" in spread.sentence(report(spread=found, scale=NO_SCALE))
    litre = dataclasses.replace(
        found, capacity_ml=sizes.Interval(half=(900.0, 950.0), most=(800.0, 1200.0))
    )
    assert "capacity 900–950 ml (800 ml–1.20 l)" in spread.sentence(report(spread=litre))


def test_report_page_and_section_tell_the_spread(model):
    d, h, w = np.indices((SIDE, SIDE, SIDE))
    radius = np.hypot(d - 7.5, h - 7.5)
    sherd = ((np.abs(radius - 5) < 1.2) & (w > 2) & (w < 14)) | ((radius < 6) & (w > 11) & (w < 14))
    request = Request((Sherd((sherd & (d > 4)).astype(np.uint8), source="a.vox"),))
    (answer,) = predict.complete_batch(model, [request], whole_cube=True, threshold=0.99)
    halves = np.stack([sampled(polygon(*BOWL))[::4, ::3] / 4] * 2)
    answer = answer._replace(drawn=Drawn(halves, np.full((2, 2), 7.5), (0.0, 0.0, 0.0), 1))
    pot = restore(request, answer)
    assert pot.report.spread is not None and pot.report.spread.draws == 2
    again = record.Report.from_json(pot.report.to_json())
    assert again.spread == pot.report.spread
    assert "Of 2 pots that the model drew, half" in spread.sentence(again)
    assert pot.drawing.count('class="spread"') == 1
    assert 'class="spread"' not in drawn(pot.profile)
