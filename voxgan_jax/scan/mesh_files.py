"""Meshes out of the bytes of a file: what is in it, cleaned; nothing that it refers to is opened.

A parser takes bytes and gives vertices, faces and what the file calls its unit, or None. What a few
bytes can ask for in plenty, copies above all, is counted before it is made.
"""

import contextlib
import logging
import pathlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from voxgan_jax.geometry.connections import Faces, Vertices
from voxgan_jax.scan import bodies, colours, source
from voxgan_jax.scan.contents import Contents, Which
from voxgan_jax.scan.faces import check, used
from voxgan_jax.scan.source import Fault, ScanError

_SIZES = (1e-6, 1e9)
"""Of a mesh, in its unit: beyond it numbers run over."""
_MERGED = 1e-8
"""In its unit: vertices nearer to each other than this along each axis are one, as in trimesh."""

Parsed = tuple[np.ndarray, np.ndarray, str | None]
Parser = Callable[[bytes], Parsed]


class Mesh(NamedTuple):
    """What a file holds, equal vertices merged, equal faces taken once (`bodies.cleaned`).

    `unit` is what the file calls that of its coordinates, `input` what was read (`source.load`);
    `coloured`: it may have colours.
    """

    vertices: Vertices
    faces: Faces
    unit: str | None
    input: dict[str, Any]
    contents: Contents
    coloured: bool


def read(parse: Parser, path: str, place: pathlib.Path, which: Which = None) -> Mesh:
    """Read a file of a mesh.

    Args:
        path: as the user calls it.
        place: where it is.
        which: of several bodies those that are taken (`bodies.cleaned`).

    Raises:
        OSError: it cannot be read.
        ScanError: not a mesh, or one without faces.
    """
    with _without_noise():
        data, about = _load(path, place)
        with source.told(path, f"read as {place.suffix[1:].upper()}"):
            vertices, faces, unit = parse(data)
            coloured = bool(colours.HINT.search(data[: 1 << 20]))
            del data
            source.check_faces(len(faces))
            if not len(faces):
                raise Fault(
                    "it holds points but no faces; make a mesh of them"
                    if len(vertices)
                    # So ends an STL of fewer triangles than it tells of.
                    else "no mesh can be read of it, so it is empty, cut off or damaged; copy or"
                    " export it again"
                )
            vertices, faces = _merged(np.asarray(vertices, float), np.asarray(faces, int))
            vertices, faces, contents = bodies.cleaned(vertices, faces, which)
    return Mesh(vertices, faces, unit, about, contents, coloured)


def _load(path: str, place: pathlib.Path) -> tuple[bytes, dict[str, Any]]:
    try:
        return source.load(place)
    except (FileNotFoundError, ScanError) as error:
        raise type(error)(str(error).replace(str(place), path, 1)) from None


def _merged(vertices: Vertices, faces: Faces) -> tuple[Vertices, Faces]:
    """Equal vertices merged, equal faces taken once, those without an area left out."""
    check(faces, len(vertices))
    # Scanners leave a few points that are nowhere.
    somewhere = np.asarray(np.isfinite(vertices).all(axis=1))
    vertices, faces = used(vertices, faces[somewhere[faces].all(axis=1)])
    size = float(np.ptp(vertices, axis=0).max()) if len(faces) else 0.0
    if not _SIZES[0] <= size <= _SIZES[1] or np.abs(vertices).max() > 10 * _SIZES[1]:
        raise Fault("its coordinates are damaged or its faces have no area; export it again")
    first, same = _distinct(np.rint(vertices / _MERGED).astype(np.int64))
    vertices, faces = vertices[first], same[faces]
    faces = faces[np.sort(_distinct(np.sort(faces, axis=1))[0])]
    a, b, c = vertices[faces].transpose(1, 0, 2)
    longest = np.maximum.reduce([np.linalg.norm(side, axis=1) for side in (b - a, c - b, a - c)])
    # Their height above the longest side.
    faces = faces[np.linalg.norm(np.cross(b - a, c - a), axis=1) > _MERGED * longest]
    if not len(faces):
        raise Fault("none of its faces has an area; export it again")
    return used(vertices, faces)


def _distinct(rows: Int[np.ndarray, "n w"]) -> tuple[Int[np.ndarray, "k"], Int[np.ndarray, "n"]]:
    """The first of all equal rows, in their order, and for each row which of these it equals."""
    order = np.lexsort(rows.T)
    begins = np.ones(len(rows), bool)
    begins[1:] = (rows[order[1:]] != rows[order[:-1]]).any(axis=1)
    # The sort is stable.
    first = order[begins]
    by_place = np.argsort(first)
    rank = np.empty_like(by_place)
    rank[by_place] = np.arange(len(first))
    which = np.empty_like(order)
    which[order] = rank[np.cumsum(begins) - 1]
    return first[by_place], which


@contextlib.contextmanager
def _without_noise() -> Iterator[None]:
    """Within, libraries keep to themselves what they think of a file."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        before = logging.root.manager.disable
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(before)
