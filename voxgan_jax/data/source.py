"""Pots of a split, from a folder of `.vox` files, a cache file of them, or a prepared data set."""

import collections
import functools
import importlib
import itertools
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from voxgan_jax.data import cache, folder


class Split(NamedTuple):
    """The pots of a split, read as they are asked for, and how many the split has."""

    pots: Iterator[folder.PotFile]
    num_pots: int


class Data(NamedTuple):
    """Data in one place: how many pots each split has, and `read(split, rows)`, one by one."""

    where: str
    counts: Mapping[str, int]
    read: Callable[[str, slice], Iterator[folder.PotFile]]


def open_data(data_dir: str | pathlib.Path, **place: Any) -> Data:
    """Data of any kind, not yet read.

    Args:
        data_dir: a folder of `.vox` files, one of prepared data sets (see `builder`), or a cache
            file (see `cache`).
        place: resolution, pool, placement; see `grid.place`.

    Raises:
        FileNotFoundError: no data there, or not placed in this way.
        CacheError: a cache file that is damaged, or whose pots are placed in another way.
    """
    if pathlib.Path(data_dir).is_file():
        packed = cache.load(data_dir, **place)
        read = functools.partial(cache.read_split, packed)
        return Data(str(data_dir), cache.counts(packed.files), read)
    if not folder.is_prepared(data_dir):
        items = folder.scan(data_dir)
        return Data(
            str(data_dir),
            collections.Counter(item.split for item in items),
            lambda split, rows: (
                folder.read(item, **place)
                for item in [item for item in items if item.split in split.split("+")][rows]
            ),
        )
    # TFDS and TensorFlow take seconds to import and are of no use to files.
    builder = importlib.import_module("voxgan_jax.data.builder")
    splits = builder.open_prepared(data_dir, **place).info.splits
    return Data(
        str(data_dir),
        {name: int(info.num_examples) for name, info in splits.items()},
        lambda split, rows: itertools.islice(
            builder.read_split(data_dir, split, **place), rows.start, rows.stop, rows.step
        ),
    )


def num_pots(data: Data, split: str) -> int:
    """How many pots a split, or several joined by "+", has.

    Raises:
        ValueError: the data has no such split.
    """
    for name in split.split("+"):
        if name not in data.counts:
            known = ", ".join(sorted(data.counts))
            raise ValueError(f"{data.where}: it has no split named {name!r}, only {known}")
    return sum(data.counts[name] for name in split.split("+"))


def open_split(
    data_dir: str | pathlib.Path, split: str, *, rows: slice = slice(None), **place: Any
) -> Split:
    """One split, or several joined by "+".

    Args:
        rows: which pots to read, by their place in the split, with bounds and a step not below 0.
        place: resolution, pool, placement; see `grid.place`.

    Raises:
        FileNotFoundError, CacheError: see `open_data`.
        ValueError: the data has no such split.
    """
    data = open_data(data_dir, **place)
    return Split(data.read(split, rows), num_pots(data, split))
