"""Files that appear whole or not at all, and their names in print."""

import contextlib
import os
import pathlib
import re
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
    """Text that can be printed and written in one line, such as a path.

    Escaped are bytes that are no UTF-8, and what would steer a terminal or turn the line about:
    control characters, ends of lines, marks of the direction of writing.
    """
    return _STEERING.sub(lambda found: _escaped(found[0]), str(text))


_STEERING = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def _escaped(letter: str) -> str:
    """As JSON writes it."""
    return {"\t": "\\t", "\n": "\\n", "\r": "\\r"}.get(letter, f"\\u{ord(letter):04x}")
