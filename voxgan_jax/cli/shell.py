"""Completion of `voxgan`'s commands, options and file names by the user's shell."""

import argparse
import pathlib
from typing import Any

SHELLS = ("bash", "zsh", "tcsh")


def add_print_completion(parser: argparse.ArgumentParser) -> None:
    """Add `--print-completion SHELL`, which prints the script for a shell and ends."""
    parser.add_argument(
        "--print-completion",
        action=_PrintCompletion,
        choices=SHELLS,
        help="print a script by which the shell completes commands, options and files",
    )


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
