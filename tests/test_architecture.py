"""The house rules that a program can check: rooms, arrows, sizes, and the ways through."""

import ast
import graphlib
import pathlib
import re
from collections.abc import Iterator

import pytest

from scripts.lib.api_pages import ROOMS

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = "voxgan_jax"

MOST_LINES = {"package": 27_123, "app": 1_676, "room": 2_800, "file": 300, "function": 80}
"""`package` is all rooms but `app`, which restoring and training do without."""


def modules() -> dict[str, pathlib.Path]:
    """The package's modules by their dotted names; a folder's `__init__` bears the folder's."""
    found = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: pathlib.Path, known: dict[str, pathlib.Path]) -> Iterator[str]:
    """What a file imports, wherever in it that stands: modules of the package, others' by name.

    A module that is named in full by a string is taken for one that is imported by it.
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{path}: a relative import"
            for name in node.names:
                inner = f"{node.module}.{name.name}"
                yield inner if inner in known else node.module
        elif isinstance(node, ast.Constant) and node.value in known.keys() - {PACKAGE}:
            yield str(node.value)


def arrows() -> dict[str, set[str]]:
    """Which modules of the package each module imports."""
    known = modules()
    return {
        name: {target for target in imports(path, known) if target in known} - {name}
        for name, path in known.items()
    }


def room(name: str) -> str | None:
    """The room of a module; None for those that lie under all rooms, and for the package's face."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and (ROOT / PACKAGE / parts[1]).is_dir() else None


def test_every_folder_is_a_room_that_the_design_knows():
    assert {room(name) for name in modules()} - {None} == set(ROOMS)


def test_rooms_import_downwards_only():
    floor = {None: -1} | {name: number for number, name in enumerate(ROOMS)}
    upwards = [
        f"{name} → {target}"
        for name, targets in arrows().items()
        # The package's face hands names on, and nothing in the package looks at it.
        for target in targets
        if name != PACKAGE
        and (target == PACKAGE or room(name) != room(target))
        and (target == PACKAGE or floor[room(target)] >= floor[room(name)])
    ]
    assert upwards == []


def test_no_two_files_import_each_other_by_any_way():
    graphlib.TopologicalSorter(arrows()).prepare()


def test_a_cycle_would_be_seen():
    with pytest.raises(graphlib.CycleError):
        graphlib.TopologicalSorter({"a": {"b"}, "b": {"c"}, "c": {"a"}}).prepare()


def test_the_package_knows_neither_configs_nor_scripts():
    known = modules()
    outside = {
        f"{name} → {target}"
        for name, path in known.items()
        for target in imports(path, known)
        if target.split(".")[0] in ("configs", "scripts", "tests")
    }
    assert outside == set()


def lines(path: pathlib.Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_the_package_its_rooms_and_its_files_stay_small():
    sizes = {name: lines(path) for name, path in modules().items()}
    rooms = {name: sum(sizes[m] for m in sizes if room(m) == name) for name in ROOMS}
    assert sum(sizes.values()) - rooms["app"] <= MOST_LINES["package"]
    assert rooms["app"] <= MOST_LINES["app"]
    assert {name: size for name, size in rooms.items() if size > MOST_LINES["room"]} == {}
    assert {name: size for name, size in sizes.items() if size > MOST_LINES["file"]} == {}


@pytest.mark.parametrize("folder", [PACKAGE, "scripts"])
def test_no_function_is_long(folder):
    long = {
        f"{path.relative_to(ROOT)}:{node.name}": node.end_lineno - node.lineno + 1
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.end_lineno
        if node.end_lineno - node.lineno + 1 > MOST_LINES["function"]
    }
    assert long == {}


def test_a_module_that_a_text_names_is_there():
    """CHANGELOG.md, which tells of earlier versions, and tests may name what is not there."""
    named = re.compile(r"(?<![\w/.])(?:tests|scripts|voxgan_jax|configs)/[\w/]+\.py\b")
    texts = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    for folder in (PACKAGE, "scripts", "configs"):
        texts += (ROOT / folder).rglob("*.py")
    found = [(path, name) for path in texts for name in named.findall(path.read_text("utf-8"))]
    assert len(found) > 20
    assert [(str(path), name) for path, name in found if not (ROOT / name).is_file()] == []
