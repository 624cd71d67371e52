"""`voxgan synth` and `voxgan convert`: pots to train on, and weights of the other framework."""

import argparse
import pathlib

from voxgan_jax.cli.options import out_folder
from voxgan_jax.files import readable


def add_synth(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser("synth", help="make broken synthetic pots as .vox files")
    add = parser.add_argument
    add("-o", "--out", type=out_folder, required=True, help="folder to write")
    add("--pots", type=int, default=20)
    add("--resolution", type=int, default=64, help="longest side in voxels")
    numbers = "numbers of fragments that each pot is broken into, a file each (default: 3 … 18)"
    add("--fragments", type=int, nargs="+", default=list(range(3, 19)), help=numbers)
    add("--test-share", type=float, default=0.2, help="share of the pots for test")
    add("--handled", type=float, default=0.17, help="share with handles of pots that can have any")
    add("--seed", type=int, default=0)
    add("--sheet", type=pathlib.Path, help="also draw some of them to this .png")
    parser.set_defaults(run=_synth)


def _synth(args: argparse.Namespace) -> None:
    from voxgan_jax.data import vox
    from voxgan_jax.data.synthetic import pots

    names = ("pots", "seed", "resolution", "fragments", "test_share", "handled")
    paths = pots.write_dataset(args.out, **{name: getattr(args, name) for name in names})
    print(f"{readable(args.out)}: {len(paths)} files of {args.pots} pots")
    if args.sheet:
        from voxgan_jax.evaluation import figures

        shown = paths[:: max(len(paths) // 12, 1)][:12]
        titles = [path.stem.rsplit("-t", 1)[0] for path in shown]
        figures.contact_sheet([vox.read(path) for path in shown], titles, args.sheet)
        print(readable(args.sheet))


def add_convert(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser("convert", help="PyTorch weights to ours, or the reverse")
    add = parser.add_argument
    add("source", type=pathlib.Path, metavar="IN", help=".pth or .safetensors")
    add("target", type=pathlib.Path, metavar="OUT", help=".safetensors or .pth")
    side = "side of the cube that a .pth generator was trained on (default: 64)"
    add("--resolution", type=int, default=64, help=side)
    where = "where in the cube it expects its pots (default: center)"
    add("--placement", choices=("center", "corner"), default="center", help=where)
    parser.set_defaults(run=_convert)


def _convert(args: argparse.Namespace) -> None:
    from voxgan_jax.torch_twin import weights

    found = weights.convert(
        args.source, args.target, resolution=args.resolution, placement=args.placement
    )
    print(f"{readable(args.target)}: {found}")
