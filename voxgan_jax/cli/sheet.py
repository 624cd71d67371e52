"""`voxgan sheet`: the section drawings of many restored pots on pages of A4."""

import argparse
import pathlib
import sys

from voxgan_jax.cli import view
from voxgan_jax.files import readable, write_whole
from voxgan_jax.restore import arguments

_ENDING = "_section.svg"


def add_sheet(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser("sheet", help="section drawings of many pots on pages of A4")
    results = "a folder of results, with all below it, or a result of one pot"
    parser.add_argument("results", type=pathlib.Path, nargs="+", metavar="RESULTS", help=results)
    parser.add_argument("-o", "--out", type=pathlib.Path, required=True, help="the sheet, a .pdf")
    scale = "of all drawings (default: 1:3)"
    parser.add_argument("--scale", choices=arguments.SCALES, default="1:3", help=scale)
    parser.add_argument("--lang", choices=arguments.LANGUAGES, default="en", help="of its words")
    overwrite = "replace a file that voxgan did not write, or that was changed since"
    parser.add_argument("--overwrite", action="store_true", help=overwrite)
    parser.set_defaults(run=_sheet)


def _sheet(args: argparse.Namespace) -> int:
    """Write the sheet of all that can be drawn; 1 where something could not be."""
    from voxgan_jax import ledger
    from voxgan_jax.drawing import pdf, svg

    if args.out.suffix.lower() != ".pdf":
        raise ValueError(f"{args.out}: a sheet is a PDF: give a name that ends in .pdf")
    drawings, failed = [], False
    for path, name in find_drawings(args.results).items():
        try:
            drawings.append((name, svg.read(path)))
        except (OSError, ValueError) as error:
            failed = True
            missing = f"{path}: there is no such drawing"
            said = missing if isinstance(error, FileNotFoundError) else error
            print(readable(f"voxgan: {said}"), file=sys.stderr)
    if not drawings:
        raise ValueError("there is nothing to draw; `voxgan complete FILE --out DIR` makes it")
    pages = pdf.sheet(drawings, int(args.scale[2:]))
    with ledger.published(args.out.parent, [args.out.name], overwrite=args.overwrite) as private:
        write_whole(private / args.out.name, pages)
    pots = "one pot" if len(drawings) == 1 else f"{len(drawings)} pots"
    print(f"{readable(args.out)}: {pots} at {args.scale}")
    return int(failed)


def find_drawings(results: list[pathlib.Path]) -> dict[pathlib.Path, str]:
    """The drawings of folders and of single results, each once, and the names of their pots.

    Raises:
        FileNotFoundError: a folder without any.
    """
    found = {}
    for path in results:
        if path.is_dir():
            above, inside = path, sorted(path.rglob(f"*{_ENDING}"))
            if not inside:
                raise FileNotFoundError(f"{path}: no drawing (NAME{_ENDING}) in this folder")
        else:
            above, inside = path.parent, [path.with_name(view.ENDING.sub("", path.stem) + _ENDING)]
        for drawing in inside:
            found[drawing] = drawing.relative_to(above).as_posix().removesuffix(_ENDING)
    return found
