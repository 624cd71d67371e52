"""The texts of the page in several languages, and its HTML.

A language is a file in `texts`, an object of texts by their keys; each has the keys of English.
"""

import functools
import importlib.resources
import json
import re
from typing import Any

import jinja2

from voxgan_jax.language import LANGUAGES


@functools.cache
def catalogue(language: str) -> dict[str, str]:
    """All texts of a language."""
    folder = importlib.resources.files("voxgan_jax") / "app" / "texts"
    return json.loads((folder / f"{language}.json").read_text(encoding="utf-8"))


def chosen(accepted: str, told: str | None = None) -> str:
    """The language of the page.

    Args:
        accepted: what the browser says of its user's languages, the header Accept-Language.
        told: by the user; it goes before.
    """
    if told:
        return told
    wishes = []
    for part in accepted.lower().split(","):
        if found := re.fullmatch(r"\s*([a-z]+)(-[\w-]+)?\s*(;\s*q=(\d*\.?\d+))?\s*", part):
            wishes.append((float(found[4] or 1), found[1]))
    wishes.sort(key=lambda wish: -wish[0])
    return next((name for weight, name in wishes if weight and name in LANGUAGES), "en")


def page(language: str, **values: Any) -> str:
    """The page in a language; it asks for the rest of what it shows."""
    texts = catalogue(language)
    template = _environment().get_template("app.html.j2")
    return template.render(language=language, t=texts.__getitem__, **values)


@functools.cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("voxgan_jax", "app/templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
