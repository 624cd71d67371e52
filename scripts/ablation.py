#!/usr/bin/env python3
"""Train and score the paper's four models: Table 1, Figure 1 and Figure 2, by one command.

    scripts/ablation.py --data_dir data/prepared --out runs/ablation
    scripts/ablation.py --vox_dir DIR --out runs/small --resolution 32 --pots 100 --epochs 20
    scripts/ablation.py --quick --out runs/quick            synthetic pots, minutes on 2 CPU cores
    scripts/ablation.py --family --data_dir data/prepared --out runs/family

--family sets beside the baseline and spectral norm the other systems that complete a sherd, and
those that make pots from noise in a table of their own (docs/systems/). By --steps all generators
have as many updates, a Wasserstein critic more; by epochs it has five times as many, and its
generator less than the others, by what the start takes.

As in the paper, models are trained on train+validation, keep their last weights and are scored on
test; --validate trains on train and scores on validation, for choices. Each run has a folder below
--out with a log; a run that was scored is not repeated, and a stopped one goes on where it was when
the same command is given again. A run that fails is named and the others go on; the exit code is
then 1. Written to --out: table.md, results.json, figure1.png, figure2.png. Further options of the
form --config.FIELD=VALUE go to every training.
"""

import argparse
import importlib
import json
import pathlib
import sys
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from scripts.lib.start import leave

from scripts.lib import command
from scripts.lib.ablation import noise, session
from scripts.lib.ablation import runs as ablation_runs
from scripts.lib.ablation.runs import Run, Say
from voxgan_jax.devices import accelerator

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODELS = ("baseline", "wide_generator", "spectral_norm", "resnet_sn")
FAMILY = ("baseline", "spectral_norm", "hinge", "wgan", "wgan_gp", "sdf", "ddpm")
FAMILY_ROWS = (*FAMILY, *noise.CONFIGS)
ROWS = tuple(dict.fromkeys((*MODELS, "wide_generator_code", *FAMILY, *noise.CONFIGS)))
BASELINE_FEATURES = 32
# Pots of vox_pottery are this long.
POT_SIDE = 64
# What --quick sets where the command line does not.
QUICK = {
    "resolution": 32,
    "pool": 1,
    "pots": 80,
    "test_pots": 20,
    "features": 8,
    "batch_size": 4,
    "steps": 1000,
}
QUICK_FRAGMENTS = (3, 4, 6, 9)
# With it neither preparing nor training needs TensorFlow.
RESIDENT = "--config.data.source=resident"
# These may differ between calls with one --out: they only say which runs there are.
FREE_OPTIONS = ("out", "models", "family", "seeds")


def main(argv: list[str] | None = None) -> int:
    """Returns 1 where a run failed or nothing could be started, 130 where it was stopped."""
    return session.main("ablation.py", argv, parse, ablate)


def ablate(args: argparse.Namespace, overrides: list[str], line: str) -> int:
    """Train, score, compare; returns the exit code."""
    runs = [
        Run(model, seed, args.out / f"{model}_seed{seed}")
        for model in args.models
        for seed in args.seeds
    ]
    options = session.fixed_options(args, overrides, FREE_OPTIONS)
    ablation_runs.keep_options(options, args.out)
    if is_complete(runs, args.out):
        print((args.out / "table.md").read_text(), end="")
        print(f"\nAll done before. To write it anew, delete {args.out / 'results.json'}.")
        return 0
    say = session.teller()
    data_dir = make_data(args, say, resident=RESIDENT in overrides)
    commands = {run: make_commands(run, args, data_dir, overrides) for run in runs}
    failed = [
        run
        for run in runs
        if not ablation_runs.complete_run(run, commands[run], args.split, ROOT, say)
    ]

    # Imported late: JAX and TensorFlow take seconds, and JAX the accelerator that the runs need.
    accelerator.prepare()
    from scripts.lib.ablation import variants_report

    say("comparing and drawing")
    folders: dict[str, dict[int, pathlib.Path]] = {}
    for run in runs:
        folders.setdefault(run.model, {})[run.seed] = run.folder
    without = {run.folder for run in failed}
    results = {"command": line, "options": options, "split": args.split}
    results |= {"commands": {run.folder.name: commands[run] for run in runs}}
    results |= variants_report.collect(folders, without, data_dir=data_dir, split=args.split)
    variants_report.write(results, folders, without, args.out)
    say(f"written: {args.out}")
    print(f"\n{(args.out / 'table.md').read_text()}", end="")
    return session.complain("ablation.py", [run.folder.name for run in failed], ", ")


def is_complete(runs: list[Run], out: pathlib.Path) -> bool:
    """Whether the results of exactly these runs were written and none had failed."""
    path = out / "results.json"
    if not path.is_file():
        return False
    there = json.loads(path.read_text())["runs"]
    return list(there) == [run.folder.name for run in runs] and not any(
        run["failed"] for run in there.values()
    )


def make_data(args: argparse.Namespace, say: Say, *, resident: bool) -> pathlib.Path:
    """The data set to train on, made below --out if need be; `resident`: a cache file.

    Raises:
        ValueError: it cannot be made of the files there.
    """
    if args.data_dir:
        if not args.data_dir.exists():
            raise ValueError(f"{args.data_dir}: no data there; see scripts/prepare_data.py --help")
        return args.data_dir
    data_dir, vox_dir = args.out / ("data.npz" if resident else "data"), args.vox_dir
    if data_dir.is_file() or any(data_dir.glob("*/*/*/dataset_info.json")):
        return data_dir
    from scripts.lib.ablation import data as ablation_data
    from voxgan_jax.data import folder

    linked = args.out / "vox"
    if args.quick:
        vox_dir = args.out / "synthetic"
        say(f"making {args.pots + args.test_pots} synthetic pots")
        ablation_data.make_synthetic(
            vox_dir,
            args.pots,
            args.test_pots,
            resolution=args.resolution,
            fragments=QUICK_FRAGMENTS,
        )
    elif args.pots or args.test_pots:
        if not linked.is_dir():
            chosen = ablation_data.choose_pots(folder.scan(vox_dir), args.pots, args.test_pots)
            ablation_data.link_files(chosen, vox_dir, linked)
        vox_dir = linked
    say(f"preparing {vox_dir} at {args.resolution}³")
    log = args.out / "data_log.txt"
    command = [sys.executable, str(ROOT / "scripts/prepare_data.py")]
    command += ["--vox_dir", str(vox_dir)]
    command += ["--cache" if resident else "--out_dir", str(data_dir)]
    command += ["--resolution", str(args.resolution), "--pool", str(args.pool)]
    if ablation_runs.run_logged(command, log, str(ROOT)):
        raise ValueError(
            f"the data could not be prepared: {ablation_runs.last_line(log)} (see {log})"
        )
    return data_dir


def make_commands(
    run: Run, args: argparse.Namespace, data_dir: pathlib.Path, overrides: list[str]
) -> dict[str, list[str]]:
    """The commands of a run by stage: train, then evaluate or sample."""
    name = noise.CONFIGS.get(run.model, run.model)
    config = importlib.import_module(f"configs.{name}").get_config()
    fields = {
        "seed": run.seed,
        "data.dir": data_dir,
        "data.resolution": args.resolution,
        "data.pool": args.pool,
        "data.train_split": args.train_split,
        # The last weights count, not those that did best on some split.
        "eval.split": "",
    }
    if args.batch_size:
        fields |= {"train.batch_size": args.batch_size, "eval.batch_size": args.batch_size}
    # A step is one of the critic, and the generator has a part of them.
    has_critic = config.objective == "wgan"
    if args.epochs or has_critic:
        each = config.critic.steps if has_critic else 1
        fields["train.num_epochs"] = (args.epochs or config.train.num_epochs) * each
    if args.steps:
        steps = critic_steps(args.steps, config.critic) if has_critic else args.steps
        fields["train.num_train_steps"] = steps
    if run.model in noise.CONFIGS:
        fields |= noise.fields(run.model, args.resolution)
    if args.features:
        for net in ("generator.features", "discriminator.features"):
            wide = fields.get(net, config[net.split(".")[0]].features) * args.features
            fields[net] = max(wide // BASELINE_FEATURES, 1)
    set_twice = [
        field for field in fields if any(o.startswith(f"--config.{field}=") for o in overrides)
    ]
    if set_twice:
        raise ValueError(f"--config.{set_twice[0]} is set by ablation.py's own options; see --help")
    train = ["scripts/train.py", "--config", f"configs/{name}.py", "--workdir", run.folder]
    train += [f"--config.{field}={value}" for field, value in fields.items()] + overrides
    scored = "sample" if run.model in noise.CONFIGS else "evaluate"
    score = [f"scripts/{scored}.py", "--data_dir", data_dir, "--split", args.split]
    score += ["--workdir", run.folder, "--out", run.folder / args.split]
    return {"train": list(map(str, train)), scored: list(map(str, score))}


def critic_steps(updates: int, critic: Any) -> int:
    """After so many steps the generator has had so many updates, see `wgan.is_due`."""
    slow = [n < 25 or n % 500 == 0 for n in range(updates)]
    return sum(critic.first_steps if is_slow else critic.steps for is_slow in slow)


def parse(argv: list[str] | None) -> tuple[argparse.Namespace, list[str]]:
    """The options, and the overrides that go to every training."""
    parser, data = session.parser(__doc__, "a data set of scripts/prepare_data.py")
    data.add_argument("--vox_dir", type=pathlib.Path, help=".vox files, prepared in OUT/data first")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--models", nargs="+", choices=ROWS, default=MODELS)
    which.add_argument("--family", action="store_true", help=f"these: {', '.join(FAMILY_ROWS)}")
    parser.add_argument(
        "--resolution", type=command.positive, help="side of the cube (default: 64)"
    )
    parser.add_argument(
        "--pool", type=command.positive, help="scale pots down by it (default: 64 / resolution)"
    )
    parser.add_argument(
        "--pots", type=command.positive, help="train on so many pots, by links in OUT/vox"
    )
    parser.add_argument(
        "--test_pots", type=command.positive, help="keep so many pots in the test split"
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=command.positive, help="default: the configs' 100")
    length.add_argument("--steps", type=command.positive, help="training steps, in place of epochs")
    parser.add_argument("--batch_size", type=command.positive, help="default: the configs' 64")
    parser.add_argument(
        "--features", type=command.positive, help="of the baseline (32), others in proportion"
    )
    parser.add_argument("--validate", action="store_true", help="train on train, see above")
    parser.add_argument("--split", help="scored (default: test, or validation with --validate)")
    args, overrides = session.parse(parser, argv)
    if args.data_dir and (args.pots or args.test_pots):
        parser.error("--pots and --test_pots choose among .vox files: give --vox_dir")
    if args.quick:
        for name, value in QUICK.items():
            if getattr(args, name) is None and not (name == "steps" and args.epochs):
                setattr(args, name, value)
    args.resolution = args.resolution or POT_SIDE
    args.pool = args.pool or max(POT_SIDE // args.resolution, 1)
    # In the paper's order, whose rows are compared with the one before.
    args.models = [row for row in ROWS if row in (FAMILY_ROWS if args.family else args.models)]
    args.train_split = "train" if args.validate else "train+validation"
    args.split = args.split or ("validation" if args.validate else "test")
    if set(args.split.split("+")) & set(args.train_split.split("+")):
        parser.error(f"--split {args.split}: the models are trained on it; see --validate")
    return args, overrides


if __name__ == "__main__":
    leave(main())
