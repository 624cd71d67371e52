"""Completing many files: read, answered in batches by the model, restored and written."""

import functools
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from voxgan_jax.inference import predict
from voxgan_jax.inference.answer import Answer, Request
from voxgan_jax.inference.completer import Completer
from voxgan_jax.restore import pot
from voxgan_jax.restore.pool import Each
from voxgan_jax.restore.request import is_placed, read_request


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
    each: Each = map,
    tell: Callable[[str], None] | None = None,
    **options: Any,
) -> Iterator[Result | OSError | ValueError]:
    """Complete files, `batch_size` of them at a time, and write the results, in their order.

    For a file that cannot be completed its error comes in place of a result; the others go on.

    Args:
        out_dir: where `NAME_completed.vox` and the others go (`Completion.write`).
        facts, ids, fixed_fragment: as in `read_request`.
        formats, clearance_mm: as in `Completion`.
        names: what the results of a file are called; otherwise as the file, without its ending.
        about: what the reports say besides.
        each: how the files of a batch are written: `map`, or one of `pool`.
        tell: is told what is being done, a line at a time.
        options: `threshold` and `whole_cube`, as `predict.complete` takes them.
    """
    paths = [pathlib.Path(path) for path in paths]
    facts, tell = facts or {}, tell or (lambda _: None)
    rows = min(batch_size, len(paths))

    def read(path: pathlib.Path) -> Request | OSError | ValueError:
        # Looking for a mesh's place takes the longest.
        tell(f"placing {path} by its shape …" if is_placed(path, facts) else f"reading {path} …")
        try:
            return read_request(completer, path, facts, ids=ids, fixed_fragment=fixed_fragment)
        except (OSError, ValueError) as error:
            return error

    def restored(request: Request, answer: Answer) -> pot.Completion:
        sherd = request.sherds[0]
        said = {**(about or {}), "input": sherd.input}
        name = (names or {}).get(pathlib.Path(sherd.source))
        return pot.restore(request, answer, name=name, clearance_mm=clearance_mm, about=said)

    write = functools.partial(pot.write, pathlib.Path(out_dir), tuple(formats))
    for start in range(0, len(paths), batch_size):
        requests = [read(path) for path in paths[start : start + batch_size]]
        good = [request for request in requests if isinstance(request, Request)]
        what = good[0].sherds[0].source if len(good) == 1 else f"{len(good)} sherds"
        results: Iterator[tuple[Any, pot.Completion]] = iter(())
        if good:
            tell(f"completing {what} …")
            answers = predict.complete_batch(completer, good, rows=rows, **options)
            pots = list(map(restored, good, answers))
            tell(f"drawing and writing {what} …")
            results = zip(each(write, pots), pots, strict=True)
        for request in requests:
            if not isinstance(request, Request):
                yield request
                continue
            written, completion = next(results)
            failed = isinstance(written, (OSError, ValueError))
            yield written if failed else Result(written, completion)
