"""The bytes of a user's file, read once; whatever then goes wrong with them is told in one line."""

import contextlib
import hashlib
import math
import os
import pathlib
from collections.abc import Iterator
from typing import Any

from voxgan_jax.files import READ_GIB, READ_SECONDS, USUAL_GIB, read_gib, read_seconds, readable

MAX_BYTES = 1 << 30


class ScanError(ValueError):
    """A file that cannot be read as a sherd; the text names it, the fault and a remedy."""


class Fault(ValueError):
    """What is wrong with a file, and what helps; who knows the file's name adds it."""


def check(count: int, most: int, what: str, remedy: str = "reduce the scan") -> None:
    """Raise Fault where there are more of what a file can multiply, told before they are made.

    Args:
        most: with the usual `files.read_gib`; with more memory more.
    """
    limit = int(most * read_gib() / USUAL_GIB)
    if count > limit:
        enough = math.ceil(USUAL_GIB * count / most)
        more, gib = (f"{n:.2g}" if n > 1e9 else f"{n}" for n in (count, enough))
        raise Fault(
            f"it has {more} {what}, above the limit of {limit}; {remedy}, or set"
            f" {READ_GIB}={gib} where there is so much memory"
        )


def check_faces(count: int) -> None:
    """As `check`, of faces: what is done with them later takes memory, too."""
    check(count, 4_000_000, "faces, copies counted")


def load(path: str | pathlib.Path) -> tuple[bytes, dict[str, Any]]:
    """A file's bytes, and what `input` of a report says of them: name, size and sha256.

    Raises:
        OSError: it cannot be read.
        ScanError: an empty one, or one of more than `MAX_BYTES`; otherwise as `require`.
    """
    path = pathlib.Path(path)
    require(path)
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        try:
            check(size, MAX_BYTES, "bytes")
        except Fault as fault:
            raise ScanError(f"{path}: {fault}") from None
        data = file.read(size)
    if not data:
        raise ScanError(f"{path}: the file is empty; export it again")
    digest = hashlib.sha256(data).hexdigest()
    return data, {"file": readable(path.name), "bytes": len(data), "sha256": digest}


def require(path: pathlib.Path) -> None:
    """Raise FileNotFoundError where nothing is there, ScanError for what is no file."""
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file")
    if not path.is_file():
        raise ScanError(f"{path}: it is not a file")


@contextlib.contextmanager
def told(path: str | pathlib.Path, doing: str, remedy: str = "export it again") -> Iterator[None]:
    """Within, something is done with a file; whatever is raised becomes a ScanError of one line.

    But for OSError, which is no fault of what the file holds, and for what names the file already.

    Args:
        doing: what cannot be done if it fails, such as "read as STL".
    """
    try:
        yield
    except OSError:
        raise
    except Fault as fault:
        raise ScanError(f"{path}: {fault}") from fault
    except MemoryError as error:
        raise ScanError(f"{path}: {too_much()}") from error
    except Exception as error:
        if isinstance(error, ValueError) and str(error).startswith(f"{path}: "):
            raise
        text = " ".join(str(error).split())[:100]
        said = f"{type(error).__name__}: {text}" if text else type(error).__name__
        raise ScanError(f"{path}: it cannot be {doing} ({said}); {remedy}") from error


def too_much() -> str:
    """That there was not enough memory, and what helps."""
    gib = read_gib()
    return (
        f"it takes more than {gib:g} GiB of memory; reduce the scan, or set {READ_GIB}={2 * gib:g}"
    )


def too_long() -> str:
    """That reading took too long, and what helps."""
    limit = read_seconds()
    return (
        f"reading it takes more than {limit:g} s; reduce the scan, or set"
        f" {READ_SECONDS}={2 * limit:g}"
    )
