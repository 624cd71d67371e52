"""Completing many files: each is read, placed, answered by the model, restored and written, while
others are."""

import contextlib
import dataclasses
import functools
import gc
import math
import pathlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp

from voxgan_jax import ledger
from voxgan_jax.data import vox
from voxgan_jax.files import is_full
from voxgan_jax.inference import predict
from voxgan_jax.inference.answer import Request
from voxgan_jax.inference.completer import Completer
from voxgan_jax.placement import locator
from voxgan_jax.restore import faults, naming, pot
from voxgan_jax.restore.pool import Each, here
from voxgan_jax.restore.request import is_placed, read_request

_BYTES = 180
"""Of memory for a voxel of a pot's box, meshes and all: 2.5 GB were taken by 236 × 236 × 256."""

_FINE_BYTES = 9
"""The same for a voxel of a finer `.vox` file: 145 MB more were taken by 256³."""

_OFTEN = 16
"""After so many files the memory of their scans is given back."""


class Result(NamedTuple):
    """A completed file: what was written, and the restored pot."""

    written: pot.Written
    completion: pot.Completion


def complete_files(
    completer: Completer,
    paths: Iterable[str | pathlib.Path],
    out_dir: str | pathlib.Path,
    *,
    facts: Mapping[str, Any] | None = None,
    others: Sequence[pathlib.Path] = (),
    ids: Sequence[int] = (),
    fixed_fragment: bool = False,
    formats: Sequence[str] = naming.USUAL,
    clearance_mm: float = 0.2,
    fineness: int = 1,
    drawn: Mapping[str, Any] | None = None,
    names: Mapping[pathlib.Path, str] | None = None,
    about: Mapping[str, Any] | None = None,
    inputs: ledger.Marks = frozenset(),
    overwrite: bool = False,
    in_overview: bool = False,
    memory: int | None = None,
    each: Each = here,
    ahead: Each = here,
    tell: Callable[[str], None] | None = None,
    **options: Any,
) -> Iterator[tuple[pathlib.Path, Result | Exception]]:
    """Complete files and write the results. Each comes with its file, when it is ready.

    For a file that cannot be completed its error comes in place of a result (`faults.of_file`),
    whatever the reason; the others go on.

    Args:
        out_dir: where `NAME_completed.vox` and the others go (`Completion.write`).
        facts, others, ids, fixed_fragment: as in `read_request`.
        formats, overwrite, clearance_mm, fineness, in_overview, drawn: of `Completion`.
        names: what the results of a file are called; otherwise as the file, without its ending.
        about: what the reports say besides.
        inputs: `ledger.marks` of files that no result may replace, besides `paths`.
        memory: bytes that may be taken; a pot that needs more is an error.
        each, ahead: how the files are written, and read, placed and restored before: of `pool`.
        tell: is told what is being done, a line at a time.
        options: `threshold` and `whole_cube`, as `predict.complete` takes them.

    Raises:
        OSError: the disk is full.
    """
    paths = [pathlib.Path(path) for path in paths]
    out_dir, facts, tell = pathlib.Path(out_dir), facts or {}, tell or (lambda _: None)
    inputs |= ledger.marks_of([*paths, *others])
    require_room = functools.partial(_require_room, formats, fineness, memory)

    def read(path: pathlib.Path) -> Request:
        placed = bool(others) or is_placed(path, facts)
        tell(f"placing {path} by its shape …" if placed else f"reading {path} …")
        if placed or options.get("whole_cube"):
            require_room(path, (completer.resolution * completer.pool,) * 3)
        which: Any = {"ids": ids, "fixed_fragment": fixed_fragment, "others": others}
        request = read_request(completer, path, facts, **which)
        require_room(path, request.sherds[0].labels.shape)
        return request

    def restored(path: pathlib.Path) -> pot.Completion:
        request = read(path)
        tell(f"completing {path} …")
        (answer,) = predict.complete_batch(completer, [request], **options)
        how: Any = {"clearance_mm": clearance_mm, "fineness": fineness, **(drawn or {})}
        how["about"] = {**(about or {}), "input": request.sherds[0].input}
        made = pot.restore(request, answer, name=(names or {}).get(path), **how)
        tell(f"drawing and writing {path} …")
        met = _met(inputs, out_dir, made.name, formats)
        return dataclasses.replace(made, inputs=met, in_overview=in_overview)

    shown = threading.Event()
    write = functools.partial(faults.write, out_dir, tuple(formats), overwrite)
    try:
        for (path, made), written in each(write, _jobs(ahead, shown, restored, paths)):
            shown.set()
            if is_full(written):
                raise written
            yield path, written if isinstance(written, Exception) else Result(written, made)
    finally:
        shown.set()


def _jobs(
    ahead: Each,
    shown: threading.Event,
    restored: Callable[[pathlib.Path], pot.Completion],
    paths: Sequence[pathlib.Path],
) -> Iterator[faults.Job]:
    """Each file with its restored pot, or its error; the first alone, as others would double the
    wait for it: the second while it is written, on one core, the rest when that is `shown`."""
    first = threading.Event()

    def job(path: pathlib.Path) -> pot.Completion | Exception:
        if path != paths[0]:
            (first if path == paths[1] else shown).wait()
        try:
            return faults.guarded(path, restored, path)
        finally:
            first.set()

    for number, done in enumerate(ahead(job, paths), 1):
        yield done
        if number % _OFTEN == 0:
            gc.collect()  # See `faults.write`.


def compile_ahead(completer: Completer, placed: bool) -> None:
    """Begin, in a thread, to compile what the first file will need: the model, and before it what
    looks for places, where any file is `placed`. A fault is told by the first file."""

    def compile_it() -> None:
        with contextlib.suppress(Exception):
            if placed:
                locator.warm_up()
            empty = jnp.zeros((1, *[completer.resolution] * 3, 1), jnp.float32)
            if placed and completer.quick:
                completer.quick(empty)
            completer.predict(empty)

    threading.Thread(target=compile_it, daemon=True).start()


def bytes_of(shape: Sequence[int], fineness: int) -> int:
    """Of memory for a pot in a box of this shape, whose `.vox` file is so many times as fine."""
    return math.prod(shape) * (_BYTES + (_FINE_BYTES * fineness**3 if fineness > 1 else 0))


def _require_room(
    formats: Sequence[str],
    fineness: int,
    memory: int | None,
    path: pathlib.Path,
    shape: Sequence[int],
) -> None:
    """Raise ValueError for a pot whose box is too big for a `.vox` file, or for the memory."""
    sides = " × ".join(map(str, shape))
    if "vox" in formats and max(shape) > vox.MAX_SIDE:
        raise ValueError(
            f"{path}: a pot in {sides} voxels is more than a .vox file can hold"
            f" ({vox.MAX_SIDE} a side); leave vox out of --formats, or give a smaller --pool"
        )
    needed = bytes_of(shape, fineness)
    if memory is not None and needed > memory:
        raise ValueError(
            f"{path}: a pot in {sides} voxels takes some {needed / 1e9:.1f} GB of memory, of which"
            f" {memory / 1e9:.1f} are free; give a smaller --pool, --resolution or file"
        )


def _met(
    inputs: ledger.Marks, out_dir: pathlib.Path, name: str, formats: Sequence[str]
) -> ledger.Marks:
    """Of the inputs those that results of this name meet; another process is told of no others."""
    stem = out_dir / name
    places = (stem.with_name(result) for result in naming.results(stem.name, formats))
    return inputs & ledger.marks_of(places)
