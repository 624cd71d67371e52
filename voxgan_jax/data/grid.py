"""Pots in a cube: placing, changing resolution."""

import hashlib
import math

import numpy as np
from jaxtyping import Shaped, UInt8

PLACEMENTS = ("center", "corner")


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


def shift(labels: UInt8[np.ndarray, "d h w"], file_name: str) -> UInt8[np.ndarray, "d h w"]:
    """Move what a cube holds to a place drawn from the file's name, the same everywhere and always.

    All places where the box of the occupied cells fits are equally likely: along axis i it starts
    at bytes 8(i+1) to 8(i+2) of sha256(file name without folder), big-endian, modulo the number of
    places. The first 8 bytes choose the fragment (`fragments.fixed_fragment`). Where it was before
    is no matter. For scoring models that are not told where a pot's axis is.
    """
    occupied = np.nonzero(labels)
    if not occupied[0].size:
        return labels
    name = file_name.replace("\\", "/").rsplit("/", 1)[-1]
    digest = hashlib.sha256(name.encode()).digest()
    old, new = [], []
    for axis, (cells, side) in enumerate(zip(occupied, labels.shape, strict=True)):
        first, size = int(cells.min()), int(np.ptp(cells)) + 1
        drawn = int.from_bytes(digest[8 * (axis + 1) : 8 * (axis + 2)], "big")
        start = drawn % (side - size + 1)
        old.append(slice(first, first + size))
        new.append(slice(start, start + size))
    moved = np.zeros_like(labels)
    moved[tuple(new)] = labels[tuple(old)]
    return moved


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
