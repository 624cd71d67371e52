"""Completing many files: read, answered in batches by the model, restored and written."""

import dataclasses
import functools
import gc
import math
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

from voxgan_jax import ledger
from voxgan_jax.data import vox
from voxgan_jax.files import is_full
from voxgan_jax.inference import predict
from voxgan_jax.inference.answer import Answer, Request
from voxgan_jax.inference.completer import Completer
from voxgan_jax.restore import faults, naming, pot
from voxgan_jax.restore.pool import Each
from voxgan_jax.restore.request import is_placed, read_request

BYTES = 180
"""Of memory for a voxel of a pot's box, meshes and all: 2.5 GB were taken by 236 × 236 × 256."""


class Result(NamedTuple):
    """A completed file: what was written, and the restored pot."""

    written: pot.Written
    completion: pot.Completion


def complete_files(
    completer: Completer,
    paths: Iterable[str | pathlib.Path],
    out_dir: str | pathlib.Path,
    *,
    batch_size: int = 16,
    facts: Mapping[str, Any] | None = None,
    ids: Sequence[int] = (),
    fixed_fragment: bool = False,
    formats: Sequence[str] = pot.FORMATS,
    clearance_mm: float = 0.2,
    names: Mapping[pathlib.Path, str] | None = None,
    about: Mapping[str, Any] | None = None,
    inputs: ledger.Marks = frozenset(),
    overwrite: bool = False,
    in_overview: bool = False,
    memory: int | None = None,
    each: Each = map,
    tell: Callable[[str], None] | None = None,
    **options: Any,
) -> Iterator[Result | Exception]:
    """Complete files, `batch_size` of them at a time, and write the results, in their order.

    For a file that cannot be completed its error comes in place of a result (`faults.of_file`),
    whatever the reason; the others go on.

    Args:
        out_dir: where `NAME_completed.vox` and the others go (`Completion.write`).
        facts, ids, fixed_fragment: as in `read_request`.
        formats, overwrite, clearance_mm: as in `Completion` and `Completion.write`.
        names: what the results of a file are called; otherwise as the file, without its ending.
        about: what the reports say besides.
        in_overview: as in `Completion`.
        inputs: `ledger.marks` of files that no result may replace, besides `paths`.
        memory: bytes that may be taken; a pot that needs more is an error.
        each: how the files of a batch are written: `map`, or one of `pool`.
        tell: is told what is being done, a line at a time.
        options: `threshold` and `whole_cube`, as `predict.complete` takes them.

    Raises:
        OSError: the disk is full.
    """
    paths = [pathlib.Path(path) for path in paths]
    out_dir, facts, tell = pathlib.Path(out_dir), facts or {}, tell or (lambda _: None)
    inputs |= ledger.marks_of(paths)

    def read(path: pathlib.Path) -> Request:
        # Looking for a mesh's place takes the longest.
        placed = is_placed(path, facts)
        tell(f"placing {path} by its shape …" if placed else f"reading {path} …")
        if placed or options.get("whole_cube"):
            _require_room(path, formats, (completer.resolution * completer.pool,) * 3, memory)
        request = read_request(completer, path, facts, ids=ids, fixed_fragment=fixed_fragment)
        _require_room(path, formats, request.sherds[0].labels.shape, memory)
        return request

    def restored(request: Request | Exception, answers: Iterator[Answer | Exception]) -> Any:
        answer = request if isinstance(request, Exception) else next(answers)
        if isinstance(request, Exception) or isinstance(answer, Exception):
            return answer
        sherd = request.sherds[0]
        how = {"name": (names or {}).get(pathlib.Path(sherd.source)), "clearance_mm": clearance_mm}
        made = pot.restore(request, answer, about={**(about or {}), "input": sherd.input}, **how)
        met = _met(inputs, out_dir, made.name, formats)
        return dataclasses.replace(made, inputs=met, in_overview=in_overview)

    write = functools.partial(faults.write, out_dir, tuple(formats), overwrite)
    for start in range(0, len(paths), batch_size):
        batch = paths[start : start + batch_size]
        requests = [faults.guarded(path, read, path) for path in batch]
        good = [request for request in requests if isinstance(request, Request)]
        _tell_of(good, "completing", tell)
        answers = iter(_answers(completer, good, min(batch_size, len(paths)), options))
        pairs = zip(batch, requests, strict=True)
        pots = [(path, faults.guarded(path, restored, made, answers)) for path, made in pairs]
        jobs = [(str(path), made) for path, made in pots if isinstance(made, pot.Completion)]
        _tell_of(good, "drawing and writing", tell)
        yield from _results([made for _, made in pots], each(write, jobs))


def _tell_of(requests: Sequence[Request], step: str, tell: Callable[[str], None]) -> None:
    if requests:
        several = f"{len(requests)} sherds"
        tell(f"{step} {requests[0].sherds[0].source if len(requests) == 1 else several} …")


def _results(pots: Iterable[Any], written: Iterable[Any]) -> Iterator[Result | Exception]:
    """What became of each pot, or of what was to be one."""
    written = iter(written)
    for made in pots:
        said = made if isinstance(made, Exception) else next(written)
        if is_full(said):
            raise said
        yield said if isinstance(said, Exception) else Result(said, cast(pot.Completion, made))


def _answers(
    completer: Completer, requests: Sequence[Request], rows: int, options: Mapping[str, Any]
) -> Sequence[Answer | Exception]:
    """The model's answers; where it fails for all of them at once, it is asked for each alone."""
    if not requests:
        return []
    gc.collect()  # See `faults.write`; these are the scans of the batch before.
    try:
        return predict.complete_batch(completer, requests, rows=rows, **options)
    except Exception as error:
        if len(requests) == 1 == rows:
            return [faults.of_file(requests[0].sherds[0].source, error)]
    return [_answers(completer, [request], 1, options)[0] for request in requests]


def _require_room(
    path: pathlib.Path, formats: Sequence[str], shape: Sequence[int], memory: int | None
) -> None:
    """Raise ValueError for a pot whose box is too big for a `.vox` file, or for the memory."""
    sides = " × ".join(map(str, shape))
    if "vox" in formats and max(shape) > vox.MAX_SIDE:
        raise ValueError(
            f"{path}: a pot in {sides} voxels is more than a .vox file can hold"
            f" ({vox.MAX_SIDE} a side); leave vox out of --formats, or give a smaller --pool"
        )
    needed = math.prod(shape) * BYTES
    if memory is not None and needed > memory:
        raise ValueError(
            f"{path}: a pot in {sides} voxels takes some {needed / 1e9:.1f} GB of memory, of which"
            f" {memory / 1e9:.1f} are free; give a smaller --pool, or a coarser file"
        )


def _met(
    inputs: ledger.Marks, out_dir: pathlib.Path, name: str, formats: Sequence[str]
) -> ledger.Marks:
    """Of the inputs those that results of this name meet; another process is told of no others."""
    stem = out_dir / name
    places = (stem.with_name(result) for result in naming.results(stem.name, formats))
    return inputs & ledger.marks_of(places)
