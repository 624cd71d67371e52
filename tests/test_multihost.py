"""Two real processes on this machine train what one trains: numbers, files, resuming, stopping."""

import functools
import json
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import optax
import pytest
from conftest import ROOT, on_cpu_devices

from configs import smoke
from voxgan_jax.models import weights
from voxgan_jax.training import build, checkpoint, loop, objectives, workdir

pytestmark = pytest.mark.usefixtures("loose_promotion")

OVERRIDES = {
    "data.num_shards": 2,
    "data.resolution": 16,
    "data.pool": 2,
    "generator.kind": "tiny",
    "generator.features": 4,
    "discriminator.features": 4,
    "train.batch_size": 4,
    "train.num_train_steps": 4,
    "train.log_every_steps": 2,
    "eval.batch_size": 4,
    # Early answers are near a half everywhere.
    "eval.threshold": 0.3,
    "checkpoint.every_steps": 2,
    # Small enough that rounding does not grow: the gradients are in the hundreds.
    "optim.generator_learning_rate": 1e-5,
    "optim.discriminator_learning_rate": 1e-4,
}


# Without a discriminator it compiles in half the time; the other runs have one.
RESIDENT = {
    "data.source": "resident",
    "objective": "regression",
    "loss.adversarial_weight": 0.0,
}


def _free_address():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def _start(log, command, **environ):
    command = [sys.executable, str(ROOT / "tests" / "on_loopback.py"), *command]
    # Two devices in each process would keep the cores of a small machine waiting for each other.
    env = on_cpu_devices(1) | environ
    with log.open("w") as out:
        return subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out, env=env)


def _train(folder, name, num_processes, runs):
    """Train `runs` (name: overrides) below `folder` in so many processes; what each one printed."""
    codes, texts = [], []
    for _ in range(3):
        address = _free_address()
        logs = [folder / f"{name}-{i}.log" for i in range(num_processes)]
        processes = []
        for i, log in enumerate(logs):
            order = {
                "place": [address, num_processes, i] if num_processes > 1 else None,
                "runs": [
                    {"workdir": str(folder / name), "overrides": OVERRIDES | overrides}
                    for name, overrides in runs.items()
                ],
            }
            runner = str(ROOT / "tests" / "multihost_run.py")
            processes.append(_start(log, [runner, json.dumps(order)]))
        codes = [process.wait(timeout=500) for process in processes]
        texts = [log.read_text() for log in logs]
        # Gloo gives up where a process is half a minute behind the other, as on a busy machine;
        # the runs then go on from their checkpoints.
        if not any("Gloo" in line and "Error" in line for line in "".join(texts).splitlines()):
            break
    assert codes == [0] * num_processes, "\n".join(text[-3000:] for text in texts)
    return texts


@pytest.fixture(scope="module")
def trained(prepared_small, vox_dir, tmp_path_factory):
    """All runs of this file: two processes, then this one; and what they printed."""
    folder = tmp_path_factory.mktemp("multihost")
    data = {"data.dir": str(prepared_small)}
    unscored = {"eval.split": ""}
    resident = unscored | RESIDENT | {"data.dir": str(vox_dir)}
    two = {
        "two": data,
        "two_resident": resident | {"parallel.mode": "pmap"},
        "unshared": data | {"data.num_shards": 1},
    }
    texts = _train(folder, "two", 2, two)
    # As if two processes had been killed after step 2, and one goes on.
    shutil.copytree(folder / "two", folder / "mixed")
    shutil.rmtree(folder / "mixed" / checkpoint.FOLDER / "4")
    one = {"one": data, "mixed": data, "one_resident": resident}
    said = []
    with pytest.MonkeyPatch.context() as patch, jax.numpy_dtype_promotion("standard"):
        # As multihost_run.py does.
        patch.setattr(optax, "adam", lambda rate, b1, b2: optax.sgd(rate))
        patch.setattr(
            loop.logging,
            "info",
            lambda text, *args: said.append(str(text) % args if args else str(text)),
        )
        for name, overrides in one.items():
            config = smoke.get_config()
            config.update_from_flattened_dict(OVERRIDES | overrides)
            loop.train(config, folder / name)
    return folder, texts, said


def _leaves(run_dir):
    """Every array of a run's newest checkpoint by name, restored in this one process."""
    config = workdir.load_config(run_dir)
    nets = objectives.build(config).nets
    nets = {name: net._replace(tx=_sgd(config, name)) for name, net in nets.items()}
    objective = objectives.build(config, nets)
    # Orbax restores what other devices saved only onto devices that are named.
    here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    abstract = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here),
        jax.eval_shape(functools.partial(build.initial_state, config, objective)),
    )
    with checkpoint.open_manager(run_dir) as manager:
        state = checkpoint.restore(manager, abstract).state
    assert int(state.step) == 4
    flat = jax.tree_util.tree_leaves_with_path(state.nets)
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in flat}


def _said(text, *args):
    return str(text) % args if args else str(text)


def _sgd(config, name):
    return optax.sgd(config.optim[f"{name}_learning_rate"])


@pytest.mark.parametrize(
    ("several", "one"),
    [
        ("two", "one"),
        ("two_resident", "one_resident"),
        ("mixed", "one"),
    ],
)
def test_the_same_parameters_as_one_process(trained, several, one):
    folder, *_ = trained
    expected, found = _leaves(folder / one), _leaves(folder / several)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-5, err_msg=name)
    assert (folder / several / weights.RUN_FILE).is_file()


def _curves(run_dir):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run_dir))
    events.Reload()
    return {
        name: {event.step: event.value for event in events.Scalars(name)}
        for name in events.Tags()["scalars"]
        if not name.endswith("_per_sec")
    }


def test_the_same_scores_and_curves_written_once(trained):
    folder, (first, second), _ = trained
    expected, found = _curves(folder / "one"), _curves(folder / "two")
    assert expected.keys() == found.keys() >= {"eval_iou", "eval_dice", "eval_mse", "g_loss"}
    for name, points in expected.items():
        assert found[name] == pytest.approx(points, rel=1e-3), name
    assert len(list((folder / "two").glob("events.*"))) == 1
    assert "eval_iou" in first
    assert "eval_iou" not in second
    assert "Step 4 of 4" not in second


def test_one_process_goes_on_where_two_were(trained):
    folder, _, said = trained
    resumed = "Resuming from step 2, data position {'epoch': 0, 'batch': 2"
    assert any(line.startswith(resumed) for line in said)
    assert [path.name for path in sorted((folder / "mixed").glob("events.*"))] != []


def test_processes_that_do_not_share_the_shards_are_refused(trained):
    _, texts, _ = trained
    for text in texts:
        assert "refused: config.data.num_shards 1 does not divide among 2 processes" in text
    assert not (trained[0] / "unshared").exists()


def test_sigterm_to_one_stops_all_at_one_step(vox_dir, tmp_path):
    """The scripts themselves, told of each other by the environment."""
    address, run_dir = _free_address(), tmp_path / "run"
    overrides = OVERRIDES | RESIDENT | {"data.dir": vox_dir}
    overrides |= {"train.num_train_steps": 5_000}
    overrides |= {"checkpoint.every_steps": 5_000, "train.log_every_steps": 1}
    command = [
        str(ROOT / "scripts" / "train.py"),
        "--config",
        str(ROOT / "configs" / "smoke.py"),
        f"--workdir={run_dir}",
        *(f"--config.{name}={value}" for name, value in overrides.items()),
    ]
    logs = [tmp_path / f"{i}.log" for i in range(2)]
    processes = [
        _start(
            log,
            command,
            JAX_COORDINATOR_ADDRESS=address,
            JAX_NUM_PROCESSES="2",
            JAX_PROCESS_ID=str(i),
        )
        for i, log in enumerate(logs)
    ]
    deadline = time.monotonic() + 200
    while "Step 3 of" not in logs[0].read_text():
        assert time.monotonic() < deadline, logs[0].read_text()[-3000:]
        assert {process.poll() for process in processes} == {None}, logs[1].read_text()[-3000:]
        time.sleep(0.05)
    processes[1].send_signal(signal.SIGTERM)
    codes = [process.wait(timeout=100) for process in processes]
    texts = [log.read_text() for log in logs]
    assert codes == [0, 0], "\n".join(text[-3000:] for text in texts)
    newest = checkpoint.newest(run_dir)
    assert isinstance(newest, pathlib.Path)
    assert all(f"stopped after step {newest.name}, which is saved" in text for text in texts)
