"""The pages of docs/api, and whether a built site names everything public.

python -m scripts.lib.api_pages write         docs/api made anew, a page for each room
python -m scripts.lib.api_pages check SITE    exit code 1 where a public name is not in the site
"""

import ast
import pathlib
import sys
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "voxgan_jax"
PAGES = ROOT / "docs" / "api"
ROOMS = (
    *("devices", "geometry", "pottery", "data", "models", "scan", "inference", "placement"),
    *("drawing", "report", "restore", "evaluation", "training", "torch_twin", "app", "cli"),
)
"""A room imports from those before it only; single modules of the package lie under them all."""


def modules(room: str = "") -> dict[str, pathlib.Path]:
    """The modules of a room by their dotted names, or those that lie in no room; its own last."""
    found = (PACKAGE / room).rglob("*.py") if room else PACKAGE.glob("*.py")
    paths = {_name(path): path for path in sorted(found) if not path.stem.startswith("_")}
    inits = sorted((PACKAGE / room).rglob("__init__.py")) if room else [PACKAGE / "__init__.py"]
    own = {_name(path.parent): path for path in inits if list(public_names(path))}
    return paths | own


def _name(path: pathlib.Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def public_names(path: pathlib.Path) -> Iterator[str]:
    """What a module defines at its top: functions, classes and constants without a `_`."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names = [node.name]
        elif isinstance(node, ast.Assign):
            targets = [t for target in node.targets for t in ast.walk(target)]
            names = [target.id for target in targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names = [node.target.id]
        else:
            continue
        yield from (name for name in names if not name.startswith("_"))


def pages() -> dict[str, str]:
    """The text of each page of docs/api, by its file's name."""
    texts = {f"{room}.md": _page(room, modules(room)) for room in ROOMS}
    rows = [f"| [`{room}`]({room}.md) | {_question(room)} |" for room in ROOMS]
    listing = "\n".join(["| room | what is in it |", "|---|---|", *rows])
    index = (
        "# API\n\n"
        "The package has a room for each question; a room imports only from the rooms above it in"
        f" this table.\n\n{listing}\n\nIn no room:\n\n"
    )
    texts["index.md"] = index + "\n".join(f"::: {name}\n" for name in modules())
    return texts


def _page(room: str, names: dict[str, pathlib.Path]) -> str:
    return f"# {room}\n\n{_question(room)}\n\n" + "\n".join(f"::: {name}\n" for name in names)


def _question(room: str) -> str:
    """The first paragraph of a room's docstring."""
    said = ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text())) or ""
    return " ".join(said.split("\n\n")[0].split())


def missing(site: pathlib.Path) -> list[str]:
    """Public names that a built site has no entry for."""
    from mkdocstrings import Inventory  # pyright: ignore[reportMissingImports]

    with open(site / "objects.inv", "rb") as file:
        known = set(Inventory.parse_sphinx(file))
    found = [item for room in ("", *ROOMS) for item in modules(room).items()]
    asked = [f"{name}.{public}" for name, path in found for public in public_names(path)]
    return [name for name in asked if name not in known]


def main(command: str, site: str = "site") -> int:
    if command == "check":
        lost = missing(pathlib.Path(site))
        print("\n".join(f"docs: {name} is in no page" for name in lost), end="\n" if lost else "")
        return int(bool(lost))
    PAGES.mkdir(exist_ok=True)
    texts = pages()
    for path in set(PAGES.glob("*.md")) - {PAGES / name for name in texts}:
        path.unlink()
    for name, text in texts.items():
        (PAGES / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
