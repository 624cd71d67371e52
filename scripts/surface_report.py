#!/usr/bin/env python3
"""Would surfaces on a grid twice as fine be nearer to the truth? Prints the mean distances.

    scripts/surface_report.py

Synthetic pots are made at 128³, whose surface is the truth, and at 64³, of which the model restores
each from three fifths. The surface is drawn through the answer as `voxgan complete` does, and
through the same field taken to 128³ by linear or cubic interpolation, smoothed again or not.
Distances are symmetric means over 20,000 points each way, in voxels of the 64³ grid; part of them
is how far apart so few points lie.
"""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from scripts.lib.start import leave

import numpy as np

from scripts.lib import command, surfaces


def main(argv: list[str] | None = None) -> int:
    parser = command.parser(__doc__)
    parser.add_argument("--pots", type=command.positive, default=12)
    return command.run("surface_report.py", _report, parser.parse_args(argv))


def _report(args: argparse.Namespace) -> None:
    rows = []
    for seed, row in enumerate(surfaces.distances(args.pots)):
        rows.append(row)
        print(f"pot {seed}: " + ", ".join(f"{n} {v:.4f}" for n, v in row.items()))
    found = np.array([list(row.values()) for row in rows])
    more = found - found[:, :1]
    for n, name in enumerate(rows[0]):
        error = more[:, n].std(ddof=1) / len(found) ** 0.5
        print(f"{name}: {found[:, n].mean():.4f}, {more[:, n].mean():+.4f} ± {error:.4f}")


if __name__ == "__main__":
    leave(main())
