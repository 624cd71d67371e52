"""Checkpoints: what comes back is what was saved, or it is found out."""

import contextlib
import dataclasses
import errno
import logging
import math
import os
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from voxgan_jax.training import checkpoint, integrity
from voxgan_jax.training.curves import NotFiniteError
from voxgan_jax.training.state import NetState, TrainState


def _state(step: int) -> TrainState:
    """A state of a few arrays of every type that a state has, drawn from its step."""
    rng = np.random.default_rng(step)
    params = {"kernel": rng.standard_normal((7, 11)).astype(np.float32), "bias": np.zeros(3, "f")}
    net = NetState(params, {"mean": np.full(4, step, "f")}, {}, (np.int32(step),))
    nets = {"generator": net, "discriminator": net}
    return jax.tree.map(jnp.asarray, TrainState(np.int32(step), jax.random.key(9), nets, {}))


def _abstract():
    sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), _state(0)
    )


def _bytes(state):
    state = dataclasses.replace(state, rng=jax.random.key_data(state.rng))
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(state)]


def _save(manager, step, iou=None, best_iou=-math.inf):
    checkpoint.save(
        manager, _state(step), position={"batch": step, "data": "pots"}, iou=iou, best_iou=best_iou
    )


def _steps(path):
    return sorted(p.name for p in (path / checkpoint.FOLDER).iterdir())


@pytest.fixture
def warnings(monkeypatch):
    """Our own warnings; absl's function is also the one that Orbax calls."""
    given = []

    def warning(text, *args):
        if "is damaged" in text:
            given.append(text % args)

    monkeypatch.setattr(checkpoint.logging, "warning", warning)
    return given


@pytest.fixture(scope="module")
def two_checkpoints(tmp_path_factory):
    """A run's folder with checkpoints of steps 1 and 2."""
    path = tmp_path_factory.mktemp("run")
    with checkpoint.open_manager(path) as manager:
        _save(manager, 1, iou=0.125, best_iou=0.125)
        _save(manager, 2, iou=0.0625, best_iou=0.125)
    return path


def test_what_comes_back_is_what_was_saved(two_checkpoints):
    assert checkpoint.newest(two_checkpoints) == two_checkpoints / checkpoint.FOLDER / "2"
    with checkpoint.open_manager(two_checkpoints) as manager:
        state, position, best_iou = checkpoint.restore(manager, _abstract())
    assert _bytes(state) == _bytes(_state(2))
    assert position == {"batch": 2, "data": "pots"}
    assert best_iou == 0.125


def test_no_checkpoint(tmp_path):
    assert checkpoint.newest(tmp_path) is None
    with (
        checkpoint.open_manager(tmp_path) as manager,
        pytest.raises(checkpoint.NoCheckpointError, match="train first"),
    ):
        checkpoint.restore(manager, _abstract())


def test_keeps_the_latest_and_the_best(tmp_path):
    ious = {1: 0.1, 2: 0.4, 3: None, 4: 0.2, 5: 0.3, 6: None}
    for steps in ((1, 2, 3), (4, 5, 6)):  # The best is remembered over a restart.
        with checkpoint.open_manager(tmp_path, keep=2) as manager:
            for step in steps:
                _save(manager, step, iou=ious[step])
    assert _steps(tmp_path) == ["2", "5", "6"]
    with checkpoint.open_manager(tmp_path) as manager:
        assert checkpoint.restore(manager, _abstract()).best_iou == -math.inf


def _damages():
    def flip(data):
        place = len(data) // 3
        return data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :]

    return {"half": lambda data: data[: len(data) // 2], "empty": lambda data: b"", "flip": flip}


@pytest.mark.parametrize("how", ["half", "empty", "flip", "gone"])
def test_damage_to_any_file_is_harmless_or_found(two_checkpoints, tmp_path, warnings, how):
    """Each file of the newest checkpoint in turn; then training goes on."""
    newest = two_checkpoints / checkpoint.FOLDER / "2"
    files = [path.relative_to(two_checkpoints) for path in newest.rglob("*") if path.is_file()]
    assert len(files) > 10
    outcomes = []
    for number, file in enumerate(sorted(files)):
        run = tmp_path / str(number)
        shutil.copytree(two_checkpoints, run)
        if how == "gone":
            (run / file).unlink()
        else:
            (run / file).write_bytes(_damages()[how]((run / file).read_bytes()))
        warnings.clear()
        with checkpoint.open_manager(run) as manager:
            state, position, best_iou = checkpoint.restore(manager, _abstract())
            step = int(state.step)
            _save(manager, step + 1)
        assert _bytes(state) == _bytes(_state(step)), file
        assert (position["batch"], best_iou) == (step, 0.125), file
        if step == 2:
            assert _steps(run) == ["1", "2", "3"], file
        else:
            assert _steps(run) == ["1", "2", "2.damaged"], file
            assert f"{run / checkpoint.FOLDER / '2'} is damaged" in warnings[0]
            assert "moved to 2.damaged" in warnings[0]
        outcomes.append(step)
    # Some files are copies or not needed, but the arrays and the position are.
    assert outcomes.count(1) >= 4


def test_damage_that_reads_well_is_found_by_the_digests(tmp_path, monkeypatch, warnings):
    """As if the storage had given other numbers without complaint."""
    real = integrity.summary
    with checkpoint.open_manager(tmp_path) as manager:
        _save(manager, 1)
        with monkeypatch.context() as patch:
            patch.setattr(
                integrity, "summary", lambda state: (real(state)[0], real(state)[1].at[3].add(1))
            )
            _save(manager, 2)
        manager.wait_until_finished()
        assert int(checkpoint.restore(manager, _abstract()).state.step) == 1
    assert "nets/discriminator/params/kernel is not as it was saved" in warnings[0]


def test_all_damaged_is_one_error_and_nothing_moves(two_checkpoints, tmp_path):
    shutil.copytree(two_checkpoints, tmp_path / "run")
    for step in ("1", "2"):
        (tmp_path / "run" / checkpoint.FOLDER / step / "state" / "_METADATA").write_text("{")
    with (
        checkpoint.open_manager(tmp_path / "run") as manager,
        pytest.raises(checkpoint.DamagedCheckpointError, match="none of its checkpoints") as caught,
    ):
        checkpoint.restore(manager, _abstract())
    assert "\n  2: " in str(caught.value) and "\n  1: " in str(caught.value)
    assert len(str(caught.value).splitlines()) == 3
    assert _steps(tmp_path / "run") == ["1", "2"]


def test_the_same_step_damaged_twice(two_checkpoints, tmp_path, warnings):
    shutil.copytree(two_checkpoints, tmp_path / "run")
    for _ in range(2):
        shutil.rmtree(tmp_path / "run" / checkpoint.FOLDER / "2" / "state")
        with checkpoint.open_manager(tmp_path / "run") as manager:
            assert int(checkpoint.restore(manager, _abstract()).state.step) == 1
            _save(manager, 2)
    assert _steps(tmp_path / "run") == ["1", "2", "2.damaged", "2.damaged1"]
    assert len(warnings) == 2


def test_what_a_killed_run_left_half_written_is_cleared_away(two_checkpoints, tmp_path):
    shutil.copytree(two_checkpoints, tmp_path / "run")
    folder = tmp_path / "run" / checkpoint.FOLDER
    shutil.copytree(folder / "2", folder / "3.orbax-checkpoint-tmp")
    with checkpoint.open_manager(tmp_path / "run") as manager:
        assert int(checkpoint.restore(manager, _abstract()).state.step) == 2
        _save(manager, 3)
    assert _steps(tmp_path / "run") == ["1", "2", "3"]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_are_not_saved(tmp_path, value):
    with checkpoint.open_manager(tmp_path) as manager:
        _save(manager, 1)
        state = _state(2)
        state.nets["discriminator"].params["bias"] = jnp.array([0.0, value, 0.0], "f4")
        with pytest.raises(NotFiniteError, match=r"discriminator/params/bias holds .* step 2"):
            checkpoint.save(manager, state, position={})
    assert _steps(tmp_path) == ["1"]


def _digests(array):
    return np.asarray(integrity.summary({"a": jnp.asarray(array)})[1]).tolist()


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.uint8, np.float16, np.bool_])
def test_every_change_of_one_element_changes_the_digest(dtype):
    base = np.arange(257).astype(dtype)
    seen = {tuple(_digests(base))}
    for place in range(0, 257, 16):
        other = base.copy()
        other.view(np.uint8)[place * base.itemsize] ^= 1
        seen.add(tuple(_digests(other)))
    assert len(seen) == 18
    assert _digests(base) == _digests(base.copy())


def test_digests_see_order_and_are_known_numbers():
    assert _digests(np.array([1, 0, 0], "u4")) == [1]
    assert _digests(np.array([0, 1, 0], "u4")) != _digests(np.array([0, 0, 1], "u4"))
    assert _digests(np.array([1.0, 2.0], "f4")) != _digests(np.array([2.0, 1.0], "f4"))
    assert _digests(np.array([0.0], "f4")) != _digests(np.array([-0.0], "f4"))
    # Written out in Python, so that checkpoints of today are readable tomorrow.
    total = 0
    for place in range(1000):
        factor = place * 0x9E3779B9 % 2**32
        factor = (factor ^ factor >> 16) * 0x85EBCA6B % 2**32
        factor = (factor ^ factor >> 13) | 1
        total += (place + 7) * factor
    assert _digests(np.arange(7, 1007, dtype=np.uint32)) == [total % 2**32]


@contextlib.contextmanager
def _no_file_larger_than(size):
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_checkpoint_that_cannot_be_written_names_the_last_good_one(tmp_path, caplog):
    # A disk stays full until somebody makes room, also while the manager is closed.
    with (
        contextlib.ExitStack() as limits,
        pytest.raises(checkpoint.DiskError) as caught,
        checkpoint.open_manager(tmp_path) as manager,
    ):
        _save(manager, 1)
        manager.wait_until_finished()
        caplog.clear()
        limits.enter_context(_no_file_larger_than(100))
        _save(manager, 2)
        # Here or by the next save the error comes out, as the writing thread has it.
        checkpoint.finish(manager)
        _save(manager, 3)
    assert caught.value.errno == errno.EFBIG
    assert f"the last good checkpoint is {tmp_path / checkpoint.FOLDER / '1'};" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    with checkpoint.open_manager(tmp_path) as manager:
        assert _bytes(checkpoint.restore(manager, _abstract()).state) == _bytes(_state(1))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (ValueError, "RESOURCE_EXHAUSTED: Failed to write 395 bytes: no room [os_error_code='28']"),
        (ValueError, "RESOURCE_EXHAUSTED: Failed to write 395 bytes: No space left on device"),
        (jax.errors.JaxRuntimeError, "RESOURCE_EXHAUSTED: No space left on device"),
    ],
)
def test_whatever_tells_of_a_full_disk_is_one_sentence(tmp_path, monkeypatch, caplog, kind, text):
    """And what is told of it once more, when the tasks beside it are thrown away, is not heard."""

    def wait():
        logging.getLogger("asyncio").error("Task exception was never retrieved: %s", text)
        raise kind(text)

    with (
        pytest.raises(
            checkpoint.DiskError, match=r"^\[Errno 28\] No space left.*make room"
        ) as caught,
        checkpoint.open_manager(tmp_path) as manager,
    ):
        _save(manager, 1)
        manager.wait_until_finished()
        monkeypatch.setattr(manager, "wait_until_finished", wait)
    assert "\n" not in str(caught.value)
    assert "never retrieved" not in caplog.text


def test_an_error_that_is_none_of_the_disk_stays_what_it_is(tmp_path, monkeypatch):
    def wait():
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes")

    with pytest.raises(RuntimeError, match="Out of memory"):  # noqa: SIM117
        with checkpoint.open_manager(tmp_path) as manager:
            monkeypatch.setattr(manager, "wait_until_finished", wait)


def test_other_files_that_cannot_be_written_name_it_too(tmp_path):
    with (
        pytest.raises(checkpoint.DiskError, match=r"No space left.*checkpoints/1; make room"),
        checkpoint.open_manager(tmp_path) as manager,
    ):
        _save(manager, 1)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with (
        pytest.raises(checkpoint.DiskError, match="no checkpoint yet"),
        checkpoint.open_manager(tmp_path / "new"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(FileNotFoundError, match="other"), checkpoint.open_manager(tmp_path):
        raise FileNotFoundError("other")
