"""`voxgan`: what a conservator types."""

import argparse
import json
import pathlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from voxgan_jax import commands

if TYPE_CHECKING:
    from voxgan_jax.completion import predictor

_EXAMPLES = """\
examples:
  voxgan complete sherd.vox --out completed
  voxgan complete sherd.stl --voxel-mm 2 --up z --height-mm 120 --diameter-mm 90 --out completed
  voxgan complete pot.vox --fragment 3 --workdir runs/baseline --out completed
  voxgan info sherd.stl --unit cm
  voxgan synth --out pots --pots 20 --resolution 32
  voxgan convert generator.pth generator.safetensors
"""


_INPUTS = "a mesh (STL, OBJ, PLY, GLB, OFF, 3MF) or voxels (.vox, .binvox, .npy, .npz)"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns 0, or 1 where something could not be done."""
    parser = argparse.ArgumentParser(
        prog="voxgan",
        description="Completes broken pottery on voxel grids.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    subparsers = parser.add_subparsers(dest="command", required=True)
    _add_complete(subparsers)
    _add_info(subparsers)
    _add_synth(subparsers)
    _add_convert(subparsers)
    args = parser.parse_args(argv)
    return commands.exit_code("voxgan", lambda: args.run(args), stopped="what is written is whole")


def _add_complete(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("complete", help="complete sherds: scans or voxels in, pots out")
    parser.add_argument("files", nargs="+", type=pathlib.Path, metavar="FILE", help=_INPUTS)
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--workdir",
        type=pathlib.Path,
        help="the folder of a trained run (default: the model that comes with voxgan_jax)",
    )
    source.add_argument("--weights", type=pathlib.Path, help="a weights file (.safetensors)")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for the results")
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
    parser.add_argument(
        "--json", action="store_true", help="print a JSON object for each result, a line each"
    )
    _add_sizes(parser)
    parser.add_argument(
        "--formats",
        nargs="+",
        choices=("vox", "stl", "glb"),
        default=("vox", "stl", "glb"),
        help="what is written (default: all); stl brings the missing piece as well",
    )
    parser.add_argument(
        "--clearance-mm",
        type=float,
        default=0.2,
        help="how far the missing piece stays from the original (default: 0.2)",
    )
    parser.set_defaults(run=_complete)


def _add_sizes(parser: argparse.ArgumentParser) -> None:
    """How a file lies in space, and how big it is."""
    sizes = parser.add_argument_group("size and place of the input, as it lies in the file")
    sizes.add_argument(
        "--voxel-mm",
        type=float,
        help="side of a voxel (default: 1 for .vox, .npy and .npz; for a mesh, so that the longest"
        " side of the box fills the model's cube)",
    )
    sizes.add_argument(
        "--unit",
        choices=("mm", "cm", "m", "in"),
        help="of a mesh's coordinates (default: the file's in 3MF, m in GLB, else mm)",
    )
    sizes.add_argument(
        "--up",
        choices=("x", "y", "z", "-x", "-y", "-z"),
        help="where the pot's rim is, seen from its base; as --up=-z where negative (default: -x"
        " in .vox, y in GLB, else z)",
    )
    sizes.add_argument(
        "--height-mm",
        type=float,
        help="of the whole pot: in the mesh its axis is the coordinate axis --up, its base at 0",
    )
    sizes.add_argument("--diameter-mm", type=float, help="of the whole pot, likewise")


def _placing(args: argparse.Namespace) -> dict[str, Any]:
    """What `_add_sizes` asked, as `scans.read` takes it."""
    names = ("unit", "voxel_mm", "up", "height_mm", "diameter_mm")
    return {name: getattr(args, name) for name in names}


def _complete(args: argparse.Namespace) -> int:
    # JAX takes a second to import, too long for --help.
    from voxgan_jax import accelerator
    from voxgan_jax.completion import model, predictor

    accelerator.prepare()
    names = [path.stem for path in args.files]
    doubles = sorted({str(path) for path in args.files if names.count(path.stem) > 1})
    if doubles:
        raise ValueError(f"these would be written to one file: {', '.join(doubles)}; rename one")
    completer = model.load(
        weights_file=args.weights, workdir=args.workdir, dtype=args.dtype, average=args.average
    )
    if args.pool is not None:
        completer = completer._replace(pool=args.pool)
    failed = 0
    results = predictor.complete_files(
        completer,
        args.files,
        args.out,
        ids=args.fragment,
        fixed_fragment=args.fixed_fragment,
        placing=_placing(args),
        writing={"formats": args.formats, "clearance_mm": args.clearance_mm},
        threshold=args.threshold,
        whole_cube=args.whole_cube,
    )
    for result in results:
        if isinstance(result, Exception):
            print(f"voxgan: {result}", file=sys.stderr)
            failed += 1
            continue
        print(_line(result, as_json=args.json))
    return int(failed > 0)


def _line(result: "predictor.Result", *, as_json: bool) -> str:
    """What is said about one result."""
    from voxgan_jax.completion import outputs

    written, completion = result
    given = int((completion.labels == outputs.GIVEN).sum())
    inferred = int((completion.labels == outputs.INFERRED).sum())
    trust = completion.confidence
    if as_json:
        said = {
            "file": str(written.paths[0]),
            "files": [str(path) for path in written.paths],
            "given": given,
            "inferred": inferred,
            "left_out": completion.left_out,
            "shift": completion.shift,
            "volume_mm3": round(written.volume_mm3, 3),
            "missing_mm3": round(written.missing_mm3, 3),
            "gap_mm": round(written.gap_mm, 3),
            "pieces": written.pieces,
            "confidence": trust and trust._asdict(),
        }
        return json.dumps(said, ensure_ascii=False)
    line = f"{written.paths[0]}: {given} voxels given, {inferred} inferred"
    if written.pieces:
        bodies = "one piece" if written.pieces == 1 else f"{written.pieces} pieces"
        line += (
            f"; missing: {bodies} of {written.missing_mm3 / 1000:.3g} cm³,"
            f" {written.gap_mm:.2f} mm or more from the original"
        )
    if completion.left_out:
        line += f"; {completion.left_out} outside the file's box left out (see --whole_cube)"
    if any(completion.shift):
        line += f"; coordinates moved by {completion.shift} (x, y, z)"
    if trust:
        line += f"; confidence {trust.sentence}"
    return line


def _probability(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def _add_info(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("info", help="say what is in a file")
    parser.add_argument("files", nargs="+", type=pathlib.Path, metavar="FILE", help=_INPUTS)
    parser.add_argument("--unit", choices=("mm", "cm", "m", "in"), help="of a mesh's coordinates")
    parser.add_argument("--voxel-mm", type=float, help="side of a voxel (default: 1)")
    parser.add_argument(
        "--json", action="store_true", help="print a JSON object for each file, a line each"
    )
    parser.set_defaults(run=_info)


def _info(args: argparse.Namespace) -> int:
    from voxgan_jax.completion import info

    failed = 0
    for path in args.files:
        try:
            known = info.describe(path, args.unit, args.voxel_mm)
        except (OSError, ValueError) as error:
            print(f"voxgan: {error}", file=sys.stderr)
            failed += 1
            continue
        print(json.dumps(known, ensure_ascii=False) if args.json else info.sentence(known))
    return int(failed > 0)


def _add_synth(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("synth", help="make broken synthetic pots as .vox files")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder to write")
    parser.add_argument("--pots", type=int, default=20)
    parser.add_argument("--resolution", type=int, default=64, help="longest side in voxels")
    parser.add_argument(
        "--fragments",
        type=int,
        nargs="+",
        default=list(range(3, 19)),
        help="numbers of fragments that each pot is broken into, a file each (default: 3 … 18)",
    )
    parser.add_argument("--test_share", type=float, default=0.2, help="share of the pots for test")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sheet", type=pathlib.Path, help="also draw some of them to this .png")
    parser.set_defaults(run=_synth)


def _synth(args: argparse.Namespace) -> int:
    from voxgan_jax.data import synthetic, vox

    paths = synthetic.write_dataset(
        args.out,
        pots=args.pots,
        seed=args.seed,
        resolution=args.resolution,
        fragments=args.fragments,
        test_share=args.test_share,
    )
    print(f"{args.out}: {len(paths)} files of {args.pots} pots")
    if args.sheet:
        from voxgan_jax.evaluation import figures

        shown = paths[:: max(len(paths) // 12, 1)][:12]
        figures.contact_sheet(
            [vox.read(path) for path in shown],
            [path.stem.rsplit("-t", 1)[0] for path in shown],
            args.sheet,
        )
        print(args.sheet)
    return 0


def _add_convert(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("convert", help="PyTorch weights to ours, or the reverse")
    parser.add_argument("source", type=pathlib.Path, metavar="IN", help=".pth or .safetensors")
    parser.add_argument("target", type=pathlib.Path, metavar="OUT", help=".safetensors or .pth")
    parser.add_argument(
        "--resolution",
        type=int,
        default=64,
        help="side of the cube that a .pth generator was trained on (default: 64)",
    )
    parser.add_argument(
        "--placement",
        choices=("center", "corner"),
        default="center",
        help="where in the cube it expects its pots (default: center)",
    )
    parser.set_defaults(run=_convert)


def _convert(args: argparse.Namespace) -> int:
    try:
        from voxgan_jax.torch_twin import weights
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ValueError("convert needs PyTorch: pip install voxgan_jax[torch]") from None
    found = weights.convert(
        args.source, args.target, resolution=args.resolution, placement=args.placement
    )
    print(f"{args.target}: {found}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
