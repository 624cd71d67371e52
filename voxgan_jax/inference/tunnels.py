"""Tunnels through a wall of which the model is not sure: filled with as few voxels as will do.

Where probabilities hover about the threshold a wall becomes lace, and the mesh has dozens of small
loops. A little below the threshold it is whole. What is more probable than that is added, and all
of it taken away again, the least probable first, that can go without opening a tunnel: the thinning
of digital topology by simple points (Bertrand and Malandain 1994).
"""

import functools
import itertools

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from voxgan_jax.inference.bridge import Voxels

_LOWER = (0.9, 0.8, 0.7)
"""Of the threshold, the first that leaves no tunnel, or the best of them."""
_MOST = 10_000
"""More voxels than this are left as they are; no pot of 1,120 has so many."""

_HOLLOW = 30
"""Voxels: smaller hollows are filled."""

_FACES = ndimage.generate_binary_structure(3, 1)
_EDGES = ndimage.generate_binary_structure(3, 2)
_CORNERS = ndimage.generate_binary_structure(3, 3)


def _bits(places: Bool[np.ndarray, "3 3 3"]) -> int:
    return sum(1 << int(n) for n in np.flatnonzero(places))


def _beside(structure: Bool[np.ndarray, "3 3 3"]) -> tuple[int, ...]:
    """For each place of 3³, as bits, those to which it hangs together."""
    alone = np.eye(27, dtype=bool).reshape(27, 3, 3, 3)
    return tuple(_bits(ndimage.binary_dilation(one, structure)) for one in alone)


_ALL, _MIDDLE = (1 << 27) - 1, 1 << 13
_EIGHTEEN, _SIX = _bits(_EDGES), _bits(_FACES)
_BY_CORNERS, _BY_FACES = _beside(_CORNERS), _beside(_FACES)
_WITHOUT = ~(np.uint32(1) << np.arange(27, dtype=np.uint32)[::-1].reshape(3, 3, 3))
"""What is left of bits around each place of 3³ where the clay in the middle of them is gone."""


def filled(occupied: Voxels, probabilities: Float[np.ndarray, "d h w"], threshold: float) -> Voxels:
    """The voxels to add so that a pot has fewer tunnels; none where it has none or none helps.

    A handle is a tunnel as well, and stays: no voxel inside it is nearly probable.
    """
    best, chosen = _whole(occupied), None
    for lower in _LOWER if euler(occupied) < 1 else ():
        places, _ = ndimage.label(occupied | (probabilities > lower * threshold))  # pyright: ignore
        # Without what hangs in the air, and without hollows.
        more = _solid(np.isin(places, np.unique(places[occupied])))
        if (number := _whole(more)) > best and (more & ~occupied).sum() <= _MOST:
            best, chosen = number, more
        if best == 2:
            break
    if chosen is None:
        return np.zeros_like(occupied)
    sheet = _thinned(occupied, chosen, probabilities) & ~occupied
    # A sheet of single voxels is not whole in a mesh.
    for wider in (1, 2):
        thick = np.asarray(ndimage.binary_dilation(sheet, _CORNERS, wider), bool) & chosen
        if _whole(occupied | thick) >= best:
            return thick & ~occupied
    return chosen & ~occupied


def euler(occupied: Voxels, *, faces: bool = False) -> int:
    """Pieces less tunnels, plus hollows; voxels hang together by corners, or by faces only."""
    from skimage import measure

    return int(measure.euler_number(occupied, 1 if faces else 3))


def _whole(occupied: Voxels) -> int:
    """2 without tunnels, less for each, be it that voxels hang together by corners or by faces."""
    return min(euler(occupied), 1) + min(euler(occupied, faces=True), 1)


def _solid(occupied: Voxels) -> Voxels:
    """With small hollows filled."""
    places, _ = ndimage.label(~np.pad(occupied, 1))  # pyright: ignore
    sizes = np.bincount(places.ravel())
    sizes[0] = _HOLLOW + 1
    return occupied | np.isin(places, np.flatnonzero(sizes <= _HOLLOW))[1:-1, 1:-1, 1:-1]


def _thinned(occupied: Voxels, more: Voxels, probabilities: Float[np.ndarray, "d h w"]) -> Voxels:
    """`more` without what is not `occupied` and can go."""
    left = np.pad(more, 1)
    around = np.zeros(left.shape, np.uint32)
    for bit, shift in enumerate(itertools.product((1, 0, -1), repeat=3)):
        around |= np.roll(left, shift, (0, 1, 2)).astype(np.uint32) << np.uint32(bit)
    cells = np.argwhere(np.pad(more & ~occupied, 1))
    cells = cells[np.argsort(np.pad(probabilities, 1)[tuple(cells.T)], kind="stable")].tolist()
    number = 0
    while number != len(cells):
        number, kept = len(cells), []
        for d, h, w in cells:
            if _is_simple(int(around[d, h, w])):
                left[d, h, w] = False
                around[d - 1 : d + 2, h - 1 : h + 2, w - 1 : w + 2] &= _WITHOUT
            else:
                kept.append((d, h, w))
        cells = kept
    return left[1:-1, 1:-1, 1:-1]


@functools.lru_cache(maxsize=1 << 16)
def _is_simple(around: int) -> bool:
    """Whether pieces, tunnels and hollows stay as they are without the voxel in the middle.

    Be it that clay hangs together by corners and air by faces, or the other way round.

    Args:
        around: bit n says whether place n of 3³, in order of d, h and w, is clay.
    """
    return all(
        _is_one(cells & ~_MIDDLE, ~0, _BY_CORNERS)
        and _is_one(cells & ~_MIDDLE & _EIGHTEEN, _SIX, _BY_FACES)
        for cells in (around, ~around & _ALL)
    )


def _is_one(cells: int, near: int, beside: tuple[int, ...]) -> bool:
    """Whether those that are near hang together; `beside` says for each place to which it does."""
    wanted = cells & near
    found, fresh = 0, wanted & -wanted
    while fresh:
        found |= fresh
        reached = 0
        while fresh:
            reached |= beside[fresh.bit_length() - 1]
            fresh ^= 1 << fresh.bit_length() - 1
        fresh = reached & cells & ~found
    return wanted != 0 and wanted & ~found == 0
