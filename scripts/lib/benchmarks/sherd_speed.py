"""How long `voxgan complete` takes: as typed, from a cold start and for many; and where it goes."""

import contextlib
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence

from scripts.lib import training_pots
from scripts.lib.benchmarks import scanned, timing

COLUMNS = ("name", "unit", "median", "min", "max", "CPU", "runs")

Spent = tuple[float, float]
"""Seconds, and seconds of computing by all cores: on a busy machine only these say much."""


def measure(
    data_dir: str | None, *, count: int = 32, rounds: int = 5, options: Sequence[str] = ()
) -> list[timing.Row]:
    """Rows in seconds: of the command on one sherd and on `count`, and of a sherd's stages.

    The stages are measured in this process, one sherd after another, with the model compiled.

    Args:
        data_dir: a folder of `.vox` files, of whose validation pots one file each is taken; None
            makes synthetic pots.
        options: further ones for `voxgan complete`.

    Raises:
        ValueError: too few pots, or the command failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        sherds = _sherds(data_dir, pathlib.Path(folder), count)
        fixed = ["--fixed_fragment", *options]
        rows = [
            _row("import voxgan_jax", _imports(rounds)),
            _row("command, one sherd", _commands(sherds[:1], rounds, fixed)),
            _row(f"command, each of {count}", _commands(sherds, rounds, fixed), count),
        ]
        stages = [_stages(sherds, pathlib.Path(folder) / f"stages{k}") for k in range(rounds)]
    return rows + [_row(f"  {name}", [made[name] for made in stages], count) for name in stages[0]]


def measure_scans(
    data_dir: str | None, *, count: int = 100, options: Sequence[str] = ()
) -> list[timing.Row]:
    """The row in seconds of one command on scans of which nothing is told but their unit, once.

    Args:
        data_dir: see `scanned.write`.

    Raises:
        ValueError: too few pots, or the command failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        scans = scanned.write(data_dir, pathlib.Path(folder), count)
        faces = statistics.median((path.stat().st_size - 84) // 50 for path in scans)
        # Crumbs beside a sherd are bodies of their own.
        spent = _commands(scans, 1, ["--unit", "mm", "--largest", *options])
        return [_row(f"command, each of {count} scans of {faces:,.0f} faces", spent, count)]


def _row(name: str, spent: Sequence[Spent], parts: int = 1) -> timing.Row:
    wall, cpu = ([value / parts for value in column] for column in zip(*spent, strict=True))
    return timing.row(name, "s", wall, CPU=statistics.median(cpu))


def _sherds(data_dir: str | None, folder: pathlib.Path, count: int) -> list[pathlib.Path]:
    from voxgan_jax.data import folder as folders
    from voxgan_jax.data.synthetic import pots

    if data_dir is None:
        return pots.write_dataset(folder / "vox", pots=count, seed=0, fragments=(6,))
    files = (item for item in folders.scan(data_dir) if item.split == "validation")
    paths = [item.path for item in training_pots.first_of_each_pot(files)]
    if len(paths) < count:
        raise ValueError(f"{data_dir}: {len(paths)} validation pots; give --sherds {len(paths)}")
    return paths[:: len(paths) // count][:count]


def _imports(rounds: int) -> list[Spent]:
    return [_spent([sys.executable, "-c", "import voxgan_jax"]) for _ in range(rounds)]


def _commands(sherds: Sequence[pathlib.Path], rounds: int, options: Sequence[str]) -> list[Spent]:
    """The whole command, an interpreter of its own each time, all formats unless told otherwise."""
    spent = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as out:
            command = [sys.executable, "-m", "voxgan_jax.cli", "complete", *map(str, sherds)]
            spent.append(_spent([*command, "--out", out, *options]))
    return spent


def _spent(command: Sequence[str]) -> Spent:
    """What a command takes, with the processes that it starts."""
    root = str(pathlib.Path(__file__).resolve().parent.parent.parent)
    paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": paths}
    start, before = time.perf_counter(), os.times()
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    seconds, after = time.perf_counter() - start, os.times()
    if done.returncode:
        raise ValueError(f"{' '.join(command[:4])} …: {done.stderr.strip()[-500:]}")
    used = after.children_user + after.children_system
    return seconds, used - before.children_user - before.children_system


def _stages(sherds: Sequence[pathlib.Path], out: pathlib.Path) -> dict[str, Spent]:
    """What each stage takes for all sherds, one after another."""
    from voxgan_jax.inference import completer as model
    from voxgan_jax.inference import predict
    from voxgan_jax.restore import pot
    from voxgan_jax.restore.request import read_request

    completer = model.load()
    spent: dict[str, Spent] = {}

    @contextlib.contextmanager
    def stage(name: str) -> Iterator[None]:
        start, begun = time.perf_counter(), time.process_time()
        yield
        wall, cpu = spent.get(name, (0.0, 0.0))
        spent[name] = wall + time.perf_counter() - start, cpu + time.process_time() - begun

    asked = []
    for path in sherds:
        with stage("reading"):
            asked.append(read_request(completer, path, {}, fixed_fragment=True))
    predict.complete_batch(completer, asked[:1])
    answers = []
    for request in asked:
        with stage("model"):
            answers += predict.complete_batch(completer, [request])
    for request, answer in zip(asked, answers, strict=True):
        restored = pot.restore(request, answer)
        with stage("meshes"):
            _ = restored.surfaces
        with stage("missing piece"):
            _ = restored.piece
        with stage("files"):
            restored.write(out)
    return spent
