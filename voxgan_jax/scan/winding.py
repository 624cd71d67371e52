"""Which way the faces of a mesh look: turned alike, and outward where it can be known."""

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import sparse
from scipy.sparse import csgraph

from voxgan_jax.geometry.connections import Edges, Faces, Vertices, components

_OPEN = 0.25
"""Of the area: the sum of areas times normals, 0 of what is closed, of shells with one wall."""

Values = Float[np.ndarray, "n"]
Vectors = Float[np.ndarray, "n 3"]


def of_faces(found: Edges, kept: Bool[np.ndarray, "faces"]) -> Edges:
    """The pairs of faces of which both are kept, by the numbers that they have then; no borders."""
    number = np.cumsum(kept) - 1
    both = kept[found.pairs].all(axis=1)
    return Edges(number[found.pairs[both]], found.alike[both], found.border[:0])


def outward(vertices: Vertices, faces: Faces, found: Edges) -> tuple[Faces, int, bool]:
    """Faces turned alike where they share an edge, and outward where that can be known.

    It can for what is closed, or nearly: its volume has one sign from wherever in its box it is
    reckoned. Of the rest, say two walls without the edges between them, it may all together. A
    single open shell is turned so that its hollow side is the inner one, which need not be true.

    Returns:
        The faces, how many of them were turned, and whether it is known that all look outward.
    """
    label = components(len(faces), found.pairs)
    order = np.argsort(label, kind="stable")
    begins = np.flatnonzero(np.diff(label[order], prepend=-1))
    middle = vertices.mean(axis=0)
    a, b, c = (vertices[faces] - middle).transpose(1, 0, 2)
    normal = np.cross(b - a, c - a) / 2
    area = np.linalg.norm(normal, axis=1)
    turned = np.zeros(len(faces), bool)
    if found.alike.any():
        turned = _against(found, order[begins], len(faces))
        # The fewer are those that were wrong.
        more = np.bincount(label, area * np.where(turned, 1, -1)) > 0
        turned ^= more[label]
        normal = np.where(turned[:, None], -normal, normal)
    away = np.stack([np.bincount(label, part) for part in normal.T], 1)
    volume = np.bincount(label, np.einsum("ij,ij->i", a, normal) / 3)
    low = np.minimum.reduceat(np.minimum.reduce([a, b, c])[order], begins)
    high = np.maximum.reduceat(np.maximum.reduce([a, b, c])[order], begins)
    size = np.bincount(label, area)
    signed, known = _volumes(volume, away, size, low, high)
    rest = np.flatnonzero(~known)
    if len(rest):
        sums = (volume[rest].sum(), away[rest].sum(0), size[rest].sum())
        whole = (*sums, low[rest].min(0), high[rest].max(0))
        signed[rest], known[rest] = _volumes(*(np.asarray(part)[None] for part in whole))
    turned ^= (signed < 0)[label]
    return np.where(turned[:, None], faces[:, ::-1], faces), int(turned.sum()), bool(known.all())


def _volumes(
    volume: Values, away: Vectors, area: Values, low: Vectors, high: Vectors
) -> tuple[Values, Bool[np.ndarray, "n"]]:
    """Volumes as reckoned from the middle of each box, and whether their signs can be trusted.

    Args:
        volume: reckoned from 0, of what lies between `low` and `high`.
        away: sums of faces' areas times their normals: 0 for what is closed.
    """
    from_middle = volume - np.einsum("ij,ij->i", low + high, away) / 6
    slack = np.einsum("ij,ij->i", high - low, np.abs(away)) / 6
    closed = np.linalg.norm(away, axis=1) < _OPEN * area
    return from_middle, (np.abs(from_middle) > slack) & closed


def _against(found: Edges, roots: Int[np.ndarray, "k"], count: int) -> Bool[np.ndarray, "count"]:
    """Which faces look another way than the root of what they are connected with.

    Where no turning makes all alike (a Möbius strip), it follows a tree through the faces.
    """
    virtual = np.stack([np.full(len(roots), count), roots], 1)
    links = np.concatenate([found.pairs, virtual])
    graph = sparse.coo_array((np.ones(len(links), np.int8), tuple(links.T)), (count + 1, count + 1))
    _, before = csgraph.breadth_first_order(graph.tocsr(), count, directed=False)
    before = before.astype(int)
    before[count] = count
    here = np.arange(count + 1)
    key = found.pairs.min(axis=1) * (count + 1) + found.pairs.max(axis=1)
    order = np.argsort(key, kind="stable")
    wanted = np.minimum(here, before) * (count + 1) + np.maximum(here, before)
    at = order[np.minimum(np.searchsorted(key[order], wanted), len(order) - 1)]
    turned = found.alike[at] & (before != count)
    while (before != count).any():
        turned, before = turned ^ turned[before], before[before]
    return turned[:count]
