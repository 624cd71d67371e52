"""The ablation's runs: what they are told, those that fail or were stopped, and all end to end."""

import fcntl
import functools
import json
import sys

import in_process
import jax
import jax.numpy as jnp
import matplotlib.image
import numpy as np
import pytest
from conftest import ROOT

from configs import wgan as wgan_config
from scripts import ablation as script
from scripts import ablation_revolve
from scripts.lib.ablation import runs, variants
from voxgan_jax.training.objectives import wgan


def child_that(*lines):
    return [sys.executable, "-c", "\n".join(lines)]


def test_a_child_logs_and_a_stopped_one_may_save(tmp_path):
    log = tmp_path / "log.txt"
    assert runs.run_logged(child_that("print('all well', 7)"), log, "") == 0
    assert runs.last_line(log) == "all well 7"
    # We are interrupted while the child works: it is asked to stop and saves.
    saved = tmp_path / "saved"
    command = child_that(
        "import os, pathlib, signal, time",
        "os.kill(os.getppid(), signal.SIGINT)",
        "try: time.sleep(60)",
        f"except KeyboardInterrupt: pathlib.Path({str(saved)!r}).touch()",
    )
    with pytest.raises(KeyboardInterrupt):
        runs.run_logged(command, log, "")
    assert saved.exists()


def test_does_not_disturb_a_child_of_an_earlier_start(tmp_path):
    with (tmp_path / "log.txt").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(runs.BusyError, match="still writes there"):
            runs.run_logged(["true"], tmp_path / "log.txt", "")


def fake_stages(tmp_path):
    """Stages that leave what real ones do; training leaves its weights at the second start."""
    run = runs.Run("baseline", 0, tmp_path / "baseline_seed0")
    test = run.folder / "test"
    train = child_that(
        "import pathlib, sys",
        f"tried, weights = (pathlib.Path({str(run.folder)!r}) / n for n in ('tried', '{WEIGHTS}'))",
        "if tried.exists(): weights.touch()",
        "else: tried.touch(); print('out of luck'); sys.exit(3)",
    )[1:]
    evaluate = child_that(
        "import pathlib",
        f"path = pathlib.Path({str(test)!r})",
        "path.mkdir()",
        """(path / 'metrics.json').write_text('{"iou": {"mean": 0.5}}')""",
    )[1:]
    return run, {"train": train, "evaluate": evaluate}


WEIGHTS = "generator.safetensors"


def test_a_failed_run_is_named_and_goes_on_at_the_next_start(tmp_path):
    run, commands = fake_stages(tmp_path)
    said = []
    assert not runs.complete_run(run, commands, "test", ROOT, said.append)
    assert said[-1].startswith("baseline, seed 0: train FAILED with exit code 3: out of luck (see ")
    assert runs.complete_run(run, commands, "test", ROOT, said.append)
    assert said[-1] == "baseline, seed 0: IoU 0.5000"
    assert set(json.loads((run.folder / "times.json").read_text())) == {"train", "evaluate"}
    # What was scored is not repeated.
    assert runs.complete_run(run, {}, "test", ROOT, said.append)
    assert said[-1] == "baseline, seed 0: was scored before"


def test_training_that_ends_without_weights_has_failed(tmp_path):
    """A training that was asked to stop saves a checkpoint and ends well, but is not done."""
    run, commands = fake_stages(tmp_path)
    commands["train"] = child_that("pass")[1:]
    said = []
    assert not runs.complete_run(run, commands, "test", ROOT, said.append)
    assert "train FAILED with exit code 0" in said[-1]


def test_commands_follow_from_the_options(tmp_path):
    args, overrides = script.parse(
        ["--vox_dir", "pots", "--out", str(tmp_path), "--resolution", "32", "--features", "8",
         "--steps", "7", "--config.optim.b1=0.5"]
    )  # fmt: skip
    assert (args.pool, args.split, args.train_split) == (2, "test", "train+validation")
    run = runs.Run("resnet_sn", 3, tmp_path / "resnet_sn_seed3")
    train, evaluate = script.make_commands(run, args, tmp_path / "data", overrides).values()
    assert train[:3] == ["scripts/train.py", "--config", "configs/resnet_sn.py"]
    assert set(train) >= {
        "--config.generator.features=16", "--config.discriminator.features=8", "--config.seed=3",
        "--config.train.num_train_steps=7", "--config.eval.split=", "--config.optim.b1=0.5",
        "--config.data.pool=2", "--config.data.train_split=train+validation",
    }  # fmt: skip
    assert evaluate[3:5] == ["--split", "test"]
    with pytest.raises(ValueError, match=r"--config\.seed is set by ablation\.py's own options"):
        script.make_commands(run, args, tmp_path, ["--config.seed=4"])
    args, _ = script.parse(
        ["--quick", "--out", "x", "--validate", "--epochs", "3",
         "--models", "resnet_sn", "baseline", "--seeds", "2", "0", "2"]
    )  # fmt: skip
    assert (args.models, args.seeds) == (["baseline", "resnet_sn"], [0, 2])
    assert (args.split, args.train_split, args.steps) == ("validation", "train", None)
    assert (args.resolution, args.pool, args.features) == (32, 1, 8)
    args, _ = script.parse(["--quick", "--out", "x", "--family", "--steps", "7"])
    assert args.models == [
        "baseline", "spectral_norm", "hinge", "wgan", "wgan_gp", "sdf", "ddpm",
        "gan3d", "wgan_noise", "wgan_gp_noise",
    ]  # fmt: skip
    # Five steps of the critic are one of the generator, at the start 100 of one that is clipped.
    for model, steps in (("wgan", 700), ("wgan_gp", 35), ("sdf", 7)):
        run = runs.Run(model, 0, tmp_path / model)
        train = script.make_commands(run, args, tmp_path, [])["train"]
        assert f"--config.train.num_train_steps={steps}" in train
    # Pots from noise have 3D-GAN's generator, as wide as the others are, and are scored as a set.
    for model, steps, judge in (("gan3d", 7, 16), ("wgan_gp_noise", 35, 8)):
        run = runs.Run(model, 0, tmp_path / model)
        made = script.make_commands(run, args, tmp_path, [])
        assert set(made["train"]) >= {
            f"--config.train.num_train_steps={steps}", "--config.generator.doublings=3",
            "--config.generator.features=128", f"--config.discriminator.features={judge}",
        }  # fmt: skip
        assert made["sample"][0] == "scripts/sample.py"
    assert {"--config.generator.kind=gan3d", "--config.loss.recon_weight=0.0"} <= set(made["train"])
    critic = wgan_config.get_config().critic
    steps = script.critic_steps(510, critic)
    turn = functools.partial(wgan.is_due, critic_steps=critic.steps, first_steps=critic.first_steps)
    due = jax.vmap(turn)(jnp.arange(steps))
    assert int(due.sum()) == 510 and bool(due[-1])


@pytest.mark.parametrize(
    ("of", "options", "message"),
    [
        (script, ["--data_dir", "x", "--pots", "3"], "give --vox_dir"),
        (script, ["--quick", "--step", "3"], "unknown option '--step'"),
        (script, ["--quick", "--split", "validation"], "are trained on it; see --validate"),
        (script, ["--quick", "--steps", "0"], "--steps: 0 is below 1"),
        (ablation_revolve, ["--quick", "--step", "3"], "unknown option '--step'"),
        (ablation_revolve, ["--quick", "--split", "train"], "the models are trained on it"),
        (ablation_revolve, ["--quick", "--num_train_steps", "0"], "--num_train_steps: 0 is below"),
        (ablation_revolve, ["--quick", "--parts", "glaze"], "invalid choice: 'glaze'"),
    ],
)
def test_wrong_options_say_what_to_do(of, options, message, capsys):
    with pytest.raises(SystemExit):
        of.parse([*options, "--out", "x"])
    assert message in capsys.readouterr().err


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Two models of four features, some steps on ten pots."""
    out = tmp_path_factory.mktemp("ablation") / "out"
    options = ["--quick", "--out", out, "--models", "baseline", "resnet_sn", "--features", "4"]
    options += ["--resolution", "16"]
    options += ["--batch_size", "4", "--steps", "4", "--pots", "6", "--test_pots", "3"]
    options += ["--config.train.log_every_steps=1", "--config.generator.kind=tiny"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "run_logged", in_process.run_logged)
        yield out, options, in_process.run("scripts/ablation.py", *options)


def test_one_command_gives_table_and_figures(small):
    out, _, done = small
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    results = json.loads((out / "results.json").read_text())
    table = (out / "table.md").read_text()
    for model, title in (("baseline", "baseline"), ("resnet_sn", "+ ResBlocks, lower L1")):
        metrics = json.loads((out / f"{model}_seed0" / "test" / "metrics.json").read_text())
        for name in ("iou", "dice", "mse"):
            for bound in ("mean", "low", "high"):
                ours = results["models"][model]["ours"][name][bound]
                assert ours == pytest.approx(metrics[name][bound], rel=1e-5)
        paper = variants.PAPER[model]["iou"]
        assert f"| {title} | {paper:.4f} | {metrics['iou']['mean']:.4f} (" in table
        assert results["runs"][f"{model}_seed0"]["seconds"]["train"] > 0
    over = results["models"]["resnet_sn"]["over_baseline"]
    means = [results["models"][model]["ours"]["iou"]["mean"] for model in ("resnet_sn", "baseline")]
    assert over["iou"]["mean"] == pytest.approx(means[0] - means[1], abs=1e-6)
    assert results["data"]["train+validation"] == {"files": 24, "pots": 6}
    assert results["data"]["test"] == {"files": 12, "pots": 3}
    assert results["hardware"]["platform"] == "cpu"
    assert "--config.train.log_every_steps=1" in results["commands"]["baseline_seed0"]["train"]
    for name in ("figure1.png", "figure2.png"):
        image = matplotlib.image.imread(out / name)
        assert min(image.shape[:2]) > 200
        image = matplotlib.image.imread(out / name)[..., :3]
        assert len(np.unique(np.round(image.reshape(-1, 3) * 15), axis=0)) > 20


def test_the_same_command_again_does_nothing(small):
    out, options, _ = small
    files = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    done = in_process.run("scripts/ablation.py", *options)
    assert done.returncode == 0
    assert "All done before" in done.stdout
    assert "| + ResBlocks, lower L1 |" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()} == files


def test_other_options_in_the_same_folder_are_refused(small):
    _, options, _ = small
    done = in_process.run("scripts/ablation.py", *options, "--config.optim.b1=0.5")
    assert done.returncode == 1
    assert "holds an ablation with other options" in done.stderr
    assert "--config.train.log_every_steps=1'] there, [" in done.stderr
