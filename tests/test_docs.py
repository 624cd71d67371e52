"""The pages of docs: nothing public and no field is left out, and the site has every page."""

import ast
import json
import re

import pytest
from conftest import ROOT
from flax.traverse_util import flatten_dict

from scripts.lib import api_pages

DOCS = ROOT / "docs"
_ROW = re.compile(r"^\| `([\w.]+)` \| `([^`]+)` \|", re.MULTILINE)


def test_every_room_is_a_folder_of_the_package_and_every_folder_a_room():
    package = ROOT / "voxgan_jax"
    folders = {path.parent.name for path in package.glob("*/__init__.py")}
    assert folders == set(api_pages.ROOMS)


def test_the_api_has_every_public_module():
    found = {
        name
        for path in (DOCS / "api").glob("*.md")
        for name in re.findall(r"^::: ([\w.]+)$", path.read_text(), re.MULTILINE)
    }
    package = ROOT / "voxgan_jax"
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in package.rglob("*.py")
        if not path.stem.startswith("_")
    }
    assert modules <= found, "give: python -m scripts.lib.api_pages write"
    assert len(modules) > 70


def test_the_api_pages_are_as_they_would_be_written():
    texts = api_pages.pages()
    assert {path.name for path in api_pages.PAGES.glob("*.md")} == set(texts)
    for name, text in texts.items():
        again = "give: python -m scripts.lib.api_pages write"
        assert (api_pages.PAGES / name).read_text() == text, again


def test_public_names_of_a_module(tmp_path):
    path = tmp_path / "module.py"
    path.write_text(
        "import numpy\nA = 1\nB, _C = 2, 3\nd: int = 4\n\n"
        "def e():\n    f = 5\n\n\ndef _g():\n    pass\n\n\nclass H:\n    i = 6\n"
    )
    assert list(api_pages.public_names(path)) == ["A", "B", "d", "e", "H"]


def test_every_public_function_and_class_says_what_it_is():
    """A name in the API without a word beside it helps nobody."""
    silent = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in sorted((ROOT / "voxgan_jax").rglob("*.py"))
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert silent == []


def test_every_field_of_a_config_is_told_with_its_default():
    from configs import default

    fields = flatten_dict(default.get_config().to_dict(), sep=".")
    told = dict(_ROW.findall((DOCS / "configs.md").read_text()))
    assert told.keys() == fields.keys()
    assert {name: ast.literal_eval(value) for name, value in told.items()} == fields


def test_every_config_is_told():
    text = (DOCS / "train.md").read_text()
    for path in (ROOT / "configs").glob("*.py"):
        assert f"configs/{path.name}" in text


def test_every_field_of_the_report_is_told():
    schema = json.loads((DOCS / "report.schema.json").read_text())
    text = (DOCS / "formats.md").read_text()
    missing = [name for name in _properties(schema) if f"`{name}`" not in text]
    assert missing == []


def _properties(schema):
    """The names of all fields, of those within others, too."""
    for name, inner in schema.get("properties", {}).items():
        yield name
        yield from _properties(inner)
        yield from _properties(inner.get("items", {}))


def test_iou_is_explained_before_conservators_meet_it():
    text = (DOCS / "restore.md").read_text()
    assert text[text.index("IoU") :].startswith("IoU* (intersection over union). Lay")


def test_every_page_is_in_the_site_s_navigation():
    text = (ROOT / "mkdocs.yml").read_text()
    listed = re.findall(r"([\w/]+\.md)$", text[text.index("\nnav:") :], re.MULTILINE)
    assert sorted(listed) == sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))


@pytest.mark.parametrize("setting", ["font: false", "- offline"])
def test_the_site_asks_for_nothing_from_a_network(setting):
    assert setting in (ROOT / "mkdocs.yml").read_text()
