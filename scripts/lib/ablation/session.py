"""How both ablations start: options that they share, overrides, signals, what is told meanwhile.

Light to import: what is done already is found out without JAX.
"""

import argparse
import datetime
import pathlib
import shlex
import signal
import sys
import time
from collections.abc import Callable, Collection
from typing import Any

from scripts.lib import command
from scripts.lib.ablation.runs import Say
from voxgan_jax.cli import commands

CONFIG = "--config."
"""What a field of a config begins with on a command line."""

Parsed = tuple[argparse.Namespace, list[str]]
"""The options, and the overrides that go to the trainings."""


def main(
    script: str,
    argv: list[str] | None,
    parse: Callable[[list[str] | None], Parsed],
    ablate: Callable[[argparse.Namespace, list[str], str], int],
) -> int:
    """Parse and do the work, which is told its own command line.

    Returns:
        1 where a run failed or nothing could be started, 130 where it was stopped.
    """
    args, overrides = parse(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    line = shlex.join([f"scripts/{script}", *(sys.argv[1:] if argv is None else argv)])
    return commands.exit_code(
        script,
        lambda: ablate(args, overrides, line),
        stopped="the same command goes on from there",
    )


def parser(text: str | None, data_dir: str) -> tuple[argparse.ArgumentParser, Any]:
    """A parser of the options that both share, and its group for where the data comes from.

    Args:
        data_dir: what `--data_dir` may name.
    """
    made = command.parser(text, allow_abbrev=False)
    data = made.add_mutually_exclusive_group(required=True)
    data.add_argument("--data_dir", type=pathlib.Path, help=data_dir)
    data.add_argument("--quick", action="store_true", help="synthetic pots at 32³, small models")
    made.add_argument("--out", type=pathlib.Path, required=True)
    made.add_argument("--seeds", nargs="+", type=int, default=[0])
    return made, data


def parse(parser: argparse.ArgumentParser, argv: list[str] | None) -> Parsed:
    """The options and the overrides; other words that no option takes end the program."""
    args, overrides = parser.parse_known_args(argv)
    for text in overrides:
        if not text.startswith(CONFIG) or "=" not in text:
            parser.error(f"unknown option {text!r}; fields of the config: --config.FIELD=VALUE")
    args.seeds = sorted(set(args.seeds))
    return args, overrides


def fixed_options(
    args: argparse.Namespace, overrides: list[str], free: Collection[str]
) -> dict[str, Any]:
    """The options that all runs below one --out share, fit for JSON.

    Args:
        free: those that may differ between calls, as they only say which runs there are.
    """
    options = {name: value for name, value in vars(args).items() if name not in free}
    for name in ("data_dir", "vox_dir"):
        if options.get(name):
            options[name] = str(options[name].resolve())
    return options | {"overrides": sorted(overrides)}


def teller() -> Say:
    """Prints lines with the time since now before each."""
    started = time.monotonic()

    def say(text: str) -> None:
        elapsed = datetime.timedelta(seconds=round(time.monotonic() - started))
        print(f"[{elapsed}] {text}", flush=True)

    return say


def complain(script: str, failed: Collection[str], between: str) -> int:
    """Name the runs that failed on stderr; the exit code."""
    if failed:
        names = between.join(failed)
        print(f"{script}: failed: {names}; each has a log.txt", file=sys.stderr)
    return int(bool(failed))
