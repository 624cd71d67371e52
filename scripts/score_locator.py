#!/usr/bin/env python3
"""Score the network that tells where a sherd lay, on sherds of pots that it was not trained on.

    scripts/cut_sherds.py --data_dir pots.npz --split validation --every 12 --out held_out.npz
    scripts/score_locator.py --workdir runs/locator --held_out held_out.npz

Of each sherd several lines are shown, one near its axis, see voxgan_jax/training/sherds.py.
"""

import argparse
import functools
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from scripts.lib.start import leave

import jax
import numpy as np
import optax

from scripts.lib import command
from voxgan_jax.cli import commands
from voxgan_jax.devices import accelerator
from voxgan_jax.inference import model_card
from voxgan_jax.models import weights
from voxgan_jax.placement import locator
from voxgan_jax.training import sherds
from voxgan_jax.training.objectives import locator as objective
from voxgan_jax.training.state import Net


def main(argv: list[str] | None = None) -> int:
    args = _parse(argv)
    accelerator.prepare()
    return commands.exit_code("score_locator.py", lambda: print(score(args)))


def score(args: argparse.Namespace) -> str:
    """The loss, and how often the likeliest line is within 5° of the axis, and the right way up."""
    held_out = sherds.read(args.held_out)
    path = args.weights or model_card.path(model_card.LOCATOR)
    if args.workdir:
        path = args.workdir / weights.RUN_FILE
    module, variables, config = locator.open_network(path)
    complete = jax.jit(functools.partial(objective.complete, Net(module, optax.identity())))
    losses, missed = [], []
    for n, sherd in enumerate(held_out):
        maps, targets, degrees = sherds.draw(sherd, args.lines, np.random.default_rng(n))
        shares = np.asarray(complete(variables, maps[None]))[0]
        losses.append(-(targets * np.log(np.maximum(shares, np.finfo(np.float32).tiny))).sum())
        missed.append(degrees[shares.sum((1, 2)).argmax()])
    if args.out:
        weights.save(args.out, variables, config, half=True)
    off = np.minimum(missed, 180 - np.array(missed))
    return (
        f"{len(held_out)} sherds held out: loss {np.mean(losses):.3f}, axis within 5°"
        f" {(off < 5).mean():.2f}, right end up {(np.array(missed) < 90).mean():.2f}"
    )


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = command.parser(__doc__)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--workdir", type=pathlib.Path, help="the folder of a trained run")
    source.add_argument(
        "--weights", type=pathlib.Path, help="a weights file (default: the package's)"
    )
    parser.add_argument("--held_out", type=pathlib.Path, required=True)
    parser.add_argument("--lines", type=int, default=12, help="of each sherd; 2, or 12 and more")
    parser.add_argument("--out", type=pathlib.Path, help="store the weights there as float16")
    return parser.parse_args(argv)


if __name__ == "__main__":
    leave(main())
