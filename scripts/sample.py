#!/usr/bin/env python3
"""Make new pots from noise, and score them as a set beside real ones.

    scripts/sample.py --workdir runs/gan3d --data_dir DIR --split test --out SCORES

Writes scores.json and what `voxgan sample` writes, and of a run the curves of its discriminator
(curves.png). So many pots are made as the split has, or as --most says. "untrained" says what the
same network gets with the parameters it might have begun with, "training pots" what as many real
pots get that the model learned from.
"""

import argparse
import json
import pathlib
import sys
from collections.abc import Iterable

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from scripts.lib.start import leave

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool

from scripts.lib import command, tables, training_pots
from scripts.lib.ablation import curves_figure
from voxgan_jax import models
from voxgan_jax.data import folder, source
from voxgan_jax.evaluation import generation, samples
from voxgan_jax.files import readable, write_whole
from voxgan_jax.models import weights

_SHOWN = 9
_CURVES = {
    "gan": {
        "d_accuracy": "what the discriminator tells right",
        "d_real_prob": "its probability of real pots",
        "d_fake_prob": "its probability of new pots",
    },
    "wgan": {"wasserstein": "the critic's estimate of the distance"},
}


def main(argv: list[str] | None = None) -> int:
    parser = command.scoring(__doc__, "test")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    of = parser.add_mutually_exclusive_group(required=True)
    of.add_argument("--workdir", type=pathlib.Path, help="the folder of a trained run")
    of.add_argument("--weights", type=pathlib.Path, help="a weights file (.safetensors)")
    parser.add_argument("--most", type=command.positive, default=200, help="pots of each set")
    parser.add_argument("--seed", type=command.natural, default=0)
    return command.run("sample.py", _score, parser.parse_args(argv))


def _score(args: argparse.Namespace) -> None:
    model, variables, config = weights.open_model(args.weights or args.workdir / weights.RUN_FILE)
    data = config.data
    place = {"resolution": data.resolution, "pool": data.pool, "placement": data.placement}
    opened = source.open_data(args.data_dir, **place)
    real = _whole(training_pots.first_of_each_pot(opened.read(args.split, slice(None))))
    real = real[_evenly(len(real), args.most)]
    learned = _whole(training_pots.read(args.data_dir, leave_out=args.split, **place))
    how, threshold = (model, models.output(config.generator), variables), config.eval.threshold
    made = samples.make(*how, len(real), args.seed)
    empty = jnp.zeros((1, *real.shape[1:], 1))
    begun = model.init(jax.random.key(args.seed), empty, train=False)
    raw = samples.make(*how[:2], begun, len(real), args.seed)
    # Those that stand for themselves would be their own copies.
    some = _evenly(len(learned), min(len(real), len(learned) // 2))
    found = {
        "from noise": generation.scores(made > threshold, real, learned),
        "untrained": generation.scores(raw > threshold, real, learned),
        "training pots": generation.scores(learned[some], real, learned[~some]),
    }
    samples.write(made[:_SHOWN], samples.walk(*how, 6, args.seed), threshold, args.out)
    names = list(found["from noise"])
    rows = [[name, *(f"{found[row][name]:.4f}" for row in found)] for name in names]
    print(tables.table(["score", *found], rows))
    about = {"pots": len(real), "split": args.split, "seed": args.seed, "scores": found}
    write_whole(args.out / "scores.json", json.dumps(about, indent=2) + "\n")
    panels = _CURVES.get(config.objective)
    if panels and args.workdir and list(args.workdir.glob("events.*")):
        curves = {args.workdir.name: [curves_figure.read_scalars(args.workdir, list(panels))]}
        curves_figure.draw(curves, panels, args.out / "curves.png")
    print(f"\nWritten: {readable(args.out)}")


def _whole(pots: Iterable[folder.PotFile]) -> Bool[np.ndarray, "n d h w"]:
    return np.stack([pot.labels > 0 for pot in pots])


def _evenly(count: int, most: int) -> Bool[np.ndarray, " count"]:
    """Which of so many pots are taken, which come by their class."""
    taken = np.zeros(count, bool)
    taken[np.linspace(0, count - 1, min(count, most)).astype(int)] = True
    return taken


if __name__ == "__main__":
    leave(main())
