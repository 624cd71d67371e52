"""scripts/evaluate_hypotheses.py with an untrained generator, and what it refuses."""

import csv
import functools
import importlib
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known_objectives import with_fewer_levels

from voxgan_jax import models
from voxgan_jax.models import weights


def save_weights(path, name, **changes):
    """Weights of a config at 16³, drawn here: to compile how a network begins takes long."""
    config = importlib.import_module(f"configs.{name}").get_config()
    config.data.resolution, config.data.pool = 16, 2
    config.generator.update({"features": 4, "bottleneck": 8, **changes})
    generator = models.build(config.generator)
    init = functools.partial(generator.init, train=False)
    made = jax.eval_shape(init, jax.random.key(0), jnp.zeros((1, 16, 16, 16, 1)))["params"]
    rng = np.random.default_rng(0)
    draw = lambda leaf: rng.normal(0, 0.1, leaf.shape).astype(leaf.dtype)  # noqa: E731
    weights.save(path, {"params": jax.tree.map(draw, made)}, config)


def test_evaluate_several_answers(vox_dir, tmp_path, monkeypatch):
    from scripts import evaluate_hypotheses

    with_fewer_levels(monkeypatch)

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
