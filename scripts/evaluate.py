#!/usr/bin/env python3
"""Score completions against whole pots: of a trained run, a weights file, or without learning.

    scripts/evaluate.py --data_dir DIR --split test --out runs/baseline/test --workdir runs/baseline
    scripts/evaluate.py --data_dir DIR --split test --out runs/revolve_fine --method revolve_fine

Without --workdir, --weights or --method the weights that come with the package are scored. DIR is a
folder of .vox files or a prepared data set. Each file gives one fixed fragment. The methods
class_mean and oracle are told the class or the truth: bounds for what can be reached. Written to
--out: metrics.json, per_file.csv and examples.png (input | completed | truth). Scores are of the
model's own pots; the picture shows them as `voxgan complete` gives them, in one piece.
"""

import argparse
import functools
import pathlib
import sys
from collections.abc import Iterable, Iterator
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from scripts.lib.start import leave

import numpy as np
from tqdm import tqdm

from scripts.lib import (
    baselines,
    command,
    completions_figure,
    finer,
    oracles,
    shifted,
    summary,
    surface_scores,
    training_pots,
)
from voxgan_jax.evaluation import protocol
from voxgan_jax.files import readable
from voxgan_jax.inference import completer

NEEDS_TRAINING_POTS = {*baselines.NEEDS_TRAINING_POTS, *oracles.METHODS}


def main(argv: list[str] | None = None) -> int:
    return command.run("evaluate.py", _evaluate, _parse(argv))


def _evaluate(args: argparse.Namespace) -> None:
    args.out.mkdir(parents=True, exist_ok=True)
    predict, threshold, place = _answer(args)
    pots, count = shifted.open_split(args.data_dir, args.split, **place)
    shown: list[protocol.Sample] = []
    records = protocol.evaluate(
        predict,
        _spread(protocol.samples(pots), count, args.num_examples, shown),
        batch_size=args.batch_size,
        threshold=threshold,
        score=surface_scores.with_surfaces if args.surface else protocol.scores,
        progress=functools.partial(tqdm, total=count, unit="file", desc="Evaluating", disable=None),
    )
    answer = readable(args.method or args.weights or args.workdir or "the package's weights")
    data_dir = readable(args.data_dir)
    scores = summary.summarise(records, threshold=threshold) | {
        "answer": answer,
        "data_dir": data_dir,
        "split": args.split,
        **place,
    }
    print(f"\n{answer} on {args.split} of {data_dir}, {place['placement']} placement")
    print(summary.table(scores))
    print(f"\nWritten: {readable(summary.write(scores, records, args.out))}")
    # Pictures are of what can be answered to a fragment alone.
    if shown and not isinstance(predict, protocol.Informed):
        path = args.out / "examples.png"
        title = args.method or "completed"
        completions_figure.draw(
            {title: (predict, threshold)},
            shown,
            path,
            batch_size=args.batch_size,
            joined=not args.method,
        )
        print(f"Written: {readable(path)}")


def _answer(
    args: argparse.Namespace,
) -> tuple[protocol.Predict | protocol.Informed, float, dict[str, Any]]:
    """How to answer, the threshold that goes with it, and how pots are placed for it."""
    if args.method:
        place = {
            "resolution": args.resolution or 64,
            "pool": args.pool or 1,
            "placement": args.placement or "center",
        }
        known = ()
        if args.method in NEEDS_TRAINING_POTS:
            known = training_pots.read(args.data_dir, leave_out=args.split, **place)
        if args.method in oracles.METHODS:
            predict, threshold = oracles.METHODS[args.method](known)
        else:
            predict, threshold = baselines.make(args.method, known)
    else:
        model = completer.load(
            weights_file=args.weights,
            workdir=args.workdir,
            dtype=args.dtype,
            average=args.average,
            draws=args.draws,
        )
        predict, threshold = model.predict, model.threshold
        place = {
            "resolution": args.resolution or model.resolution,
            "pool": args.pool or model.pool,
            "placement": args.placement or model.placement,
        }
        if place["resolution"] != model.resolution:
            predict = finer.enlarged(predict, model.resolution, place["resolution"])
    return predict, threshold if args.threshold is None else args.threshold, place


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = command.scoring(__doc__, "test")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    answer = parser.add_mutually_exclusive_group()
    answer.add_argument("--workdir", type=pathlib.Path, help="the folder of a trained run")
    answer.add_argument("--weights", type=pathlib.Path, help="a weights file (.safetensors)")
    methods = sorted([*baselines.METHODS, *oracles.METHODS])
    answer.add_argument("--method", choices=methods, help="needs no training")
    parser.add_argument("--batch_size", type=command.positive, default=16)
    parser.add_argument(
        "--dtype", choices=("float32", "bfloat16"), help="of a model's computing (default: its own)"
    )
    parser.add_argument(
        "--average",
        type=int,
        choices=completer.AVERAGES,
        help="symmetries over which a model's answers are averaged (default: 1)",
    )
    parser.add_argument(
        "--draws",
        type=command.natural,
        help="of a model that draws pots, so many are averaged; 0: what it answers at once"
        " (default: as its config.sample.draws says)",
    )
    parser.add_argument(
        "--surface", action="store_true", help="Chamfer distance and F-score too (slower)"
    )
    parser.add_argument("--threshold", type=float, help="default: the model's or method's own")
    parser.add_argument(
        "--num_examples", type=command.natural, default=6, help="pots in examples.png"
    )
    parser.add_argument(
        "--placement",
        choices=shifted.PLACEMENTS,
        help="of the pots (default: a model's own, center for --method); shifted hides their axis:"
        " each file's pot is moved to a place drawn from its name",
    )
    size = parser.add_argument_group(
        "size of the cube (default: a model's own, 64 and 1 for --method)",
        "With a finer one a model sees the sherd in its own voxels, and its answer is enlarged: in"
        " files of 128 voxels a side a model of 64 is scored by --resolution 128 --pool 1.",
    )
    size.add_argument("--resolution", type=command.positive)
    size.add_argument("--pool", type=command.positive)
    return parser.parse_args(argv)


def _spread(
    samples: Iterable[protocol.Sample], count: int, wanted: int, kept: list[protocol.Sample]
) -> Iterator[protocol.Sample]:
    """Pass samples on and keep `wanted` of them, evenly spread."""
    chosen = set(np.linspace(0, count - 1, min(wanted, count)).round().astype(int).tolist())
    for index, sample in enumerate(samples):
        if index in chosen:
            kept.append(sample)
        yield sample


if __name__ == "__main__":
    leave(main())
