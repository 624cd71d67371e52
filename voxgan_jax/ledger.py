"""What was written into a folder is on a list there, so that nothing else is ever replaced.

The list, `LIST`, has a line `sha256  name` for each file, as `sha256sum -c` reads it. Lines are
only added, and before the file takes its place: so whatever was written is listed, wherever the
power fails. A file is ours if it is a regular one whose digest is listed under its name, or which
is listed and empty, as a power cut leaves it. Only what is ours is replaced or deleted, or what
the user gave up by `overwrite`; an input of the same run never is.
"""

import contextlib
import hashlib
import os
import pathlib
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

from voxgan_jax.files import OWN, is_full, key, sync

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

LIST = ".voxgan_jax.sha256"

Marks = frozenset[str | tuple[int, int]]
"""By what files are known again: paths without links, and numbers of device and file."""

_PRIVATE = re.compile(f"{re.escape(OWN)}[0-9a-f]{{16}}")
"""How a private folder is called; a user's folder is not, whatever it begins with."""
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")
_SAFELY = sum(getattr(os, f"O_{name}", 0) for name in ("NOFOLLOW", "NONBLOCK", "BINARY"))
_MINUTE, _DAY = 60.0, 86400.0

_TRIAL = 65536
"""Bytes, so many that no file system keeps them beside its names."""

INSTEAD = "choose another --out or give --overwrite (in Python overwrite=True)"
_NOT_OURS = (
    "{}: voxgan's list of what it wrote there is a link or no file, so lines added to it would go"
    " elsewhere; put a copy of it in its place, or choose another --out"
)


@contextlib.contextmanager
def published(
    folder: pathlib.Path,
    names: Sequence[str],
    stale: Iterable[str] = (),
    *,
    inputs: Marks = frozenset(),
    overwrite: bool = False,
) -> Iterator[pathlib.Path]:
    """A private folder; what was written there is moved into `folder` at the end if all went well.

    Args:
        folder: made where it is not there.
        names: of the files that may be written, in the order in which they are moved.
        stale: files that this work would have replaced, but has none of: deleted where ours.
        inputs: `marks` of files that must stay.
        overwrite: replace also what is not ours, but for inputs and folders.

    Raises:
        FileExistsError: a file of `names` is there and must stay; nothing was moved.
        OSError: the folder cannot be written to.
    """
    refuse(folder, names, inputs=inputs, overwrite=overwrite)
    with _private(folder) as private:
        yield private
        made = sorted(os.listdir(private), key=list(names).index)
        digests = {name: _digest(private / name) for name in made}
        with _open(folder, os.O_RDWR | os.O_APPEND | os.O_CREAT) as handle:
            refuse(folder, made, inputs=inputs, overwrite=overwrite)
            known = listed(folder)
            _append(handle, "".join(f"{digest}  {name}\n" for name, digest in digests.items()))
            for name in set(stale) - digests.keys():
                path = folder / name
                if not marks(path) & inputs and is_ours(path, known):
                    path.unlink()
            for name in made:
                os.replace(private / name, folder / name)
            sync(folder)


def refuse(
    folder: pathlib.Path, names: Iterable[str], *, inputs: Marks = frozenset(), overwrite: bool
) -> None:
    """Raise FileExistsError where a file of these names is there that must stay (`published`)."""
    known: Mapping[str, Sequence[str]] | None = None
    for path in (folder / name for name in names):
        if not os.path.lexists(path):
            continue
        if marks(path) & inputs:
            raise FileExistsError(f"{path} is an input, never replaced; choose another --out")
        if not (path.is_file() or path.is_symlink()):
            raise FileExistsError(f"{path} exists and is no file; choose another --out")
        if overwrite:
            continue
        known = listed(folder) if known is None else known
        if is_ours(path, known):
            continue
        # Another run may just have put it there, or away: its line is there before its file.
        known = listed(folder)
        if os.path.lexists(path) and not is_ours(path, known):
            raise FileExistsError(
                f"{path} exists and voxgan did not write it, or it was changed; {INSTEAD}"
            )


def ready(folder: pathlib.Path) -> None:
    """Make a folder and write into it for a trial, so that nobody works for nothing.

    Raises:
        OSError: it is a file, nothing can be written there, or its list is none of ours.
    """
    with _private(folder) as private:
        (private / "trial").write_bytes(bytes(_TRIAL))
        sync(private / "trial")
        listed(folder)


def marks(path: str | pathlib.Path) -> Marks:
    """By what a file is known again, under another name, too."""
    folder, name = os.path.split(os.path.abspath(path))
    places = {os.path.join(os.path.realpath(folder), name), os.path.realpath(path)}
    found: set[str | tuple[int, int]] = set(map(key, places))
    with contextlib.suppress(OSError):
        there = os.stat(path)
        found.add((there.st_dev, there.st_ino))
    return frozenset(found)


def marks_of(paths: Iterable[str | pathlib.Path]) -> Marks:
    """The `marks` of several files."""
    return frozenset().union(*map(marks, paths))


def listed(folder: pathlib.Path) -> dict[str, list[str]]:
    """The digests that each name of the list ever had; what was written last stands at the end."""
    known: dict[str, list[str]] = {}
    try:
        with _open(folder, os.O_RDONLY) as handle, open(handle, "rb", closefd=False) as file:
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return known
    for digest, name in _LINE.findall(text):
        known[name] = [*known.pop(name, []), digest]
    return known


def is_ours(path: pathlib.Path, known: Mapping[str, Sequence[str]]) -> bool:
    """Whether a file is there that is as we wrote it, or empty, by the list of its folder."""
    digests = known.get(path.name)
    if not digests or path.is_symlink() or not path.is_file():
        return False
    try:
        return path.stat().st_size == 0 or _digest(path) in digests
    except FileNotFoundError:  # gone meanwhile
        return False


def intact(folder: pathlib.Path, names: Sequence[str], known: Mapping[str, Sequence[str]]) -> bool:
    """Whether these files are as they were last written, none of them after the last one named."""
    order = {name: place for place, name in enumerate(known)}
    if not all(name in order and order[name] <= order[names[-1]] for name in names):
        return False
    paths = [folder / name for name in names]
    regular = all(path.is_file() and not path.is_symlink() for path in paths)
    return regular and all(_digest(path) == known[path.name][-1] for path in paths)


def _digest(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _private(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """A folder in a folder that is nobody else's. Those that killed runs left are removed."""
    path = folder / f"{OWN}{secrets.token_hex(8)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700)
        handle = _locked(path)
    except OSError as error:
        if is_full(error):
            raise
        why = error.strerror
        if folder.exists() and not folder.is_dir():
            why = "it is a file"
        raise type(error)(
            f"{folder}: nothing can be written there ({why}); choose another --out"
        ) from error
    try:
        for other in folder.glob(f"{OWN}*"):
            if _is_left(other):
                shutil.rmtree(other, ignore_errors=True)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        if handle is not None:
            os.close(handle)


def _locked(path: pathlib.Path) -> int | None:
    """Hold a folder as long as this process lives; None where locks are not to be had."""
    if fcntl is None:
        return None
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise
    except OSError:
        os.close(handle)
        return None
    return handle


def _is_left(path: pathlib.Path) -> bool:
    """Whether the process has gone that made a private folder.

    One that is a minute old is locked while its process lives; without locks a day has to pass.
    """
    if not _PRIVATE.fullmatch(path.name):
        return False
    try:
        age = time.time() - path.lstat().st_mtime
        if age < _MINUTE or path.is_symlink() or not path.is_dir():
            return False
        handle = _locked(path)
    except OSError:
        return False
    if handle is not None:
        os.close(handle)
    return handle is not None or age > _DAY


@contextlib.contextmanager
def _open(folder: pathlib.Path, flags: int) -> Iterator[int]:
    """The list, open; to one process at a time where it is written."""
    path = folder / LIST
    try:
        handle = os.open(path, flags | _SAFELY, 0o666)
    except OSError as error:
        if not (path.is_symlink() or path.is_dir()):
            raise
        raise OSError(_NOT_OURS.format(path)) from error
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            raise OSError(_NOT_OURS.format(path))
        if fcntl is not None and flags & os.O_APPEND:
            with contextlib.suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)


def _append(handle: int, text: str) -> None:
    """Add lines; one that a power cut tore is ended first."""
    end = os.lseek(handle, 0, os.SEEK_END)
    if end:
        os.lseek(handle, end - 1, os.SEEK_SET)
        text = text if os.read(handle, 1) == b"\n" else f"\n{text}"
    left = text.encode("utf-8")
    while left:
        left = left[os.write(handle, left) :]
    os.fsync(handle)
