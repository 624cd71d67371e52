#!/usr/bin/env python3
"""Put several evaluations of the same files side by side, with paired differences, as Markdown.

    scripts/compare_scores.py runs/revolve_fine runs/retrieval runs/mine/test \\
        --names revolve retrieval mine --reference retrieval --out runs/table.md

Each folder is the --out of a scripts/evaluate.py. Folders that are given one name are runs of one
answer (its seeds): they are averaged file by file.
"""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from scripts.lib.start import leave

from scripts.lib import command, scores, scores_table
from voxgan_jax.cli import commands
from voxgan_jax.files import write_whole


def main(argv: list[str] | None = None) -> int:
    args = _parse(argv)
    return commands.exit_code("compare_scores.py", lambda: _compare(args))


def _compare(args: argparse.Namespace) -> None:
    runs = zip(args.folders, args.names, strict=True)
    answers = scores.gather([scores.read(folder, name) for folder, name in runs])
    text = scores_table.markdown(answers, args.reference)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(args.out, text)
    print(text)
    print(f"Written: {args.out}")


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = command.parser(__doc__)
    parser.add_argument("folders", nargs="+", type=pathlib.Path, metavar="OUT_DIR")
    parser.add_argument("--names", nargs="+", help="of the folders, in order (default: their own)")
    parser.add_argument("--reference", help="the name that is compared with (default: the first)")
    parser.add_argument("--out", type=pathlib.Path, required=True, metavar="FILE.md")
    args = parser.parse_args(argv)
    if args.names is None:
        args.names = [folder.resolve().name for folder in args.folders]
        if len(set(args.names)) < len(args.names):
            parser.error("some folders have the same name; give --names (equal ones are averaged)")
    if len(args.names) != len(args.folders):
        parser.error(f"{len(args.names)} --names for {len(args.folders)} folders")
    args.reference = args.reference or args.names[0]
    return args


if __name__ == "__main__":
    leave(main())
