#!/usr/bin/env python3
"""Train a config; the same command goes on where a stopped run was.

    scripts/train.py --config configs/baseline.py --workdir runs/baseline --config.data.dir=DIR \
        --config.train.batch_size=8
"""

import argparse
import pathlib
import runpy
import shlex
import sys
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from scripts.lib.start import leave  # noqa: F401

from absl import app, flags
from ml_collections import config_flags

from voxgan_jax import fields, logs
from voxgan_jax.cli import commands
from voxgan_jax.devices import accelerator, interruption

CONFIG = config_flags.DEFINE_config_file(
    "config", help_string="a file of configs/", lock_config=True
)
WORKDIR = flags.DEFINE_string("workdir", None, "The folder of the run.", required=True)
flags.register_validator("workdir", bool, "--workdir is empty; name a folder")


def parse_flags(argv: list[str]) -> list[str]:
    """Parse the command line; an override that names no field ends it with the list of fields."""
    try:
        rest = app.parse_flags_with_usage(argv)
        CONFIG.value.to_dict()  # A config file that failed to load says so here.
        return rest
    except (AttributeError, KeyError, TypeError, OSError) as error:
        unknown = [name for name in _overridden(argv) if name not in _fields(argv)]
        if not unknown:
            sys.exit(f"train.py: {error}")
        listing = "\n".join(f"  config.{name} = {value!r}" for name, value in _fields(argv).items())
        names = ", ".join(f"config.{name}" for name in unknown)
        sys.exit(f"train.py: there is no field {names}; the fields are\n{listing}")


def _overridden(argv: list[str]) -> list[str]:
    names = [arg.lstrip("-").split("=")[0] for arg in argv[1:]]
    return [name.removeprefix("config.") for name in names if name.startswith("config.")]


def _fields(argv: list[str]) -> dict[str, Any]:
    """All fields of the config file on the command line, by their dotted names."""
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    finder.add_argument("--config", "-config")
    path = finder.parse_known_args(argv[1:])[0].config
    if path is None or not pathlib.Path(path).is_file():
        return dict.fromkeys(_overridden(argv))
    return fields.flatten(runpy.run_path(path)["get_config"]().to_dict())


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected argument {argv[1]!r}")
    with interruption.on_signals() as stop:
        try:
            accelerator.prepare(deterministic=CONFIG.value.train.get("deterministic", False))
            from voxgan_jax.devices import processes
            from voxgan_jax.training import loop

            processes.initialize(CONFIG.value.parallel)
            if processes.is_primary():
                logs.show_progress()
            loop.train(CONFIG.value, WORKDIR.value, processes.stop_together(stop))
        except interruption.InterruptedRunError as stopped:
            print(f"Run {stopped}. To go on: {shlex.join(sys.orig_argv)}")
        except (OSError, ValueError, ImportError) as error:
            sys.exit(f"train.py: {commands.reason(error)}")
        else:
            print(f"Finished: {WORKDIR.value}")


if __name__ == "__main__":
    flags.mark_flag_as_required("config")
    app.run(main, flags_parser=parse_flags)
