"""Triangles out of what formats have for faces: polygons of any number of corners, and strips."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped

from voxgan_jax.geometry.connections import Faces, Vertices
from voxgan_jax.scan import source
from voxgan_jax.scan.source import Fault

Mesh = tuple[Vertices, Faces]


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


def check(corners: Int[np.ndarray, "..."], count: int) -> None:
    """Raise Fault where faces name vertices that are not among `count`."""
    if corners.size and not 0 <= corners.min() <= corners.max() < count:
        raise Fault("its faces name vertices that it does not have; export it again")


def used(vertices: Vertices, corners: Faces) -> Mesh:
    """The vertices that are in a face, and the faces. `check` is part of it."""
    check(corners, len(vertices))
    number, at = np.unique(corners, return_inverse=True)
    return vertices[number], at.reshape(-1, 3)


def joined(parts: Iterable[tuple[Mesh, Float[np.ndarray, "4 4"]]]) -> Mesh:
    """Meshes, each where its matrix puts it, as one."""
    points, corners, begun = [np.zeros((0, 3))], [np.zeros((0, 3), int)], 0
    for (vertices, triangles), matrix in parts:
        points.append(vertices @ matrix[:3, :3].T + matrix[:3, 3])
        # A mirror turns faces inside out.
        turned = np.linalg.det(matrix[:3, :3]) < 0
        corners.append(begun + (triangles[:, ::-1] if turned else triangles))
        begun += len(vertices)
    return np.concatenate(points), np.concatenate(corners)
