"""`voxgan sample`: new pots from noise, by weights that make such."""

import argparse
import pathlib

from voxgan_jax.cli.options import out_folder
from voxgan_jax.files import readable

_MOST = 1000


def add_sample(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser("sample", help="make new pots from noise: .vox, STL, pictures")
    of = parser.add_mutually_exclusive_group(required=True)
    of.add_argument("--workdir", type=pathlib.Path, help="the folder of a run of configs/gan3d.py")
    of.add_argument("--weights", type=pathlib.Path, help="a weights file (.safetensors)")
    add = parser.add_argument
    add("-o", "--out", type=out_folder, required=True, help="folder to write")
    add("--n", type=_count, default=9, help=f"how many pots, up to {_MOST} (default: 9)")
    add("--between", type=_count, default=6, help="pots on the way between two (default: 6)")
    add("--seed", type=int, default=0, help="other pots for each (default: 0)")
    add("--threshold", type=float, help="a voxel more probable is clay (default: the model's)")
    add("--overwrite", action="store_true", help="replace files of others with these names")
    parser.set_defaults(run=_sample)


def _count(text: str) -> int:
    if not 1 <= int(text) <= _MOST:
        raise argparse.ArgumentTypeError(f"{text}: give a number from 1 to {_MOST}")
    return int(text)


def _sample(args: argparse.Namespace) -> int:
    from voxgan_jax import ledger, models
    from voxgan_jax.devices import accelerator

    ledger.ready(args.out)
    accelerator.prepare()
    from voxgan_jax.evaluation import samples
    from voxgan_jax.models import weights

    file = args.weights or args.workdir / weights.RUN_FILE
    model, variables, config = weights.open_model(file)
    threshold = config.eval.threshold if args.threshold is None else args.threshold
    how = model, models.output(config.generator), variables
    made = samples.make(*how, args.n, args.seed)
    between = samples.walk(*how, args.between, args.seed)
    empty = samples.write(made, between, threshold, args.out, overwrite=args.overwrite)
    count = "one pot" if args.n - empty == 1 else f"{args.n - empty} pots"
    print(f"{readable(args.out)}: {count}, {samples.SHEET}, {samples.WALK}")
    if empty:
        print(f"{empty} of {args.n} are empty: train longer, or give a lower --threshold")
    return int(empty == args.n)
