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

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from scripts.lib.start import leave

from scripts.lib import axes, command, shifted
from voxgan_jax.evaluation import protocol
from voxgan_jax.inference import model_card
from voxgan_jax.models import revolve, weights


def main(argv: list[str] | None = None) -> int:
    return command.run("axis_report.py", _report, _parse(argv))


def _report(args: argparse.Namespace) -> None:
    path = args.weights or model_card.find()
    generator, variables, config = weights.open_model(path)
    if not isinstance(generator, revolve.Model) or generator.axis != "found":
        raise ValueError(f"{path}: its generator looks for no axis; take one with axis 'found'")
    place = {name: config.data[name] for name in ("resolution", "pool")}
    data = shifted.open_split(
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
    parser = command.scoring(__doc__, "validation")
    parser.add_argument("--weights", type=pathlib.Path, help="a weights file (.safetensors)")
    parser.add_argument("--placement", choices=shifted.PLACEMENTS)
    parser.add_argument(
        "--every", type=command.positive, default=1, help="score each so many-th file"
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    leave(main())
