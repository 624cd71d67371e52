"""`voxgan view`: the page of a restored pot, in the user's browser."""

import argparse
import os
import pathlib
import re
import sys
from collections.abc import Mapping

from voxgan_jax.files import readable

ENDING = re.compile(r"_(completed|missing(_upright)?|section|profile|hypothesis\d+)$")
"""What the names of results have behind that of their pot."""
_INDEX = "index.html"


def add_view(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser("view", help="open the page of a restored pot in the browser")
    what = "the page, another result of the same pot, the sherd's own file, or a folder of results"
    parser.add_argument("file", type=pathlib.Path, metavar="FILE", help=what)
    where = "folder of the results (default: that of FILE)"
    parser.add_argument("-o", "--out", type=pathlib.Path, help=where)
    parser.set_defaults(run=_view)


def _view(args: argparse.Namespace) -> None:
    page = find_page(args.file, args.out).resolve()
    address = page.as_uri()
    if open_page(address):
        print(address)
    else:
        print(f"{address}\nNo browser could be opened here: open this address in one, or copy")
        name = readable(page.name)
        print(f"{name} to a machine that has one; it needs no other file and no network.")


def find_page(path: pathlib.Path, out: pathlib.Path | None = None) -> pathlib.Path:
    """The page that belongs to a file: to a result beside it, or to a sherd completed into `out`.

    Of a sherd of whose fragments or bodies one was given the page has `_fragmentK` or `_bodyN` in
    its name. Of one of several sherds of one name it may lie in a subfolder of `out`
    (`naming.names`). Of a folder it is the overview of all its pots, or its only page.

    Raises:
        FileNotFoundError: there is none.
        ValueError: there are several, and which is meant is not said.
    """
    if path.is_dir() and out is None:
        if (path / _INDEX).is_file():
            return path / _INDEX
        pages = sorted(path.glob("*.html"))
        return _only(pages, f"{path}: no page in this folder")
    if path.suffix.lower() == ".html" and out is None:
        return _only([path] if path.is_file() else [], f"{path}: there is no such page")
    folder = path.parent if out is None else out
    stem = ENDING.sub("", path.stem)
    exact = folder / f"{stem}.html"
    if exact.is_file():
        return exact
    deeper = _in_subfolder(path, stem, out) if out else []
    if deeper:
        return _only(deeper, "")
    pages = sorted(
        page
        for page in (folder.iterdir() if folder.is_dir() else ())
        if page.suffix == ".html" and page.stem.startswith((f"{stem}_fragment", f"{stem}_body"))
    )
    hint = "" if out else "; say by --out where its results are"
    return _only(pages, f"{exact}: there is no such page{hint}")


def _in_subfolder(path: pathlib.Path, stem: str, out: pathlib.Path) -> list[pathlib.Path]:
    """The pages of a sherd below `out`: in the folders that are above it, too, and most of them."""
    names = f"{re.escape(stem)}(_{re.escape(path.suffix.lower().lstrip('.'))})?"
    above = path.absolute().parent.parts
    found: dict[tuple[int, bool], list[pathlib.Path]] = {}
    for page in sorted(out.rglob("*.html")):
        shared = page.relative_to(out).parent.parts
        fits = re.fullmatch(rf"{names}((_fragment|_body)\d+)?", page.stem)
        if fits and shared == above[len(above) - len(shared) :]:
            found.setdefault((len(shared), fits[1] is not None), []).append(page)
    return found[max(found)] if found else []


def _only(pages: list[pathlib.Path], missing: str) -> pathlib.Path:
    if not pages:
        raise FileNotFoundError(f"{missing}; `voxgan complete FILE --out DIR` makes it")
    if len(pages) > 1:
        names = ", ".join(page.name for page in pages[:4]) + (" …" if len(pages) > 4 else "")
        raise ValueError(f"{pages[0].parent}: several pages: {names}; name one")
    return pages[0]


def open_page(address: str) -> bool:
    """Open an address in the user's browser; False where there is none.

    Without a display only `BROWSER` is obeyed: a browser in text cannot show the page.
    """
    if not has_display(os.environ, sys.platform):
        return False
    import webbrowser

    try:
        return webbrowser.open(address)
    except webbrowser.Error:
        return False


def has_display(environment: Mapping[str, str], platform: str) -> bool:
    """Whether a browser with a window can be had, or the user names one."""
    named = ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME")
    return platform in ("darwin", "win32") or any(environment.get(name) for name in named)
