"""What results are called: all names of files come from here.

A name is printable, is no longer than file systems take, and none is another's.
"""

import hashlib
import os
import pathlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from voxgan_jax.files import OWN, key

_TAKEN = "index"
"""`index.html` is the overview of all."""

MOST_HYPOTHESES = 16
MOST_PARTS = 9  # As in `report.splits`, which takes a while to import.

_MISSING = (
    *("_missing.stl", "_missing_upright.stl"),
    *(f"_missing_{n}.stl" for n in range(1, MOST_PARTS + 1)),
)
_ENDINGS = {
    "vox": ("_completed.vox",),
    "stl": ("_completed.stl",),
    "glb": ("_completed.glb",),
    "parts": (*_MISSING, *(f"_hypothesis{n}.stl" for n in range(1, MOST_HYPOTHESES + 1))),
    "svg": ("_section.svg",),
    "pdf": ("_section.pdf",),
    "dxf": ("_section.dxf",),
    "csv": ("_profile.csv",),
    "html": (".html",),
    "json": (".json",),
}
"""How the names of results end, in the order of writing; "parts" come with "stl"."""
USUAL = ("vox", "stl", "glb", "svg", "html", "json")
FORMATS = (*USUAL, "pdf", "dxf", "csv")
"""What can be written, and what is where nothing else is said."""

_LONGEST = 255 - max(len(ending) for endings in _ENDINGS.values() for ending in endings)
"""Bytes of a name, so that its results have names of 255, the most that file systems take."""
_STEM = 200
"""Bytes of a file's stem that are kept whole: there is room for `_binvox_2_fragment255` as well."""


def results(name: str, formats: Collection[str], hypotheses: int = MOST_HYPOTHESES) -> list[str]:
    """The names of all files that the results of a pot may have, the report's last."""
    parts = {"parts"} if "stl" in formats else set()
    return [
        f"{name}{ending}"
        for kind, endings in _ENDINGS.items()
        if kind in parts.union(formats)
        for ending in (endings[: len(_MISSING) + hypotheses] if kind == "parts" else endings)
    ]


def checked(name: str) -> str:
    """A name that was given in Python: "sherd", or "folder/sherd" in a folder below the results'.

    Raises:
        ValueError: it is empty, absolute, leads upwards, cannot be printed, is too long, or is kept
            for what is ours: "index", hidden names of `files.OWN`.
    """
    parts = name.split("/")
    wrong = any(part in ("", ".", "..") for part in parts) or pathlib.PurePath(name).anchor
    wrong = wrong or key(name) == _TAKEN or any(key(part).startswith(OWN) for part in parts)
    if wrong or not name.isprintable() or max(map(_bytes, parts)) > _LONGEST:
        raise ValueError(
            f"name {name[:80]!r}: give one like 'sherd' or 'folder/sherd', not 'index',"
            " not absolute and without '..', of printable characters,"
            f" no more than {_LONGEST} bytes a part"
        )
    return name


def of_file(path: str | pathlib.Path) -> str:
    """The name of the results of a file that is the only one."""
    path = pathlib.Path(path)
    return names({path: pathlib.PurePath(path.name)})[path]


def names(found: Mapping[pathlib.Path, pathlib.PurePath]) -> dict[pathlib.Path, str]:
    """Each file's name for its results: that of the file without its ending, where it is the only.

    A file from a subfolder keeps the subfolder: "a/sherd". Files that would still have one name are
    told apart by the folders that they do not share, then by their endings ("sherd_stl"), then by
    numbers in the order of their paths ("sherd_2"). What cannot be printed becomes "_", and of a
    very long name the end a digest. Names that differ in capitals only, or in how an accent is
    encoded, are one name, as they are to many file systems.

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


def plain(name: str, most: int = _LONGEST) -> str:
    """A name that can be printed and is short enough, of any that a file may have.

    "_" stands for each character that cannot be printed: control characters, marks that turn the
    direction of writing, bytes that are no UTF-8. What has more than `most` bytes ends in a digest.
    """
    shown = "".join(sign if sign.isprintable() else "_" for sign in name)
    if _bytes(shown) <= most:
        return shown
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{shown.encode()[: most - 9].decode(errors='ignore')}_{digest}"


def of_fragments(name: str, ids: Iterable[int]) -> str:
    """The name of the results where only these fragments of a file were given."""
    return _of_parts(name, "".join(f"_fragment{number}" for number in ids))


def of_body(name: str, body: int | str | None) -> str:
    """The name of the results where this body of a file was taken by its number."""
    return _of_parts(name, f"_body{body}") if isinstance(body, int) else name


def of_one_pot(name: str) -> str:
    """The name of the results of several sherds of one pot, of the first one's."""
    return _of_parts(name, "_pot")


def _of_parts(name: str, parts: str) -> str:
    """A name with what tells which part of a file it is."""
    folder, slash, last = name.rpartition("/")
    return folder + slash + plain(last + parts)


def _doubles(chosen: Mapping[pathlib.Path, str]) -> list[list[pathlib.Path]]:
    """The files that have one name, or one that is taken."""
    groups = defaultdict(list)
    for path, name in chosen.items():
        groups[key(name)].append(path)
    return [paths for name, paths in groups.items() if len(paths) > 1 or name == _TAKEN]


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
    known = {key(other) for other in others}
    number = 2
    while key(f"{name}_{number}") in known:
        number += 1
    return f"{name}_{number}"


def _without_ending(place: pathlib.PurePath) -> str:
    folders = ["_" if part == ".." else plain(part) for part in place.parent.parts]
    return "/".join([*folders, plain(place.stem, _STEM)])


def _bytes(name: str) -> int:
    return len(name.encode("utf-8", "surrogatepass"))
