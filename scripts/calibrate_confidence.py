#!/usr/bin/env python3
"""Fit how far a model's completions are to be trusted, and write it into the card of its weights.

    scripts/calibrate_confidence.py --data_dir DIR --split validation
    scripts/calibrate_confidence.py --data_dir DIR --split validation --weights FILE.safetensors

Without --weights it is the model of the package. DIR is a folder of .vox files, a cache file or a
prepared data set; the split must not have been trained on. The card is the JSON file beside the
weights; where there is none it is made. `voxgan complete` then says how far to trust each answer.
"""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from scripts.lib.start import leave

from tqdm import tqdm

from scripts.lib import command, confidence_fit, weights_package
from voxgan_jax.data import source
from voxgan_jax.evaluation import protocol
from voxgan_jax.inference import completer, model_card


def main(argv: list[str] | None = None) -> int:
    return command.run("calibrate_confidence.py", _calibrate, _parse(argv))


def _calibrate(args: argparse.Namespace) -> None:
    weights_file = args.weights or model_card.find()
    card = model_card.read_card(weights_file)
    model = completer.load(weights_file=weights_file)
    pots, count = source.open_split(
        args.data_dir,
        args.split,
        resolution=model.resolution,
        pool=model.pool,
        placement=model.placement,
    )
    progress = tqdm(protocol.samples(pots), total=count, unit="file", disable=None)
    part = confidence_fit.calibrate(model, iter(progress), batch_size=args.batch_size)
    line = f"scripts/calibrate_confidence.py --data_dir DIR --split {args.split}"
    card.setdefault("weights", weights_package.describe(weights_file))
    card["confidence"] = {"command": line} | part
    target = weights_package.write_card(weights_file, card)
    print(f"{target}: {part['files']} files of {part['pots']} pots")
    for half in part["crossed"]:
        words = ", ".join(
            f"{word} {100 * said['share']:.0f} % (mean IoU {said['mean_iou'] or 0:.2f})"
            for word, said in half["words"].items()
        )
        print(
            f"other pots: mean error of the expected IoU {half['mean_absolute_error']:.3f}, rank"
            f" correlation {half['rank_correlation']:.2f}, called strange"
            f" {100 * half['strange']:.1f} %; {words}"
        )


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = command.scoring(__doc__, "validation")
    parser.add_argument("--weights", type=pathlib.Path, help="default: those of the package")
    parser.add_argument("--batch_size", type=command.positive, default=16)
    return parser.parse_args(argv)


if __name__ == "__main__":
    leave(main())
