"""Triangles out of what formats have for faces: polygons of any number of corners, and strips."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int, Shaped

from voxgan_jax.scan import source

Faces = Int[np.ndarray, "_ 3"]


def fans(groups: Iterable[Shaped[np.ndarray, "_ _"]]) -> Faces:
    """Polygons, those of one number of corners in an array, as fans of triangles.

    What has less than three corners is left out.
    """
    kept = [np.asarray(group) for group in groups if group.shape[1] > 2]
    source.check_faces(sum(len(group) * (group.shape[1] - 2) for group in kept))
    made = [np.zeros((0, 3), int)]
    for group in kept:
        inner = group[:, 1:].astype(int)
        first = np.broadcast_to(group[:, :1].astype(int), inner[:, 1:].shape)
        made.append(np.stack([first, inner[:, :-1], inner[:, 1:]], axis=-1).reshape(-1, 3))
    return np.concatenate(made)


def by_size(polygons: Iterable[Sequence[Any]]) -> list[Int[np.ndarray, "_ _"]]:
    """Polygons, as lists of numbers or of their texts, as `fans` takes them."""
    groups: dict[int, list[Sequence[Any]]] = {}
    for polygon in polygons:
        groups.setdefault(len(polygon), []).append(polygon)
    source.check_faces(sum((size - 2) * len(some) for size, some in groups.items() if size > 2))
    return [np.array(some).astype(int) for size, some in groups.items() if size > 2]


def strips(corners: Int[np.ndarray, "_"]) -> Faces:
    """The triangles of strips, all turned as the first of their strip; below 0 a strip ends."""
    source.check_faces(len(corners) - 2)
    corners = corners.astype(int)
    rows = np.stack([corners[:-2], corners[1:-1], corners[2:]], axis=1)
    place = np.arange(len(corners))
    begun = np.maximum.accumulate(np.where(corners < 0, place + 1, 0))
    odd = (place - begun)[: len(rows)] % 2 == 1
    rows[odd] = rows[odd][:, [1, 0, 2]]
    return rows[(rows >= 0).all(axis=1)]
