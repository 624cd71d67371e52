"""The weights in the box: how they are packed, what their card says, and that both agree."""

import hashlib
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from configs import smoke
from voxgan_jax import models
from voxgan_jax.inference import completer as model
from voxgan_jax.inference import confidence, model_card, predict
from voxgan_jax.inference.answer import GIVEN, Request
from voxgan_jax.models import weights
from voxgan_jax.scan.pose import Sherd

SUMMARY = {
    "answer": "/home/someone/run",
    "data_dir": "/home/someone/pots",
    "split": "test",
    "placement": "center",
    "threshold": 0.5,
    "files": 6,
    "pots": 3,
    "iou": {"mean": 0.8, "low": 0.7, "high": 0.9},
    "by_class": {"1": {"files": 6}},
}


@pytest.fixture
def run_file(tmp_path):
    """The weights of an untrained run that knows where it was made."""
    config = smoke.get_config()
    config.data.dir = "/home/someone/pots"
    config.generator.features = 4
    generator = models.build(config.generator)
    init = jax.jit(lambda key: generator.init(key, jnp.zeros((1, 32, 32, 32, 1)), train=False))
    weights.save(tmp_path / weights.RUN_FILE, init(jax.random.key(0)), config)
    return tmp_path / weights.RUN_FILE


def package(source, target, **options):
    known = {"training_data": {"name": "pots", "pots": 9}, "commit": "c0ffee"}
    return model_card.package(source, target, **known | options)


def test_packed_weights_are_the_same_to_half_precision(run_file, tmp_path):
    target = tmp_path / "box" / "tiny.safetensors"
    package(run_file, target)
    whole, half = (weights.load(path)[0] for path in (run_file, target))
    for before, after in zip(jax.tree.leaves(whole), jax.tree.leaves(half), strict=True):
        assert before.dtype == after.dtype == np.float32
        np.testing.assert_allclose(after, before, rtol=2**-11, atol=2**-25)
    assert 0.4 < target.stat().st_size / run_file.stat().st_size < 0.75
    assert [path.name for path in target.parent.iterdir()] == ["tiny.safetensors", "tiny.json"]


def test_the_card(run_file, tmp_path):
    target = tmp_path / "tiny.safetensors"
    card = package(run_file, target, summaries=[SUMMARY])
    check_card(target)
    assert model_card.read_card(target) == card
    assert card["training_data"] == {"name": "pots", "pots": 9}
    assert card["commit"] == "c0ffee"
    (metrics,) = card["metrics"]
    assert metrics["command"] == "scripts/evaluate.py --data_dir DIR --split test --out OUT"
    assert metrics["iou"]["mean"] == 0.8
    assert set(metrics) == {"command", "split", "placement", "threshold", "files", "pots", "iou"}
    assert card["config"]["generator"]["features"] == 4
    assert "someone" not in model_card.card_path(target).read_text()
    assert b"someone" not in target.read_bytes()


def test_packed_again_the_same_weights_keep_their_confidence(run_file, tmp_path):
    target = tmp_path / "tiny.safetensors"
    card = package(run_file, target) | {"confidence": {"intercept": 1.0}}
    model_card.write_card(target, card)
    assert package(run_file, target)["confidence"] == {"intercept": 1.0}
    variables, config = weights.load(run_file)
    weights.save(run_file, jax.tree.map(lambda leaf: leaf + 1, variables), config)
    assert "confidence" not in package(run_file, target)


def test_too_many_weights_leave_what_was_there(run_file, tmp_path, monkeypatch):
    target = tmp_path / "tiny.safetensors"
    package(run_file, target)
    before = target.read_bytes()
    monkeypatch.setattr(model_card, "MAX_BYTES", 1000)
    with pytest.raises(weights.WeightsError, match=r"MB as float16, above the 0 MB"):
        package(run_file, target)
    assert target.read_bytes() == before
    assert not list(tmp_path.glob("*.new"))


def test_scalars_and_turned_arrays_come_back_as_they_were(tmp_path):
    params = {"scale": np.float32(0.3), "kernel": np.arange(6, dtype=np.float32).reshape(2, 3).T}
    for half in (False, True):
        path = tmp_path / "a.safetensors"
        weights.save(path, {"params": params}, smoke.get_config(), half=half)
        found = weights.load(path)[0]["params"]
        assert found["scale"].shape == ()
        np.testing.assert_array_equal(found["kernel"], params["kernel"])
        assert float(found["scale"]) == pytest.approx(0.3, rel=1e-3)


def test_a_number_too_big_for_float16_is_named(tmp_path):
    variables = {"params": {"conv": {"bias": np.array([1.0, 1e5], np.float32)}}}
    with pytest.raises(weights.WeightsError, match="params/conv/bias: a number there does not fit"):
        weights.save(tmp_path / "a.safetensors", variables, smoke.get_config(), half=True)
    assert not list(tmp_path.iterdir())


def test_without_a_name_the_model_of_the_package_is_taken(run_file, tmp_path, monkeypatch):
    target = tmp_path / "tiny.safetensors"
    monkeypatch.setattr(model_card, "path", lambda name=model_card.NAME: target)
    with pytest.raises(FileNotFoundError, match="comes without trained weights; name a file by"):
        model.load()
    wide = {name: [-9.0, 9.0] for name in confidence.SUSPICIONS}
    slopes = dict.fromkeys(confidence.Features._fields, 0.0)
    rule = confidence.Rule(1.5, slopes, wide)
    model_card.write_card(target, package(run_file, target) | {"confidence": rule._asdict()})
    completer = model.load()
    assert completer.resolution == 32
    assert completer.rule == rule
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[4:8, 4:10, 5:15] = 2
    done = predict.complete(completer, labels)
    assert done.confidence is not None
    assert done.confidence.sentence == "high: expected IoU with the true pot 0.82"
    with pytest.raises(ValueError, match="name either a weights file or the folder"):
        model.load(weights_file=run_file, workdir=tmp_path)
    assert model.load(weights_file=run_file).rule is None


@pytest.mark.parametrize("content", ["{", "[1]", "\udcff"])
def test_a_broken_card_is_named_with_the_remedy(content, run_file):
    card = model_card.card_path(run_file)
    card.write_bytes(content.encode("utf-8", "surrogateescape"))
    said = r"generator\.json: not a card.*; put back the card .* or delete this one"
    with pytest.raises(weights.WeightsError, match=said):
        model.load(weights_file=run_file)
    card.unlink()
    assert model.load(weights_file=run_file).rule is None


def test_missing_weights_are_named_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(model_card, "path", lambda name=model_card.NAME: tmp_path / name)
    said = {
        model_card.NAME: "comes without trained weights; name a file by --weights or a run's",
        model_card.HYPOTHESES: "without the model of several pots; leave out --hypotheses, name",
        "other.safetensors": "install voxgan_jax again",
    }
    for name, text in said.items():
        with pytest.raises(FileNotFoundError) as caught:
            model_card.find(name)
        assert str(caught.value).startswith(f"{tmp_path / name}: ") and text in str(caught.value)


def check_card(weights_file):
    """The card of a weights file tells the truth about it."""
    card = json.loads(model_card.card_path(weights_file).read_text(encoding="utf-8"))
    found = model_card.describe(weights_file)
    assert {name: card["weights"][name] for name in found} == found
    variables, config = weights.load(weights_file)
    generator = models.build(config.generator)
    side = config.data.resolution
    shapes = jax.eval_shape(
        lambda key: generator.init(key, jnp.zeros((1, side, side, side, 1)), train=False),
        jax.random.key(0),
    )
    assert jax.tree.map(np.shape, variables) == jax.tree.map(np.shape, shapes)
    assert card["config"] == config.to_dict()
    return card


def test_the_shipped_card_agrees_with_the_shipped_weights():
    card = check_card(model_card.path())
    assert model_card.path().stat().st_size < model_card.MAX_BYTES
    assert card["weights"]["storage"] == "float16"
    assert card["training_data"]["doi"] == "10.24963/ijcai.2023/647"
    assert card["metrics"] and card["limits"]
    assert confidence.from_card(card) is not None
    text = model_card.card_path(model_card.path()).read_text(encoding="utf-8")
    assert '"/' not in text
    assert model.load().resolution == card["config"]["data"]["resolution"] == 64


def test_the_shipped_model_of_several_pots_agrees_with_its_card():
    path = model_card.path(model_card.HYPOTHESES)
    card = check_card(path)
    assert card["config"]["generator"]["kind"] == "revolve_hypotheses"
    assert card["metrics"][0]["gain"]["mean"] > 0.05
    assert card["weights"]["parameters"] == 4_757_776
    assert path.stat().st_size + model_card.path().stat().st_size < model_card.MAX_BYTES


def test_the_card_of_the_locator_agrees_with_it():
    path = model_card.path("locator.safetensors")
    data = path.read_bytes()
    card = model_card.read_card(path)
    assert card["weights"]["sha256"] == hashlib.sha256(data).hexdigest()
    assert card["weights"]["bytes"] == len(data)
    sizes = [leaf.size for leaf in safetensors.numpy.load(data).values()]
    assert card["weights"]["parameters"] == sum(sizes) == 555_704
    assert card["metrics"] and card["limits"]
    folder = path.parent.glob("*.safetensors")
    assert sum(one.stat().st_size for one in folder) < model_card.MAX_BYTES


def test_several_pots_keep_the_sherd_and_differ():
    labels = np.zeros((64, 64, 64), np.uint8)
    labels[4:8, 20:44, 10:40] = 2
    completer = model.load(num_hypotheses=3)
    (answer,) = predict.complete_batch(completer, [Request((Sherd(labels),))])
    assert len(answer.hypotheses) == 3
    shares = [other.share for other in answer.hypotheses]
    assert sum(shares) == pytest.approx(1, abs=1e-3) and shares == sorted(shares, reverse=True)
    for other in answer.hypotheses:
        np.testing.assert_array_equal(other.labels == GIVEN, labels > 0)
    volumes = [other.labels > 0 for other in answer.hypotheses]
    assert (volumes[0] != volumes[1]).sum() > 500


def test_the_shipped_model_says_what_is_no_sherd():
    shapes = np.zeros((3, 64, 64, 64), np.uint8)
    cube, noise, table = shapes
    cube[8:24, 30:46, 20:40] = 2
    noise[np.random.default_rng(0).random(noise.shape) < 0.05] = 2
    table[8:56, 8:56, 10:14] = 2
    for d, h in ((8, 8), (8, 52), (52, 8), (52, 52)):
        table[d : d + 4, h : h + 4, 10:54] = 2
    requests = [Request((Sherd(shape),)) for shape in shapes]
    for done in predict.complete_batch(model.load(), requests):
        assert done.confidence is not None
        assert done.confidence.sentence.startswith(confidence.STRANGE)
