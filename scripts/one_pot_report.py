#!/usr/bin/env python3
"""How well several loose sherds of one pot are placed together, and sherds of other pots found out.

    scripts/one_pot_report.py --data_dir DIR --split validation --count 16 --out one_pot.json
    scripts/one_pot_report.py --read one_pot.json

Sherds are scan-like (as those of placement_report.py), each in a pose of its own, three of each
pot, of 5 to 15 % of it. Placed are two of them, all three, and all three with one of another pot.
Printed, a line for each: the IoU of the restored pot with the true one, in the coordinates of the
sherd that the result is told in; the same of the sherds one by one, the best of them by the truth,
that whose place is surest, their mean; how many sherds are right (diameter within 5 %, height
within 5 % of the pot's, that end up) and how many were set aside; the error of the size; how often
the other pot's sherd was named; seconds.
"""

import argparse
import json
import pathlib
import sys
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from scripts.lib.start import leave

import numpy as np
from tqdm import tqdm

from scripts.lib import command, one_pots, tables
from voxgan_jax.data import source
from voxgan_jax.files import write_whole
from voxgan_jax.inference import completer


def main(argv: list[str] | None = None) -> int:
    return command.run("one_pot_report.py", _report, _parse(argv))


def _report(args: argparse.Namespace) -> None:
    rows = command.rows_of(args.read) if args.read else _scored(args)
    print(_table(rows))


def _scored(args: argparse.Namespace) -> list[dict[str, Any]]:
    model = completer.load(weights_file=args.weights)
    data = source.open_split(
        args.data_dir, args.split, resolution=model.resolution, pool=model.pool
    )
    chosen = slice(args.skip, args.skip + args.count)
    found = one_pots.cases(data.pots, np.random.default_rng(args.seed), 0.05, 0.15, chosen)
    rows = []
    for row in one_pots.score(model, iter(tqdm(found, total=args.count, unit="pot", disable=None))):
        rows.append(row)
        if args.out:  # each time, so that nothing is lost where it is stopped
            write_whole(args.out, json.dumps(rows, indent=1) + "\n")
    return rows


def _table(rows: list[dict[str, Any]]) -> str:
    heads = ["sherds", "pots", "IoU", "best alone", "surest alone", "mean alone", "right"]
    heads += ["set aside", "size %", "other's named", "s"]
    lines = []
    for false in (False, True):
        for count in range(2, one_pots.SHERDS + 1):
            part = [row for row in rows if (row["sherds"], row["false"]) == (count, false)]
            if part:
                lines.append(_line(f"{count} and one of another pot" if false else count, part))
    return tables.table(heads, lines)


def _line(name: Any, part: list[dict[str, Any]]) -> list[str]:
    means = {key: np.mean([row[key] for row in part]) for key in ("iou", "best", "surest", "mean")}
    sherds, sizes = (
        sum(row["sherds"] for row in part),
        [abs(row["scale"]) for row in part if row["scale"] is not None],
    )
    named = [row["named"] for row in part if row["false"]]
    return [
        str(name),
        str(len(part)),
        *(f"{mean:.3f}" for mean in means.values()),
        f"{100 * sum(row['right'] for row in part) / sherds:.0f} %",
        f"{100 * sum(row['aside'] for row in part) / sherds:.0f} %",
        f"{100 * np.median(sizes):.1f}",
        f"{sum(named)} of {len(named)}" if named else "",
        f"{np.median([row['seconds'] for row in part]):.0f}",
    ]


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = command.scoring(__doc__, "validation", data=False)
    parser.add_argument("--weights", type=pathlib.Path, help="default: those of the package")
    parser.add_argument("--count", type=int, default=16, help="pots")
    parser.add_argument("--skip", type=int, default=0, help="leave out so many pots")
    parser.add_argument("--seed", type=int, default=0)
    return command.parse_readable(parser, argv)


if __name__ == "__main__":
    leave(main())
