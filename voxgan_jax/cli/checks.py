"""Whether this machine can complete sherds: versions, devices, weights, room, and a trial.

Nothing heavy is imported before it is known to be there, so that a broken installation can be told
what it lacks.
"""

import contextlib
import importlib
import importlib.metadata
import io
import os
import pathlib
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from packaging.requirements import Requirement

from voxgan_jax.devices import accelerator, interruption
from voxgan_jax.version import VERSION

OK, WARNING, FAULT = "ok", "warning", "fault"

PYTHONS = ((3, 11), (3, 12), (3, 13))

_NEEDED = (
    *("jax>=0.10", "jaxlib>=0.10", "flax>=0.12", "jaxtyping>=0.3.2", "manifold3d>=3.4"),
    *("ml_collections>=1.1", "numpy>=2.0", "safetensors>=0.5", "scikit-image>=0.25"),
    *("scipy>=1.14", "trimesh>=5"),
)
NEEDED = {requirement.name: requirement for requirement in map(Requirement, _NEEDED)}
"""What completing needs."""

OPTIONAL = {
    "ezdxf": "for --formats dxf: pip install 'voxgan_jax[drawing]'",
    "py-vox-io": "for voxgan synth and --formats vox",
    "tensorflow": "for training: pip install 'voxgan_jax[train]'",
    "torch": "for voxgan convert: pip install 'voxgan_jax[torch]'",
}
"""What the rest needs, and which rest that is."""

_WRONG = "it gives wrong results on CPUs (jax issue 39103)"
BAD = {("jax", "0.10.2"): _WRONG, ("jaxlib", "0.10.2"): _WRONG}
"""Versions that must not be used, and why."""

LEAST_IOU = 0.75
_POT, _PIECES = 1, 6
_WRITTEN = ("_completed.vox", "_completed.stl", "_completed.glb", "_missing.stl")
_SAME_VERSIONS = "install the versions that constraints.txt pins"
_GIB = 2**30

Complete = Callable[[Sequence[str]], int]
"""`voxgan complete` as a function of its arguments; returns the exit code."""


class Finding(NamedTuple):
    """What was found: `state` is OK, WARNING or FAULT; `remedy` is empty where all is well."""

    name: str
    state: str
    text: str
    remedy: str = ""


def examine(complete: Complete | None) -> Iterator[Finding]:
    """All findings, each as soon as it is known.

    Args:
        complete: completes a synthetic sherd for a trial, which takes some seconds; None leaves
            it out.
    """
    yield python(sys.version_info[:3])
    yield Finding("voxgan_jax", OK, f"{VERSION}, {pathlib.Path(__file__).parent.parent}")
    found = [package(name) for name in NEEDED]
    yield from found
    yield from (extra(name) for name in OPTIONAL)
    broken = [finding.name for finding in found if finding.state == FAULT]
    later: dict[str, Callable[[], Finding]] = {"devices": devices, "weights": weights}
    later |= {"disk": disk, "memory": memory, "browser": browser}
    if complete:
        later["trial"] = lambda: try_out(complete)
    for name, check in later.items():
        if broken and name in ("devices", "weights", "trial"):
            yield Finding(name, WARNING, f"not examined, because of {', '.join(broken)}")
        else:
            yield guarded(name, check)


def guarded(name: str, check: Callable[[], Finding]) -> Finding:
    """What a check finds; a fault where it fails in a way of its own."""
    try:
        return check()
    except Exception as error:  # Whatever is broken here, the other checks go on.
        said = " ".join(f"{type(error).__name__}: {error}".split())
        return Finding(name, FAULT, said[:300], "install voxgan_jax again in a fresh environment")


def python(version: tuple[int, ...]) -> Finding:
    """The interpreter."""
    text = f"{'.'.join(map(str, version))} on {platform.system()} {platform.machine()}"
    if version[:2] in PYTHONS:
        return Finding("python", OK, text)
    known = ", ".join(".".join(map(str, pair)) for pair in PYTHONS)
    return Finding("python", FAULT, text, f"use one of Python {known}")


def package(name: str) -> Finding:
    """A package of NEEDED: there, not too old, not of BAD, and it can be imported."""
    (oldest,) = NEEDED[name].specifier
    install = f"pip install '{NEEDED[name]}'"
    version = _version(name)
    if version is None:
        return Finding(name, FAULT, "not installed", install)
    if reason := BAD.get((name, version)):
        return Finding(name, FAULT, f"{version}: {reason}", "pip install 'jax==0.10.1'")
    if not oldest.contains(version, prereleases=True):
        return Finding(name, FAULT, f"{version}: too old, {oldest.version} is needed", install)
    try:
        importlib.import_module({"scikit-image": "skimage"}.get(name, name))
    except Exception as error:  # A package that is broken may raise anything.
        said = " ".join(str(error).split())[:200]
        remedy = f"pip install --force-reinstall '{name}=={version}'"
        return Finding(name, FAULT, f"{version}: it cannot be imported ({said})", remedy)
    return Finding(name, OK, version)


def extra(name: str) -> Finding:
    """A package of OPTIONAL; that it is not there is no more than said."""
    # TensorFlow has a name of its own where it is without a GPU.
    version = _version(name) or _version(f"{name}-cpu")
    if version is None:
        return Finding(name, OK, f"not installed; needed only {OPTIONAL[name]}")
    return Finding(name, OK, version)


def devices(files: pathlib.Path = pathlib.Path("/dev")) -> Finding:
    """On what JAX computes. `files` is the folder of device files."""
    barred = os.environ.get("JAX_PLATFORMS", "")
    accelerator.prepare()
    import jax

    try:
        found = jax.devices()
    except RuntimeError as error:
        said = str(error).splitlines()[0][:200]
        remedy = "unset JAX_PLATFORMS" if barred else "install jax again: pip install jax==0.10.1"
        return Finding("devices", FAULT, f"JAX finds none ({said})", remedy)
    kinds = sorted({device.device_kind for device in found})
    text = f"{len(found)} × {', '.join(kinds)}"
    if found[0].platform != "cpu":
        return Finding("devices", OK, text)
    text += f", {os.cpu_count()} cores; no GPU"
    present = any(files.glob("nvidia[0-9]*")) or (files / "dxg").exists()
    if present and not barred:
        text, fitting = f"{text} is used, though there is one", accelerator.cuda_extra()
        if fitting == "":
            return Finding("devices", OK, f"{text}: it, or its driver, is too old for JAX")
        remedy = f"pip install 'voxgan_jax[{fitting or 'cuda12'}]'"
        if fitting is None:
            remedy += " (or cuda13, for a driver of 580 or later and cards from Turing on)"
        return Finding("devices", WARNING, text, remedy)
    return Finding("devices", OK, f"{text} needed for completing")


def weights(paths: Sequence[pathlib.Path] = ()) -> Finding:
    """The weights of the package, and their checksums against their cards'."""
    from voxgan_jax.inference import model_card

    again = "install voxgan_jax again: the file is not what was packed"
    told = []
    shipped = (model_card.NAME, model_card.HYPOTHESES, model_card.LOCATOR)
    for path in paths or map(model_card.path, shipped):
        if not path.is_file():
            return Finding("weights", FAULT, f"{path}: not there", again)
        try:
            if "sha256" not in model_card.read_card(path).get("weights", {}):
                text = f"{path}: no card beside it tells its checksum"
                return Finding("weights", WARNING, text, "install voxgan_jax again")
            model_card.verified(path)
        except ValueError as error:
            return Finding("weights", FAULT, str(error), again)
        told.append(f"{path.name} {path.stat().st_size / 1e6:.1f} MB")
    return Finding("weights", OK, f"{', '.join(told)}; checksums as on their cards")


def disk(free: Callable[[pathlib.Path], int] | None = None) -> Finding:
    """Free room where results are written and where temporary files are."""
    free = free or (lambda folder: shutil.disk_usage(folder).free)
    folders = {str(pathlib.Path.cwd()), tempfile.gettempdir()}
    room = {folder: free(pathlib.Path(folder)) for folder in sorted(folders)}
    text = "; ".join(f"{left / _GIB:.1f} GiB free in {folder}" for folder, left in room.items())
    least = min(room.values())
    state = FAULT if least < 0.05 * _GIB else WARNING if least < _GIB else OK
    return Finding("disk", state, text, "" if state == OK else "make room: a pot takes some 10 MB")


def memory(free: Callable[[], int | None] | None = None) -> Finding:
    """Memory that can be had, where the system tells."""
    left = (free or available_memory)()
    if left is None:
        return Finding("memory", OK, "this system does not tell")
    text = f"{left / _GIB:.1f} GiB available"
    if left >= 2 * _GIB:
        return Finding("memory", OK, text)
    return Finding("memory", WARNING, text, "close other programs: completing takes up to 2 GiB")


def available_memory(proc: str = "/proc/meminfo", group: str = "/sys/fs/cgroup") -> int | None:
    """Bytes that a program can still have, a container's limit counted; None if not told."""
    try:
        known = dict(re.findall(r"(\w+):\s+(\d+) kB", pathlib.Path(proc).read_text()))
        left = int(known["MemAvailable"]) * 1024
    except (OSError, KeyError):
        return None
    try:
        limit, used = (pathlib.Path(group, f"memory.{name}") for name in ("max", "current"))
        return min(left, int(limit.read_text()) - int(used.read_text()))
    except (OSError, ValueError):  # No container, or "max".
        return left


def browser(environment: Mapping[str, str] | None = None, system: str = sys.platform) -> Finding:
    """Whether `voxgan view` can open a page here."""
    from voxgan_jax.cli.view import has_display

    if has_display(os.environ if environment is None else environment, system):
        return Finding("browser", OK, "voxgan view can open pages")
    return Finding("browser", OK, "no display here; voxgan view prints a page's address instead")


def try_out(complete: Complete) -> Finding:
    """Complete the largest piece of a synthetic pot, look at the files, compare with the pot."""
    import numpy as np

    from voxgan_jax.data import fragments, vox
    from voxgan_jax.data.synthetic import pots
    from voxgan_jax.pottery.fracture import fracture

    rng = np.random.default_rng(_POT)
    pot = pots.make_pot(rng)
    labels = fracture(rng, pot, _PIECES)
    given = max(fragments.fragment_ids(labels), key=fragments.voxel_counts(labels).__getitem__)
    interruption.unwind()
    with tempfile.TemporaryDirectory() as folder:
        file, out = pathlib.Path(folder) / "trial.vox", pathlib.Path(folder) / "out"
        vox.write(file, labels)
        errors = io.StringIO()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
            code = complete([str(file), "--fragment", str(given), "--out", str(out)])
        if code:
            said = errors.getvalue().strip() or f"it ended with {code}"
            return Finding("trial", FAULT, f"no pot was completed: {said}", _SAME_VERSIONS)
        (answer,) = (vox.read(path) > 0 for path in out.glob("*_completed.vox"))
        names = [path.name for path in out.glob("[!.]*") if path.stat().st_size]
    iou = float((answer & pot).sum() / (answer | pot).sum())
    text = f"IoU {iou:.2f} of a synthetic pot from one sherd; {len(names)} files written"
    if iou < LEAST_IOU:
        return Finding("trial", FAULT, f"{text}; {LEAST_IOU:.2f} or more expected", _SAME_VERSIONS)
    if lacking := [end for end in _WRITTEN if not any(name.endswith(end) for name in names)]:
        return Finding("trial", FAULT, f"{text}; no {', '.join(lacking)}", _SAME_VERSIONS)
    return Finding("trial", OK, text)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
