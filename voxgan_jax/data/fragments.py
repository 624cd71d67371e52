"""Which fragments of a broken pot are given, and what is to be completed.

Labels: 0 empty, 1 crumbs, k >= 2 fragment k. `choose` and `select` are pure and take NumPy or JAX
arrays alike, so that tf.data and sampling inside jit share them.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt8

from voxgan_jax.pottery import CRUMBS as CRUMBS

MODES = ("k", "all_but_k")


def voxel_counts(labels: UInt8[np.ndarray, "d h w"]) -> Int[np.ndarray, "256"]:
    """How many cells hold each label, the empty ones (label 0) included."""
    return np.bincount(labels.ravel(), minlength=256)


def fragment_ids(labels: UInt8[np.ndarray, "d h w"]) -> list[int]:
    """The fragments of a pot in rising order; crumbs do not count.

    A file with no label but crumbs' (a scan saved in one colour, say) is one fragment: [1].
    """
    present = np.flatnonzero(voxel_counts(labels)[1:]) + 1
    fragments = present[present > CRUMBS]
    return (fragments if fragments.size else present).tolist()


def fixed_fragment(file_name: str, ids: Sequence[int]) -> int:
    """The fragment that evaluation gives: chosen by the file's name alone, so the same everywhere.

    The ids sorted, at the first 8 bytes of sha256(file name without folder), big-endian, modulo
    their count.

    Raises:
        ValueError: no ids.
    """
    if not len(ids):
        raise ValueError(f"{file_name}: no fragment to choose from")
    name = file_name.replace("\\", "/").rsplit("/", 1)[-1]
    digest = hashlib.sha256(name.encode()).digest()
    return sorted(ids)[int.from_bytes(digest[:8], "big") % len(ids)]


def given_table(ids: Sequence[int]) -> Bool[np.ndarray, "256"]:
    """True at the given fragments' labels."""
    table = np.zeros(256, bool)
    table[list(ids)] = True
    return table


def choose(
    counts: Int[np.ndarray, "b 256"] | Int[Array, "b 256"],
    noise: Float[np.ndarray, "b 256"] | Float[Array, "b 256"],
    *,
    mode: str = "k",
    k: int = 1,
    max_k: int = 0,
    min_share: float = 0.0,
    max_share: float = 1.0,
) -> Bool[np.ndarray, "b 256"] | Bool[Array, "b 256"]:
    """Draw `k` or more distinct fragments a pot, all that qualify being equally likely.

    Args:
        counts: `voxel_counts` of each pot.
        noise: uniform in [0, 1), the only source of chance. Column 0 draws how many, the others
            which.
        mode: "k" gives the drawn fragments; "all_but_k" withholds them and gives the others.
        k: how many are drawn; fewer where fewer qualify, and under "all_but_k" one is always left.
        max_k: above k, each number from k to max_k is equally likely; 0: always k.
        min_share, max_share: bounds on a drawn fragment's share of its pot's voxels, crumbs
            counted in the pot. If no fragment lies within, those nearest to the range qualify.

    Returns:
        True at the labels that are given. Crumbs never are, unless a pot has no other label: then
        they are its one fragment. A pot without voxels gets no label.

    Raises:
        ValueError: an unknown mode, k below 1, or an empty range of shares or numbers.
    """
    if mode not in MODES:
        raise ValueError(f"mode {mode!r} is none of {MODES}")
    if k < 1 or min_share > max_share:
        raise ValueError(f"k = {k} below 1, or no share within {min_share}…{max_share}")
    if max_k and max_k < k:
        raise ValueError(f"max_k = {max_k} below k = {k}; give 0 to draw k always")
    xp = counts.__array_namespace__()
    label = xp.arange(256)[None, :]
    present = (counts > 0) & (label > 0)
    fragments = present & (label > CRUMBS)
    fragments = xp.where(fragments.any(axis=1, keepdims=True), fragments, present)

    pot = xp.where(present, counts, xp.zeros_like(counts)).astype(noise.dtype)
    share = pot / xp.maximum(pot.sum(axis=1, keepdims=True), xp.ones_like(pot[:, :1]))
    outside = xp.maximum(xp.maximum(min_share - share, share - max_share), xp.zeros_like(share))
    outside = xp.where(fragments, outside, xp.full_like(share, xp.inf))
    qualified = fragments & (outside == outside.min(axis=1, keepdims=True))

    order = xp.argsort(xp.where(qualified, noise, xp.full_like(noise, xp.inf)), axis=1)
    rank = xp.argsort(order, axis=1)
    more = max(max_k - k, 0)
    drawn = rank < k + xp.floor(noise[:, :1] * (more + 1)).astype(rank.dtype)
    if mode == "k":
        return qualified & drawn
    spare = fragments.sum(axis=1, keepdims=True) - 1
    return fragments & ~(qualified & drawn & (rank < spare))


def select(
    labels: UInt8[np.ndarray, "b d h w"] | UInt8[Array, "b d h w"],
    given: Bool[np.ndarray, "b 256"] | Bool[Array, "b 256"],
    keep_crumbs: bool = True,
) -> tuple[
    UInt8[np.ndarray, "b d h w 1"] | UInt8[Array, "b d h w 1"],
    UInt8[np.ndarray, "b d h w 1"] | UInt8[Array, "b d h w 1"],
]:
    """The given fragments and the pot to complete, (partial, complete), as 0 and 1.

    `keep_crumbs` leaves label 1 in the complete pot. What is given is always part of it.
    """
    xp = labels.__array_namespace__()
    rows = xp.arange(labels.shape[0])[:, None, None, None]
    partial = given[rows, labels]
    complete = labels > 0 if keep_crumbs else (labels > CRUMBS) | partial
    return partial.astype(xp.uint8)[..., None], complete.astype(xp.uint8)[..., None]


def volumes(
    labels: UInt8[Array, "b d h w"], given: Bool[Array, "b 256"], keep_crumbs: bool = True
) -> tuple[Float[Array, "b d h w 1"], Float[Array, "b d h w 1"]]:
    """What `select` gives, as the float32 that networks take."""
    xp = labels.__array_namespace__()
    partial, complete = select(labels, given, keep_crumbs)
    return xp.asarray(partial, xp.float32), xp.asarray(complete, xp.float32)
