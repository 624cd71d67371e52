#!/usr/bin/env python3
"""Train a config; the same command goes on where a stopped run was.

    scripts/train.py --config configs/baseline.py --workdir runs/baseline --config.data.dir=DIR \
        --config.train.batch_size=8
"""

import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from absl import app, flags, logging
from ml_collections import config_flags

CONFIG = config_flags.DEFINE_config_file(
    "config", help_string="a file of configs/", lock_config=True
)
WORKDIR = flags.DEFINE_string("workdir", None, "The folder of the run.", required=True)


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected argument {argv[1]!r}")
    from voxgan_jax.training import loop

    logging.set_verbosity(logging.INFO)
    try:
        loop.train(CONFIG.value, WORKDIR.value)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"train.py: {error}")
    print(f"Finished: {WORKDIR.value}")


if __name__ == "__main__":
    flags.mark_flag_as_required("config")
    app.run(main)
