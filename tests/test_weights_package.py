"""Weights put into the package: how they are packed, what their card says, and that both agree."""

import hashlib
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from configs import smoke
from scripts.lib import weights_package
from voxgan_jax import models
from voxgan_jax.inference import confidence, model_card
from voxgan_jax.inference.completer import load
from voxgan_jax.models import weights

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


def package(source, target, **options):
    known = {"training_data": {"name": "pots", "pots": 9}, "commit": "c0ffee"}
    return weights_package.package(source, target, **known | options)


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
    weights_package.write_card(target, card)
    assert package(run_file, target)["confidence"] == {"intercept": 1.0}
    variables, config = weights.load(run_file)
    weights.save(run_file, jax.tree.map(lambda leaf: leaf + 1, variables), config)
    assert "confidence" not in package(run_file, target)


def test_too_many_weights_leave_what_was_there(run_file, tmp_path, monkeypatch):
    target = tmp_path / "tiny.safetensors"
    package(run_file, target)
    before = target.read_bytes()
    monkeypatch.setattr(weights_package, "MAX_BYTES", 1000)
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


def check_card(weights_file):
    """The card of a weights file tells the truth about it."""
    card = json.loads(model_card.card_path(weights_file).read_text(encoding="utf-8"))
    found = weights_package.describe(weights_file)
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
    assert model_card.path().stat().st_size < weights_package.MAX_BYTES
    assert card["weights"]["storage"] == "float16"
    assert card["training_data"]["doi"] == "10.24963/ijcai.2023/647"
    assert card["metrics"] and card["limits"]
    assert confidence.from_card(card) is not None
    text = model_card.card_path(model_card.path()).read_text(encoding="utf-8")
    assert '"/' not in text
    assert load().resolution == card["config"]["data"]["resolution"] == 64


def test_the_shipped_model_of_several_pots_agrees_with_its_card():
    path = model_card.path(model_card.HYPOTHESES)
    card = check_card(path)
    assert card["config"]["generator"]["kind"] == "revolve_hypotheses"
    assert card["metrics"][0]["gain"]["mean"] > 0.05
    assert card["weights"]["parameters"] == 4_757_776
    assert path.stat().st_size + model_card.path().stat().st_size < weights_package.MAX_BYTES


def test_the_card_of_the_locator_agrees_with_it():
    path = model_card.path(model_card.LOCATOR)
    data = path.read_bytes()
    card = model_card.read_card(path)
    assert card["weights"]["sha256"] == hashlib.sha256(data).hexdigest()
    assert card["weights"]["bytes"] == len(data)
    sizes = [leaf.size for leaf in safetensors.numpy.load(data).values()]
    assert card["weights"]["parameters"] == sum(sizes) == 555_704
    assert card["metrics"] and card["limits"]
    folder = path.parent.glob("*.safetensors")
    assert sum(one.stat().st_size for one in folder) < weights_package.MAX_BYTES
