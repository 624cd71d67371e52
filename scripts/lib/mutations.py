"""Mutated files of every format, read and looked at as a sherd's, in a process with limits.

File k of a seed is the same every time, so a run can go on where another ended. Of each file all
that happens without the model is done; what is raised must be the project's own error and begin
with the file's name.
"""

import collections
import faulthandler
import io
import json
import os
import pathlib
import re
import resource
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import zipfile
from typing import TYPE_CHECKING

import numpy as np

from scripts.lib import format_parts, format_scenes, hostile_files, hostile_glb
from voxgan_jax.data import vox

if TYPE_CHECKING:
    from scripts.lib.hostile import Tried

SECONDS, MEMORY = 10.0, 2 << 30
"""What a file may take."""

_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_TEXTS = [b"0", b"-1", b"1", b"2", b"3", b"nan", b"inf", b"1e300", b"-1e-300", b"1e38", b"255"]
_TEXTS += [b"65536", b"4294967295", b"99999999999999999999", b"", b"null", b"[]", b"{}", b'"a"']
_WORDS = [struct.pack(f"{o}I", n) for o in "<>" for n in (0, 1, 2, 3, 255, 2**16, 2**31, 2**32 - 1)]
_WORDS += [
    struct.pack(f"{o}{k}", n) for o in "<>" for k in "fd" for n in (np.nan, 3e38, -1e-30, 1e9)
]
_FOREIGN = "a foreign exception"
_ZIPPED = (".3mf", ".npz")


def seeds() -> dict[str, list[bytes]]:
    """Small files by their ending, that are read or refused."""
    found = collections.defaultdict(list)
    for (suffix, _), cases in format_scenes.PARTS.items():
        found[f".{suffix}"] += [data for data, _ in cases.values()]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "a.vox")
        vox.write(path, format_parts.GRID)
        # Without its palette, which takes most of it.
        found[".vox"] = [path.read_bytes(), path.read_bytes()[:-1036]]
    return dict(sorted(found.items()))


def mutated(rng: np.random.Generator, ending: str, files: list[bytes]) -> bytes:
    """One of the files with one to four faults, most often within its containers."""
    data, other = (files[k] for k in rng.integers(len(files), size=2))
    if rng.random() < 0.2:
        return _with_faults(rng, data, other)
    if ending in _ZIPPED:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            parts = {name: packed.read(name) for name in packed.namelist()}
        name = list(parts)[rng.integers(len(parts))]
        parts[name] = _with_faults(rng, parts[name], other)
        return hostile_files.zipped(**{at: [part] for at, part in parts.items()})
    if ending == ".glb":
        size = int.from_bytes(data[12:16], "little")
        text, body = data[20 : 20 + size], data[28 + size :]
        return hostile_glb.packed(_with_faults(rng, text, other[20:]), body)
    return _with_faults(rng, data, other)


def _with_faults(rng: np.random.Generator, whole: bytes, other: bytes) -> bytes:
    data = bytearray(whole)
    for _ in range(min(rng.geometric(0.5), 4)):
        at, length = int(rng.integers(len(data) + 1)), int(2 ** rng.uniform(0, 8))
        numbers = list(_NUMBER.finditer(data)) if rng.random() < 0.9 else []
        some = numbers[rng.integers(len(numbers))].span() if numbers else (at, at + length)
        text = _TEXTS[rng.integers(len(_TEXTS))]
        word = _WORDS[rng.integers(len(_WORDS))]
        kind = rng.integers(14)
        if whole[:1] in (b"{", b"<") and rng.random() < 0.7:
            kind = 8 + kind % 2  # JSON and XML are soon none any more
        match kind:
            case 0:
                data[at : at + 1] = bytes([int(rng.integers(256))])
            case 1:
                data[at : at + 1] = bytes(
                    b ^ (1 << int(rng.integers(8))) for b in data[at : at + 1]
                )
            case 2:
                del data[at : at + length]
            case 3:
                data[at:at] = data[at : at + length]
            case 4:
                data[at:] = other[min(at, len(other)) :]
            case 5:
                data[at : at + length] = rng.bytes(length)
            case 6:
                del data[at:]
            case 7:
                data[at : at + len(word)] = word
            case 8 | 10 | 11:
                data[slice(*some)] = text
            case 9 | 12 | 13:
                there = numbers[rng.integers(len(numbers))].group() if numbers else text
                data[slice(*some)] = there
    return bytes(data)


def look(path: pathlib.Path) -> None:
    """All that is done with a sherd's file but for the model."""
    from voxgan_jax.cli import info
    from voxgan_jax.scan import formats, pose, source, walls

    info.describe(path)
    sherd = formats.read(path, longest=24)
    if sherd.mesh is None:
        return
    # As `restore.request` has it.
    with source.told(path, "restored"):
        walls.wall(sherd.mesh)
        matrix = np.diag([*np.full(3, max(sherd.mesh.extents) / 20), 1.0])
        matrix[:3, 3] = sherd.mesh.bounds[0]
        point, up = np.zeros(3), np.array([0.0, 0.0, 1.0])
        placement = pose.Placement(matrix, point, up, 1.0, 1.0, 1.0, 1.0, 0.0, 0.5)
        formats.in_cube(sherd.mesh, placement, 24, str(path))


def child(folder: str, *numbers: str) -> None:
    """Try the files of a seed from one number to another, and print what became of them."""
    seed, first, last = map(int, numbers)
    from voxgan_jax.scan import walls, worker

    # Fewer take less time.
    walls.POINTS = 300
    worker.start, worker.call = lambda: None, lambda function, *args: function(*args)
    known = seeds()
    look(_written(folder, 0, ".stl", known[".stl"][0]))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for number in range(first, last):
        rng = np.random.default_rng([seed, number])
        ending = list(known)[number % len(known)]
        path = _written(folder, number, ending, mutated(rng, ending, known[ending]))
        print(json.dumps({"begun": number}), flush=True)
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        start = time.perf_counter()
        became, said = outcome(path)
        faulthandler.cancel_dump_traceback_later()
        row = {"ending": ending, "became": became, "said": said, "s": time.perf_counter() - start}
        print(json.dumps(row), flush=True)
        if became != _FOREIGN:
            path.unlink()


def _written(folder: str, number: int, ending: str, data: bytes) -> pathlib.Path:
    path = pathlib.Path(folder, f"{number}{ending}")
    path.write_bytes(data)
    return path


def outcome(path: pathlib.Path) -> tuple[str, str]:
    from voxgan_jax.data.vox import VoxError
    from voxgan_jax.scan.source import ScanError

    try:
        look(path)
    except (ScanError, VoxError) as error:
        said = str(error)
        if not said.startswith(f"{path}: ") or "\n" in said:
            return _FOREIGN, f"unnamed: {said}"
        unforeseen = re.search(r"cannot be .* \((\w+:? ?.*)\); ", said)
        return ("unforeseen", unforeseen[1]) if unforeseen else ("refused", said)
    except BaseException:
        return _FOREIGN, traceback.format_exc()[-1500:]
    return "read", ""


_CHILD = "import sys; from scripts.lib import mutations; mutations.child(*sys.argv[1:])"


def tried(
    folder: pathlib.Path, seed: int, first: int, count: int, code: str = _CHILD
) -> "list[Tried]":
    """Try so many files from a number on, by Python's `code`; go on behind one that ends it.

    Returns:
        A row a format, and one for each fault.
    """
    from scripts.lib.hostile import ROOT, Tried

    counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    slowest = collections.defaultdict(float)
    faults, number, last = [], first, first + count
    while number < last:
        with subprocess.Popen(
            [sys.executable, "-c", code, str(folder), str(seed), str(number), str(last)],
            cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            assert process.stdout and process.stderr
            for row in map(json.loads, process.stdout):
                if "begun" in row:
                    number = row["begun"]
                    continue
                counts[row["ending"]][row["became"]] += 1
                slowest[row["ending"]] = max(slowest[row["ending"]], row["s"])
                if row["became"] == _FOREIGN:
                    faults.append(Tried(f"file {number}", 1, row["s"], 0, row["said"], (_FOREIGN,)))
            said = process.stderr.read()
        if process.returncode:
            faults.append(Tried(f"file {number}", None, SECONDS, 0, said[-1500:], ("no answer",)))
        number += 1
    rows = [
        Tried(ending, 0, slowest[ending], 0, ", ".join(f"{n} {became}" for became, n in c.items()))
        for ending, c in counts.items()
    ]
    return [*rows, *faults]
