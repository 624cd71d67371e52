"""Floors with a hole: closed where a floor is likeliest, unless the sherd itself shows the hole.

Where a base is thin the model's probabilities pass the threshold in some of it only, and one sees
from above through the pot. Of 1,120 true validation pots none lets one see through, so a hole is
the model's doubt. It is closed by a disc about the axis, like a `bridge` as thick as the walls at
its ends, along the way from the wall to the axis on which clay is most probable.
"""

import numpy as np
from jaxtyping import Bool
from scipy import ndimage

from voxgan_jax.geometry import wheel
from voxgan_jax.inference import bridge
from voxgan_jax.inference.bridge import Joined, Volume, Voxels

Columns = Bool[np.ndarray, "d h"]

_WIDE = 0.8
"""Looked through is what lies below the first height of this share of the pot's greatest extent:
a neck hides the floor."""
_SHOWN = 0.9
"""Of what stands around a hole so much was given: the sherd itself shows the hole."""


def whole(probabilities: Volume, given: Voxels, threshold: float) -> Joined:
    """A pot in one piece (`bridge.join`) whose floor is closed, as far as both can be had."""
    made = bridge.join(probabilities, given, threshold)
    occupied = (made.probabilities > threshold) | given
    holes = _not_shown(hole(occupied), given)
    if not holes.any():
        return made
    top = _wide(occupied)
    profile = bridge.profile_of(probabilities, given, threshold)
    size = np.maximum(profile.weights.sum(axis=1), 1e-3)[:, None]
    clay = profile.weights @ occupied.reshape(-1, occupied.shape[2]).astype(np.float32) / size
    starts, ends = clay > 0.5, np.zeros(clay.shape, bool)
    # From beyond the hole, and below the neck.
    starts[: int(np.ceil(profile.radius[holes].max()))] = False
    starts[:, :top] = False
    ends[0, top:] = True
    if not starts.any():
        return made
    path = bridge.way(np.maximum(profile.mean, clay), starts, ends)
    # Where the way leads through air a neck may hide part of the hole.
    air = path[clay[tuple(path.T)] <= 0.5, 0]
    wanted = holes | np.isin(np.rint(profile.radius), air)
    wanted = ndimage.binary_dilation(wanted, np.ones((3, 3), bool))
    disc = bridge.ring(profile, path, occupied, threshold) * wanted[..., None]
    found = np.maximum(made.probabilities, disc)
    added = (found > threshold) & ~occupied
    pieces = made.pieces._replace(floor=int(added.sum()))
    return made._replace(probabilities=found, bridges=made.bridges | added, pieces=pieces)


def hole(occupied: Voxels) -> Columns:
    """The columns in which one sees through the floor of a pot, whose base is at high w.

    What a handle encloses beside the pot is no hole of it.
    """
    columns = np.zeros(occupied.shape[:2], bool)
    if not occupied.any():
        return columns
    shadow = occupied[..., _wide(occupied) :].any(axis=2)
    filled = np.asarray(ndimage.binary_fill_holes(shadow))
    if (filled == shadow).all():
        return columns
    radius = wheel.radii(shadow.shape, np.array([wheel.find_axis(occupied)]))[0]
    ring = np.rint(radius).astype(int)
    share = np.bincount(ring.ravel(), filled.ravel()) / np.maximum(np.bincount(ring.ravel()), 1)
    return filled & ~shadow & (radius < np.flatnonzero(share > 0.5).max(initial=0) - 0.5)


def _wide(occupied: Voxels) -> int:
    """The first row that is nearly as wide as the widest."""
    extent = occupied.any(axis=0).sum(axis=0) * occupied.any(axis=1).sum(axis=0)
    return int(np.argmax(extent >= _WIDE * extent.max()))


def _not_shown(holes: Columns, given: Voxels) -> Columns:
    """Those of the holes that the sherd does not itself surround."""
    places, number = ndimage.label(holes, np.ones((3, 3)))  # pyright: ignore
    known = given.any(axis=2)
    for place in range(1, number + 1):
        one = places == place
        around = ndimage.binary_dilation(one, np.ones((3, 3), bool)) & ~one
        if known[around].mean() >= _SHOWN:
            holes = holes & ~one
    return holes
