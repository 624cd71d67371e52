"""Pots at places drawn from their files' names, for scoring without a known axis."""

import hashlib
import pathlib
from typing import Any

import numpy as np
from jaxtyping import UInt8

from voxgan_jax.data import grid, source

SHIFTED = "shifted"
"""The placement: pots read in the centre, then `shift`."""

PLACEMENTS = (*grid.PLACEMENTS, SHIFTED)


def open_split(
    data_dir: str | pathlib.Path, split: str, *, rows: slice = slice(None), **place: Any
) -> source.Split:
    """As `source.open_split`; with placement "shifted" the data is that of "center", moved."""
    opened = source.open_split(data_dir, split, rows=rows, **centred(place))
    if place.get("placement") != SHIFTED:
        return opened
    moved = (item._replace(labels=shift(item.labels, item.name)) for item in opened.pots)
    return opened._replace(pots=moved)


def centred(place: dict[str, Any]) -> dict[str, Any]:
    """Where the pots lie that are shifted; other placements as they are."""
    return place | {"placement": "center"} if place.get("placement") == SHIFTED else place


def shift(labels: UInt8[np.ndarray, "d h w"], file_name: str) -> UInt8[np.ndarray, "d h w"]:
    """Move what a cube holds to a place drawn from the file's name, the same everywhere and always.

    All places where the box of the occupied cells fits are equally likely: along axis i it starts
    at bytes 8(i+1) to 8(i+2) of sha256(file name without folder), big-endian, modulo the number of
    places. The first 8 bytes choose the fragment (`fragments.fixed_fragment`). Where it was before
    is no matter. For scoring models that are not told where a pot's axis is.
    """
    occupied = np.nonzero(labels)
    if not occupied[0].size:
        return labels
    name = file_name.replace("\\", "/").rsplit("/", 1)[-1]
    digest = hashlib.sha256(name.encode()).digest()
    old, new = [], []
    for axis, (cells, side) in enumerate(zip(occupied, labels.shape, strict=True)):
        first, size = int(cells.min()), int(np.ptp(cells)) + 1
        drawn = int.from_bytes(digest[8 * (axis + 1) : 8 * (axis + 2)], "big")
        start = drawn % (side - size + 1)
        old.append(slice(first, first + size))
        new.append(slice(start, start + size))
    moved = np.zeros_like(labels)
    moved[tuple(new)] = labels[tuple(old)]
    return moved
