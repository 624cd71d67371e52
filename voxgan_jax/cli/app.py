"""`voxgan app`: a workbench in the browser."""

import argparse
import pathlib

from voxgan_jax.cli.options import INPUTS
from voxgan_jax.cli.view import open_page
from voxgan_jax.language import LANGUAGES


def add_app(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser("app", help="restore sherds in the browser, on this machine")
    add = parser.add_argument
    add("files", nargs="*", metavar="FILE", help=f"{INPUTS}; or a folder of such, or a glob")
    folder = "folder of scans, choices and results, to be opened again (default: %(default)s)"
    add("--project", type=pathlib.Path, default=pathlib.Path("voxgan_project"), help=folder)
    add("--lang", choices=LANGUAGES, help="of page and results (default: the browser's)")
    add("--port", type=int, default=0, help="of this machine (default: any that is free)")
    add("--no-browser", action="store_true", help="only print the address")
    parser.set_defaults(run=_app)


def _app(args: argparse.Namespace) -> None:
    from voxgan_jax.app import server

    def tell(address: str) -> None:
        if args.no_browser or not open_page(address):
            print("Open this address in a browser on this machine (Ctrl-C ends it):")
        print(address, flush=True)

    server.run(args.project, args.files, tell, port=args.port, language=args.lang)
