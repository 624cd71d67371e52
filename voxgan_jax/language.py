"""The language of pages and drawings: English, or what a catalogue says for the English.

All is made in English and known again by the text of the catalogue, `texts/LANGUAGE.json`, that it
fits, so that code and templates read as the page does.
"""

import contextvars
import functools
import importlib.resources
import json
import re
from collections.abc import Callable
from typing import Any

LANGUAGES = ("en", "de", "es", "zh")
"""By their codes in HTML; the first needs no catalogue."""

SPOKEN = contextvars.ContextVar("SPOKEN", default="en")
"""The language of pages and drawings in this thread."""

_NUMBER = re.compile(r"(Ø )?[-+]?\d([-+\d.× e]*\d)?( ?(mm|cm|m|l|ml|%|°))?")
_KEPT = re.compile(
    r"ending=[\w.]+|error=.+|(digest|file|model|name|unit)s?=([^;:]|&#?\w+;)+(?<!\.)"
)
"""What stands in English by these names is of no language; it is no other sentence."""


def speaking(language: str, make: Callable[..., Any], *given: Any) -> Any:
    """What a function makes of what is given, its pages and drawings in one of LANGUAGES."""
    context = contextvars.copy_context()
    context.run(SPOKEN.set, language)
    return context.run(make, *given)


def told(english: str) -> str:
    """English in the language that is spoken; what fits no text of the catalogue stays."""
    return known(english) or english


def known(english: str) -> str | None:
    """As `told`, but None where no text fits.

    White space counts as one blank. What stands for a name in braces is a number, or fits a text.
    """
    language = SPOKEN.get()
    if not english or language == "en":
        return english
    return _known(" ".join(str(english).replace("&#39;", "'").split()), language)


@functools.lru_cache(maxsize=4096)
def _known(english: str, language: str) -> str | None:
    if english in texts(language):
        return texts(language)[english]
    if _NUMBER.fullmatch(english):
        return english.replace(".", ",") if language in ("de", "es") else english
    for pattern, text in _patterns(language):
        if found := pattern.fullmatch(english):
            given = found.groupdict().items()
            kept = {name for name, part in given if _KEPT.fullmatch(f"{name}={part}")}
            parts = {n: part if n in kept else _known(part, language) for n, part in given}
            if None not in parts.values():
                return text.format(**parts)
    # A sentence begins with a capital, and its text may not.
    inner = english[:1].lower() + english[1:]
    found = None if inner == english else _known(inner, language)
    return found and found[:1].upper() + found[1:]


@functools.cache
def texts(language: str) -> dict[str, str]:
    """All texts of a language by the English ones, both with the same names in braces."""
    file = importlib.resources.files("voxgan_jax") / "texts" / f"{language}.json"
    return json.loads(file.read_text(encoding="utf-8"))


@functools.cache
def _patterns(language: str) -> list[tuple[re.Pattern[str], str]]:
    """What texts with names in braces look like filled in; first those that say most themselves."""
    names = re.compile(r"\\{(\w+)\\}")
    pairs = [pair for pair in texts(language).items() if "{" in pair[0]]
    pairs.sort(key=lambda pair: -len(re.sub(r"\{\w+\}", "", pair[0])))
    return [(re.compile(names.sub(r"(?P<\1>.+?)", re.escape(key))), text) for key, text in pairs]
