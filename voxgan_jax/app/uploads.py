"""Scans that a page sends: under what name they are kept, and how much is taken."""

import asyncio
import pathlib
import re
import unicodedata
import zipfile
from collections.abc import AsyncIterator, Collection

from voxgan_jax.files import key, whole
from voxgan_jax.scan import formats, threemf

MOST_BYTES = 1 << 30
"""Of one file: what the reader takes by itself, twice."""

MOST_SCANS = 200
"""In one project."""

MOST_UNPACKED = threemf.MAX_MIB << 20
"""Bytes that an archive may hold."""

_PACKED = (".3mf", ".npz")
_LONGEST, _LONGEST_BYTES = 80, 200  # File systems take 255, of which results add some.


class RefusedError(ValueError):
    """What was sent is not taken; the text says why, and what to do."""


def kept_as(name: str, taken: Collection[str]) -> str:
    """The name under which a scan is kept, in one folder with others: never a path.

    Letters with their marks, digits, "-", "_" and blanks stay, composed (NFC), all else becomes
    "_". A stem that is taken gets a number, so that its results have a name of their own.

    Args:
        name: the file's in the user's folder, as the page tells it.
        taken: the names that are kept already.

    Raises:
        RefusedError: its ending is that of no scan.
    """
    ending = pathlib.PurePosixPath(name).suffix.lower()
    if ending not in formats.FORMATS:
        known = ", ".join(formats.FORMATS)
        raise RefusedError(f"{name[-_LONGEST:]}: no scan that can be read; send one of {known}")
    last = unicodedata.normalize("NFC", re.split(r"[/\\]", name)[-1][: -len(ending)])
    cut = re.sub(r"[^\w -]+", _marks_of, last)[:_LONGEST].encode()[:_LONGEST_BYTES]
    stem = cut.decode(errors="ignore").strip(" _-") or "sherd"
    stems = {key(pathlib.PurePosixPath(other).stem) for other in taken} | {"index"}
    found, number = stem, 2
    while key(found) in stems:
        found, number = f"{stem}_{number}", number + 1
    return found + ending


def _marks_of(signs: re.Match[str]) -> str:
    """The marks among signs that are no letters, as vowels of Hindi are; "_" where none is."""
    return "".join(sign for sign in signs[0] if unicodedata.category(sign)[0] == "M") or "_"


async def receive(path: pathlib.Path, chunks: AsyncIterator[bytes], told: int = 0) -> int:
    """Write what is sent to a file that was not there, whole or not at all; returns its bytes.

    Args:
        told: how many bytes the sender announced; 0 if none.

    Raises:
        RefusedError: it is empty, or more bytes than are taken, sent or unpacked.
    """
    most = RefusedError(f"{path.name}: more than {MOST_BYTES >> 20} MB; reduce the scan")
    if told > MOST_BYTES:
        raise most
    size = 0
    with whole(path) as unfinished:
        with open(unfinished, "wb") as file:
            async for chunk in chunks:
                size += len(chunk)
                if size > MOST_BYTES:
                    raise most
                file.write(chunk)
        if not size:
            raise RefusedError(f"{path.name}: an empty file; save the scan again")
        if path.suffix in _PACKED:
            await asyncio.to_thread(_check_unpacked, path.name, unfinished)
    return size


def _check_unpacked(name: str, path: pathlib.Path) -> None:
    """Raise RefusedError for an archive that is none, or that says it holds too much."""
    try:
        with zipfile.ZipFile(path) as packed:
            parts = packed.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise RefusedError(f"{name}: {error}; save it again") from error
    size = sum(part.file_size for part in parts)
    if len(parts) > threemf.MAX_COPIES or size > MOST_UNPACKED:
        most = f"{threemf.MAX_COPIES} files or {MOST_UNPACKED >> 20} MB"
        raise RefusedError(f"{name}: more than {most} unpacked; save it as PLY or STL")
