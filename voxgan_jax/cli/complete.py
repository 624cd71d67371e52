"""`voxgan complete`: its options, and the way from files to results."""

import argparse
import pathlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from voxgan_jax.cli import placement_options
from voxgan_jax.cli import result as cli_result
from voxgan_jax.version import VERSION

if TYPE_CHECKING:
    from voxgan_jax.report.record import Report

_EXAMPLES = """\
examples:
  voxgan complete sherd.stl --out restored            then open restored/sherd.html
  voxgan complete sherd.stl --unit cm --height-mm 120 --up z --out restored
  voxgan complete scans/ --out restored               all of a folder; again: only what is missing
  voxgan complete "scans/**/*.ply" --out restored     subfolders too
  voxgan complete sherd.stl --hypotheses 5 --out restored
  voxgan complete pot.vox --fragment 3 --out restored
"""

FORMATS = ("vox", "stl", "glb", "svg", "html", "json")

INPUTS = "a mesh (STL, OBJ, PLY, GLB, OFF, 3MF) or voxels (.vox, .binvox, .npy, .npz)"


def add_complete(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "complete",
        help="complete sherds: scans or voxels in, pots out",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help=f"{INPUTS}; or a folder of such, or a glob"
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--workdir",
        type=pathlib.Path,
        help="the folder of a trained run (default: the model that comes with voxgan_jax)",
    )
    source.add_argument("--weights", type=pathlib.Path, help="a weights file (.safetensors)")
    parser.add_argument(
        "--out",
        type=pathlib.Path,
        required=True,
        help="folder for the results, called as the sherd's file; those of a glob keep their"
        " subfolders (a/sherd), and where two would have one name, so do others, or the ending is"
        " added (sherd_stl)",
    )
    given = parser.add_mutually_exclusive_group()
    given.add_argument(
        "--fragment",
        type=int,
        action="append",
        help="the fragment of the file that is given (repeat for several); default: all of it",
    )
    given.add_argument(
        "--fixed_fragment", action="store_true", help="give the fragment that evaluation gives"
    )
    parser.add_argument(
        "--threshold",
        type=_probability,
        help="add voxels above this probability (default: the model's)",
    )
    parser.add_argument(
        "--dtype",
        choices=("float32", "bfloat16"),
        help="of the model's computing (default: that of training)",
    )
    parser.add_argument(
        "--average",
        type=int,
        choices=(1, 8),
        help="mean of the answers to so many turned and mirrored sherds (default: the model's)",
    )
    parser.add_argument(
        "--pool",
        type=int,
        help="scale the pot down by this factor for the model (default: its own)",
    )
    parser.add_argument(
        "--whole_cube",
        action="store_true",
        help="write the model's whole cube, not only the box of the input file",
    )
    said = parser.add_mutually_exclusive_group()
    said.add_argument(
        "--json", action="store_true", help="print a JSON object for each result, a line each"
    )
    said.add_argument("--quiet", action="store_true", help="print errors only")
    placement_options.add_placing(parser)
    parser.add_argument(
        "--formats",
        nargs="+",
        choices=FORMATS,
        default=FORMATS,
        help="what is written (default: all); stl brings the missing piece as well, svg is the"
        " section drawing, html the page, json the report",
    )
    parser.add_argument(
        "--hypotheses",
        type=_count,
        default=0,
        metavar="K",
        help="K other pots that the sherd may come from, besides the one answer (default: 0)",
    )
    parser.add_argument(
        "--again",
        action="store_true",
        help="complete also what an earlier run with the same options has completed in --out",
    )
    parser.add_argument(
        "--clearance-mm",
        type=float,
        default=0.2,
        help="how far the missing piece stays from the original (default: 0.2)",
    )
    parser.set_defaults(run=_complete)


def _complete(args: argparse.Namespace) -> int:
    # JAX takes a second to import, too long for --help.
    from tqdm import tqdm

    from voxgan_jax.devices import accelerator
    from voxgan_jax.inference import completer as model
    from voxgan_jax.report import naming, overview
    from voxgan_jax.restore import batch, files, pool

    names = batch.collect(args.files)
    silent = args.quiet or args.json
    if len(names) == 1 and not silent:
        _tell("loading the model …")
    accelerator.prepare()
    completer = model.load(
        weights_file=args.weights,
        workdir=args.workdir,
        dtype=args.dtype,
        average=args.average,
        num_hypotheses=args.hypotheses,
    )
    if args.pool is not None:
        completer = completer._replace(pool=args.pool)
    about = {"version": VERSION, "model": completer.about, "options": _options(args)}
    earlier = (
        {}
        if args.again
        else {path: batch.finished(path, args.out / name, about) for path, name in names.items()}
    )
    reports = [report for report in earlier.values() if report]
    todo = [path for path in names if not earlier.get(path)]
    if reports and not silent:
        print(_before(args.out, reports))
    wanted = len(names) > 1 and {"html", "json"} & set(args.formats)
    show = not silent and len(todo) > 1
    with (
        pool.side_by_side(pool.sensible_workers(len(todo))) as each,
        overview.Overview(args.out if wanted else None, len(names), reports) as all_of_them,
        tqdm(total=len(todo), unit="sherd", disable=None if show else True) as progress,
    ):
        results = files.complete_files(
            completer,
            todo,
            args.out,
            ids=args.fragment,
            fixed_fragment=args.fixed_fragment,
            placing=placement_options.placing(args),
            formats=args.formats,
            clearance_mm=args.clearance_mm,
            names=names,
            about=lambda request: {**about, "input": batch.fingerprint(request.source)},
            each=each,
            tell=None if silent or len(todo) > 1 else _tell,
            threshold=args.threshold,
            whole_cube=args.whole_cube,
        )
        for path, result in zip(todo, results, strict=True):
            progress.update()
            if isinstance(result, Exception):
                all_of_them.fail(overview.Failure(names[path], str(path), str(result)))
                tqdm.write(naming.readable(f"voxgan: {result}"), file=sys.stderr)
                continue
            all_of_them.add(result.written.report)
            if not args.quiet:
                say = cli_result.as_json if args.json else cli_result.in_words
                tqdm.write(naming.readable(say(result)))
    done, failed = all_of_them.done, all_of_them.failed
    if wanted and not silent:
        print(f"{args.out / overview.INDEX}: {len(done)} pots" + _failed(len(failed)))
    return int(bool(failed))


def _tell(text: str) -> None:
    """Say what is being done to who sits at a terminal: one sherd has no bar of progress."""
    from voxgan_jax.report import naming

    if sys.stderr.isatty():
        print(naming.readable(text), file=sys.stderr, flush=True)


def _options(args: argparse.Namespace) -> dict[str, Any]:
    """What the report says was asked for."""
    from voxgan_jax.restore import batch

    names = ("threshold", "dtype", "average", "pool", "whole_cube", "fixed_fragment", "fragment")
    options = {name: getattr(args, name) for name in names} | placement_options.placing(args)
    options |= {"clearance_mm": args.clearance_mm, "hypotheses": args.hypotheses}
    options |= {"formats": [form for form in FORMATS if form in args.formats]}
    return batch.asked(options)


def _before(out: pathlib.Path, reports: "Sequence[Report]") -> str:
    if len(reports) > 1:
        return f"{len(reports)} completed before, as they would be now (see --again)"
    page = any(name.endswith(".html") for name in reports[0].files or ())
    file = out / f"{reports[0].name}.{'html' if page else 'json'}"
    return f"{file}: completed before, as it would be now (see --again)"


def _failed(count: int) -> str:
    return f", {'one file' if count == 1 else f'{count} files'} failed" if count else ""


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) > 16:
        raise argparse.ArgumentTypeError(f"{text} is no whole number from 0 to 16")
    return int(text)


def _probability(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value
