"""What can be typed after `voxgan`: its commands, what their help ends with, and how a user's shell
completes them."""

import argparse
import functools
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

from voxgan_jax.cli import words
from voxgan_jax.cli.app import add_app
from voxgan_jax.cli.complete import add_complete
from voxgan_jax.cli.data import add_convert, add_synth
from voxgan_jax.cli.doctor import add_doctor
from voxgan_jax.cli.info import add_info
from voxgan_jax.cli.sample import add_sample
from voxgan_jax.cli.sheet import add_sheet
from voxgan_jax.cli.view import add_view
from voxgan_jax.version import VERSION

EXAMPLES = {
    "complete": (
        "voxgan complete sherd.stl --out restored            then open restored/sherd.html",
        "voxgan complete sherd.stl --unit cm --height-mm 120 --up z --out restored",
        "voxgan complete scans/ --out restored               all of a folder; again: only what is"
        " missing",
        'voxgan complete "scans/**/*.ply" --out restored     subfolders too',
        "voxgan complete sherd.stl --hypotheses 5 --out restored",
        "voxgan complete pot.vox --fragment 3 --out restored",
    ),
    "view": ("voxgan view restored/sherd_completed.stl", "voxgan view sherd.stl --out restored"),
    "app": ("voxgan app", "voxgan app sherd.stl --project finds"),
    "sheet": ("voxgan sheet restored --scale 1:3 --out restored/sheet.pdf",),
    "info": ("voxgan info sherd.stl --unit cm", "voxgan info *.vox --json"),
    "doctor": ("voxgan doctor", "voxgan doctor --quick --json"),
    "synth": ("voxgan synth --out pots --pots 20 --resolution 32",),
    "sample": ("voxgan sample --workdir runs/gan3d --n 9 --out pots",),
    "convert": (
        "voxgan convert generator.pth generator.safetensors",
        "voxgan convert generator.safetensors generator.pth",
    ),
}
"""What the help of a command ends with; three spaces stand before what is said of a line."""

EXIT_CODES = """\
exit codes:
  0    done
  1    something could not be done; the reason is on the error output, a line for each file
  2    a wrong command line
  130  stopped by Ctrl-C
"""


def build_parser(voxgan: Callable[[Sequence[str]], int]) -> argparse.ArgumentParser:
    """The parser of all commands; `run` in what it parses is the function of the command.

    Args:
        voxgan: runs the words of a command line, for the trial of `voxgan doctor`.
    """
    parser = words.Parser(
        prog="voxgan",
        description="Completes broken pottery on voxel grids.",
        epilog=_epilog([lines[0].split("   ")[0] for lines in EXAMPLES.values()]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"voxgan_jax {VERSION}")
    what = "print a script by which the shell completes commands, options and files"
    shells = ("bash", "zsh", "tcsh")
    parser.add_argument("--print-completion", action=_PrintCompletion, choices=shells, help=what)
    # Commands are of the same class.
    subparsers: Any = parser.add_subparsers(dest="command")
    doctor = functools.partial(add_doctor, voxgan=voxgan)
    for add in (add_complete, add_app, add_view, add_sheet, add_info, doctor):
        add(subparsers)
    for add in (add_synth, add_sample, add_convert):
        add(subparsers)
    for name, command in subparsers.choices.items():
        command.epilog = _epilog(EXAMPLES[name])
        command.formatter_class = argparse.RawDescriptionHelpFormatter
    return parser


def _epilog(examples: Sequence[str]) -> str:
    return "\n  ".join(["examples:", *examples]) + f"\n\n{EXIT_CODES}"


class _PrintCompletion(argparse.Action):
    """Prints when it is met, as --help does, so that no command need follow."""

    def __call__(self, parser: argparse.ArgumentParser, *given: Any, **_: Any) -> None:
        import shtab

        shell = given[1]
        _mark_files(parser)
        print(shtab.complete(parser, shell=shell))
        parser.exit()


def _mark_files(parser: argparse.ArgumentParser) -> None:
    """Say which arguments are files and folders: those that become paths, or are called FILE."""
    import shtab

    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                _mark_files(command)
        elif action.dest in ("out", "workdir"):
            vars(action)["complete"] = shtab.DIRECTORY
        elif action.type is pathlib.Path or action.metavar == "FILE":
            vars(action)["complete"] = shtab.FILE
