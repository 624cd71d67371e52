"""`voxgan`: what a conservator types."""

import argparse
import json
import pathlib
import sys
from collections.abc import Sequence

from voxgan_jax import commands
from voxgan_jax.cli_complete import INPUTS, add_complete

_EXAMPLES = """\
examples:
  voxgan complete sherd.vox --out completed
  voxgan complete sherd.stl --voxel-mm 2 --up z --height-mm 120 --diameter-mm 90 --out completed
  voxgan complete pot.vox --fragment 3 --workdir runs/baseline --out completed
  voxgan info sherd.stl --unit cm
  voxgan synth --out pots --pots 20 --resolution 32
  voxgan convert generator.pth generator.safetensors
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns 0, or 1 where something could not be done."""
    parser = argparse.ArgumentParser(
        prog="voxgan",
        description="Completes broken pottery on voxel grids.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    subparsers = parser.add_subparsers(dest="command", required=True)
    add_complete(subparsers)
    _add_info(subparsers)
    _add_synth(subparsers)
    _add_convert(subparsers)
    args = parser.parse_args(argv)
    return commands.exit_code("voxgan", lambda: args.run(args), stopped="what is written is whole")


def _add_info(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser("info", help="say what is in a file")
    parser.add_argument("files", nargs="+", type=pathlib.Path, metavar="FILE", help=INPUTS)
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


def _add_synth(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser("synth", help="make broken synthetic pots as .vox files")
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


def _add_convert(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser("convert", help="PyTorch weights to ours, or the reverse")
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
