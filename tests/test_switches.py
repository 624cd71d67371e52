"""The parts of the axis-aware model switched one at a time: runs, commands, differences, table."""

import json

import in_process
import numpy as np
import pytest
import safetensors.numpy

from configs import revolve
from scripts import ablation_revolve as script
from scripts.lib import summary
from scripts.lib.ablation import runs, session, switches, switches_report
from voxgan_jax.evaluation.protocol import Record


@pytest.mark.parametrize("name", switches.PARTS)
def test_a_part_is_left_out_or_put_in(name):
    part = switches.PARTS[name]
    config = switches.apply(revolve.get_config(), part.on)
    assert switches.has(config, part)
    title, fields = switches.switched(config, part)
    assert title == f"without {part.title}"
    switches.apply(config, fields)
    assert not switches.has(config, part)
    title, fields = switches.switched(config, part)
    assert (title, fields) == (f"with {part.title}", dict(part.on))
    assert switches.has(switches.apply(config, fields), part)


def test_fields_go_to_the_command_line_and_back():
    fields = {"loss.recon": "l1", "data.augment": True, "seed": 3, "optim.b1": 1e-05, "x": ""}
    overrides = switches.write_overrides(fields)
    assert overrides[:2] == ["--config.loss.recon=l1", "--config.data.augment=True"]
    assert switches.read_overrides(overrides) == fields
    with pytest.raises(ValueError, match=r"--config\.FIELD=VALUE: .*feature"):
        switches.apply(revolve.get_config(), {"generator.feature": 3})
    with pytest.raises(ValueError, match=r"--config\.FIELD=VALUE: "):
        switches.apply(revolve.get_config(), {"generator.features": "many"})


def write_weights(run_dir, parameters):
    arrays = {
        "params/a/kernel": np.zeros((parameters - 10, 1), np.float16),
        "params/a/bias": np.zeros(10, np.float16),
        "batch_stats/a/mean": np.zeros(77, np.float32),
    }
    run_dir.mkdir(parents=True, exist_ok=True)
    safetensors.numpy.save_file(arrays, run_dir / "generator.safetensors")


@pytest.mark.parametrize(
    ("parameters", "features"), [(6_168_641, 32), (1_543_000, 16), (900_000, 12), (11, 1)]
)
def test_the_unet_gets_features_for_as_many_parameters(tmp_path, parameters, features):
    write_weights(tmp_path, parameters)
    assert switches.count_parameters(tmp_path) == parameters
    assert switches.features_like(tmp_path) == features
    with pytest.raises(switches.NoFullModelError, match="train it first"):
        switches.features_like(tmp_path / "no")


def planned(tmp_path, *options):
    """The commands of all parts of one seed, as `ablate` would run them."""
    args, overrides = script.parse(["--out", str(tmp_path), "--seeds", "4", *options])
    base = script.full_model(args, overrides)
    config = switches.apply(script.read_config(args.config), base)
    return {
        part: script.make_commands(part, 4, args, config, base, tmp_path / "pots.npz")
        for part in (switches.FULL, *args.parts)
    }


def test_the_runs_differ_from_the_full_one_in_one_part(tmp_path):
    write_weights(tmp_path / "full_seed4", 1_543_000)
    commands = planned(
        tmp_path, "--data_dir", "pots.npz", "--num_train_steps", "70",
        "--config.generator.residual_features=6", "--config.objective=regression",
    )  # fmt: skip
    train = {part: set(of["train"]) for part, of in commands.items() if "train" in of}
    full = train.pop("full")
    assert full >= {
        "--config.seed=4", "--config.train.num_train_steps=70", "--config.data.train_split=train",
        "--config.eval.split=", "--config.generator.residual_features=6",
        "--config.data.source=resident", f"--config.data.dir={tmp_path}/pots.npz",
    }  # fmt: skip
    changed = {
        part: fields - full - {str(tmp_path / f"{part}_seed4")} for part, fields in train.items()
    }
    assert changed == {
        "revolving": {
            "--config.generator.kind=unet", "--config.generator.features=16",
            "--config.loss.profile_weight=0.0", "--config.loss.recon=bce_dice",
            "--config.loss.recon_weight=1.0",
        },
        "half_rings": {"--config.generator.ring_width=1.0"},
        "residual": {"--config.generator.residual_features=0"},
        "adversarial": {"--config.objective=gan", "--config.loss.adversarial_weight=0.01"},
        "augmentation": {
            "--config.data.augment=False", "--config.data.scale_radius=0.0",
            "--config.data.scale_height=0.0", "--config.fragments.max_k=0",
        },
        "synthetic": {"--config.data.synthetic_pots=300"},
    }  # fmt: skip
    # Each field is set once.
    for of in commands.values():
        names = [text.split("=")[0] for text in of.get("train", ()) if text.startswith("--config.")]
        assert len(names) == len(set(names))
    # Averaging is a matter of scoring alone.
    assert list(commands["averaging"]) == ["evaluate"]
    one, eight = commands["averaging"]["evaluate"], commands["full"]["evaluate"]
    assert one[one.index("--average") + 1] == "1" and eight[eight.index("--average") + 1] == "8"
    assert one[one.index("--workdir") + 1] == eight[eight.index("--workdir") + 1]
    assert eight[3:5] == ["--split", "validation"]


def test_quick_is_small_and_the_unet_needs_the_full_model(tmp_path):
    with pytest.raises(switches.NoFullModelError, match="full_seed4: its number of parameters"):
        planned(tmp_path, "--quick")
    commands = planned(tmp_path, "--quick", "--parts", "synthetic", "--config.generator.features=4")
    assert list(commands) == ["full", "synthetic"]
    assert set(commands["synthetic"]["train"]) >= {
        "--config.data.synthetic_pots=40", "--config.generator.features=4",
        "--config.data.resolution=32", "--config.train.num_train_steps=300",
    }  # fmt: skip


def test_what_cannot_be_is_said_in_one_line(tmp_path, monkeypatch, capsys):
    keep_to_itself(monkeypatch)
    out = ["--out", str(tmp_path / "out"), "--data_dir", str(tmp_path)]
    for options, message in (
        (["--config.seed=3"], "--config.seed is set by ablation_revolve.py itself"),
        (["--config", "configs/no.py"], "configs/no.py"),
        (["--config", "configs/__init__.py"], "configs/__init__.py"),
    ):
        assert script.main([*out, *options]) == 1
        assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def record(pot, name, iou):
    return Record(name, pot, "4", 2, 0.25, iou, iou + 0.125, 0.5 - iou / 2, iou / 2)


def scores(*ious):
    names = [("A", "a1"), ("A", "a2"), ("B", "b1"), ("B", "b2")]
    return [record(*name, iou) for name, iou in zip(names, ious, strict=True)]


FULL = {0: scores(0.5, 0.75, 0.5, 0.75), 1: scores(0.5, 0.5, 0.75, 0.75)}
WITHOUT = {0: scores(0.25, 0.5, 0.25, 0.5), 1: scores(0.25, 0.25, 0.25, 0.25)}


def fake_run(run, commands, split, root, say):
    """Leaves what a run leaves; that without the 3D stage fails for seed 1."""
    part = run.folder.name.partition("_seed")[0]
    if (part, run.seed) == ("residual", 1):
        return False
    if "train" in commands:
        write_weights(run.folder, 1000)
    averaged = commands["evaluate"][-1] == "8"
    rows = (FULL if part == "full" and averaged else WITHOUT)[run.seed]
    place = {"resolution": 32, "pool": 1, "placement": "center"}
    summary.write(summary.summarise(rows) | place, rows, run.folder / split)
    return True


def keep_to_itself(monkeypatch):
    """The command leaves this process's JAX and signals alone."""
    monkeypatch.setattr(script.accelerator, "prepare", lambda **_: None)
    monkeypatch.setattr(session.signal, "signal", lambda *_: None)


def test_differences_are_paired_by_file_and_seed(tmp_path, monkeypatch, capsys):
    said = []

    def complete(run, commands, split, root, say):
        said.append((run.model, run.seed, split))
        return fake_run(run, commands, split, root, say)

    monkeypatch.setattr(runs, "complete_run", complete)
    keep_to_itself(monkeypatch)
    options = ["--out", str(tmp_path / "out"), "--data_dir", str(tmp_path), "--seeds", "0", "1"]
    options += ["--parts", "averaging", "residual", "--config.generator.residual_features=8"]
    assert script.main(options) == 1
    assert said == [
        (title, seed, f"validation_average{average}")
        for seed in (0, 1)
        for title, average in [
            ("full model", 8),
            ("without 3D stage", 8),
            ("without test-time averaging", 1),
        ]
    ]
    shown = capsys.readouterr()
    assert "failed: without 3D stage, seed 1; each has a log.txt" in shown.err
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    parts = results["parts"]
    assert parts["full"]["scores"]["iou"]["mean"] == 0.625
    assert parts["full"]["by_seed"]["0"] == {"iou": 0.625, "parameters": 1000, "seconds": {}}
    # Only seed 0 of both: each file is 0.25 worse.
    assert parts["residual"]["over_full"]["iou"] == {"mean": -0.25, "low": -0.25, "high": -0.25}
    assert list(parts["residual"]["by_seed"]) == ["0"]
    # Pot A: -0.25 in all files; pot B: -0.25, -0.25, -0.5, -0.5.
    less = parts["averaging"]["over_full"]
    assert less["iou"] == {"mean": -0.3125, "low": -0.375, "high": -0.25}
    assert (less["files"], less["pots"]) == (4, 2)
    table = (tmp_path / "out" / "table.md").read_text()
    assert table in shown.out
    assert (
        "| without test-time averaging | 1,000 | 0.3125 (0.3125 … 0.3125) |"
        " -0.3125 (-0.3750 … -0.2500) | 0.4375" in table
    )
    assert table.splitlines()[2].startswith("| full model | 1,000 | 0.6250 (")
    assert "| - | 0.7500" in table.splitlines()[2]
    assert "Failed: without 3D stage, seed 1." in table
    assert "validation: 4 files of 2 pots" in table
    # Other fields in the same folder would not be the same ablation.
    assert script.main([*options, "--config.optim.b1=0.5"]) == 1
    assert "holds an ablation with other options" in capsys.readouterr().err


def test_of_a_full_model_that_failed_the_others_are_told_alone(tmp_path):
    rows = WITHOUT[0]
    place = {"resolution": 32, "pool": 1, "placement": "center"}
    write_weights(tmp_path / "run", 20)
    summary.write(summary.summarise(rows) | place, rows, tmp_path / "run" / "scores")
    titles = {"full": "full model", "synthetic": "with synthetic pots"}
    scored = {"full": {}, "synthetic": {0: tmp_path / "run" / "scores"}}
    parts = switches_report.collect(titles, scored)["parts"]
    assert list(parts) == ["synthetic"]
    assert "over_full" not in parts["synthetic"]
    assert parts["synthetic"]["scores"]["iou"]["mean"] == 0.375


def test_trains_and_scores_a_tiny_model_and_does_it_once(tmp_path, monkeypatch, capsys):
    keep_to_itself(monkeypatch)
    monkeypatch.setattr(runs, "run_logged", in_process.run_logged)
    monkeypatch.setattr(script, "QUICK_POTS", 19)
    command = ["--quick", "--out", str(tmp_path), "--parts", "averaging", "--num_train_steps", "2"]
    # Any model will do; it has no profile.
    command += ["--config.generator.kind=tiny", "--config.loss.profile_weight=0.0"]
    command += ["--config.generator.features=4"]
    command += ["--config.data.resolution=16", "--config.data.pool=2"]
    assert script.main(command) == 0
    capsys.readouterr()
    results = json.loads((tmp_path / "results.json").read_text())
    full, averaging = (results["parts"][part] for part in ("full", "averaging"))
    metrics = json.loads((tmp_path / "full_seed0/validation_average8/metrics.json").read_text())
    assert full["scores"]["iou"]["mean"] == pytest.approx(metrics["iou"]["mean"], abs=1e-6)
    assert (full["scores"]["files"], full["scores"]["pots"]) == (8, 2)
    difference = averaging["scores"]["iou"]["mean"] - full["scores"]["iou"]["mean"]
    assert averaging["over_full"]["iou"]["mean"] == pytest.approx(difference, abs=1e-6)
    assert set(full["by_seed"]["0"]["seconds"]) == {"train", "evaluate"}
    assert results["hardware"]["platform"] == "cpu" and results["failed"] == []
    weights = (tmp_path / "full_seed0/generator.safetensors").stat().st_mtime_ns
    assert script.main(command) == 0
    assert capsys.readouterr().out.count("was scored before") == 2
    assert (tmp_path / "full_seed0/generator.safetensors").stat().st_mtime_ns == weights
