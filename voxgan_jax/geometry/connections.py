"""What hangs together: the edges of a mesh's faces, and the bodies that pairs of anything make."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import sparse
from scipy.sparse import csgraph

Vertices = Float[np.ndarray, "_ 3"]
Faces = Int[np.ndarray, "_ 3"]
Pairs = Int[np.ndarray, "_ 2"]


class Edges(NamedTuple):
    """The edges of a mesh.

    `pairs` are two faces that share an edge with no third; `alike`: both run along it in one
    direction, so they look to different sides. `border` are the ends of edges of one face only.
    """

    pairs: Pairs
    alike: Bool[np.ndarray, "_"]
    border: Pairs


def edges(faces: Faces) -> Edges:
    """The edges of faces whose corners are merged."""
    start, end = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    key = np.minimum(start, end).astype(np.int64) * (int(faces.max()) + 1)
    key += np.maximum(start, end)
    order = np.argsort(key, kind="stable")
    key = key[order]
    begins = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
    uses = np.diff(np.append(begins, len(key)))
    first = begins[uses == 2]
    one, other = order[first], order[first + 1]
    single = order[begins[uses == 1]]
    return Edges(
        np.stack([one // 3, other // 3], 1),
        start[one] == start[other],
        np.stack([start[single], end[single]], 1),
    )


def components(count: int, pairs: Pairs) -> Int[np.ndarray, "count"]:
    """For each of `count` things the number of those with which pairs connect it, from 0 on."""
    links = sparse.coo_array((np.ones(len(pairs), np.int8), tuple(pairs.T)), (count, count))
    return csgraph.connected_components(links, directed=False)[1]


def bodies(count: int, faces: Faces) -> Int[np.ndarray, "count"]:
    """For each of `count` vertices the number of the body to which faces connect it."""
    return components(count, faces[:, [0, 1, 1, 2]].reshape(-1, 2))
