"""scripts/evaluate_hypotheses.py with an untrained generator, and what it refuses."""

import csv
import functools
import importlib
import json

import jax
import jax.numpy as jnp
import pytest

from voxgan_jax import models
from voxgan_jax.models import weights


def save_weights(path, name, **changes):
    """Untrained weights of a config at 32³."""
    config = importlib.import_module(f"configs.{name}").get_config()
    config.data.resolution = 32
    config.generator.update({"features": 4, "bottleneck": 8, **changes})
    generator = models.build(config.generator)
    init = jax.jit(functools.partial(generator.init, train=False))
    variables = init(jax.random.key(0), jnp.zeros((1, 32, 32, 32, 1)))
    weights.save(path, {"params": variables["params"]}, config)


def test_evaluate_several_answers(vox_dir, tmp_path):
    from scripts import evaluate_hypotheses

    path, out = tmp_path / "several.safetensors", tmp_path / "out"
    save_weights(path, "revolve_hypotheses", code_size=3)
    options = ["--data_dir", str(vox_dir), "--out", str(out), "--weights", str(path)]
    options += ["--count", "3", "--draws", "4", "--every", "2", "--num_examples", "1"]
    assert evaluate_hypotheses.main(options) == 0
    names = {"metrics.json", "per_file.csv", "reliability.png", "examples.png"}
    assert {item.name for item in out.iterdir()} == names
    summary = json.loads((out / "metrics.json").read_text())
    # Three test pots, each broken twice: every second file is one of each.
    assert (summary["files"], summary["pots"], summary["count"]) == (3, 3, 3)
    assert summary["uhd"]["mean"] == 0.0
    assert summary["best"]["mean"] > summary["mean"]["mean"] - 1e-6  # untrained: much alike
    with (out / "per_file.csv").open() as file:
        rows = list(csv.DictReader(file))
    best = [float(row["best"]) for row in rows]
    assert sum(best) / 3 == pytest.approx(summary["best"]["mean"], abs=1e-5)


def test_a_model_of_one_answer_is_refused(vox_dir, tmp_path, capsys):
    from scripts import evaluate_hypotheses

    path = tmp_path / "one.safetensors"
    save_weights(path, "revolve")
    options = ["--data_dir", str(vox_dir), "--out", str(tmp_path), "--weights", str(path)]
    assert evaluate_hypotheses.main(options) == 1
    assert "gives one answer only; train configs/revolve_hypotheses.py" in capsys.readouterr().err
