#!/usr/bin/env python3
"""Kill a training run at random moments, start it again, and compare its end with an undisturbed
run's, bit for bit.

    scripts/chaos.py --kills 50 --out chaos.json

Pots are made up and the model is small, so that a start takes seconds. A kill falls into start-up,
between two steps or while a checkpoint is written; a fifth of them are SIGTERM, the rest SIGKILL.
`--damage 0.1` also truncates a file of the newest checkpoint after every tenth kill or so. The exit
status is 0 only where both runs end with the same arrays and the same weights file.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from scripts.lib.start import leave

from scripts.lib import chaos, chaos_report, command
from voxgan_jax.cli import commands
from voxgan_jax.files import write_whole


def main() -> None:
    args = _parse()
    steps = 12 * args.kills + 8 * chaos.SAVE_EVERY
    with tempfile.TemporaryDirectory(prefix="voxgan-chaos-") as name:
        place = pathlib.Path(name)
        data_dir = chaos.make_data(place, args.source)
        env = os.environ | {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
        env.setdefault("JAX_COMPILATION_CACHE_DIR", str(place / "compiled"))
        # It fills the compilation cache too.
        line = chaos.command_for(place / "whole", data_dir, steps, args.source, args.objective)
        whole = chaos.run_whole(line, env)
        startup = whole.steps[0][0]
        print(f"Undisturbed: {steps} steps in {whole.ended:.1f} s, {startup:.1f} s to the first.")
        attempts = chaos.run_killed(
            chaos.command_for(place / "killed", data_dir, steps, args.source, args.objective),
            env,
            place / "killed",
            steps,
            startup,
            kills=args.kills,
            seed=args.seed,
            damage_share=args.damage,
        )
        changed = chaos.differences(place / "whole", place / "killed")
    summary = chaos_report.summarise(attempts) | {"steps": steps, "differences": changed}
    print(json.dumps(summary, indent=2))
    if args.out:
        record = summary | {"attempts": [dataclasses.asdict(attempt) for attempt in attempts]}
        write_whole(args.out, json.dumps(record, indent=1) + "\n")
        chaos_report.draw(attempts, args.out.with_suffix(".png"))
    if changed:
        sys.exit(f"chaos.py: the killed run ended otherwise in {', '.join(changed)}")
    print(f"Bit for bit the same after {args.kills} kills.")


def _parse() -> argparse.Namespace:
    parser = command.parser(__doc__)
    parser.add_argument("--kills", type=command.positive, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--source", choices=("resident", "tfdata"), default="resident")
    parser.add_argument("--objective", choices=("gan", "regression"), default="gan")
    parser.add_argument("--damage", type=float, default=0.0, help="chance of a damaged file a kill")
    parser.add_argument(
        "--out", type=pathlib.Path, help="write this JSON file and a .png beside it"
    )
    return parser.parse_args()


if __name__ == "__main__":
    leave(commands.exit_code("chaos.py", main))
