#!/usr/bin/env python3
"""Prepare a folder of `.vox` files for training: every pot placed in the cube, as a TFDS data set.

    scripts/prepare_data.py --vox_dir DIR --out_dir data/prepared
    scripts/prepare_data.py --vox_dir DIR --out_dir data/prepared --resolution 32 --pool 2

DIR holds <split>/<class>/*.vox, or any folders of .vox files, which are then divided 8:2 by pot
into train and test; a tenth of the train pots becomes the validation split. Bad files are listed by
name and reason; nothing is written then and the exit code is 1, unless --skip_bad leaves them out.
"""

import argparse
import sys

from tqdm import tqdm


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--vox_dir", required=True, help="the folder of .vox files")
    parser.add_argument("--out_dir", required=True, help="where the data set is written")
    parser.add_argument("--resolution", type=int, default=64, help="side of the cube in voxels")
    parser.add_argument("--pool", type=int, default=1, help="scale pots down by this factor")
    parser.add_argument("--placement", choices=("center", "corner"), default="center")
    parser.add_argument("--skip_bad", action="store_true", help="leave bad files out")
    args = parser.parse_args(argv)

    from voxgan_jax.data import builder

    try:
        counts, bad = builder.prepare(
            args.vox_dir,
            args.out_dir,
            resolution=args.resolution,
            pool=args.pool,
            placement=args.placement,
            skip_bad=args.skip_bad,
            progress=lambda items: tqdm(items, desc="Checking files", unit="file"),
        )
    except KeyboardInterrupt:
        print("prepare_data.py: stopped; nothing was written", file=sys.stderr)
        return 130
    except (OSError, ValueError) as error:
        print(f"prepare_data.py: {error}", file=sys.stderr)
        return 1
    for path, reason in bad:
        print(f"left out {path}: {reason}", file=sys.stderr)
    listing = ", ".join(f"{count} {split}" for split, count in counts.items())
    print(f"{args.out_dir}: {listing} files at {args.resolution}³, placement {args.placement}")
    print("vox_pottery carries no licence; cite doi 10.24963/ijcai.2023/647 (see the README).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
