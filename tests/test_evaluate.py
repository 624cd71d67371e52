"""scripts/evaluate.py: what its options change; models are stood in for by simple answers."""

import csv
import json

import pytest

from scripts import evaluate
from scripts.lib import baselines
from scripts.lib import shifted as shifted_pots
from voxgan_jax.evaluation import protocol
from voxgan_jax.inference.completer import Completer


@pytest.fixture
def score(vox_dir, tmp_path):
    """Runs the script on the test split; returns the summary and the rows of per_file.csv."""

    def run(*options):
        options = ["--data_dir", str(vox_dir), "--out", str(tmp_path), *options]
        assert evaluate.main([*options, "--num_examples", "0"]) == 0
        summary = json.loads((tmp_path / "metrics.json").read_text())
        with (tmp_path / "per_file.csv").open(newline="") as file:
            return summary, list(csv.DictReader(file))

    return run


@pytest.fixture
def loaded(monkeypatch):
    """Stands a model in by revolving; returns what it was loaded with."""
    asked = {}

    def load(**options):
        asked.update(options)
        return Completer(baselines.revolve, 32, 1, "center", 0.5)

    monkeypatch.setattr(evaluate.completer, "load", load)
    return asked


def test_a_coarser_model_is_scored_in_finer_voxels(score, monkeypatch):
    coarse = Completer(baselines.revolve, 16, 2, "center", 0.5)
    monkeypatch.setattr(evaluate.completer, "load", lambda **_: coarse)
    found = {
        side: score("--resolution", side, "--pool", str(32 // int(side))) for side in ("16", "32")
    }
    assert [summary["resolution"] for summary, _ in found.values()] == [16, 32]
    own, finer = (summary["iou"]["mean"] for summary, _ in found.values())
    assert 0.1 < finer < own


@pytest.mark.parametrize("method", ["vote8", "oracle"])
def test_methods_that_know_pots(score, method):
    summary, rows = score("--method", method, "--resolution", "32", "--split", "train")
    assert summary["answer"] == method
    assert len(rows) == summary["files"] > 6
    assert 0.1 < summary["iou"]["mean"] < 0.9
    assert "chamfer" not in rows[0] and "chamfer" not in summary


def test_a_class_that_no_training_pot_is_of(vox_dir, tmp_path, capsys):
    # The train split is scored, so only the validation pots are known.
    options = ["--data_dir", str(vox_dir), "--out", str(tmp_path), "--split", "train"]
    assert evaluate.main([*options, "--resolution", "32", "--method", "class_mean"]) == 1
    (message,) = capsys.readouterr().err.strip().splitlines()[-1:]
    assert message.startswith("evaluate.py: SY_") and "no training pot is of its class" in message
    assert not list(tmp_path.iterdir())


def test_the_oracle_is_no_worse_than_what_it_bounds(score):
    known = ["--resolution", "32", "--split", "test"]
    best, nearest = (score("--method", name, *known)[1] for name in ("oracle", "retrieval"))
    assert all(float(a["iou"]) >= float(b["iou"]) for a, b in zip(best, nearest, strict=True))


def test_no_picture_of_an_answer_that_knows_the_truth(vox_dir, tmp_path):
    options = ["--data_dir", str(vox_dir), "--out", str(tmp_path), "--resolution", "32"]
    assert evaluate.main([*options, "--method", "oracle", "--num_examples", "1"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.json", "per_file.csv"]


def test_surface_adds_its_scores(score):
    summary, rows = score("--method", "revolve_fine", "--resolution", "32", "--surface")
    chamfer = [float(row["chamfer"]) for row in rows]
    assert summary["chamfer"]["mean"] == pytest.approx(sum(chamfer) / len(chamfer), rel=1e-4)
    assert min(chamfer) > 0 and max(chamfer) < 31 * 3**0.5
    assert 0 < summary["f_score"]["mean"] < 1
    assert summary["by_class"]["1"]["f_score"]["mean"] > 0


def test_a_model_keeps_its_placement_unless_told(score, loaded, vox_dir):
    summary, rows = score("--weights", "w.safetensors", "--average", "8")
    assert summary["placement"] == "center"
    assert (str(loaded["weights_file"]), loaded["average"]) == ("w.safetensors", 8)
    shifted, other = score("--weights", "w.safetensors", "--placement", "shifted")
    assert (shifted["placement"], shifted["resolution"]) == ("shifted", 32)
    # The same fragments of the same files, but a revolving that does not know the axis fails.
    assert [row["fragment"] for row in rows] == [row["fragment"] for row in other]
    assert shifted["iou"]["mean"] < summary["iou"]["mean"] - 0.1
    pots = shifted_pots.open_split(vox_dir, "test", resolution=32, placement="shifted").pots
    expected = protocol.evaluate(baselines.revolve, protocol.samples(pots))
    assert [float(row["iou"]) for row in other] == pytest.approx(
        [r.iou for r in expected], rel=1e-4
    )


def test_without_a_model_the_package_s_own_is_scored(score, loaded):
    summary, _ = score()
    assert set(loaded) == {"weights_file", "workdir", "dtype", "average", "draws"}
    assert set(loaded.values()) == {None}
    assert summary["answer"] == "the package's weights"


def test_the_placement_is_said(score, capsys):
    score("--method", "fragment", "--resolution", "32", "--placement", "shifted")
    assert "shifted placement" in capsys.readouterr().out
