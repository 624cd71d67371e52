"""Completing files: read, answered in batches, written."""

import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from voxgan_jax.inference import predict
from voxgan_jax.inference.answer import Request
from voxgan_jax.inference.completer import Completer
from voxgan_jax.restore import pot as completion
from voxgan_jax.restore.pool import Each
from voxgan_jax.restore.pot import Completion, Written
from voxgan_jax.restore.request import estimated, request_of
from voxgan_jax.scan import formats as scans


class Result(NamedTuple):
    """A completed file: what was written, and the restored pot."""

    written: Written
    completion: Completion


def complete_file(
    completer: Completer,
    path: str | pathlib.Path,
    out_dir: str | pathlib.Path,
    **options: Any,
) -> Result:
    """Complete a file and write the results, as `complete_files` does for many.

    Raises:
        ScanError, VoxError: not a file that can be read; and what `predictor.complete` raises.
    """
    (result,) = complete_files(completer, [path], out_dir, **options)
    if isinstance(result, Exception):
        raise result
    return result


def complete_files(
    completer: Completer,
    paths: Iterable[str | pathlib.Path],
    out_dir: str | pathlib.Path,
    *,
    batch_size: int = 16,
    ids: Sequence[int] | None = None,
    fixed_fragment: bool = False,
    placing: Mapping[str, Any] | None = None,
    formats: Sequence[str] = completion.FORMATS,
    clearance_mm: float = 0.2,
    names: Mapping[pathlib.Path, str] | None = None,
    about: Callable[[Request], Mapping[str, Any]] | None = None,
    each: Each = map,
    tell: Callable[[str], None] | None = None,
    **options: Any,
) -> Iterator[Result | OSError | ValueError]:
    """Complete files, `batch_size` of them at a time, and write the results, in their order.

    For a file that cannot be completed its error comes in place of a result; the others go on.

    Args:
        out_dir: where `NAME_completed.vox` and the others go (`Completion.write`).
        fixed_fragment: give the fragment that evaluation gives, in place of `ids`.
        placing: how files are read: the options of `scans.read`.
        formats, clearance_mm: as in `Completion`.
        names: what the results of a file are called; otherwise as the file, without its ending.
        about: what a file's report says besides.
        each: how the files of a batch are written: `map`, or one of `mesh_pool`.
        tell: is told what is being done, a line at a time.
        options: `threshold`, `whole_cube` and `join`, as `predictor.complete` takes them.
    """
    paths = [pathlib.Path(path) for path in paths]
    say = tell or (lambda _: None)
    rows = min(batch_size, len(paths))
    for start in range(0, len(paths), batch_size):
        batch = paths[start : start + batch_size]
        requests = []
        for path in batch:
            say(_reading(path, placing or {}))
            requests.append(request_of(completer, path, ids, fixed_fragment, placing or {}))
        good = [request for request in requests if isinstance(request, Request)]
        what = good[0].source if len(good) == 1 else f"{len(good)} sherds"
        if good:
            say(f"completing {what} …")
        answers = predict.complete_batch(completer, good, rows=rows, **options) if good else []
        restored = [
            completion.restore(
                request,
                answer,
                name=(names or {}).get(pathlib.Path(request.source)),
                clearance_mm=clearance_mm,
                about=about and about(request),
            )
            for request, answer in zip(good, answers, strict=True)
        ]
        work = completion.Writing(pathlib.Path(out_dir), tuple(formats))
        if good:
            say(f"drawing and writing {what} …")
        results = zip(each(work, restored), restored, strict=True)
        for request in requests:
            if isinstance(request, (OSError, ValueError)):
                yield request
                continue
            written, pot = next(results)
            yield Result(written, pot) if isinstance(written, Written) else written


def _reading(path: pathlib.Path, placing: Mapping[str, Any]) -> str:
    """What is done with a file first; looking for a mesh's place takes the longest."""
    if path.suffix.lower() in scans.MESHES and estimated(placing):
        return f"placing {path} by its shape …"
    return f"reading {path} …"
