#!/usr/bin/env python3
"""How well sherds are placed by their shape: known fragments, turned, moved and scaled at random.

    scripts/placement_report.py --data_dir DIR --split validation --count 48 --out placement.json
    scripts/placement_report.py --read placement.json --before old.json --figure placement.png

Each fragment is there twice: as a scanner would have it (a smooth turned wall with rough breaks,
noise, ovality and worn edges; one in ten seen from outside alone) and as the surface of its voxels.
Either is placed by the package's model with more or less told. Printed, a line for what is told:
medians of the errors of the axis (degrees; mm level with the sherd), of the diameter where the
sherd is and where its rim is, of the pot's height, and of how far restored walls are from true ones
near the sherd and all over, in % of the pot's diameter; how often the right end is up; the IoU with
the truth, and how much less that is than with the true placement; seconds. Then how often a
placement is right (scale within 10 %, that end up) when it is called sure.
"""

import argparse
import json
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from scripts.lib.start import leave

import numpy as np

from scripts.lib import command, placement_cases, placement_tables, placements
from voxgan_jax.data import source
from voxgan_jax.files import write_whole
from voxgan_jax.inference import completer


def main(argv: list[str] | None = None) -> int:
    return command.run("placement_report.py", _report, _parse(argv))


def _report(args: argparse.Namespace) -> None:
    before = _kept(args.before or ())
    rows = _kept(args.read) if args.read else _scored(args)
    for when, some in (("before", before), ("now", rows)):
        if some:
            print(f"\n{when}\n" if before else "", placement_tables.table(some), sep="")
            print(placement_tables.calibration(some))
    if args.figure:
        placement_tables.figure(rows, args.figure, before)


def _kept(files: Sequence[pathlib.Path]) -> list[dict[str, Any]]:
    rows = command.rows_of(files)
    if not all("kind" in row for row in rows):
        names = ", ".join(map(str, files))
        raise ValueError(f"{names}: another version's numbers; score anew, with --data_dir")
    return rows


def _scored(args: argparse.Namespace) -> list[dict[str, Any]]:
    model = completer.load(weights_file=args.weights)
    place = {"resolution": model.resolution, "pool": model.pool}
    data = source.open_split(args.data_dir, args.split, rows=slice(args.skip, None), **place)
    rng = np.random.default_rng(args.seed)
    found = placement_cases.cases(data.pots, rng, args.least_share, args.count, args.kinds)
    rows = []
    for row in placements.score(model, found, args.count * len(args.kinds), args.told):
        rows.append(row)
        if args.out:  # each time, so that nothing is lost where it is stopped
            write_whole(args.out, json.dumps(rows, indent=1) + "\n")
    return rows


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = command.scoring(__doc__, "validation", data=False)
    parser.add_argument("--weights", type=pathlib.Path, help="default: those of the package")
    parser.add_argument("--count", type=int, default=48, help="fragments, one of each pot")
    parser.add_argument("--skip", type=int, default=0, help="leave out so many files")
    parser.add_argument("--least_share", type=float, default=0.03, help="of the pot's voxels")
    parser.add_argument(
        "--told", nargs="+", choices=placement_cases.TOLD, default=["nothing", "axis"]
    )
    parser.add_argument(
        "--kinds",
        nargs="+",
        choices=placement_cases.KINDS,
        default=placement_cases.KINDS,
        help="sherds as scans, as the surface of their voxels (default: both)",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--figure", type=pathlib.Path, help="draw the curves of errors")
    parser.add_argument(
        "--before", type=pathlib.Path, nargs="+", help="the same of other code, told and drawn, too"
    )
    return command.parse_readable(parser, argv)


if __name__ == "__main__":
    leave(main())
