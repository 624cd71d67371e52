#!/usr/bin/env python3
"""How often a model's pots come in pieces, what these are, and what joining them does.

    scripts/pieces_report.py --data_dir DIR --split validation --out pieces.json
    scripts/pieces_report.py --read pieces.json

The pots are those of the evaluation, one known fragment a file; without --weights the model is that
of the package. Pieces share no face of a voxel. Scores are those of the thresholded pot with the
fragment, against the true pot and against its biggest piece alone (true pots have loose plates and
crumbs); differences are joined minus not joined, with 95 % intervals over pots.
"""

import argparse
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from scripts.lib.start import leave

from scripts.lib import command, pieces
from voxgan_jax.files import write_whole


def main(argv: list[str] | None = None) -> int:
    return command.run("pieces_report.py", _report, _parse(argv))


def _report(args: argparse.Namespace) -> None:
    if args.read:
        rows = command.rows_of(args.read)
    else:
        rows = list(pieces.score(args.weights, args.data_dir, args.split, args.every))
    if args.out:
        write_whole(args.out, json.dumps(rows, indent=1) + "\n")
    print("\n\n".join([pieces.counts(rows), pieces.kinds(rows), pieces.scores(rows)]))


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = command.scoring(__doc__, "validation", data=False)
    parser.add_argument("--weights", type=pathlib.Path, help="a weights file (.safetensors)")
    parser.add_argument(
        "--every", type=command.positive, default=1, help="score each so many-th file"
    )
    return command.parse_readable(parser, argv)


if __name__ == "__main__":
    leave(main())
