#!/usr/bin/env python3
"""What each part of the axis-aware model is worth: trained without it, or with it, one at a time.

    scripts/ablation_revolve.py --data_dir pots.npz --out runs/parts --num_train_steps 4000 \\
        --seeds 0 1 2
    scripts/ablation_revolve.py --quick --out runs/quick    synthetic pots, minutes on 2 CPU cores

The full model is --config with the fields that the command line sets (--config.FIELD=VALUE). A part
that it has is left out, one that it lacks is put in. All are trained on train with equally many
steps, keep their last weights and are scored on validation, with the same symmetries averaged.
Each run has a folder below --out with a log; a run that was scored is not repeated, and a stopped
one goes on where it was when the same command is given again. A run that fails is named and the
others go on; the exit code is then 1. Written to --out: table.md, results.json.
"""

import argparse
import pathlib
import runpy
import sys
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from scripts.lib.start import leave

from scripts.lib import command
from scripts.lib.ablation import runs, session, switches
from scripts.lib.ablation.runs import Run
from voxgan_jax.devices import accelerator

ROOT = pathlib.Path(__file__).resolve().parent.parent
PARTS = (*switches.PARTS, switches.AVERAGING)
QUICK_STEPS = 300
# Of synthetic pots at 32³; a tenth of them is scored.
QUICK_POTS = 120
QUICK_FIELDS = {
    "data.resolution": 32,
    "generator.features": 8,
    "generator.bottleneck": 64,
    "discriminator.features": 8,
    "train.batch_size": 8,
}
# Put in where the full model lacks them; smaller with --quick.
QUICK_ON = {"generator.residual_features": 4, "data.synthetic_pots": 40}
# The last weights count, not those that did best on the split that is scored.
OWN_FIELDS = {"data.train_split": "train", "data.source": "resident", "eval.split": ""}
# These may differ between calls with one --out: they only say which runs there are.
FREE_OPTIONS = ("out", "parts", "seeds")


def main(argv: list[str] | None = None) -> int:
    """Returns 1 where a run failed or nothing could be started, 130 where it was stopped."""
    return session.main("ablation_revolve.py", argv, parse, ablate)


def ablate(args: argparse.Namespace, overrides: list[str], line: str) -> int:
    """Train, score, compare; returns the exit code."""
    base = full_model(args, overrides)
    config = switches.apply(read_config(args.config), base)
    runs.keep_options(session.fixed_options(args, overrides, FREE_OPTIONS), args.out)
    say = session.teller()
    data_dir = args.data_dir or make_pots(args.out)
    titles = {part: title_of(part, config, args.average) for part in (switches.FULL, *args.parts)}
    scored: dict[str, dict[int, pathlib.Path]] = {part: {} for part in titles}
    failed = []
    # Seed by seed, so that the first table can be had early.
    for seed in args.seeds:
        for part, title in titles.items():
            run, scores = place_of(part, seed, title, args)
            try:
                commands = make_commands(part, seed, args, config, base, data_dir)
                done = runs.complete_run(run, commands, scores.name, ROOT, say)
            except switches.NoFullModelError as error:
                say(f"{title}, seed {seed}: FAILED: {error}")
                done = False
            if done:
                scored[part][seed] = scores
            else:
                failed.append(f"{title}, seed {seed}")
    # Imported late: JAX takes seconds, and the accelerator that the runs need.
    accelerator.prepare()
    from scripts.lib.ablation import switches_report

    results = {"command": line, "split": args.split, "average": args.average, "failed": failed}
    results |= {"data_dir": str(data_dir), "config": config.to_dict()}
    results |= switches_report.collect(titles, scored)
    print(f"\n{switches_report.write(results, args.out)}", end="")
    return session.complain("ablation_revolve.py", failed, "; ")


def read_config(path: str) -> Any:
    """The config of a file, as a run would get it.

    Raises:
        OSError: no such file.
        ValueError: it is not a config.
    """
    space = runpy.run_path(str(ROOT / path if not pathlib.Path(path).is_file() else path))
    if "get_config" not in space:
        raise ValueError(f"{path}: no get_config() there; see configs/")
    return space["get_config"]()


def full_model(args: argparse.Namespace, overrides: list[str]) -> dict[str, Any]:
    """The fields of `--config` that the full model has otherwise.

    Raises:
        ValueError: an override of what this command sets itself.
    """
    own = dict(OWN_FIELDS)
    if args.num_train_steps:
        own["train.num_train_steps"] = args.num_train_steps
    named = switches.read_overrides(overrides)
    for name in named:
        if name in own or name in ("seed", "data.dir"):
            raise ValueError(f"--config.{name} is set by ablation_revolve.py itself; see --help")
    return (QUICK_FIELDS if args.quick else {}) | named | own


def make_pots(out: pathlib.Path) -> pathlib.Path:
    """The synthetic pots of --quick, as `.vox` files."""
    from scripts.lib.ablation import data as ablation_data

    ablation_data.make_synthetic(
        out / "synthetic", QUICK_POTS, 1, resolution=32, fragments=(3, 4, 6, 9)
    )
    return out / "synthetic"


def title_of(part: str, config: Any, average: int) -> str:
    """What a row of the table is called."""
    if part == switches.FULL:
        return "full model"
    if part == switches.AVERAGING:
        return f"{'without' if average > 1 else 'with'} {switches.AVERAGING_TITLE}"
    return switches.switched(config, switches.PARTS[part])[0]


def place_of(
    part: str, seed: int, title: str, args: argparse.Namespace
) -> tuple[Run, pathlib.Path]:
    """The run of a part and the folder of its scores; averaging is scored in the full model's."""
    of_run = switches.FULL if part == switches.AVERAGING else part
    run = Run(title, seed, args.out / f"{of_run}_seed{seed}")
    average = args.average if part != switches.AVERAGING else other_average(args.average)
    return run, run.folder / f"{args.split}_average{average}"


def other_average(average: int) -> int:
    """The number of symmetries that test-time averaging is compared with."""
    return 1 if average > 1 else 8


def make_commands(
    part: str,
    seed: int,
    args: argparse.Namespace,
    config: Any,
    base: dict[str, Any],
    data_dir: pathlib.Path,
) -> dict[str, list[str]]:
    """The commands of a run by stage: train, evaluate.

    Raises:
        NoFullModelError: its size follows from the full model's, which is not trained.
    """
    run, scores = place_of(part, seed, part, args)
    average = scores.name.rpartition("average")[2]
    evaluate = ["scripts/evaluate.py", "--data_dir", data_dir, "--split", args.split]
    evaluate += ["--workdir", run.folder, "--out", scores, "--num_examples", "0"]
    evaluate += ["--average", average]
    if part == switches.AVERAGING:
        return {"evaluate": list(map(str, evaluate))}
    fields = base | {"seed": seed, "data.dir": data_dir}
    if part != switches.FULL:
        title, changes = switches.switched(config, switches.PARTS[part])
        if args.quick and title.startswith("with "):
            changes |= {name: QUICK_ON[name] for name in QUICK_ON if name in changes}
        if changes.get("generator.kind") == "unet":
            full = place_of(switches.FULL, seed, part, args)[0].folder
            changes["generator.features"] = switches.features_like(full)
        fields |= changes
    train = ["scripts/train.py", "--config", args.config, "--workdir", run.folder]
    train += switches.write_overrides(fields)
    return {"train": list(map(str, train)), "evaluate": list(map(str, evaluate))}


def parse(argv: list[str] | None) -> tuple[argparse.Namespace, list[str]]:
    """The options, and the overrides that make the full model."""
    parser, _ = session.parser(__doc__, "a cache file, or .vox files")
    parser.add_argument("--config", default="configs/revolve.py", help="default: %(default)s")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument(
        "--num_train_steps", type=command.positive, help="of each run (default: the config's)"
    )
    parser.add_argument(
        "--average", type=int, choices=(1, 8), default=8, help="symmetries (default: %(default)s)"
    )
    parser.add_argument("--split", default="validation", help="scored (default: %(default)s)")
    args, overrides = session.parse(parser, argv)
    if args.quick:
        args.num_train_steps = args.num_train_steps or QUICK_STEPS
    if "train" in args.split.split("+"):
        parser.error(f"--split {args.split}: the models are trained on it")
    args.parts = [part for part in PARTS if part in args.parts]
    return args, overrides


if __name__ == "__main__":
    leave(main())
