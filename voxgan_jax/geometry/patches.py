"""Patches of faces that bear one label, without the speckle of the voxels they were read from."""

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import sparse

from voxgan_jax.geometry import connections
from voxgan_jax.geometry.solids import Faces, Labels

_SPECK, _CRUMB = 36.0, 12.0
"""A patch of fewer square voxels takes the label around it, unless its own has none that is bigger:
the first is for what is not `first`, the second for what is, or where no label is."""

_CALM, _CALMER = 3, 24
"""So often labels are averaged over neighbouring faces where one is `first`: all, and the others
alone. Else once, so that no border moves by a face."""

Areas = Float[np.ndarray, "faces"]
Marks = Bool[np.ndarray, "faces"]
Pairs = Int[np.ndarray, "pairs 2"]


def calmed(faces: Faces, areas: Areas, labels: Labels, first: int | None = None) -> Labels:
    """Labels of faces of which each takes what prevails around it, and each speck what it lies in.

    Args:
        faces: numbers of corners, which neighbours share.
        areas: of the faces, in square voxels.
        first: the label whose border wanders by less than a voxel; those of the others are blurred
            further.
    """
    kinds = np.unique(labels)
    if len(kinds) < 2:
        return labels
    rows = np.repeat(np.arange(len(faces)), 3)
    corner = sparse.csr_array(
        (np.full(len(rows), 1 / 3), (rows, faces.ravel())), (len(faces), int(faces.max()) + 1)
    )
    back = corner.T.tocsr()
    back = sparse.diags_array(1 / np.maximum(back.sum(axis=1), 1e-9)) @ back
    near = (labels[:, None] == kinds).astype(float)
    for _ in range(1 if first is None else _CALM):
        near = corner @ (back @ near)
    calm = kinds[np.argmax(near, axis=1)]
    if first is not None:
        far, of_first = near, (kinds == first).astype(float)
        for _ in range(_CALMER):
            far = corner @ (back @ far)
        others = kinds[np.argmax(far - 2 * of_first, axis=1)]
        calm = np.where(near @ of_first > 0.5, first, others)
    pairs = connections.edges(faces).pairs
    return _filled(pairs, calm, _specks(pairs, areas, calm, first))


def mostly(faces: Faces, areas: Areas, labels: Labels, marked: Marks) -> Marks:
    """Which faces belong to patches that are marked on more than half of their area."""
    patch = _patches(connections.edges(faces).pairs, labels)
    share = np.bincount(patch, areas * marked) / np.maximum(np.bincount(patch, areas), 1e-12)
    return (share > 0.5)[patch]


def _patches(pairs: Pairs, labels: Labels) -> Int[np.ndarray, "faces"]:
    """The number of each face's patch."""
    return connections.components(len(labels), pairs[labels[pairs[:, 0]] == labels[pairs[:, 1]]])


def _specks(pairs: Pairs, areas: Areas, labels: Labels, first: int | None) -> Marks:
    """The faces of small patches, but for the biggest of each label."""
    patch = _patches(pairs, labels)
    size = np.bincount(patch, areas)
    small = np.zeros(len(size), bool)
    for kind in np.unique(labels):
        own = np.unique(patch[labels == kind])
        small[own] = size[own] < (_CRUMB if first in (None, kind) else _SPECK)
        small[own[np.argmax(size[own])]] = False
    return small[patch]


def _filled(pairs: Pairs, labels: Labels, specks: Marks) -> Labels:
    """Each patch of specks, whatever is mixed in it, with the label that it borders on most."""
    patch = _patches(pairs, np.where(specks, -1, np.arange(len(labels))))
    kinds, number = np.unique(labels, return_inverse=True)
    votes = np.zeros((patch.max() + 1, len(kinds)), int)
    for one, other in (pairs.T, pairs.T[::-1]):
        rim = specks[one] & ~specks[other]
        np.add.at(votes, (patch[one[rim]], number[other[rim]]), 1)
    # A speck that borders on nothing else stays what it is.
    chosen = np.where(votes.any(axis=1), kinds[votes.argmax(axis=1)], -1)[patch]
    return np.where(specks & (chosen >= 0), chosen, labels)
