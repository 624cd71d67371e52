"""Training goes on after whatever stops it: signals, a full disk, NaN."""

import dataclasses
import errno
import functools
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys

import in_process
import jax
import numpy as np
import pytest
from conftest import ROOT

from voxgan_jax.devices import interruption
from voxgan_jax.models import weights
from voxgan_jax.training import build, checkpoint, loop, objectives, workdir
from voxgan_jax.training.curves import NotFiniteError

pytestmark = pytest.mark.usefixtures("loose_promotion")


@pytest.fixture
def config(resident_config):
    """A config that trains in seconds, on data that needs no TensorFlow."""
    return resident_config


@pytest.fixture
def run_dir(resident_run, tmp_path):
    """A whole run of it, to be damaged."""
    shutil.copytree(resident_run, tmp_path / "run")
    return tmp_path / "run"


def _ended(run_dir, config):
    """Every array of a run's newest checkpoint as bytes, its data position, and its weights."""
    abstract = jax.eval_shape(
        functools.partial(build.initial_state, config, objectives.build(config))
    )
    with checkpoint.open_manager(run_dir) as manager:
        state, position, _ = checkpoint.restore(manager, abstract)
    state = dataclasses.replace(state, rng=jax.random.key_data(state.rng))
    leaves = [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(state)]
    return leaves, position, (run_dir / weights.RUN_FILE).read_bytes()


def _steps(run_dir):
    folder = pathlib.Path(run_dir) / checkpoint.FOLDER
    names = [path.name for path in folder.iterdir()]
    return sorted(names, key=lambda name: (int(name.split(".")[0]), name))


def _stopped_and_resumed(config, run_dir):
    """After step 3, where no checkpoint was due; then before the first step of a new start."""
    with pytest.raises(interruption.InterruptedRunError, match="after step 3, which is saved"):
        loop.train(config, run_dir, lambda step: step == 3)
    assert _steps(run_dir) == ["2", "3"]
    with pytest.raises(interruption.InterruptedRunError, match="after step 3, which is saved"):
        loop.train(config, run_dir, lambda step: True)
    loop.train(config, run_dir)


def test_told_to_stop_it_saves_and_goes_on(config, resident_run, tmp_path):
    _stopped_and_resumed(config, tmp_path / "run")
    assert _ended(tmp_path / "run", config) == _ended(resident_run, config)
    with pytest.raises(interruption.InterruptedRunError, match="before its first step"):
        loop.train(config, tmp_path / "new", lambda step: True)


def test_stopped_in_the_middle_of_an_epoch_with_the_last_short_batch_kept(small_config, tmp_path):
    small_config.train.batch_size = 5
    # A program for each of two sizes: without a discriminator they compile in half the time.
    small_config.objective, small_config.loss.adversarial_weight = "regression", 0.0
    small_config.data.keep_last_batch = True
    loop.train(small_config, tmp_path / "whole")
    _stopped_and_resumed(small_config, tmp_path / "parts")
    whole = _ended(tmp_path / "whole", small_config)
    assert _ended(tmp_path / "parts", small_config) == whole
    # 16 examples in batches of 5 make 4 a epoch.
    assert whole[1].items() >= {"epoch": 1, "batch": 2}.items()


def test_after_damage_it_goes_on_from_the_checkpoint_before(config, resident_run, run_dir):
    (run_dir / checkpoint.FOLDER / "6" / "state" / "manifest.ocdbt").write_bytes(b"")
    loop.train(config, run_dir)
    assert _steps(run_dir) == ["2", "4", "6", "6.damaged"]
    assert _ended(run_dir, config) == _ended(resident_run, config)


def test_sigterm_saves_and_prints_the_command_that_goes_on(config, tmp_path, monkeypatch, capfd):
    """The printed command, with a shorter run asked for, is then given."""
    run_dir = tmp_path / "a run"
    fixed = {
        "data.dir": config.data.dir,
        "data.source": "resident",
        "data.resolution": 16,
        "data.pool": 2,
        "generator.features": 4,
        "discriminator.features": 4,
        "train.batch_size": 4,
        "eval.batch_size": 4,
        "train.log_every_steps": 1,
        "checkpoint.every_steps": 5000,
        "train.num_train_steps": 5000,
    }
    command = [
        *(str(ROOT / "scripts" / "train.py"), "--workdir", str(run_dir)),
        *("--config", str(ROOT / "configs" / "smoke.py")),
        *(f"--config.{name}={value}" for name, value in fixed.items()),
    ]

    def told(curves, step, scalars):
        real(curves, step, scalars)
        if step == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    real = loop.curves.Curves.scalars
    with monkeypatch.context() as patch:
        patch.setattr(loop.curves.Curves, "scalars", told)
        done = in_process.run(*command)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Run stopped after step 4, which is saved. To go on: ")
    assert _steps(run_dir) == ["4"]
    # Written at once, past what Python holds back.
    assert "SIGTERM: stopping after this step" in capfd.readouterr().err
    printed = shlex.split(done.stdout.partition(" To go on: ")[2])
    assert printed == [sys.executable, *command]
    done = in_process.run(*printed[1:], "--config.train.num_train_steps=6")
    assert done.returncode == 0, done.stderr
    assert "Resuming from step 4" in done.stderr
    assert done.stdout.startswith("Finished")


def test_a_second_signal_leaves_at_once():
    program = (
        "import time\n"
        "from voxgan_jax.devices import interruption\n"
        "with interruption.on_signals() as stop:\n"
        "    print(stop(0), flush=True)\n"
        "    while not stop(0): time.sleep(0.01)\n"
        "    print(stop(0), flush=True)\n"
        "    time.sleep(600)\n"
    )
    for first, second in ((signal.SIGTERM, signal.SIGINT), (signal.SIGINT, signal.SIGINT)):
        child = subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            stderr=subprocess.DEVNULL,
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "False\n"
        child.send_signal(first)
        assert child.stdout.readline() == "True\n"
        child.send_signal(second)
        assert child.wait(timeout=60) == -second
        child.stdout.close()


def test_handlers_are_put_back():
    before = signal.getsignal(signal.SIGTERM)
    with interruption.on_signals() as stop:
        assert not stop(1)
        assert signal.getsignal(signal.SIGTERM) is not before
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop(2) and stop(3)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 4 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_stops_the_run_and_names_the_last_good_checkpoint(config, small_disk):
    """Every step is kept, so that the disk fills up; with room the run goes on."""
    config.checkpoint.every_steps = 1
    config.checkpoint.keep = 1000
    config.train.num_train_steps = 100
    with pytest.raises(checkpoint.DiskError, match="No space left on device") as caught:
        loop.train(config, small_disk)
    assert caught.value.errno == errno.ENOSPC
    newest = checkpoint.newest(small_disk)
    assert newest is not None and 1 <= int(newest.name) < 100
    assert f"the last good checkpoint is {newest}; make room" in str(caught.value)
    assert "\n" not in str(caught.value)
    # Room for two checkpoints at once and for what is written beside them: on 4 MB it is a near
    # thing which of them fits.
    remount = ["mount", "-o", "remount,size=16m", str(small_disk)]
    subprocess.run(remount, check=True)
    config.train.num_train_steps = int(newest.name) + 1
    config.checkpoint.keep = 1
    assert int(loop.train(config, small_disk).step) == int(newest.name) + 1


@pytest.mark.parametrize("writer", ["curves", "weights"])
def test_other_files_on_a_full_disk(config, run_dir, monkeypatch, writer):
    """As if the disk were full when the curves, or the best weights, are written."""
    before = (run_dir / weights.RUN_FILE).read_bytes()

    def full(*args, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if writer == "curves":
        monkeypatch.setattr(loop.curves.Curves, "flush", full)
    else:
        real = os.replace

        def replace(source, target):
            # Checkpoints and the config are moved too, and still can be.
            full() if str(target).endswith(weights.RUN_FILE) else real(source, target)

        monkeypatch.setattr(os, "replace", replace)
    config.train.num_train_steps = 8
    with pytest.raises(checkpoint.DiskError, match=r"No space left .*checkpoints/\d; make room"):
        loop.train(config, run_dir)
    assert (run_dir / weights.RUN_FILE).read_bytes() == before
    assert not list(run_dir.glob(".*.tmp"))


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("generator", r"generator/params/.* holds NaN .* after step 4"),
        ("g_loss", r"g_loss is nan at step 4"),
    ],
)
def test_nan_stops_the_run_and_the_checkpoint_before_it_stays(
    config, tmp_path, monkeypatch, what, message
):
    """In the parameters alone, the losses still finite, or in a loss: nothing of it is saved."""
    real = loop.compile_step

    def poisoned(*args):
        step_fn = real(*args)

        def step(state, batch, *counts):
            state, scalars = step_fn(state, batch, *counts)
            if int(state.step) == 4:
                nan = np.float32("nan")
                if what in scalars:
                    return state, scalars | {what: scalars[what] * nan}
                net = state.nets[what]
                params = jax.tree.map(lambda leaf: leaf * nan, net.params)
                nets = state.nets | {what: dataclasses.replace(net, params=params)}
                state = dataclasses.replace(state, nets=nets)
            return state, scalars

        return step

    monkeypatch.setattr(loop, "compile_step", poisoned)
    config.train.num_train_steps = 4
    with pytest.raises(NotFiniteError, match=message):
        loop.train(config, tmp_path)
    assert _steps(tmp_path) == ["2"]
    assert not (tmp_path / weights.RUN_FILE).exists()


def test_a_config_that_does_not_fit_names_the_fields(config, resident_run):
    config.train.num_train_steps = 8
    config.loss.recon_weight = 1.0
    with pytest.raises(workdir.ConfigMismatchError) as caught:
        loop.train(config, resident_run)
    assert str(caught.value).splitlines()[1:] == [
        "  config.loss.recon_weight: 1000.0 there, 1.0 now"
    ]
