#!/usr/bin/env python3
"""Put a trained run's weights into the package: float16, with a card that says what they are.

    scripts/package_weights.py --workdir runs/revolve --train_pots 634 --train_files 10144
    scripts/evaluate.py --data_dir DIR --split test --out runs/shipped    # scores what is packaged
    scripts/package_weights.py --workdir runs/revolve --train_pots 634 --train_files 10144 \\
        --metrics runs/shipped/metrics.json
    scripts/calibrate_confidence.py --data_dir DIR --split validation

The card says that the model was trained on vox_pottery; --training_data names another JSON object.
"""

import argparse
import json
import pathlib
import subprocess
import sys
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from scripts.lib.start import leave

from scripts.lib import command, weights_package
from voxgan_jax.cli import commands
from voxgan_jax.inference import model_card
from voxgan_jax.models import weights

ROOT = pathlib.Path(__file__).resolve().parent.parent


def main(argv: list[str] | None = None) -> int:
    args = _parse(argv)
    try:
        about = weights_package.TRAINING_DATA
        if args.training_data:
            about = json.loads(args.training_data.read_text(encoding="utf-8"))
        counts = {"split": args.split, "pots": args.train_pots, "files": args.train_files}
        card = weights_package.package(
            args.weights or args.workdir / weights.RUN_FILE,
            args.out,
            training_data=about | counts,
            commit=args.commit or _commit(),
            summaries=[json.loads(path.read_text(encoding="utf-8")) for path in args.metrics],
            confidence=_confidence(args.confidence),
        )
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        print(f"package_weights.py: {error}", file=sys.stderr)
        return 1
    stored = card["weights"]
    print(f"{args.out}: {stored['parameters']:,} parameters, {stored['bytes'] / 1e6:.2f} MB")
    print(f"{model_card.card_path(args.out)}: sha256 {stored['sha256']}")
    if "confidence" not in card:
        print("Its confidence is not calibrated yet: scripts/calibrate_confidence.py")
    return 0


def _confidence(path: pathlib.Path | None) -> dict[str, Any] | None:
    """The confidence on another card, with the weights that it was calibrated for."""
    if path is None:
        return None
    card = json.loads(path.read_text(encoding="utf-8"))
    if not {"weights", "confidence"} <= set(card):
        raise ValueError(f"{path}: a card without a confidence; calibrate those weights first")
    return {"calibrated_for": card["weights"]["sha256"], **card["confidence"]}


def _commit() -> str:
    """The commit that this clone stands at."""
    command = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = command.parser(__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--workdir", type=pathlib.Path, help="the folder of a trained run")
    source.add_argument("--weights", type=pathlib.Path, help="a weights file (.safetensors)")
    parser.add_argument("--train_pots", type=int, required=True, help="pots that it was trained on")
    parser.add_argument("--train_files", type=int, required=True, help="files of these pots")
    parser.add_argument("--split", default="train", help="the split that it was trained on")
    parser.add_argument("--training_data", type=pathlib.Path, help="JSON: name, source, licence …")
    parser.add_argument(
        "--metrics",
        type=pathlib.Path,
        action="append",
        default=[],
        help="a metrics.json of scripts/evaluate.py without --workdir (repeat for several)",
    )
    parser.add_argument(
        "--confidence",
        type=pathlib.Path,
        help="the card whose confidence is taken over, where these weights were trained on the pots"
        " that it would have to be calibrated on",
    )
    parser.add_argument("--commit", help="that trained it (default: the one this clone stands at)")
    parser.add_argument(
        "--out", type=pathlib.Path, default=model_card.path(), help=argparse.SUPPRESS
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    leave(commands.exit_code("package_weights.py", main))
