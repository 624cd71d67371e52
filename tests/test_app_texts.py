"""The texts of `voxgan app`: in every language all of them, and none that nothing shows."""

import json
import re

import pytest
from conftest import ROOT

from voxgan_jax import render
from voxgan_jax.app import server, texts, work
from voxgan_jax.cli.main import main
from voxgan_jax.cli.parser import build_parser
from voxgan_jax.inference.answer import GIVEN, INFERRED, UNCERTAIN

FOLDER = ROOT / "voxgan_jax" / "app"
NAMES = re.compile(r"\{(\w+)\}")


def used():
    """The keys that template, scripts and worker name, and beginnings of those put together."""
    page = (FOLDER / "templates" / "app.html.j2").read_text()
    scripts = "".join(render.asset(name) for name in server.ASSETS if name.startswith("app"))
    worker = "".join((FOLDER / name).read_text() for name in ("work.py", "jobs.py"))
    whole = re.findall(r't\("(\w+)"\)|act\("\w+", "(\w+)"', page)
    keys = {key for pair in whole for key in pair if key}
    keys |= set(re.findall(r'(?:say\(|hint: )"(\w+)"', scripts))
    keys |= set(re.findall(r'"(step_\w+)"', worker))
    begun = set(re.findall(r"say\(`(\w+_)\$\{", scripts))
    return keys, begun


def test_every_language_has_every_text():
    english = texts.catalogue("en")
    assert len(english) > 80
    for language in texts.LANGUAGES:
        found = texts.catalogue(language)
        assert list(found) == list(english)
        for key, text in found.items():
            assert text.strip() == text != ""
            assert sorted(NAMES.findall(text)) == sorted(NAMES.findall(english[key])), key
        others = [key for key in english if found[key] == english[key]]
        assert language == "en" or len(others) < 5, others


def test_no_text_is_missing_and_none_is_unused():
    keys, begun = used()
    known = set(texts.catalogue("en"))
    assert keys - known == set()
    assert {key for key in known - keys if not key.startswith(tuple(begun))} == set()
    assert begun == {"part_", "label_", "measure_", "word_", "file_", "plain_", "slide_"}
    assert set(work.JOBS) == {"look", "restore"}


def test_texts_that_are_put_together_are_there():
    known = set(texts.catalogue("en"))
    labels = re.search(r"LABELS = (\{.*?\})", render.asset("app_stage.js"))
    assert labels
    found = {GIVEN: "given", INFERRED: "inferred", UNCERTAIN: "uncertain"}
    assert json.loads(re.sub(r"(\d): ", r'"\1": ', labels[1])) == {
        str(label): name for label, name in found.items()
    }
    assert {f"label_{name}" for name in found.values()} <= known
    ends = re.search(r"ENDS = \[(.*?)\]", render.asset("app_result.js"), re.S)
    assert ends and {f"file_{end.replace('.', '_')}" for end in json.loads(f"[{ends[1]}]")} <= known
    assert {f"part_{name}" for name in ("pot", "original", "missing", "hypothesis")} <= known
    assert {f"word_{word}" for word in ("high", "fair", "low")} <= known


@pytest.mark.parametrize(
    ("accepted", "told", "chosen"),
    [
        ("", None, "en"),
        ("de", None, "de"),
        ("fr-FR, es-MX;q=0.7, de;q=0.9", None, "de"),
        ("zh-Hant-TW", None, "zh"),
        ("de;q=0, es;q=x, *", None, "en"),
        ("de", "es", "es"),
    ],
)
def test_the_language_is_told_or_the_browser_s(accepted, told, chosen):
    assert texts.chosen(accepted, told) == chosen


def test_the_command_knows_the_languages():
    args = build_parser(main).parse_args(["app", "--lang", texts.LANGUAGES[-1]])
    assert args.lang == "zh"
    for language in texts.LANGUAGES:
        assert f'<html lang="{language}">' in texts.page(language)
        build_parser(main).parse_args(["app", "--lang", language])
