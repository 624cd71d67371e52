#!/usr/bin/env python3
"""Run hostile inputs against `voxgan complete` and `voxgan_jax.complete`.

    scripts/hostile.py --what inputs results weights interrupts api --out hostile.json
    scripts/hostile.py --what inputs --only bomb_3mf lattice_3mf
    scripts/hostile.py --what mutations --files 50000 --first 50000

All are made from a seed, each is tried in a process of its own, and its time and memory are
measured. A fault is a foreign exception, another exit code than 0, 1, 2 or 130, more than 60 s or
2 GiB, a file of the user's that is changed, a good neighbour that is not completed. Of mutated
files thousands share a process: each has 10 s, all have 2 GiB. The exit code is 1 where there is a
fault. All of it takes half an hour or so on two cores.
"""

import argparse
import json
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from scripts.lib.start import leave

from scripts.lib import command, hostile, hostile_parts, mutations
from voxgan_jax.files import write_whole


def main(argv: list[str] | None = None) -> int:
    return command.run("hostile.py", _try, _parse(argv))


def _try(args: argparse.Namespace) -> int:
    rows = {}
    for name in args.what:
        with tempfile.TemporaryDirectory(prefix="voxgan-hostile-") as folder:
            place = pathlib.Path(folder)
            if part := hostile_parts.PARTS.get(name):
                rows[name] = part(place, args.seed, args.only, args.most)
            else:
                rows[name] = mutations.tried(place, args.seed, args.first, args.files)
        print(f"== {name}", *hostile.table(rows[name]), sep="\n", flush=True)
    if args.out:
        told = {name: [row._asdict() for row in part] for name, part in rows.items()}
        write_whole(args.out, json.dumps(told, indent=1) + "\n")
    return int(any(row.faults for part in rows.values() for row in part))


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = command.parser(__doc__)
    parts = [*hostile_parts.PARTS, "mutations"]
    parser.add_argument("--what", nargs="+", choices=parts, default=parts)
    parser.add_argument("--only", nargs="+", default=[], help="cases by their names")
    parser.add_argument("--most", type=command.positive, default=1000, help="cases of a part")
    parser.add_argument("--files", type=command.positive, default=3000, help="of mutations")
    parser.add_argument("--first", type=int, default=0, help="of mutations, to go on")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=pathlib.Path, help="write all rows as JSON")
    return parser.parse_args(argv)


if __name__ == "__main__":
    leave(main())
