"""Settings for a GPU: set where there is one, known to this XLA, and never over the user's own."""

import os
import pathlib
import subprocess
import sys

import pytest

from voxgan_jax.devices import accelerator


@pytest.fixture
def gpu(monkeypatch, tmp_path):
    """A machine that looks like one with a GPU, and a clean environment."""
    for name in ("JAX_PLATFORMS", "CUDA_VISIBLE_DEVICES", "XLA_FLAGS", accelerator.CACHE_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(accelerator, "has_nvidia_gpu", lambda: True)
    # So that the tests' own JAX keeps its settings.
    monkeypatch.delitem(sys.modules, "jax")
    return tmp_path


def test_a_gpu_gets_flags_and_a_cache(gpu):
    accelerator.prepare()
    assert os.environ["XLA_FLAGS"].split() == [
        "--xla_gpu_force_conv_nhwc=true",
        "--xla_gpu_enable_latency_hiding_scheduler=true",
    ]
    cache = pathlib.Path(os.environ[accelerator.CACHE_VARIABLE])
    assert cache == gpu / "cache" / "voxgan_jax" / "xla"


@pytest.mark.parametrize("cache", ["", "/elsewhere"])
def test_what_the_user_set_stays(gpu, monkeypatch, cache):
    monkeypatch.setenv("XLA_FLAGS", "--xla_gpu_force_conv_nhwc=false --xla_dump_to=dump")
    monkeypatch.setenv(accelerator.CACHE_VARIABLE, cache)
    accelerator.prepare()
    assert os.environ["XLA_FLAGS"].split() == [
        "--xla_gpu_force_conv_nhwc=false",
        "--xla_dump_to=dump",
        "--xla_gpu_enable_latency_hiding_scheduler=true",
    ]
    assert os.environ[accelerator.CACHE_VARIABLE] == cache


def test_nothing_is_set_without_a_gpu(gpu, monkeypatch):
    monkeypatch.setattr(accelerator, "has_nvidia_gpu", lambda: False)
    accelerator.prepare()
    assert "XLA_FLAGS" not in os.environ and accelerator.CACHE_VARIABLE not in os.environ


@pytest.mark.parametrize(
    ("device", "plugin", "environment", "expected"),
    [
        ("nvidia0", True, {}, True),
        ("nvidiactl", True, {}, False),
        ("nvidia0", False, {}, False),
        ("dxg", True, {}, True),
        ("nvidia0", True, {"JAX_PLATFORMS": "cpu"}, False),
        ("nvidia0", True, {"JAX_PLATFORMS": "cuda,cpu"}, True),
        ("nvidia0", True, {"CUDA_VISIBLE_DEVICES": ""}, False),
        ("nvidia0", True, {"CUDA_VISIBLE_DEVICES": "1"}, True),
    ],
)
def test_a_gpu_is_a_device_with_a_plugin(
    monkeypatch, tmp_path, device, plugin, environment, expected
):
    for name in ("JAX_PLATFORMS", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(
        accelerator.importlib.util,
        "find_spec",
        lambda name: "found" if plugin and name == "jax_cuda12_plugin" else None,
    )
    (tmp_path / device).touch()
    assert accelerator.has_nvidia_gpu(tmp_path) is expected


def test_xla_takes_every_flag_and_unknown_ones_are_left_out():
    """XLA ends the process at a flag that it does not know."""
    flags = accelerator.known_flags(accelerator.XLA_FLAGS | {"xla_gpu_no_such_flag": "true"})
    assert flags == accelerator.XLA_FLAGS
    environment = {**os.environ, "XLA_FLAGS": accelerator.with_flags("", flags)}
    code = "import jax; print(jax.device_count())"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "1"), done.stderr[-500:]


def test_it_imports_neither_jax_nor_tensorflow():
    code = (
        "import sys; from voxgan_jax.devices import accelerator; accelerator.prepare();"
        "print([name for name in ('jax', 'tensorflow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_program_gives_numpy_one_thread_before_its_import_but_for_the_users_word():
    code = """
import os, sys
from voxgan_jax.cli import main
main.main = lambda: print(*map(os.environ.get, sys.argv[1:]), "numpy" in sys.modules) or 0
main.voxgan()
"""
    names = list(accelerator.ONE_THREAD)
    environment = {name: value for name, value in os.environ.items() if name not in names}
    said = subprocess.run(
        [sys.executable, "-c", code, *names],
        env=environment | {names[1]: "3"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.split() == ["1", "3", "1", "False"]
