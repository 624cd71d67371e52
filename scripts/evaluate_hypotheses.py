#!/usr/bin/env python3
"""Score several answers for each sherd: the best of them, how they differ, their calibration.

    scripts/evaluate_hypotheses.py --data_dir DIR --split test --out runs/hypotheses/test \
        --workdir runs/revolve_hypotheses --single runs/revolve/generator.safetensors

DIR is as for scripts/evaluate.py. Each file gives one fixed fragment. Written to --out:
metrics.json, per_file.csv, reliability.png and examples.png (input | some answers | truth).
"""

import argparse
import functools
import json
import pathlib
import sys
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from scripts.lib.start import leave

import jax
import numpy as np
from tqdm import tqdm

from scripts.lib import command, completions_figure, hypothesis_scores, reliability
from voxgan_jax.data import source
from voxgan_jax.evaluation import protocol
from voxgan_jax.files import readable, write_whole
from voxgan_jax.inference import alternatives, completer
from voxgan_jax.models import hypotheses as generators
from voxgan_jax.models import weights


def main(argv: list[str] | None = None) -> int:
    return command.run("evaluate_hypotheses.py", _evaluate, _parse(argv))


def _evaluate(args: argparse.Namespace) -> None:
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.weights or args.workdir / weights.RUN_FILE
    answer, config = _answers(path, args)
    model = completer.load(weights_file=args.single or path)
    place = {name: config.data[name] for name in ("resolution", "pool", "placement")}
    if place != {name: getattr(model, name) for name in place}:
        raise ValueError(f"{args.single}: its pots are placed in another way than those of {path}")
    data = source.open_split(args.data_dir, args.split, rows=slice(0, None, args.every), **place)
    count = -(-data.num_pots // args.every)
    result = hypothesis_scores.evaluate(
        model.predict,
        answer,
        protocol.samples(data.pots),
        batch_size=args.batch_size,
        threshold=config.eval.threshold,
        progress=functools.partial(tqdm, total=count, unit="file", desc="Evaluating", disable=None),
    )
    scores = hypothesis_scores.summarise(result) | {
        "answer": str(path),
        "single_answer": str(args.single or path),
        "data_dir": readable(args.data_dir),
        **{name: getattr(args, name) for name in ("split", "every", "count", "draws", "seed")},
        "threshold": config.eval.threshold,
        **place,
    }
    print(f"\n{args.count} answers of {path} on {args.split} of {args.data_dir}")
    print(hypothesis_scores.table(scores))
    _write(args, scores, result)
    _draw_examples(args, answer, config.eval.threshold, result, place)


def _answers(path: pathlib.Path, args: argparse.Namespace) -> tuple[hypothesis_scores.Answers, Any]:
    """How K pots are had from a weights file, and its config."""
    generator, variables, config = weights.open_model(path)
    if not isinstance(generator, generators.Model):
        raise ValueError(
            f"{path}: its generator gives one answer only; train configs/revolve_hypotheses.py"
        )
    variables = jax.device_put(variables)
    several = functools.partial(
        alternatives.complete, generator, count=args.count, draws=args.draws
    )
    compiled = jax.jit(several)
    # The same draws for every batch: what a file gets depends on its place in the batch alone.
    return lambda partial: compiled(variables, partial, jax.random.key(args.seed)), config


def _write(
    args: argparse.Namespace, scores: dict[str, Any], result: hypothesis_scores.Result
) -> None:
    rows = [hypothesis_scores.Scores._fields, *result.scores]
    lines = (
        ",".join(f"{cell:.6g}" if isinstance(cell, float) else str(cell) for cell in row)
        for row in rows
    )
    write_whole(args.out / "per_file.csv", "\n".join(lines) + "\n")
    total = result.tables.sum(axis=0)
    text = json.dumps(scores | {"reliability": total.tolist()}, indent=2, allow_nan=False)
    write_whole(args.out / "metrics.json", text + "\n")
    reliability.draw(total, args.out / "reliability.png", f"{args.count} answers, {args.split}")
    for name in ("metrics.json", "per_file.csv", "reliability.png"):
        print(f"Written: {args.out / name}")


def _draw_examples(
    args: argparse.Namespace,
    answer: hypothesis_scores.Answers,
    threshold: float,
    result: hypothesis_scores.Result,
    place: dict[str, Any],
) -> None:
    """Files evenly spread over those scored, each with its first answers by rank."""
    count = min(args.num_examples, len(result.scores))
    if not count:
        return
    chosen = np.linspace(0, len(result.scores) - 1, count).round().astype(int)
    names = [result.scores[row].name for row in chosen]
    data = source.open_split(args.data_dir, args.split, **place)
    samples = completions_figure.keep_named(protocol.samples(data.pots), names)
    shown = {
        f"answer {rank + 1}": (lambda partial, rank=rank: answer(partial)[0][rank], threshold)
        for rank in range(min(args.count, 4))
    }
    path = args.out / "examples.png"
    completions_figure.draw(shown, samples, path, batch_size=args.batch_size)
    print(f"Written: {path}")


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = command.scoring(__doc__, "test")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    known = parser.add_mutually_exclusive_group(required=True)
    known.add_argument("--workdir", type=pathlib.Path, help="the folder of a trained run")
    known.add_argument("--weights", type=pathlib.Path, help="a weights file (.safetensors)")
    parser.add_argument(
        "--single", type=pathlib.Path, help="weights of the single answer (default: the same model)"
    )
    parser.add_argument("--count", type=command.positive, default=10, help="answers a file")
    parser.add_argument(
        "--draws",
        type=command.positive,
        default=alternatives.NUM_DRAWS,
        help="profiles drawn for them",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the draws")
    parser.add_argument(
        "--every", type=command.positive, default=1, help="score each so many-th file"
    )
    parser.add_argument("--batch_size", type=command.positive, default=4)
    parser.add_argument(
        "--num_examples", type=command.natural, default=6, help="pots in examples.png"
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    leave(main())
