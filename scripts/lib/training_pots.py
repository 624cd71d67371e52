"""Whole pots to learn an answer from: each pot of a data set once, and packed to bits."""

import math
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Array, Shaped, UInt8

from scripts.lib import shifted
from voxgan_jax.data import folder, source

TRAIN_SPLITS = ("train", "validation")

Item = TypeVar("Item", folder.PotPath, folder.PotFile)


def read(
    data_dir: str | pathlib.Path, *, leave_out: str = "", **place: Any
) -> Iterator[folder.PotFile]:
    """Every pot of the train and validation splits once: the files of a pot share its geometry.

    Args:
        leave_out: splits, joined by "+", that are about to be scored and so must not be known.
        place: see `source.open_data`; pots to learn from are in the centre where others are
            shifted.

    Raises:
        FileNotFoundError, CacheError: see `source.open_data`.
        ValueError: no pots are left to learn from.
    """
    place = shifted.centred(place)
    data = source.open_data(data_dir, **place)
    wanted = [name for name in TRAIN_SPLITS if name not in leave_out.split("+")]
    split = "+".join(name for name in wanted if name in data.counts)
    if not split:
        raise ValueError(f"{data_dir}: no training pots there beside those to be scored")
    if folder.is_prepared(data_dir) or pathlib.Path(data_dir).is_file():
        return first_of_each_pot(data.read(split, slice(None)))
    # The further files of a pot need not even be read.
    items = [item for item in folder.scan(data_dir) if item.split in split.split("+")]
    return (folder.read(item, **place) for item in first_of_each_pot(items))


def first_of_each_pot(items: Iterable[Item]) -> Iterator[Item]:
    """Drop the further files of a pot: they show the same geometry, broken in another way."""
    seen = set()
    for item in items:
        if (item.category, item.pot) not in seen:
            seen.add((item.category, item.pot))
            yield item


def pack_bits(
    volume: Shaped[np.ndarray, "*b d h w"] | Shaped[Array, "*b d h w"],
) -> UInt8[np.ndarray, "*b bytes"] | UInt8[Array, "*b bytes"]:
    """Eight cells to a byte, nonzero as 1, in the order of `numpy.packbits`: 64³ in 32 KiB.

    Takes NumPy or JAX arrays, jitted or not, and returns the same kind.
    """
    xp = volume.__array_namespace__()
    return xp.packbits((volume != 0).reshape(*volume.shape[:-3], -1), axis=-1)


def unpack_bits(
    packed: UInt8[np.ndarray, "*b bytes"] | UInt8[Array, "*b bytes"], shape: tuple[int, int, int]
) -> UInt8[np.ndarray, "*b d h w"] | UInt8[Array, "*b d h w"]:
    """The inverse of `pack_bits` for volumes of `shape`: 0 and 1."""
    xp = packed.__array_namespace__()
    bits = xp.unpackbits(packed, axis=-1, count=math.prod(shape))
    return bits.reshape(*packed.shape[:-1], *shape)
