"""What the results of many sherds are called, so that none is written over another's."""

import os
import pathlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping

_TAKEN = "index"
"""`index.html` is the overview of all."""


def names(found: Mapping[pathlib.Path, pathlib.PurePath]) -> dict[pathlib.Path, str]:
    """Each file's name for its results: that of the file without its ending, where it is the only.

    A file from a subfolder keeps the subfolder: "a/sherd". Files that would still have one name are
    told apart by the folders that they do not share, then by their endings ("sherd_stl"), then by
    numbers in the order of their paths ("sherd_2"). A byte that is no UTF-8 becomes "_". Names that
    differ in capitals only, or in how an accent is encoded, are one name, as they are to many file
    systems.

    Args:
        found: where each file lies below what was named: the folder, the part of a glob before
            its first wildcard, or its own folder.
    """
    chosen = {path: _without_ending(place) for path, place in found.items()}
    for twins in _doubles(chosen):
        if len({path.parent for path in twins}) > 1:
            chosen |= _apart(twins)
    for twins in _doubles(chosen):
        for path in twins:
            chosen[path] += f"_{path.suffix.lower().lstrip('.')}"
    for twins in _doubles(chosen):
        for path in sorted(twins, key=str)[1:]:
            chosen[path] = _numbered(chosen[path], chosen.values())
    return chosen


def plain(name: str) -> str:
    """A name for results, of one that may hold bytes that are no UTF-8: "_" stands for each."""
    return re.sub("[\ud800-\udfff]", "_", name)


def _doubles(chosen: Mapping[pathlib.Path, str]) -> list[list[pathlib.Path]]:
    """The files that have one name, or one that is taken."""
    groups = defaultdict(list)
    for path, name in chosen.items():
        groups[_key(name)].append(path)
    return [paths for key, paths in groups.items() if len(paths) > 1 or key == _TAKEN]


def _apart(twins: Iterable[pathlib.Path]) -> dict[pathlib.Path, str]:
    """Names with the folders below the one that holds them all."""
    whole = {path: pathlib.Path(os.path.abspath(path)) for path in twins}
    shared = 0
    for parts in zip(*(path.parent.parts for path in whole.values()), strict=False):
        if len(set(parts)) > 1:
            break
        shared += 1
    return {
        path: _without_ending(pathlib.PurePath(*place.parts[shared:]))
        for path, place in whole.items()
    }


def _numbered(name: str, others: Iterable[str]) -> str:
    """The name with the first number from 2 on that makes it another."""
    known = {_key(other) for other in others}
    number = 2
    while _key(f"{name}_{number}") in known:
        number += 1
    return f"{name}_{number}"


def _without_ending(place: pathlib.PurePath) -> str:
    return plain(place.with_suffix("").as_posix())


def _key(name: str) -> str:
    """What two names share that a file system may take for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
