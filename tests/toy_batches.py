"""Small sherds, a small model, and `voxgan complete` on them, for tests of batches."""

import csv
import io
import pathlib

import numpy as np

from voxgan_jax.cli import main
from voxgan_jax.data.synthetic import pots

SIDE = 16


def sherd(seed):
    """A slanted part of a synthetic pot."""
    labels = pots.make_pot(seed % 7 + 1, None, SIDE).astype(np.uint8)
    d, h, w = np.indices(labels.shape)
    return labels * ((d < 8 + seed % 3) & (w > h - 4)).astype(np.uint8)


def summary(out: pathlib.Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((out / "summary.csv").read_text(encoding="utf-8"))))


def complete(*arguments):
    return main.main(["complete", *map(str, arguments), "--formats", "vox", "svg", "json"])
