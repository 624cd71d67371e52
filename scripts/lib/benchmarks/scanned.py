"""Sherds as a scanner would have them, for measurements of what is done with them."""

import pathlib

import numpy as np

from scripts.lib import placement_cases, training_pots
from voxgan_jax.data import folder
from voxgan_jax.data.synthetic import pots
from voxgan_jax.geometry import surface


def write(data_dir: str | None, place: pathlib.Path, count: int) -> list[pathlib.Path]:
    """Write STL files, one sherd of each of so many pots, of 5 % of the pot or more, in any pose.

    Args:
        data_dir: a folder of `.vox` files; of its validation pots where these are enough, else of
            any. None makes synthetic pots.

    Raises:
        ValueError: too few pots.
    """
    if data_dir is None:
        data_dir = str(place / "vox")
        pots.write_dataset(data_dir, pots=6 * count, seed=0, fragments=(6,))
    every = list(training_pots.first_of_each_pot(folder.scan(data_dir)))
    held_back = [item for item in every if item.split == "validation"]
    made = []
    chosen = held_back if len(held_back) >= count else every
    _require(len(chosen), count, data_dir)
    rng = np.random.default_rng(0)
    for case in placement_cases.cases(map(folder.read, chosen), rng, 0.05, count, ("scan",)):
        made.append(place / f"sherd{len(made)}.stl")
        surface.write_stl(made[-1], case.scan)
    _require(len(made), count, data_dir)
    return made


def _require(pots: int, count: int, data_dir: str) -> None:
    if pots < count:
        raise ValueError(f"{data_dir}: scans of {pots} pots; give --sherds {pots - 1}")
