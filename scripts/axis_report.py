#!/usr/bin/env python3
"""What a pot's axis is worth: how round pots are about it, and how well a model finds it.

    scripts/axis_report.py --data_dir DIR --split validation --every 5
    scripts/axis_report.py --data_dir DIR --split validation --weights FILE --placement shifted

Without --weights it is the model of the package. Printed: means over the files of IoU with the own
profile revolved about several axes, then of what the model does. Choices belong on validation.
"""

import argparse
import pathlib
import sys

from scripts.lib import axes
from voxgan_jax import models
from voxgan_jax.cli import commands
from voxgan_jax.data import source
from voxgan_jax.devices import accelerator
from voxgan_jax.evaluation import protocol
from voxgan_jax.inference import model_card
from voxgan_jax.models import revolve, weights


def main(argv: list[str] | None = None) -> int:
    args = _parse(argv)
    accelerator.prepare()
    return commands.exit_code("axis_report.py", lambda: _report(args))


def _report(args: argparse.Namespace) -> None:
    path = args.weights or model_card.find()
    variables, config = weights.load(path)
    generator = models.build(config.generator)
    weights.require_fit(path, variables, generator, config.data.resolution)
    if not isinstance(generator, revolve.Model) or generator.axis != "found":
        raise ValueError(f"{path}: its generator looks for no axis; take one with axis 'found'")
    place = {name: config.data[name] for name in ("resolution", "pool")}
    data = source.open_split(
        args.data_dir,
        args.split,
        rows=slice(0, None, args.every),
        placement=args.placement or config.data.placement,
        **place,
    )
    finder = axes.finder(generator, variables, config.eval.threshold)

    def scores(partial: axes.Volume, complete: axes.Volume) -> dict[str, axes.PerExample]:
        return axes.roundness(complete) | finder(partial, complete)

    for name, mean in axes.means(protocol.samples(data.pots), scores).items():
        print(f"{name:<36}{mean:.4f}")


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_dir", type=pathlib.Path, required=True)
    parser.add_argument("--split", default="validation", help="default: %(default)s")
    parser.add_argument("--weights", type=pathlib.Path, help="a weights file (.safetensors)")
    parser.add_argument("--placement", choices=("center", "corner", "shifted"))
    parser.add_argument("--every", type=int, default=1, help="score each so many-th file")
    args = parser.parse_args(argv)
    if args.every < 1:
        parser.error(f"--every {args.every} is below 1")
    return args


if __name__ == "__main__":
    sys.exit(main())
