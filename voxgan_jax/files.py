"""Files that appear whole or not at all, and names: in print, and as file systems compare them."""

import contextlib
import errno
import json
import os
import pathlib
import re
import secrets
import unicodedata
from collections.abc import Iterator
from typing import TypeGuard

OWN = ".voxgan_jax-"
"""How hidden names begin that are only there while something is written."""

_NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EBADF)
"""So answer file systems that cannot sync a folder."""


@contextlib.contextmanager
def whole(path: str | pathlib.Path) -> Iterator[pathlib.Path]:
    """Where to write a file: beside its place, whither it is moved at the end if all went well.

    That file is there already, empty; its name is hidden, random and nobody else's. On an error
    what was written is removed. When this returns, the disk holds the file and its name.
    """
    path = pathlib.Path(path)
    unfinished = path.with_name(f"{OWN}{secrets.token_hex(8)}.tmp")
    # Exclusively: no link that somebody laid there is followed.
    os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield unfinished
        sync(unfinished)
        os.replace(unfinished, path)
        sync(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def write_whole(path: str | pathlib.Path, content: str | bytes | bytearray) -> None:
    """Write text, as UTF-8, or bytes, by `whole`: no reader sees half a file."""
    with whole(path) as unfinished:
        unfinished.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)


def sync(path: str | pathlib.Path) -> None:
    """Wait until the disk holds a file, or the names in a folder: a power cut leaves them there."""
    if os.name != "posix":
        return  # No folder can be opened, and no file be synced that is open for reading.
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(handle)


def is_full(error: object) -> TypeGuard[OSError]:
    """Whether it is an error that says that the disk, or the user's share of it, is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def readable(text: object) -> str:
    """Text that can be printed and written in one line, such as a path.

    Escaped are bytes that are no UTF-8, and what would steer a terminal or turn the line about:
    control characters, ends of lines, marks of the direction of writing.
    """
    return _STEERING.sub(lambda found: json.dumps(found[0])[1:-1], str(text))


_STEERING = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def key(name: str) -> str:
    """What two names share that a file system may take for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


READ_GIB, READ_SECONDS = "VOXGAN_READ_GIB", "VOXGAN_READ_SECONDS"
"""What the environment allows for reading a file; other limits go with these."""

USUAL_GIB, USUAL_SECONDS = 2.0, 45.0
"""Where it says nothing."""


def read_gib() -> float:
    """How many GiB of memory reading a mesh may take: 2, or the environment's `READ_GIB`."""
    return _setting(READ_GIB, USUAL_GIB)


def read_seconds() -> float:
    """How long reading a mesh may take: 45 s, or the environment's `READ_SECONDS`."""
    return _setting(READ_SECONDS, USUAL_SECONDS)


def _setting(name: str, usual: float) -> float:
    given = os.environ.get(name, "")
    try:
        value = float(given) if given else usual
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise ValueError(f"{name}={given}: give a number above 0, or unset it")
    return value
