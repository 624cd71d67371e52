"""Training end to end: what a run leaves, what it refuses, and what its configs and options are."""

import functools
import json
import os
import pathlib
import shutil
import subprocess
import sys

import in_process
import jax
import numpy as np
import pytest
from conftest import ROOT

from voxgan_jax import fields
from voxgan_jax.data import feed, folder
from voxgan_jax.models import weights
from voxgan_jax.training import build, checkpoint, loop, objectives, workdir

pytestmark = pytest.mark.usefixtures("loose_promotion")


def restored(run_dir, config):
    """The state of a run's newest checkpoint, and its data position."""
    abstract = jax.eval_shape(
        functools.partial(build.initial_state, config, objectives.build(config))
    )
    with checkpoint.open_manager(run_dir) as manager:
        state, position, _ = checkpoint.restore(manager, abstract)
    return state, position


def test_run_leaves_config_curves_checkpoints_and_weights(small_config, small_run):
    saved = json.loads((small_run / "config.json").read_text())
    assert saved["train"]["batch_size"] == 4
    with checkpoint.open_manager(small_run) as manager:
        assert manager.all_steps() == [2, 4, 6]
    state, _ = restored(small_run, small_config)
    assert int(state.step) == 6
    variables, config = weights.load(small_run / weights.RUN_FILE)
    assert config.to_dict() == small_config.to_dict()
    jax.tree.map(np.testing.assert_array_equal, variables["params"], state.nets["generator"].params)

    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(small_run))
    events.Reload()
    curves = {
        name: [(event.step, event.value) for event in events.Scalars(name)]
        for name in events.Tags()["scalars"]
    }
    expected = {"g_loss", "adversarial_loss", "recon_loss", "d_loss", "d_real_prob", "d_fake_prob"}
    expected |= {"d_accuracy"}
    expected |= {"grad_norm_g", "grad_norm_d", "steps_per_sec", "samples_per_sec"}
    for name in expected:
        assert [step for step, _ in curves[name]] == [2, 4, 6], name
        assert all(np.isfinite(value) for _, value in curves[name])
    assert [step for step, _ in curves["eval_iou"]] == [6]


def test_the_loop_imports_no_tensorflow():
    code = "import sys, voxgan_jax.training.loop; print('tensorflow' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_several_steps_a_dispatch_are_the_same_run(small_config, resident_config, tmp_path):
    """Drawn on the device, turned at random, five steps at most between two looks of the host."""
    resident_config.data.augment, resident_config.eval.split = True, ""
    # Without a discriminator it compiles in half the time; test_parallel.py has one.
    resident_config.objective, resident_config.loss.adversarial_weight = "regression", 0.0
    # Each number of steps is a program of its own: here only three.
    resident_config.checkpoint.every_steps = resident_config.train.log_every_steps = 3
    one = loop.train(resident_config, tmp_path / "one")
    resident_config.train.steps_per_dispatch = 5
    several = loop.train(resident_config, tmp_path / "several")
    for a, b in zip(jax.tree.leaves(one.nets), jax.tree.leaves(several.nets), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-2, atol=1e-3)
    with checkpoint.open_manager(tmp_path / "several") as manager:
        assert manager.all_steps() == [3, 6]
    small_config.train.steps_per_dispatch = 5
    with pytest.raises(ValueError, match=r"set config\.data\.source to 'resident'"):
        loop.train(small_config, tmp_path / "tfdata")


def test_the_host_looks_where_something_is_due(small_config):
    small_config.checkpoint.every_steps, small_config.train.log_every_steps = 3, 4
    small_config.train.steps_per_dispatch, small_config.eval.split = 5, ""
    plan = feed.EpochPlan(num_batches=2, num_used=8)
    assert list(loop._stops(small_config, plan, 0, 6)) == [3, 4, 6]
    small_config.eval.split, small_config.eval.every_epochs = "validation", 1
    assert list(loop._stops(small_config, plan, 1, 6)) == [2, 3, 4, 6]


def test_no_evaluation_saves_the_last_weights(small_config, tmp_path):
    small_config.eval.split = ""
    small_config.train.num_train_steps = 2
    state = loop.train(small_config, tmp_path)
    variables, _ = weights.load(tmp_path / weights.RUN_FILE)
    jax.tree.map(np.testing.assert_array_equal, variables["params"], state.nets["generator"].params)


def test_other_config_in_the_same_folder_is_refused(small_config, tmp_path):
    small_config.loss.recon_weight = 100.0
    workdir.save_config(small_config, tmp_path, started=False)
    small_config.train.num_train_steps = 100
    workdir.save_config(small_config, tmp_path, started=True)
    small_config.generator.features = 8
    small_config.loss.recon_weight = 1.0
    with pytest.raises(workdir.ConfigMismatchError) as caught:
        workdir.save_config(small_config, tmp_path, started=True)
    assert "config.generator.features: 4 there, 8 now" in str(caught.value)
    assert "config.loss.recon_weight: 100.0 there, 1.0 now" in str(caught.value)
    assert "num_train_steps" not in str(caught.value)
    # A run that failed before its first checkpoint does not bind anybody.
    workdir.save_config(small_config, tmp_path, started=False)
    assert workdir.load_config(tmp_path).generator.features == 8
    (tmp_path / workdir.CONFIG_FILE).write_text('{"seed":')
    with pytest.raises(ValueError, match=r"config\.json: not a config"):
        workdir.load_config(tmp_path)


def test_choosing_the_best_on_training_pots_is_refused(small_config, tmp_path):
    small_config.data.train_split = "train+validation"
    with pytest.raises(ValueError, match="chosen on validation, which is trained on"):
        loop.train(small_config, tmp_path)


def test_resuming_on_other_data_is_refused(small_config, small_run, vox_dir, tmp_path):
    from voxgan_jax.data import builder

    shutil.copytree(small_run, tmp_path / "run")
    shutil.copytree(vox_dir / "train", tmp_path / "vox")
    builder.prepare(tmp_path / "vox", tmp_path / "data", resolution=16, pool=2)
    small_config.data.dir = str(tmp_path / "data")
    small_config.train.num_train_steps = 8
    with pytest.raises(workdir.ConfigMismatchError, match="trained on other data"):
        loop.train(small_config, tmp_path / "run")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("--config.train.batchsize=8", "batch_size"),
        ("--config.train.batch_size=eight", "eight"),
        ("--config.data.resolution=64", "scripts/prepare_data.py"),
        ("--config.train.batch_size=64", "config.data.keep_last_batch"),
        ("--config.eval.split=dev", "test, train, validation"),
        ("--config.train.batch_size=0", "config.train.batch_size is 0, not a whole number from 1"),
        ("--config.data.dir=", "config.data.dir is empty"),
        ("--workdir=", "--workdir is empty"),
        ("--config.data.source=disk", "known: tfdata, resident"),
    ],
)
def test_wrong_overrides_fail_with_what_exists(prepared_dir, tmp_path, override, message):
    done = in_process.run(
        "scripts/train.py",
        f"--config={ROOT / 'configs' / 'smoke.py'}",
        f"--workdir={tmp_path / 'run'}",
        f"--config.data.dir={prepared_dir}",
        "--config.data.keep_last_batch=False",
        override,
    )
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "path", sorted((ROOT / "configs").glob("*.py")), ids=lambda path: path.stem
)
def test_every_config_builds_and_is_documented(path: pathlib.Path):
    import importlib

    module = importlib.import_module(f"configs.{path.stem}")
    config = module.get_config()
    assert f"configs/{path.name}" in (module.__doc__ or "")
    objectives.build(config)
    default = importlib.import_module("configs.default").get_config()
    assert set(fields.flatten(config.to_dict())) == set(fields.flatten(default.to_dict()))
    if path.stem != "default":
        assert len(path.read_text().splitlines()) < 25


@pytest.mark.skipif("VOXGAN_DATA" not in os.environ, reason="needs real .vox files")
def test_real_pots_train_and_the_loss_falls(tmp_path):
    """Some steps of the baseline's smoke version on the files of VOXGAN_DATA at 16³."""
    from voxgan_jax.data import builder

    some = [item for item in folder.scan(os.environ["VOXGAN_DATA"]) if item.split == "train"][:32]
    for item in some:
        place = tmp_path / "vox" / pathlib.Path(*item.path.parts[-3:])
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(item.path.resolve())
    builder.prepare(tmp_path / "vox", tmp_path / "data", resolution=16, pool=4)
    done = in_process.run(
        "scripts/train.py",
        f"--config={ROOT / 'configs' / 'smoke.py'}",
        f"--workdir={tmp_path / 'run'}",
        f"--config.data.dir={tmp_path / 'data'}",
        "--config.data.resolution=16",
        "--config.data.pool=4",
        *(f"--config.{net}.features=4" for net in ("generator", "discriminator")),
        *(f"--config.{part}.batch_size=4" for part in ("train", "eval")),
        "--config.train.log_every_steps=10",
        "--config.train.num_train_steps=60",
    )
    assert done.returncode == 0, done.stderr[-2000:]
    recon = [
        float(line.split("recon_loss=")[1].split(",")[0])
        for line in done.stderr.splitlines()
        if "recon_loss=" in line
    ]
    assert len(recon) == 6
    # Single batches differ by a third.
    assert np.mean(recon[-2:]) < 0.6 * recon[0]
