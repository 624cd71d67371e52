"""Pots of a split, whether they lie in a folder of `.vox` files or in a prepared data set."""

import importlib
import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from voxgan_jax.data import folder

TRAIN_SPLITS = ("train", "validation")


class Split(NamedTuple):
    """The pots of a split, read as they are asked for, and how many there are."""

    pots: Iterator[folder.PotFile]
    num_pots: int


def open_split(data_dir: str | pathlib.Path, split: str, **place: Any) -> Split:
    """One split, or several joined by "+".

    Args:
        place: resolution, pool, placement; see `grid.place`.

    Raises:
        FileNotFoundError: no data there, or not placed in this way.
        ValueError: the data has no such split.
    """
    if folder.is_prepared(data_dir):
        builder = _builder()
        prepared = builder.open_prepared(data_dir, **place)
        return Split(
            builder.read_split(data_dir, split, **place), builder.num_examples(prepared, split)
        )
    items = folder.scan(data_dir)
    for name in split.split("+"):
        if name not in {item.split for item in items}:
            raise ValueError(f"{data_dir}: it has no split named {name!r}")
    items = [item for item in items if item.split in split.split("+")]
    return Split((folder.read(item, **place) for item in items), len(items))


def training_pots(
    data_dir: str | pathlib.Path, *, leave_out: str = "", **place: Any
) -> Iterator[folder.PotFile]:
    """Every pot of the train and validation splits once: the files of a pot share its geometry.

    Args:
        leave_out: splits, joined by "+", that are about to be scored and so must not be known.

    Raises:
        FileNotFoundError: no data there, or not placed in this way.
        ValueError: no pots are left to learn from.
    """
    wanted = [name for name in TRAIN_SPLITS if name not in leave_out.split("+")]
    if folder.is_prepared(data_dir):
        known = _builder().open_prepared(data_dir, **place).info.splits
    else:
        known = {item.split for item in folder.scan(data_dir)}
    split = "+".join(name for name in wanted if name in known)
    if not split:
        raise ValueError(f"{data_dir}: no training pots there beside those to be scored")
    if folder.is_prepared(data_dir):
        return folder.first_of_each_pot(open_split(data_dir, split, **place).pots)
    items = [item for item in folder.scan(data_dir) if item.split in split.split("+")]
    return (folder.read(item, **place) for item in folder.first_of_each_pot(items))


def _builder() -> Any:
    # TFDS and TensorFlow take seconds to import and are of no use to a folder of files.
    return importlib.import_module("voxgan_jax.data.builder")
