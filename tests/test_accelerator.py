"""Settings for a GPU: set where there is one, known to this XLA, and never over the user's own."""

import os
import pathlib
import subprocess
import sys
from importlib import metadata

import jax
import pytest

from configs import smoke
from voxgan_jax.devices import accelerator
from voxgan_jax.training import loop


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


NHWC, NO_TRITON = "--xla_gpu_force_conv_nhwc=true", "--xla_gpu_enable_triton_gemm=false"
PARTS = "--xla_gpu_all_reduce_combine_threshold_bytes=2097152"
DETERMINISTIC = "--xla_gpu_deterministic_ops=true"


@pytest.mark.parametrize(
    ("version", "flags"),
    [
        ("0.10.1", [NHWC, PARTS, NO_TRITON]),
        ("0.11.2", [NHWC, PARTS]),
        ("0.12.0.dev1", [NHWC, PARTS]),
    ],
)
def test_a_gpu_gets_flags_and_a_cache(gpu, monkeypatch, version, flags):
    monkeypatch.setattr(metadata, "version", lambda _: version)
    accelerator.prepare()
    assert os.environ["XLA_FLAGS"].split() == flags
    cache = pathlib.Path(os.environ[accelerator.CACHE_VARIABLE])
    assert cache == gpu / "cache" / "voxgan_jax" / "xla"


@pytest.mark.parametrize("cache", ["", "/elsewhere"])
def test_what_the_user_set_stays(gpu, monkeypatch, cache):
    monkeypatch.setattr(metadata, "version", lambda _: "0.10.1")
    monkeypatch.setenv("XLA_FLAGS", "--xla_gpu_force_conv_nhwc=false --xla_dump_to=dump")
    monkeypatch.setenv(accelerator.CACHE_VARIABLE, cache)
    accelerator.prepare()
    assert os.environ["XLA_FLAGS"].split() == [
        "--xla_gpu_force_conv_nhwc=false",
        "--xla_dump_to=dump",
        PARTS,
        NO_TRITON,
    ]
    assert os.environ[accelerator.CACHE_VARIABLE] == cache


@pytest.mark.parametrize("told", ["", "--xla_gpu_deterministic_ops", DETERMINISTIC])
def test_a_deterministic_run_is_asked_for_once(gpu, monkeypatch, told):
    monkeypatch.setenv("XLA_FLAGS", told)
    monkeypatch.setattr(accelerator, "_jax_has_started", lambda: bool(told))
    accelerator.prepare(deterministic=True)
    said = [word for word in os.environ["XLA_FLAGS"].split() if "deterministic" in word]
    assert said == [told or DETERMINISTIC]


def test_a_deterministic_run_that_cannot_be_is_refused(gpu, monkeypatch):
    monkeypatch.setattr(accelerator, "_jax_has_started", lambda: True)
    with pytest.raises(
        ValueError, match=f"runs already.*start Python with XLA_FLAGS={DETERMINISTIC}"
    ):
        accelerator.prepare(deterministic=True)
    with (
        monkeypatch.context() as patch,
        pytest.raises(ValueError, match=r"XLA_FLAGS says .*=false"),
    ):
        patch.setenv("XLA_FLAGS", "--xla_gpu_deterministic_ops=false")
        accelerator.prepare(deterministic=True)
    with monkeypatch.context() as patch, pytest.raises(ValueError, match="this jaxlib knows no"):
        patch.setattr(accelerator, "known_flags", lambda _: {})
        accelerator.prepare(deterministic=True)
    assert "XLA_FLAGS" not in os.environ


def test_a_config_asks_before_a_run_writes_anything(gpu, monkeypatch):
    config = smoke.get_config()
    config.train.deterministic = True
    monkeypatch.setattr(accelerator, "_jax_has_started", lambda: True)
    with pytest.raises(ValueError, match=r"config\.train\.deterministic: JAX runs"):
        loop.train(config, gpu / "run")
    assert not (gpu / "run").exists()


def test_jax_has_started_here_and_not_in_a_new_process():
    jax.devices()
    assert accelerator._jax_has_started()
    code = (
        "import jax; from voxgan_jax.devices import accelerator as a; print(a._jax_has_started())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


ONEDNN = ["--xla_cpu_use_onednn=true", "--xla_cpu_experimental_onednn_custom_call=true"]


@pytest.fixture
def cpu(gpu, monkeypatch):
    """A machine that looks like one without a GPU, on which JAX has not begun."""
    monkeypatch.setattr(accelerator, "has_nvidia_gpu", lambda: False)
    monkeypatch.setattr(accelerator, "_jax_has_started", lambda: False)
    monkeypatch.setattr(accelerator.sys, "platform", "linux")
    monkeypatch.setattr(accelerator.platform, "machine", lambda: "x86_64")


@pytest.mark.parametrize(
    ("version", "machine", "platforms", "flags"),
    [
        ("0.11.2", "x86_64", None, ONEDNN),
        ("0.11.0", "x86_64", "cpu", ONEDNN),
        ("0.10.1", "x86_64", None, []),  # its oneDNN takes no convolutions
        ("0.12.0", "x86_64", None, []),
        ("0.11.2", "aarch64", None, []),
        ("0.11.2", "x86_64", "tpu", []),
    ],
)
def test_a_cpu_gets_flags_that_its_jaxlib_knows_and_no_cache(
    cpu, monkeypatch, version, machine, platforms, flags
):
    monkeypatch.setattr(metadata, "version", lambda _: version)
    monkeypatch.setattr(accelerator.platform, "machine", lambda: machine)
    if platforms:
        monkeypatch.setenv("JAX_PLATFORMS", platforms)
    accelerator.prepare()
    assert os.environ.get("XLA_FLAGS", "").split() == flags
    assert accelerator.CACHE_VARIABLE not in os.environ
    assert accelerator.has_onednn() == bool(flags)


def test_onednn_is_left_where_programs_are_kept(cpu, monkeypatch):
    """JAX 0.11 fails to write programs that call it."""
    monkeypatch.setattr(metadata, "version", lambda _: "0.11.2")
    monkeypatch.setenv(accelerator._LEAST_SECONDS, "0.3")
    accelerator.keep_compiled()
    accelerator.prepare()
    assert os.environ.pop(accelerator.CACHE_VARIABLE)
    assert "XLA_FLAGS" not in os.environ


def test_onednn_is_not_taken_where_it_is_refused_or_told_of_too_late(cpu, monkeypatch):
    monkeypatch.setattr(metadata, "version", lambda _: "0.11.2")
    with monkeypatch.context() as patch:
        patch.setenv("XLA_FLAGS", "--xla_cpu_use_onednn=false")
        accelerator.prepare()
        assert os.environ["XLA_FLAGS"].split() == ["--xla_cpu_use_onednn=false", ONEDNN[1]]
        assert not accelerator.has_onednn()
        patch.setenv("XLA_FLAGS", " ".join(["--xla_cpu_use_onednn", ONEDNN[1], "--a=b"]))
        assert accelerator.has_onednn()
    monkeypatch.setattr(accelerator, "_jax_has_started", lambda: True)
    accelerator.prepare()
    assert "XLA_FLAGS" not in os.environ and not accelerator.has_onednn()


@pytest.mark.parametrize(
    ("found", "platforms", "expected"),
    [
        ("jax_cuda13_plugin", None, "cpu"),
        ("jax_cuda13_plugin", "cuda", "cuda"),
        ("jax_cuda13_plugin libtpu", None, None),
        ("", None, None),
    ],
)
def test_a_plug_in_without_a_gpu_is_passed_over(gpu, monkeypatch, found, platforms, expected):
    monkeypatch.setattr(accelerator, "has_nvidia_gpu", lambda: False)
    known = lambda name: name if name in found.split() else None  # noqa: E731
    monkeypatch.setattr(accelerator.importlib.util, "find_spec", known)
    if platforms:
        monkeypatch.setenv("JAX_PLATFORMS", platforms)
    accelerator.prepare()
    assert os.environ.get("JAX_PLATFORMS") == expected


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
    every = accelerator.XLA_FLAGS | accelerator.WITHOUT_TRITON | accelerator.DETERMINISTIC
    every |= accelerator.ONEDNN
    flags = accelerator.known_flags(every | {"xla_gpu_no_such_flag": "true"})
    assert flags == every
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


def test_trimesh_does_without_networkx():
    code = (
        "import sys; from voxgan_jax.devices import accelerator; accelerator.before_imports();"
        "import trimesh.creation; box = trimesh.creation.box(); box.is_volume, box.split();"
        "print([name for name, module in sys.modules.items() if 'networkx' in name and module])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# Drivers and cards, and the JAX that fits them; test_setup.py asks scripts/setup.sh the same.
MACHINES = [
    ("580.65.06, 9.0", "cuda13"),
    ("580.65.06, 7.5", "cuda13"),
    ("580.65.06, 7.0", "cuda12"),
    ("580.65.06, 9.0\n580.65.06, 6.1", "cuda12"),
    ("590.10, 12.0", "cuda13"),
    ("570.124.06, 9.0", "cuda12"),
    ("525.60.13, 5.2", "cuda12"),
    ("525.60.13, 5.0", ""),
    ("470.82.01, 8.0", ""),
    ("NVIDIA-SMI has failed because it couldn't communicate with the driver.", None),
    ('Field "compute_cap" is not a valid field to query.', None),
    ("", None),
]


@pytest.fixture
def driver(monkeypatch, tmp_path):
    """`driver(said)`: an nvidia-smi that says so."""

    def pretend(said):
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\ncat <<'END'\n{said}\nEND\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    return pretend


@pytest.mark.parametrize(("said", "extra"), MACHINES)
def test_the_jax_that_fits_driver_and_cards(driver, said, extra):
    driver(said)
    assert accelerator.cuda_extra() == extra


def test_without_a_driver_nothing_fits(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert accelerator.cuda_extra() is None


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


def test_what_was_compiled_is_kept_for_such_cpus_alone(monkeypatch, tmp_path):
    for name in (accelerator.CACHE_VARIABLE, accelerator._LEAST_SECONDS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(accelerator, "has_nvidia_gpu", lambda: False)
    monkeypatch.delitem(sys.modules, "jax")
    accelerator.keep_compiled()
    first = os.environ.pop(accelerator.CACHE_VARIABLE)
    assert pathlib.Path(first).is_dir() and first.startswith(str(tmp_path / "voxgan_jax/xla/cpu-"))
    monkeypatch.setattr(accelerator, "_cpu", lambda: "other")
    accelerator.keep_compiled()
    assert os.environ[accelerator.CACHE_VARIABLE] != first
    monkeypatch.setenv(accelerator.CACHE_VARIABLE, "")  # the user wants none
    accelerator.keep_compiled()
    assert os.environ[accelerator.CACHE_VARIABLE] == ""


def test_nothing_is_kept_where_no_folder_can_be_made(monkeypatch, tmp_path):
    monkeypatch.delenv(accelerator.CACHE_VARIABLE, raising=False)
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(accelerator, "has_nvidia_gpu", lambda: False)
    accelerator.keep_compiled()
    assert accelerator.CACHE_VARIABLE not in os.environ
