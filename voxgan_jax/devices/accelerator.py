"""What makes JAX fast on an NVIDIA GPU, set from one place before it starts. Imports no JAX.

Nothing is set where there is no such GPU, and nothing that the environment already sets. The
persistent cache is left off on a CPU: JAX 0.10 loads what it cached there under pages of warnings
on the console, and compiling takes seconds.
"""

import importlib.util
import mmap
import os
import pathlib
import sys

XLA_FLAGS = {
    # Convolutions over 3 dimensions keep their channels first otherwise, which tensor cores do not
    # take: every one would stand between two transposes.
    "xla_gpu_force_conv_nhwc": "true",
    # Gradients are exchanged between devices while the next ones are computed.
    "xla_gpu_enable_latency_hiding_scheduler": "true",
}
"""The XLA flags of a GPU, and their values."""

ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""The variables by which NumPy's products take one thread. With more, they wait for each other at
full power, at the cost of all else on the machine, and small products are no quicker by them."""

CACHE_VARIABLE = "JAX_COMPILATION_CACHE_DIR"


def prepare() -> None:
    """Set `XLA_FLAGS` and the compilation cache where there is an NVIDIA GPU.

    Call it before the first JAX computation. Flags in `XLA_FLAGS` stay as they are. Compiled steps
    are kept in `voxgan_jax/xla` of the user's cache folder (`XDG_CACHE_HOME`, or `~/.cache`), or
    where `JAX_COMPILATION_CACHE_DIR` says: nowhere where that is empty.
    """
    if not has_nvidia_gpu():
        return
    os.environ["XLA_FLAGS"] = with_flags(os.environ.get("XLA_FLAGS", ""), known_flags(XLA_FLAGS))
    if CACHE_VARIABLE not in os.environ:
        os.environ[CACHE_VARIABLE] = str(default_cache_dir())
        # JAX has read its environment already if it was imported.
        if jax := sys.modules.get("jax"):
            jax.config.update("jax_compilation_cache_dir", os.environ[CACHE_VARIABLE])


def calm_numpy() -> None:
    """Give NumPy one thread, unless the environment says how many. Call it before its import."""
    for name, value in ONE_THREAD.items():
        os.environ.setdefault(name, value)


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
    plugins = (f"jax_cuda{version}_plugin" for version in (12, 13))
    return present and any(importlib.util.find_spec(name) for name in plugins)


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
