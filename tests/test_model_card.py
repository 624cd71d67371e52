"""The weights in the box: found, named where they are missing, and what their card brings."""

import shutil

import numpy as np
import pytest

from scripts.lib import weights_package
from voxgan_jax.inference import confidence, model_card, predict
from voxgan_jax.inference.answer import GIVEN, Request
from voxgan_jax.inference.completer import load
from voxgan_jax.models import weights
from voxgan_jax.scan.pose import Sherd


def test_without_a_name_the_model_of_the_package_is_taken(run_file, tmp_path, monkeypatch):
    target = tmp_path / "tiny.safetensors"
    monkeypatch.setattr(model_card, "path", lambda name=model_card.NAME: target)
    with pytest.raises(FileNotFoundError, match="comes without trained weights; name a file by"):
        load()
    wide = {name: [-9.0, 9.0] for name in confidence.SUSPICIONS}
    slopes = dict.fromkeys(confidence.Features._fields, 0.0)
    rule = confidence.Rule(1.5, slopes, wide)
    shutil.copy(run_file, target)
    weights_package.write_card(target, {"confidence": rule._asdict()})
    completer = load()
    assert completer.resolution == 32
    assert completer.rule == rule
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[4:8, 4:10, 5:15] = 2
    done = predict.complete(completer, labels)
    assert done.confidence is not None
    assert done.confidence.sentence == "high: expected overlap with the true pot 0.82"
    with pytest.raises(ValueError, match="name either a weights file or the folder"):
        load(weights_file=run_file, workdir=tmp_path)
    assert load(weights_file=run_file).rule is None


@pytest.mark.parametrize("content", ["{", "[1]", "\udcff"])
def test_a_broken_card_is_named_with_the_remedy(content, run_file):
    card = model_card.card_path(run_file)
    card.write_bytes(content.encode("utf-8", "surrogateescape"))
    said = r"generator\.json: not a card.*; put back the card .* or delete this one"
    with pytest.raises(weights.WeightsError, match=said):
        load(weights_file=run_file)
    card.unlink()
    assert load(weights_file=run_file).rule is None


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


def test_several_pots_keep_the_sherd_and_differ():
    labels = np.zeros((64, 64, 64), np.uint8)
    labels[4:8, 20:44, 10:40] = 2
    completer = load(num_hypotheses=3)
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
    for done in predict.complete_batch(load(), requests):
        assert done.confidence is not None
        assert done.confidence.sentence.startswith(confidence.STRANGE)
