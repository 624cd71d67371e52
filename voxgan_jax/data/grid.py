"""Pots in a cube: placing, changing resolution."""

import math

import numpy as np
from jaxtyping import Shaped, UInt8

PLACEMENTS = ("center", "corner")
PLACE = {"resolution": 64, "pool": 1, "placement": "center"}
"""The options of `place`, and what they are where none are given."""


class FitError(ValueError):
    """A pot that is too big for the cube."""


def place(
    labels: UInt8[np.ndarray, "d h w"],
    resolution: int = 64,
    *,
    pool: int = 1,
    placement: str = "center",
    source: str = "",
) -> UInt8[np.ndarray, "r r r"]:
    """Place a pot in a cube of side `resolution * pool`, then pool it by `pool` (`downsample`).

    "center" pads evenly, an odd remainder at the end; "corner" starts at (0, 0, 0). Completions
    under the two are not comparable: centring tells where a pot's axis is.

    Raises:
        FitError: the pot does not fit; `source` names it in the message.
    """
    inside = region(labels.shape, resolution, pool=pool, placement=placement, source=source)
    side = resolution * pool
    cube = np.zeros((side, side, side), np.uint8)
    cube[inside] = labels
    return cube if pool == 1 else downsample(cube, pool)


def region(
    shape: tuple[int, ...],
    resolution: int = 64,
    *,
    pool: int = 1,
    placement: str = "center",
    source: str = "",
) -> tuple[slice, slice, slice]:
    """Where `place` puts a pot of this shape in the cube of side `resolution * pool`.

    A completed cube goes back to the pot's own voxels as `upsample(cube, pool)[region(...)]`, and
    painting the pot there keeps its voxels in their place.

    Raises:
        FitError: the pot does not fit; `source` names it in the message.
        ValueError: an unknown placement.
    """
    if resolution < 1 or pool < 1:
        raise ValueError(f"resolution {resolution} and pool {pool} must be at least 1")
    if placement not in PLACEMENTS:
        raise ValueError(f"placement {placement!r} is none of {PLACEMENTS}")
    side = resolution * pool
    if max(shape) > side:
        sizes = " × ".join(str(size) for size in shape)
        needed = math.ceil(max(shape) / resolution)
        raise FitError(
            f"{source or 'the pot'}: {sizes} voxels do not fit a cube of {side}; to scale the pot "
            f"down give --pool {needed} (in a config: data.pool = {needed})"
        )
    starts = [(side - size) // 2 if placement == "center" else 0 for size in shape]
    d, h, w = (slice(start, start + size) for start, size in zip(starts, shape, strict=True))
    return d, h, w


def downsample(labels: UInt8[np.ndarray, "d h w"], factor: int) -> UInt8[np.ndarray, "_ _ _"]:
    """Pool blocks of factor³ cells: occupied if any cell is, the label that most of these hold.

    Ties go to the lowest label.

    Raises:
        ValueError: a factor below 2, or one that does not divide every side.
    """
    if factor < 2 or any(size % factor for size in labels.shape):
        raise ValueError(f"factor {factor} must be at least 2 and divide {labels.shape}")
    d, h, w = (size // factor for size in labels.shape)
    split = labels.reshape(d, factor, h, factor, w, factor)
    blocks = split.transpose(1, 3, 5, 0, 2, 4).reshape(factor**3, -1)
    pooled = blocks.max(axis=0)
    # One less, empty becomes 255 and the least is the lowest label.
    lowest = (blocks - np.uint8(1)).min(axis=0) + np.uint8(1)
    mixed = np.flatnonzero(pooled != lowest)
    contested = blocks[:, mixed]
    winner, votes = np.zeros(mixed.size, np.uint8), np.zeros(mixed.size, np.int64)
    for label in np.flatnonzero(np.bincount(contested.ravel(), minlength=256)[1:]) + 1:
        count = np.count_nonzero(contested == label, axis=0)
        winner = np.where(count > votes, np.uint8(label), winner)
        votes = np.maximum(count, votes)
    pooled[mixed] = winner
    return pooled.reshape(d, h, w)


def upsample(
    volume: Shaped[np.ndarray, "d h w"], factor: int
) -> Shaped[np.ndarray, "d*{factor} h*{factor} w*{factor}"]:
    """Repeat every cell `factor` times along each axis."""
    for axis in range(3):
        volume = volume.repeat(factor, axis)
    return volume
