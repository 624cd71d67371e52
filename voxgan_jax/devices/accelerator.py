"""What JAX and NumPy are told by the environment before they start, and which JAX fits a machine.

Imports neither of them, nor what is not Python's own: `scripts/setup.sh` asks it before all else.

Nothing that is set already is set anew. In training the persistent cache is left off on a CPU: JAX
0.10 loads the steps that it cached there under pages of warnings on the console. Restoring has none
(`keep_compiled`).
"""

import contextlib
import contextvars
import hashlib
import importlib.util
import mmap
import os
import pathlib
import platform
import re
import sys
import warnings
from collections.abc import Iterator
from typing import Any, cast

XLA_FLAGS = {
    # Convolutions over 3 dimensions keep their channels first otherwise, which tensor cores do not
    # take: every one would stand between two transposes.
    "xla_gpu_force_conv_nhwc": "true",
    # Gradients are summed over devices in parts of at least 2 MiB, two thirds of their bytes while
    # others are computed; by default in one, after the last convolution (benchmark.py
    # --what gpu_program; the latency hiding scheduler changes nothing in either program).
    "xla_gpu_all_reduce_combine_threshold_bytes": "2097152",
}
"""The XLA flags of a GPU, and their values."""

WITHOUT_TRITON = {"xla_gpu_enable_triton_gemm": "false"}
"""Also of jaxlib before 0.11: it finds no tiles for some products of `revolve` at batch 64."""

ONEDNN = {
    "xla_cpu_use_onednn": "true",
    "xla_cpu_experimental_onednn_custom_call": "true",
}
"""The flags by which XLA has oneDNN do the convolutions of a CPU, from jaxlib 0.11 on."""

DETERMINISTIC = {"xla_gpu_deterministic_ops": "true"}
"""Sums in a fixed order, and no algorithm that is chosen by how long it took this time."""

ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""The variables by which NumPy's products take one thread. With more, they wait for each other at
full power, at the cost of all else on the machine, and small products are no quicker by them."""

CACHE_VARIABLE = "JAX_COMPILATION_CACHE_DIR"
_LEAST_SECONDS = "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"

_in_body = contextvars.ContextVar("in_body", default=False)


def prepare(*, deterministic: bool = False) -> None:
    """Set `XLA_FLAGS`, and the compilation cache where there is an NVIDIA GPU.

    Where there is none, XLA is told to use oneDNN if it can and programs are not to be kept, and a
    plug-in for a GPU is passed over: it would print why it does not start.

    Call it before the first JAX computation. Flags in `XLA_FLAGS` stay as they are. Compiled steps
    are kept in `voxgan_jax/xla` of the user's cache folder (`XDG_CACHE_HOME`, or `~/.cache`), or
    where `JAX_COMPILATION_CACHE_DIR` says: nowhere where that is empty.

    Args:
        deterministic: the same program on the same card gives the same bits each time, more slowly.

    Raises:
        ValueError: that cannot be had: `XLA_FLAGS` says otherwise, JAX has started without it, or
            this jaxlib knows of no such thing.
    """
    if not has_nvidia_gpu():
        _pass_over_plugin()
        _use_onednn()
        return
    told = os.environ.get("XLA_FLAGS", "")
    wanted = with_flags(told, flags(deterministic=deterministic))
    if deterministic:
        _check_deterministic(told, wanted)
    os.environ["XLA_FLAGS"] = wanted
    if CACHE_VARIABLE not in os.environ:
        _keep_in(default_cache_dir())


def has_onednn() -> bool:
    """Whether XLA has oneDNN do the convolutions of a CPU, as `prepare` or `XLA_FLAGS` told it."""
    told = (word.lstrip("-").partition("=") for word in os.environ.get("XLA_FLAGS", "").split())
    values = {name: value for name, _, value in told}
    return _may_have_onednn() and all(values.get(name) in ("", "true", "1") for name in ONEDNN)


@contextlib.contextmanager
def without_onednn() -> Iterator[None]:
    """For the body of a loop or a branch, while it is traced: XLA leaves none of it to oneDNN.

    Convolutions in the forms for oneDNN take thirty times as long there (jaxlib 0.11.2).
    """
    before = _in_body.set(True)
    try:
        yield
    finally:
        _in_body.reset(before)


def _may_have_onednn() -> bool:
    # That of 0.10 takes no convolutions, and XLA ends the process at a flag that 0.12 may not have.
    known = not _in_body.get() and (0, 11) <= _jaxlib_version() < (0, 12)
    return known and sys.platform == "linux" and platform.machine() == "x86_64"


def _use_onednn() -> None:
    cpu = "cpu" in os.environ.get("JAX_PLATFORMS", "cpu").split(",")
    # JAX fails to write programs with calls of oneDNN to its cache, and says so each time.
    kept = bool(os.environ.get(CACHE_VARIABLE))
    # Flags that come too late would make `has_onednn` say what is not so.
    if cpu and not kept and _may_have_onednn() and not _jax_has_started():
        os.environ["XLA_FLAGS"] = with_flags(os.environ.get("XLA_FLAGS", ""), ONEDNN)


def keep_compiled() -> None:
    """On a CPU keep what takes long to compile for the next run, in a folder for such CPUs alone.

    Call it before `prepare`, which then leaves oneDNN alone: its programs cannot be kept.
    Nothing is kept where a folder is named already, or where none can be made or written to.
    """
    if has_nvidia_gpu() or CACHE_VARIABLE in os.environ:
        return
    folder = default_cache_dir() / f"cpu-{_cpu()}"
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK | os.X_OK):
            os.environ.setdefault(_LEAST_SECONDS, "0.3")
            # What cannot be read or written is compiled as if nothing were kept.
            about = "Error (reading|writing) persistent compilation cache"
            warnings.filterwarnings("ignore", about)
            _keep_in(folder)


def _keep_in(folder: pathlib.Path) -> None:
    os.environ[CACHE_VARIABLE] = str(folder)
    # JAX has read its environment already if it was imported.
    if jax := sys.modules.get("jax"):
        jax.config.update("jax_compilation_cache_dir", os.environ[CACHE_VARIABLE])


def _cpu() -> str:
    """A digest of what this CPU can do: what was compiled for one that can more would crash."""
    told = platform.machine() + platform.processor()
    with contextlib.suppress(OSError):
        lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        told += "".join(re.findall(r"^(?:flags|Features|model name)\s*:.*$", lines, re.M)[:2])
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def flags(*, deterministic: bool = False) -> dict[str, str]:
    """The XLA flags that a run on a GPU has with this jaxlib."""
    wanted = XLA_FLAGS | (DETERMINISTIC if deterministic else {})
    if _jaxlib_version() < (0, 11):
        wanted |= WITHOUT_TRITON
    return known_flags(wanted)


def _jaxlib_version() -> tuple[int, ...]:
    from importlib import metadata

    return tuple(map(int, metadata.version("jaxlib").split(".")[:2]))


def _check_deterministic(told: str, wanted: str) -> None:
    """ValueError where flags that were `told` are to become the `wanted` ones and cannot."""
    field, (name, value) = "config.train.deterministic", *DETERMINISTIC.items()
    said = [word for word in wanted.split() if word.lstrip("-").split("=")[0] == name]
    if not said:
        raise ValueError(f"{field}: this jaxlib knows no --{name}; install the pinned one")
    if said[-1].lstrip("-") not in (name, f"{name}={value}"):
        raise ValueError(f"{field} is true, and XLA_FLAGS says {said[-1]}; take one of them back")
    if said[-1] not in told.split() and _jax_has_started():
        raise ValueError(
            f"{field}: JAX runs already, and takes flags only before that; start Python with"
            f" XLA_FLAGS={said[-1]}"
        )


def _jax_has_started() -> bool:
    bridge = sys.modules.get("jax._src.xla_bridge")
    return bridge is not None and bridge.backends_are_initialized()


def cuda_extra() -> str | None:
    """Which JAX fits the NVIDIA driver and cards: "cuda13", "cuda12", or "" for neither.

    CUDA 13 needs a driver of 580 and cards from Turing on, CUDA 12 one of 525 and cards of 5.2; the
    oldest card decides. None: no driver tells.
    """
    import subprocess

    query = ["nvidia-smi", "--query-gpu=driver_version,compute_cap", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=20, check=False)
        rows = [line.split(",") for line in done.stdout.splitlines() if line.strip()]
        cards = [(int(driver.split(".")[0]), float(level)) for driver, level in rows]
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return None
    if not cards:
        return None
    driver, level = min(driver for driver, _ in cards), min(level for _, level in cards)
    if driver >= 580 and level >= 7.5:
        return "cuda13"
    return "cuda12" if driver >= 525 and level >= 5.2 else ""


def before_imports() -> None:
    """Give NumPy one thread, unless the environment says how many, and have trimesh imported
    without networkx, which takes as long as all else of it and serves nothing here.

    For programs of this package, before they import either; another may want networkx.
    """
    for name, value in ONE_THREAD.items():
        os.environ.setdefault(name, value)
    sys.modules.setdefault("networkx", cast(Any, None))


def has_nvidia_gpu(devices: pathlib.Path = pathlib.Path("/dev")) -> bool:
    """Whether JAX may run on an NVIDIA GPU: there is one, a plug-in for it, and neither is barred.

    `JAX_PLATFORMS` and `CUDA_VISIBLE_DEVICES` bar it. `devices` is the folder of device files.
    """
    platforms = os.environ.get("JAX_PLATFORMS", "")
    if platforms and not {"cuda", "gpu"} & set(platforms.split(",")):
        return False
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all") in ("", "-1"):
        return False
    # nvidia0, nvidia1, …; and under the Windows Subsystem for Linux.
    present = any(devices.glob("nvidia[0-9]*")) or (devices / "dxg").exists()
    return present and _has_plugin()


def _has_plugin() -> bool:
    plugins = (f"jax_cuda{version}_plugin" for version in (12, 13))
    return any(importlib.util.find_spec(name) for name in plugins)


def _pass_over_plugin() -> None:
    # Where a platform is named, or there may be another, nothing is done.
    if os.environ.get("JAX_PLATFORMS") or importlib.util.find_spec("libtpu") or not _has_plugin():
        return
    os.environ["JAX_PLATFORMS"] = "cpu"
    if jax := sys.modules.get("jax"):
        jax.config.update("jax_platforms", "cpu")


def with_flags(current: str, flags: dict[str, str]) -> str:
    """`current`, an `XLA_FLAGS` value, with those `flags` added that it does not set itself."""
    named = {word.lstrip("-").split("=")[0] for word in current.split()}
    added = [f"--{name}={value}" for name, value in flags.items() if name not in named]
    return " ".join([*current.split(), *added])


def known_flags(flags: dict[str, str]) -> dict[str, str]:
    """Those of `flags` whose names stand in this jaxlib: XLA ends the process at an unknown one."""
    spec = importlib.util.find_spec("jaxlib")
    folder = pathlib.Path(spec.origin).parent if spec and spec.origin else pathlib.Path()
    found = set()
    for path in folder.glob("*.so"):
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as code:
            found |= {name for name in set(flags) - found if code.find(name.encode()) >= 0}
        if len(found) == len(flags):
            break
    return {name: value for name, value in flags.items() if name in found}


def default_cache_dir() -> pathlib.Path:
    """The folder for compiled steps where the user names none."""
    root = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(root) / "voxgan_jax" / "xla"
