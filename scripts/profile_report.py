#!/usr/bin/env python3
"""Say how well the half sections of voxel pots, turned again, give the same voxels.

    scripts/profile_report.py --data_dir DIR --split train+validation

One file of each pot. A pot is called round where its IoU with its own quarter turn is 0.98 or more.
"""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from scripts.lib.start import leave

import numpy as np
from jaxtyping import Bool
from tqdm import tqdm

from scripts.lib import command
from voxgan_jax.cli import commands
from voxgan_jax.data import folder, grid, vox
from voxgan_jax.geometry import lathe, profile_targets

ROUND = 0.98
_BINS = (("all", 0.0, 1.1), ("round", ROUND, 1.1), ("others", 0.0, ROUND))


def main(argv: list[str] | None = None) -> int:
    args = command.scoring(__doc__, "train").parse_args(argv)
    return commands.exit_code("profile_report.py", lambda: _report(args))


def _report(args: argparse.Namespace) -> None:
    splits = args.split.split("+")
    items = [item for item in folder.scan(args.data_dir) if item.split in splits]
    first = {(item.category, item.pot): item for item in reversed(items)}
    scores = []
    for item in tqdm(first.values(), unit="pot", disable=None):
        pot = grid.place(vox.read(item.path), 64, source=str(item.path)) > 0
        distance, axis = profile_targets.target(pot)
        again = lathe.field(distance, 64, axis) < 0
        scores.append((_iou(pot, again), _iou(*_quarter(pot))))
    if not scores:
        raise ValueError(f"{args.data_dir}: no pot in {args.split}")
    found, turned = np.array(scores).T
    print(f"{'':8}{'pots':>6}{'median':>9}{'mean':>9}{'5 %':>9}{'least':>9}")
    for name, low, high in _BINS:
        some = found[(turned >= low) & (turned < high)]
        if len(some):
            row = np.median(some), some.mean(), np.quantile(some, 0.05), some.min()
            print(f"{name:8}{len(some):6}" + "".join(f"{value:9.4f}" for value in row))


def _quarter(pot: Bool[np.ndarray, "n n n"]) -> tuple[np.ndarray, np.ndarray]:
    """A pot's box and the same after a quarter turn, corner on corner in a square."""
    low, high = np.argwhere(pot).min(0), np.argwhere(pot).max(0) + 1
    box = pot[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    side = max(box.shape[:2])
    square, turned = np.zeros((2, side, side, box.shape[2]), bool)
    square[: box.shape[0], : box.shape[1]] = box
    turned[: box.shape[1], : box.shape[0]] = np.rot90(box)
    return square, turned


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


if __name__ == "__main__":
    leave(main())
