"""What is wrong with one file, in one line, so that the others of a batch go on."""

import dataclasses
import functools
import gc
import pathlib
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from voxgan_jax.files import is_full
from voxgan_jax.restore.pot import Completion, Written

Job = tuple[pathlib.Path, Completion | Exception]
"""A file and its restored pot, or why there is none."""

_MOST = 500
"""Letters of an error that nobody foresaw."""


def of_file(path: str | pathlib.Path, error: Exception) -> Exception:
    """The error of a file: one line that begins with its path; notes hold the traceback.

    Any process can raise it again. A full disk stays what it is, and so does the error of a file,
    as of another sherd of the same pot.
    """
    told = any(note.startswith("Traceback") for note in getattr(error, "__notes__", ()))
    if told or is_full(error):
        return error.with_traceback(None)
    foreseen, head = isinstance(error, (OSError, ValueError)), f"{path}: "
    # The path as it is, whatever it holds; the rest in one line.
    said = " ".join(str(error).removeprefix(head).split())
    if isinstance(error, MemoryError):
        said = f"it needs more memory than there is {said}".rstrip()
    elif isinstance(error, OSError) and error.strerror:
        where = "" if error.filename in (None, str(path)) else f" ({error.filename})"
        said = f"{error.strerror}{where}"
    elif not foreseen:
        said = f"{type(error).__name__}: {said}"[:_MOST]
    found = error if foreseen and head + said == str(error) else ValueError(head + said)
    found.add_note("".join(traceback.format_exception(error)))
    return found.with_traceback(None)  # It would keep all that was in memory.


def guarded(path: str | pathlib.Path, work: Callable[..., Any], *arguments: Any) -> Any:
    """What work on a file gives, or, whatever it raises, the file's error."""
    try:
        return work(*arguments)
    except Exception as error:
        return of_file(path, error)


def write(
    out_dir: pathlib.Path, formats: Sequence[str], overwrite: bool, job: Job
) -> Written | Exception:
    """Write the pot of a file, or return why that is not possible or why there is none."""
    path, restored = job
    if isinstance(restored, Exception):
        return restored
    # A copy: what is made for writing goes with it.
    writing = dataclasses.replace(restored).write
    try:
        return guarded(path, functools.partial(writing, out_dir, formats, overwrite=overwrite))
    finally:
        del writing
        # Meshes are in circles with what they hold, and are too few for Python to look for them.
        gc.collect()
