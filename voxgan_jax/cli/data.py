"""`voxgan synth` and `voxgan convert`: pots to train on, and weights of the other framework."""

import argparse
import pathlib


def add_synth(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
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
    from voxgan_jax.data import vox
    from voxgan_jax.data.synthetic import pots

    paths = pots.write_dataset(
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


def add_convert(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
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
        raise ValueError("convert needs PyTorch: pip install 'voxgan_jax[torch]'") from None
    found = weights.convert(
        args.source, args.target, resolution=args.resolution, placement=args.placement
    )
    print(f"{args.target}: {found}")
    return 0
