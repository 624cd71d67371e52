#!/usr/bin/env python3
"""Prepare a folder of `.vox` files for training: every pot placed in the cube, as a TFDS data set
or as one cache file, which needs no TensorFlow and goes with config.data.source=resident.

    scripts/prepare_data.py --vox_dir DIR --out_dir data/prepared
    scripts/prepare_data.py --vox_dir DIR --cache data/pots.npz
    scripts/prepare_data.py --vox_dir DIR --out_dir data/prepared --resolution 32 --pool 2

DIR holds <split>/<class>/*.vox, or any folders of .vox files, which are then divided 8:2 by pot
into train and test; a tenth of the train pots becomes the validation split. Bad files are listed by
name and reason; nothing is written then and the exit code is 1, unless --skip_bad leaves them out.
"""

import argparse
import pathlib
import sys
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from scripts.lib.start import leave

from tqdm import tqdm

from scripts.lib import command
from voxgan_jax.cli import commands
from voxgan_jax.files import readable


def main(argv: list[str] | None = None) -> int:
    parser = command.parser(__doc__)
    add = parser.add_argument
    add("--vox_dir", type=pathlib.Path, required=True, help="the folder of .vox files")
    where = parser.add_mutually_exclusive_group(required=True)
    out, cache = "where the TFDS data set is written", "the cache file to write instead (.npz)"
    where.add_argument("--out_dir", type=pathlib.Path, help=out)
    where.add_argument("--cache", type=pathlib.Path, metavar="FILE", help=cache)
    add("--resolution", type=command.positive, default=64, help="side of the cube in voxels")
    add("--pool", type=command.positive, default=1, help="scale pots down by this factor")
    add("--placement", choices=("center", "corner"), default="center")
    add("--skip_bad", action="store_true", help="leave bad files out")
    args = parser.parse_args(argv)
    options = {
        "resolution": args.resolution,
        "pool": args.pool,
        "placement": args.placement,
        "skip_bad": args.skip_bad,
        "progress": lambda items: tqdm(items, desc="Reading files", unit="file"),
    }
    return commands.exit_code("prepare_data.py", lambda: prepare(args, options))


def prepare(args: argparse.Namespace, options: dict[str, Any]) -> None:
    """Write the data set, or the cache file, and say what is in it."""
    if args.cache:
        from voxgan_jax.data import cache

        counts, bad = cache.write(args.cache, args.vox_dir, **options)
    else:
        from voxgan_jax.data import builder

        counts, bad = builder.prepare(args.vox_dir, args.out_dir, **options)
    for path, reason in bad:
        print(f"left out {readable(path)}: {reason}", file=sys.stderr)
    listing = ", ".join(f"{count} {split}" for split, count in counts.items())
    out = readable(args.cache or args.out_dir)
    print(f"{out}: {listing} files at {args.resolution}³, placement {args.placement}")
    print("Pots of vox_pottery have no licence; cite doi 10.24963/ijcai.2023/647 (see the README).")


if __name__ == "__main__":
    leave(main())
