"""What is tried on `voxgan complete` and `voxgan_jax.complete`: the parts of scripts/hostile.py."""

import json
import os
import pathlib
import shutil
import sys
from collections.abc import Callable, Sequence

import numpy as np

from scripts.lib import demo_sherd, hostile, interrupts, wrong_calls
from scripts.lib.hostile import VOXGAN, Tried
from voxgan_jax.data.synthetic import pots
from voxgan_jax.inference import model_card

Part = Callable[[pathlib.Path, int, Sequence[str], int], list[Tried]]
"""Folder to work in, seed, what alone is wanted (all where that is empty), how many at most."""

_QUICK = ("--formats", "json", "--quiet")


def inputs(folder: pathlib.Path, seed: int, only: Sequence[str], most: int) -> list[Tried]:
    """Files that ask for too much, by `info`, by `complete` beside a good one, and by Python."""
    from scripts.lib import hostile_files

    found, calls = [], {}
    for name, kind in list(hostile_files.FILES.items())[:most]:
        if only and name not in only:
            continue
        place = folder / name
        place.mkdir()
        bad = place / f"bad{kind.ending}"
        bad.write_bytes(kind.make(seed))
        if name == "pipe_material":
            os.mkfifo(place / "pipe.mtl")
        hostile.write_sherd(place / "good.vox")
        before = hostile.digests(place)
        found.append(hostile.attempt(f"info {name}", [*VOXGAN, "info", str(bad)], place)[0])
        command = [*VOXGAN, "complete", str(place), "--out", str(place / "out"), *_QUICK]
        tried, _ = hostile.attempt(f"complete {name}", command, place)
        faults = list(tried.faults)
        if not (place / "out" / "good.json").is_file():
            faults.append("its good neighbour was not completed")
        faults += hostile.lost(before, hostile.digests(place))
        if (place / "pwned").exists():
            faults.append("what was pickled ran")
        found.append(tried._replace(faults=tuple(faults)))
        calls[name] = {"sherd": str(bad)}
    return found + (hostile.calls(calls, folder) if calls else [])


def results(folder: pathlib.Path, _: int, only: Sequence[str], most: int) -> list[Tried]:
    """Results beside files of other people, inputs with names of results, earlier reports that were
    tampered with, names that lead elsewhere."""
    plain = ("complete", "a.vox", "--quiet", "--out")
    cases = {
        "into the inputs' folder": (
            "complete",
            "a.vox",
            "a_completed.vox",
            "--quiet",
            "--out",
            ".",
        ),
        "among strangers' files": (*plain, "theirs"),
        "again": (*plain, "theirs"),
        "with hypotheses": (*plain, "theirs", "--hypotheses", "2"),
        "inputs called as hypotheses": (
            *("complete", "a.vox", "a_hypothesis2.vox", "--quiet", "--hypotheses", "1"),
            *("--out", "ours"),
        ),
        "a report with wrong measures": (*plain, "wrong"),
        "results that are empty": (*plain, "empty"),
        "a script in a drawing": ("complete", "a.vox", "b.vox", "--quiet", "--out", "script"),
        "a batch of all": ("complete", ".", "--quiet", "--out", "theirs"),
    }
    for name in ("a", "a_completed", "a_hypothesis2", "b"):
        hostile.write_sherd(folder / f"{name}.vox")
    hostile.strangers(folder / "theirs")
    found = []
    for what, words in list(cases.items())[:most]:
        if only and what not in only:
            continue
        if what in _PREPARED:
            out = folder / words[-1]
            hostile.attempt("", [*VOXGAN, *words], folder)
            _PREPARED[what](out)
        before = _not_ours(folder)
        tried, _text = hostile.attempt(what, [*VOXGAN, *words], folder)
        faults = tried.faults + hostile.lost(before, hostile.digests(folder))
        if what in _PREPARED:
            faults += _CHECKED[what](folder / words[-1])
        found.append(tried._replace(faults=faults))
    outside = folder / "outside"
    outside.mkdir()
    (outside / "x.npy").write_text("kept")
    names = ["../outside/x", str(outside / "x"), "..", "", "a\0b", "x" * 300, "CON", "a\n\x1b[2Jb"]
    calls = {f"name={name[:20]!r}": {"name": name, "write": str(folder / "api")} for name in names}
    tried = hostile.calls(calls, folder) if not only and most >= len(cases) else []
    if (outside / "x.npy").read_text() != "kept" or len(list(outside.iterdir())) > 1:
        tried.append(Tried("names that lead elsewhere", 0, 0, 0, "", ("a file outside changed",)))
    return found + tried


def _not_ours(folder: pathlib.Path) -> hostile.Digests:
    """The inputs, and what other people have."""
    return {
        name: digest
        for name, digest in hostile.digests(folder).items()
        if name.startswith("theirs") or ("/" not in name and name.endswith(".vox"))
    }


def _tamper(name: str, text: str) -> Callable[[pathlib.Path], None]:
    def change(out: pathlib.Path) -> None:
        path = out / name
        if name.endswith(".json"):
            path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | json.loads(text)))
        elif text:
            path.write_text(path.read_text("utf-8").replace("</svg>", f"{text}</svg>"))
        else:
            path.write_bytes(b"")

    return change


_SCRIPT = "<script>alert('owned')</script>"
_PREPARED = {
    "a report with wrong measures": _tamper("a.json", '{"measures": [1]}'),
    "results that are empty": _tamper("a_completed.stl", ""),
    "a script in a drawing": _tamper("a_section.svg", _SCRIPT),
}


def _is_empty(out: pathlib.Path) -> tuple[str, ...]:
    empty = not (out / "a_completed.stl").stat().st_size
    return ("a result is still empty",) if empty else ()


def _is_scripted(out: pathlib.Path) -> tuple[str, ...]:
    scripted = _SCRIPT in (out / "index.html").read_text("utf-8")
    return ("the script is in the index",) if scripted else ()


_CHECKED: dict[str, Callable[[pathlib.Path], tuple[str, ...]]] = {
    "a report with wrong measures": lambda _: (),
    "results that are empty": _is_empty,
    "a script in a drawing": _is_scripted,
}


def weights(folder: pathlib.Path, seed: int, only: Sequence[str], most: int) -> list[Tried]:
    """Weights that are cut off, altered or none: none of them may be used."""
    rng = np.random.default_rng(seed)
    source = model_card.find()
    good = source.read_bytes()
    size = int.from_bytes(good[:8], "little")
    head = json.loads(good[8 : 8 + size])
    first = next(name for name in head if name != "__metadata__")

    def flipped(count: int) -> bytes:
        data = bytearray(good)
        for place in rng.integers(8 + size, len(good), count):
            data[place] ^= 1 << rng.integers(8)
        return bytes(data)

    def headed(**changes: object) -> bytes:
        text = json.dumps({**head, first: {**head[first], **changes}}).encode()
        return len(text).to_bytes(8, "little") + text + good[8 + size :]

    made = {
        "200 flipped bits": flipped(200),
        "one flipped bit": flipped(1),
        "cut off": good[: len(good) // 2],
        "head only": good[: 8 + size],
        "empty": b"",
        "noise": rng.bytes(10_000),
        "a huge head": (2**60).to_bytes(8, "little") + good[8:],
        "NaN": good[: 8 + size] + b"\xff" * (len(good) - 8 - size),
        "another type": headed(dtype="I8"),
        "another shape": headed(shape=[1]),
        "offsets outside": headed(data_offsets=[0, 2**50]),
        "no metadata": _renamed(good, b"__metadata__", b"__metadaXa__"),
        "a list for a head": (2).to_bytes(8, "little") + b"[]",
    }
    calls = {}
    for what, data in list(made.items())[:most]:
        if only and what not in only:
            continue
        place = folder / what.replace(" ", "_")
        place.mkdir()
        path = place / source.name
        path.write_bytes(data)
        card = source.with_suffix(".json")
        if card.is_file():
            shutil.copy(card, place)
        calls[what] = {"weights": str(path)}
    tried = hostile.calls(calls, folder)
    # The last is the process that made all the calls.
    return [
        row if row.said or row is tried[-1] else row._replace(faults=(*row.faults, "it was used"))
        for row in tried
    ]


def _renamed(data: bytes, name: bytes, other: bytes) -> bytes:
    return data.replace(name, other, 1)


def interruptions(folder: pathlib.Path, seed: int, only: Sequence[str], most: int) -> list[Tried]:
    """Ctrl-C in the first five seconds, from Python's own start on, of one sherd and of twelve."""
    pots.write_dataset(
        folder / "pots", pots=12, seed=seed, resolution=64, fragments=(6,), test_share=0.2
    )
    demo_sherd.write(folder / "pots", folder)
    (folder / "twelve").mkdir()
    for number, path in enumerate(sorted((folder / "pots").rglob("*.vox"))[:12]):
        shutil.copy(path, folder / "twelve" / f"s{number:02}.vox")
    found = []
    for what, sherds in (("one sherd", "sherd.stl"), ("twelve sherds", "twelve")):
        if only and what not in only:
            continue
        command = [sys.executable, "-m", "voxgan_jax.cli", "complete", str(folder / sherds)]
        for end in interrupts.measure(command, folder / f"out of {sherds}", min(most, 36)):
            faults = () if end.good else (f"{len(end.said)} lines", *end.left)
            said = end.said[-1] if end.said else ""
            name = f"{what}, after {end.after_s:.2f} s"
            found.append(Tried(name, end.code, end.took_s, 0.0, said, faults))
    return found


def api(folder: pathlib.Path, _: int, only: Sequence[str], most: int) -> list[Tried]:
    """Wrong calls from Python that JSON can hold; tests/test_arguments.py has all."""
    calls = {}
    for told, _kind, _said in wrong_calls.WRONG[:most]:
        what = ", ".join(f"{name}={value!r}"[:40] for name, value in told.items())
        try:
            json.dumps(told)
        except TypeError:
            continue
        if told.get("sherd", "a") and (not only or what in only):
            calls[what] = told
    tried = hostile.calls(calls, folder)
    return [
        row if row.said or row is tried[-1] else row._replace(faults=(*row.faults, "it was taken"))
        for row in tried
    ]


PARTS: dict[str, Part] = {
    "inputs": inputs,
    "results": results,
    "weights": weights,
    "interrupts": interruptions,
    "api": api,
}
