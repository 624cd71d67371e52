"""Broken files thrown at the `.vox` reader: a grid or a VoxError, in 256 MiB and 2 CPU seconds.

The bulk runs in a process of its own (this file as a script), so that a limit can be set on its
memory and what it takes can be measured.
"""

import json
import os
import pathlib
import resource
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np
import pytest
import vox_bytes as vb
from hypothesis import given, settings
from hypothesis import strategies as st
from pyvox.parser import VoxParser

from voxgan_jax.data import vox

MUTATIONS = 24_000
HEAD_ROOM = 256 << 20
SECONDS = 2.0
NUMBERS = (0, 1, -1, 2, 3, 4, 255, 256, 257, 1024, 65536, 2**24, 2**31 - 1, -(2**31))
TEXTS = (b"nan", b"1e9", b"-1 0 0", b"9999999999 1 1", b"\xff\xfe", b"", b"_t", b"_r", b"127")


def seeds() -> list[bytes]:
    pot = np.zeros((5, 6, 7), np.uint8)
    pot[1:4, :, 2:5] = np.arange(3).reshape(3, 1, 1) + 2
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "pot.vox"
        vox.write(path, pot)
        written = path.read_bytes()
    turned = vb.vox_file(
        *(vb.size(3, 2, 1), vb.xyzi([(0, 0, 0, 1), (2, 1, 0, 9)])),
        *(vb.transform(0, 1, t=b"3 -2 8"), vb.group(1, [2, 4, 6])),
        *(vb.transform(2, 3, r=b"36"), vb.shape(3, 0)),
        *(vb.transform(4, 5, t=b"-4 0 0", r=b"8"), vb.shape(5, 0)),
        *(vb.transform(6, 7, t=b"0 0 0"), vb.group(7, [])),
        version=200,
    )
    return [vb.plain(), written, vb.scene(), turned]


def mutate(rng: np.random.Generator, files: list[bytes]) -> bytes:
    """One to four faults, of kinds that disks, networks and writers of files have."""
    data = bytearray(files[rng.integers(len(files))])
    for _ in range(rng.integers(1, 5)):
        at = int(rng.integers(len(data) + 1))
        # Most lengths and counts lie at multiples of four.
        word = at // 4 * 4 if rng.random() < 0.8 else at
        length = int(rng.integers(1, 40))
        match rng.integers(8):
            case 0:
                data[at : at + 1] = rng.bytes(1)
            case 1:
                data[word : word + 4] = struct.pack("<i", NUMBERS[rng.integers(len(NUMBERS))])
            case 2:
                data[word : word + 4] = struct.pack("<i", int(rng.integers(-3, 60)))
            case 3:
                del data[at : at + length]
            case 4:
                data[at:at] = rng.bytes(length)
            case 5:
                data[at:at] = data[word : word + length]
            case 6:
                text = TEXTS[rng.integers(len(TEXTS))]
                data[at : at + len(text)] = text
            case 7:
                other = files[rng.integers(len(files))]
                data[at:] = other[min(at, len(other)) :][: 4 * length]
        # Half the time the outer lengths are set right, so that what is inside is reached.
        if rng.random() < 0.5 and len(data) >= 20:
            data[12:20] = struct.pack("<ii", 0, len(data) - 20)
    return bytes(data)


def pyvox_labels(data: bytes) -> np.ndarray | None:
    """What pyvox makes of a file, None where it fails."""
    parser = VoxParser.__new__(VoxParser)
    parser.content, parser.offset = data, 0
    try:
        return parser.parse().to_dense()
    except Exception:  # of any kind: pyvox checks nothing
        return None


def fuzz(seed: int, count: int) -> dict[str, float]:
    """Read mutated files; anything raised but VoxError ends the process."""
    rng = np.random.default_rng(seed)
    files = seeds()
    result = {"grids": 0, "errors": 0, "as_pyvox": 0, "unlike_pyvox": 0, "slowest": 0.0}
    for _ in range(count):
        data = mutate(rng, files)
        start = time.process_time()
        try:
            scene = vox.read_scene(data)
        except vox.VoxError as error:
            assert error.offset is None or 0 <= error.offset <= len(data)
            assert len(str(error)) < 300
            result["errors"] += 1
            continue
        finally:
            result["slowest"] = max(result["slowest"], time.process_time() - start)
        result["grids"] += 1
        # Without a scene graph and for one model pyvox's answer, where it has one, is ours.
        if b"nTRN" not in data and b"nSHP" not in data and scene.num_models == 1:
            theirs = pyvox_labels(data)
            if theirs is not None:
                alike = np.array_equal(theirs, scene.labels)
                result["as_pyvox" if alike else "unlike_pyvox"] += 1
    return result


def solid() -> bytes:
    """MagicaVoxel's largest model, every cell filled: 64 MiB."""
    voxels = np.empty((256, 256, 256, 4), np.uint8)
    voxels[..., 2], voxels[..., 1], voxels[..., 0] = np.indices((256, 256, 256), np.uint8)
    voxels[..., 3] = 7
    return vb.vox_file(
        vb.size(256, 256, 256), vb.chunk("XYZI", vb.ints(1 << 24) + voxels.tobytes())
    )


def random_order() -> bytes:
    """The same box with voxels in no order, the worst for the caches."""
    voxels = np.random.default_rng(0).integers(0, 256, ((1 << 24), 4), np.uint8)
    return vb.vox_file(
        vb.size(256, 256, 256), vb.chunk("XYZI", vb.ints(1 << 24) + voxels.tobytes())
    )


ONE = vb.size(1, 1, 1) + vb.xyzi([(0, 0, 0, 3)])


def far_apart() -> bytes:
    """Two voxels in a scene of nearly as many cells as are allowed."""
    return vb.vox_file(
        *(ONE, vb.group(0, [1, 2]), vb.transform(1, 3, t=b"0 0 0")),
        *(vb.transform(2, 4, t=b"400 400 400"), vb.shape(3, 0), vb.shape(4, 0)),
    )


def long_dict() -> bytes:
    """A scene node that holds as many empty strings as are allowed."""
    count = (vox.MAX_SCENE_BYTES - 12) // 8
    return vb.vox_file(ONE, vb.chunk("nGRP", vb.ints(0, count) + bytes(8 * count) + vb.ints(0)))


def wide_group() -> bytes:
    count = (vox.MAX_SCENE_BYTES - 12) // 4
    return vb.vox_file(ONE, vb.group(0, range(1, count + 1)))


def deep_chain() -> bytes:
    turns = [vb.transform(key, key + 1, t=b"1 1 1", r=b"36") for key in range(30_000)]
    return vb.vox_file(ONE, *turns, vb.shape(30_000, 0))


HEAVY: dict[str, Callable[[], bytes]] = {
    "solid": solid,
    "random order": random_order,
    "far apart": far_apart,
    "long dict": long_dict,
    "wide group": wide_group,
    "deep chain": deep_chain,
    "many models": lambda: vb.vox_file(ONE * 16_000),
    "many shapes": lambda: vb.vox_file(ONE, *(vb.shape(key, 0) for key in range(32_000))),
    "many chunks": lambda: vb.vox_file(vb.chunk("NOTE") * 6_000_000),
    "long text": lambda: vb.vox_file(ONE, vb.transform(0, 1, t=b"9 " * 900_000)),
}


def read_file(path: str) -> dict[str, float | str]:
    """Read one file from disk: seconds, and the outcome in words."""
    start = time.process_time()
    try:
        outcome = "grid {}×{}×{}".format(*vox.read(path).shape)
    except vox.VoxError as error:
        outcome = error.reason
    return {"seconds": time.process_time() - start, "outcome": outcome}


def in_process(*command: str) -> dict:
    """Run this file as a script and return its JSON."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, __file__, *command], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def peak_bytes() -> int:
    """The most memory that this process has held; getrusage may tell of the parent's on Linux."""
    if sys.platform == "linux":
        status = pathlib.Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(kind: str, argument: str) -> None:
    """Do the work with the address space held to what is taken now and HEAD_ROOM."""
    vox.read(vb.scene())
    if sys.platform == "linux":
        pages = int(pathlib.Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + HEAD_ROOM
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    before = peak_bytes()
    result = read_file(argument) if kind == "file" else fuzz(int(argument), MUTATIONS // 2)
    print(json.dumps({**result, "grown": peak_bytes() - before}))


@pytest.mark.parametrize("seed", [0, 1])
def test_mutated_files_give_a_grid_or_a_vox_error(seed):
    result = in_process("fuzz", str(seed))
    assert result["grids"] + result["errors"] == MUTATIONS // 2
    # Both outcomes are common, else the mutations would be too weak or too strong.
    assert result["grids"] > 1000 and result["errors"] > 1000
    assert result["as_pyvox"] > 500 and result["unlike_pyvox"] == 0
    assert result["slowest"] < SECONDS
    assert result["grown"] < HEAD_ROOM


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("solid", "grid 256×256×256"),
        ("random order", "grid 256×256×256"),
        ("far apart", "grid 401×401×401"),
        ("long dict", "its scene graph shows no model"),
        ("wide group", "scene node 0 holds node 1, which does not exist"),
        ("deep chain", "grid 1×1×1"),
        ("many models", "grid 1×1×1"),
        ("many shapes", "grid 1×1×1"),
        ("many chunks", "more than 32768 chunks"),
        ("long text", "is not 3 whole numbers"),
    ],
)
def test_the_largest_files_stay_in_bounds(name, outcome, tmp_path):
    path = tmp_path / "heavy.vox"
    path.write_bytes(HEAVY[name]())
    result = in_process("file", str(path))
    assert outcome in result["outcome"]
    assert result["seconds"] < SECONDS
    assert result["grown"] < HEAD_ROOM
    path.unlink()


def test_a_file_above_the_limit_is_not_read(tmp_path):
    path = tmp_path / "huge.vox"
    with path.open("wb") as file:
        file.write(vb.plain())
        file.truncate(1 << 40)  # sparse: takes no room on disk
    result = in_process("file", str(path))
    assert result["outcome"] == "1099511627776 bytes, above the limit of 83886080"
    assert result["grown"] < 8 << 20


# A deadline would count wall time, which is the machine's; the CPU time is the reader's.
@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([b"", vb.plain()[:8], vb.plain()[:20]]))
def test_any_bytes_give_a_grid_or_a_vox_error(data, head):
    start = time.process_time()
    try:
        labels = vox.read(head + data)
    except vox.VoxError as error:
        assert error.source == "<bytes>" and error.reason
    else:
        assert labels.dtype == np.uint8 and labels.ndim == 3
    assert time.process_time() - start < SECONDS


if __name__ == "__main__":
    main(*sys.argv[1:])
