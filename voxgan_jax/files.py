"""Files that appear whole or not at all, and their names in print."""

import contextlib
import os
import pathlib
import uuid
from collections.abc import Iterator


@contextlib.contextmanager
def whole(path: str | pathlib.Path) -> Iterator[pathlib.Path]:
    """Where to write a file: beside its place, whither it is moved at the end if all went well.

    The name is hidden and ends in `.tmp`; on an error what was written is removed.
    """
    path = pathlib.Path(path)
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        yield unfinished
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_whole(path: str | pathlib.Path, content: str | bytes | bytearray) -> None:
    """Write text, as UTF-8, or bytes, by `whole`: no reader sees half a file."""
    with whole(path) as unfinished:
        unfinished.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)


def readable(text: object) -> str:
    """Text that can be printed and written, such as a path: bytes that are no UTF-8 are escaped."""
    return str(text).encode("utf-8", "backslashreplace").decode("utf-8")
