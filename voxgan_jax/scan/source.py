"""The bytes of a user's file, read once; whatever then goes wrong with them is told in one line."""

import contextlib
import hashlib
import os
import pathlib
from collections.abc import Iterator
from typing import Any

from voxgan_jax.files import readable

MAX_BYTES = 1 << 30
_GIB = "VOXGAN_READ_GIB"


class ScanError(ValueError):
    """A file that cannot be read as a sherd; the text names it, the fault and a remedy."""


class Fault(ValueError):
    """What is wrong with a file, and what helps; who knows the file's name adds it."""


def memory_gib() -> float:
    """How many GiB of memory reading a mesh may take: 2, or the environment's `VOXGAN_READ_GIB`."""
    return _setting(_GIB, 2.0)


def check(count: int, most: int, what: str, remedy: str = "reduce the scan") -> None:
    """Raise Fault where there are more of what a file can multiply, told before they are made.

    Args:
        most: with the usual `memory_gib`; with more memory more.
    """
    limit = int(most * memory_gib() / 2)
    if count > limit:
        more, gib = (f"{n:.2g}" if n > 1e9 else f"{n}" for n in (count, -(-2 * count // most)))
        raise Fault(
            f"it has {more} {what}, above the limit of {limit}; {remedy}, or set"
            f" {_GIB}={gib} where there is so much memory"
        )


def check_faces(count: int) -> None:
    """As `check`, of faces: what is done with them later takes memory, too."""
    check(count, 4_000_000, "faces, copies counted")


def seconds() -> float:
    """How long reading a mesh may take: 45 s, or the environment's `VOXGAN_READ_SECONDS`."""
    return _setting("VOXGAN_READ_SECONDS", 45.0)


def load(path: str | pathlib.Path, most: int = MAX_BYTES) -> tuple[bytes, dict[str, Any]]:
    """A file's bytes, and what `input` of a report says of them: name, size and sha256.

    Raises:
        FileNotFoundError: no such file.
        OSError: it cannot be read.
        ScanError: no file (a folder, a pipe), an empty one, or one of more than `most` bytes.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file")
    if not path.is_file():
        raise ScanError(f"{path}: it is not a file")
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise ScanError(f"{path}: {size} bytes, above the limit of {most}; reduce the scan")
        data = file.read(most)
    if not data:
        raise ScanError(f"{path}: the file is empty; export it again")
    digest = hashlib.sha256(data).hexdigest()
    return data, {"file": readable(path.name), "bytes": len(data), "sha256": digest}


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
    gib = memory_gib()
    return f"it takes more than {gib:g} GiB of memory; reduce the scan, or set {_GIB}={2 * gib:g}"


def too_long() -> str:
    """That reading took too long, and what helps."""
    limit = seconds()
    return (
        f"reading it takes more than {limit:g} s; reduce the scan, or set"
        f" VOXGAN_READ_SECONDS={2 * limit:g}"
    )


def _setting(name: str, usual: float) -> float:
    given = os.environ.get(name, "")
    try:
        value = float(given) if given else usual
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise ScanError(f"{name}={given}: give a number above 0, or unset it")
    return value
