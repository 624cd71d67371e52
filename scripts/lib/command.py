"""What the command lines of scripts share: their parser, their kinds of numbers, how they start."""

import argparse
import functools
import json
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

from voxgan_jax.cli import commands
from voxgan_jax.devices import accelerator


def parser(text: str | None, **options: Any) -> argparse.ArgumentParser:
    """A parser whose --help shows a module's text as it stands; `options` are argparse's."""
    made = argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawDescriptionHelpFormatter, **options
    )
    # Everywhere: Path("") is the folder one stands in.
    made.register("type", pathlib.Path, _path)
    return made


def _path(text: str) -> pathlib.Path:
    if not text:
        raise argparse.ArgumentTypeError("the path is empty")
    return pathlib.Path(text)


def scoring(text: str | None, split: str, *, data: bool = True) -> argparse.ArgumentParser:
    """A parser with the data set and the split that are scored.

    Args:
        split: the default.
        data: whether the data set must be named.
    """
    made = parser(text)
    made.add_argument("--data_dir", type=pathlib.Path, required=data)
    made.add_argument("--split", default=split, help="or several, as in a+b (default: %(default)s)")
    return made


def parse_readable(parser: argparse.ArgumentParser, argv: list[str] | None) -> argparse.Namespace:
    """Parse for a report whose numbers can be kept and read again, with `--out` and `--read`."""
    parser.add_argument("--out", type=pathlib.Path, help="write every number as JSON")
    parser.add_argument(
        "--read", type=pathlib.Path, nargs="+", help="such files; nothing is computed"
    )
    args = parser.parse_args(argv)
    if not (args.data_dir or args.read):
        parser.error("give --data_dir, or --read")
    return args


def rows_of(files: Sequence[pathlib.Path]) -> list[dict[str, Any]]:
    """The numbers that were written by `--out`, those of several files together.

    Raises:
        ValueError: a file that is none of these.
    """
    rows: list[dict[str, Any]] = []
    for file in files:
        try:
            rows += json.loads(file.read_text())
        except ValueError as error:
            raise ValueError(f"{file}: no numbers that --out wrote ({error})") from error
    return rows


def natural(text: str) -> int:
    """A whole number from 0."""
    return _at_least(0, text)


def positive(text: str) -> int:
    """A whole number from 1."""
    return _at_least(1, text)


def _at_least(least: int, text: str) -> int:
    if int(text) < least:
        raise argparse.ArgumentTypeError(f"{text} is below {least}")
    return int(text)


def run(name: str, work: Callable[[Any], int | None], args: argparse.Namespace) -> int:
    """Prepare the accelerator, do the work of a script, and return its exit code."""
    accelerator.prepare()
    return commands.exit_code(name, functools.partial(work, args))
