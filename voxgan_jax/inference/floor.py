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
from voxgan_jax.inference import bridge, tunnels
from voxgan_jax.inference.bridge import Joined, Volume, Voxels

Columns = Bool[np.ndarray, "d h"]

_WIDE = 0.8
"""Looked through is what lies below the first height of this share of the pot's greatest extent:
a neck hides the floor."""
_SHOWN = 0.9
"""Of what stands around a hole so much was given: the sherd itself shows the hole."""


def whole(probabilities: Volume, given: Voxels, threshold: float) -> Joined:
    """A pot in one piece (`bridge.join`) whose floor is closed and whose wall has no tunnels.

    As far as that can be had; what the sherd itself surrounds stays open.
    """
    made = bridge.join(probabilities, given, threshold)
    occupied = (made.probabilities > threshold) | given
    disc = _disc(probabilities, occupied, given, threshold)
    occupied = occupied | disc
    plugs = tunnels.filled(occupied, made.probabilities, threshold)
    plugs = _not_shown(plugs, given, occupied)
    belief = bridge.probability(bridge.BELIEF, threshold)
    found = np.where(disc | plugs, belief, made.probabilities).astype(np.float32)
    pieces = made.pieces._replace(floor=int(disc.sum()), plugs=int(plugs.sum()))
    return Joined(found, made.bridges | disc | plugs, pieces)


def _disc(probabilities: Volume, occupied: Voxels, given: Voxels, threshold: float) -> Voxels:
    """The voxels that close the floor of a pot; none where it has no hole but what is shown."""
    nothing, holes = np.zeros_like(occupied), hole(occupied)
    known, shadow = (np.asarray(each.any(axis=2)) for each in (given, occupied))
    holes = _not_shown(holes, known, shadow)
    if not holes.any():
        return nothing
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
        return nothing
    path = bridge.way(np.maximum(profile.mean, clay), starts, ends)
    # Where the way leads through air a neck may hide part of the hole.
    air = path[clay[tuple(path.T)] <= 0.5, 0]
    wanted = holes | np.isin(np.rint(profile.radius), air)
    wanted = np.asarray(ndimage.binary_dilation(wanted, np.ones((3, 3), bool)), bool)
    turned = bridge.ring(profile, path, occupied, threshold) > threshold
    return turned & wanted[..., None] & ~occupied


def hole(occupied: Voxels) -> Columns:
    """The columns in which one sees through the floor of a pot, whose base is at high w.

    What a handle encloses beside the pot is no hole of it.
    """
    d, h, _ = occupied.shape
    columns = np.zeros((d, h), bool)
    if not occupied.any():
        return columns
    shadow = occupied[..., _wide(occupied) :].any(axis=2)
    filled = np.asarray(ndimage.binary_fill_holes(shadow), bool)
    if (filled == shadow).all():
        return columns
    radius = wheel.radii((d, h), np.array([wheel.find_axis(occupied)]))[0]
    ring = np.rint(radius).astype(int)
    share = np.bincount(ring.ravel(), filled.ravel()) / np.maximum(np.bincount(ring.ravel()), 1)
    return filled & ~shadow & (radius < np.flatnonzero(share > 0.5).max(initial=0) - 0.5)


def _wide(occupied: Voxels) -> int:
    """The first row that is nearly as wide as the widest."""
    extent = occupied.any(axis=0).sum(axis=0) * occupied.any(axis=1).sum(axis=0)
    return int(np.argmax(extent >= _WIDE * extent.max()))


def _not_shown(
    holes: Bool[np.ndarray, "*n"], given: Bool[np.ndarray, "*n"], clay: Bool[np.ndarray, "*n"]
) -> Bool[np.ndarray, "*n"]:
    """Those of the holes that the sherd does not itself surround."""
    corners = ndimage.generate_binary_structure(holes.ndim, holes.ndim)
    places, _ = ndimage.label(holes, corners)  # pyright: ignore
    for place, box in enumerate(ndimage.find_objects(places), 1):
        within = tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in box)
        one = places[within] == place
        around = ndimage.binary_dilation(one, corners) & ~one & clay[within]
        if around.any() and given[within][around].mean() >= _SHOWN:
            holes = holes & (places != place)
    return holes
