"""Training goes on after whatever stops it: signals, a full disk, NaN, other devices."""

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

import jax
import numpy as np
import pytest
from conftest import ROOT, on_cpu_devices

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


def _start(config, run_dir, *overrides):
    """Train in another process; its command line and the process."""
    fixed = {
        "data.dir": config.data.dir,
        "data.source": "resident",
        "generator.features": 4,
        "discriminator.features": 4,
        "train.batch_size": 4,
        "eval.batch_size": 4,
        "train.log_every_steps": 1,
        "checkpoint.every_steps": 5000,
    }
    command = [
        *(sys.executable, str(ROOT / "scripts" / "train.py"), "--workdir", str(run_dir)),
        *("--config", str(ROOT / "configs" / "smoke.py")),
        *(f"--config.{name}={value}" for name, value in fixed.items()),
        *overrides,
    ]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return command, subprocess.Popen(command, **streams)


def test_sigterm_saves_and_prints_the_command_that_goes_on(config, tmp_path):
    """The printed command, with a shorter run asked for, is then given to a shell."""
    run_dir = tmp_path / "a run"
    command, run = _start(config, run_dir, "--config.train.num_train_steps=5000")
    log = []
    with run:
        for line in run.stdout or ():
            log.append(line)
            if "Step 4 of" in line:
                run.send_signal(signal.SIGTERM)
    assert run.returncode == 0, "".join(log[-20:])
    last = log[-1].rstrip("\n")
    assert last.startswith("Run stopped after step ")
    step = int(last.split()[4].rstrip(","))
    assert step >= 4
    assert _steps(run_dir) == [str(step)]
    printed = last.partition(" To go on: ")[2]
    assert shlex.split(printed) == command
    assert any("SIGTERM: stopping after this step" in line for line in log)
    done = subprocess.run(
        f"{printed} --config.train.num_train_steps={step + 2}",
        shell=True,
        check=True,
        capture_output=True,
        text=True,
    )
    assert f"Resuming from step {step}" in done.stderr
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


TWO_DEVICES = """
import sys
import jax, optax
import numpy as np
from configs import smoke
from voxgan_jax.devices import parallel
from voxgan_jax.training import loop, optimisers

data, place = sys.argv[1:]
config = smoke.get_config()
config.data.dir, config.data.source = data, "resident"
config.generator.features = config.discriminator.features = 4
config.train.batch_size = config.eval.batch_size = 4
config.eval.split = ""
config.loss.recon_weight = 10.0  # Large steps would make much of rounding.
make_mesh = parallel.make_mesh
optimisers.build = lambda config, net: optax.sgd(1e-4)


def run(name, devices, num_train_steps):
    parallel.make_mesh = lambda: make_mesh(jax.devices()[:devices])
    config.train.num_train_steps = num_train_steps
    state = loop.train(config, f"{place}/{name}")
    assert int(state.step) == num_train_steps
    assert len(jax.tree.leaves(state.nets["generator"].params)[0].sharding.device_set) == devices
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(state.nets)])


middle, whole = run("parts", 1, 3), run("whole", 1, 6)
resumed = run("parts", 2, 6)
np.testing.assert_allclose(resumed, whole, rtol=1e-5, atol=1e-5)
moved = np.abs(whole - middle).max()
assert moved > 1e-3, moved
print("largest difference", np.abs(resumed - whole).max(), "moved", moved)
"""


def test_resumed_on_two_devices_it_sees_the_same_data(vox_dir, tmp_path):
    """3 steps on one device and 3 on two give what 6 on one do, but for rounding (under SGD)."""
    done = subprocess.run(
        [sys.executable, "-c", TWO_DEVICES, str(vox_dir), str(tmp_path)],
        env=on_cpu_devices(2),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "largest difference" in done.stdout
