"""Files that appear whole or not at all, and their names in print."""

import os
import pathlib
import uuid


def write_whole(path: str | pathlib.Path, content: str | bytes | bytearray) -> None:
    """Write text, as UTF-8, or bytes beside the target, then rename: no reader sees half a file."""
    path = pathlib.Path(path)
    data = content.encode("utf-8") if isinstance(content, str) else content
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        unfinished.write_bytes(data)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def readable(text: object) -> str:
    """Text that can be printed and written, such as a path: bytes that are no UTF-8 are escaped."""
    return str(text).encode("utf-8", "backslashreplace").decode("utf-8")
