"""`voxgan`: from what is typed to the exit code. Before all else Ctrl-C is provided for."""

from collections.abc import Sequence

from voxgan_jax.devices import interruption

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def voxgan() -> "NoReturn":
    """The program: run the command that its arguments name, and end."""
    interruption.start("voxgan")
    from voxgan_jax.devices import accelerator

    accelerator.before_imports()
    interruption.leave(main())


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code (`parser.EXIT_CODES`).

    Raises:
        SystemExit: with 2 for a wrong command line, with 0 after --help and the like.
    """
    import functools
    import sys

    from voxgan_jax import console, language
    from voxgan_jax.cli import commands
    from voxgan_jax.cli.parser import build_parser

    console.adapt()
    parser = build_parser(main)
    args = parser.parse_args(argv)
    if args.command is None:
        parser.print_help(sys.stderr)
        return 2
    run = functools.partial(language.speaking, getattr(args, "lang", None) or "en", args.run, args)
    return commands.exit_code("voxgan", run, stopped="what is written is whole")
