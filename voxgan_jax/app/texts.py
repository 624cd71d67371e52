"""The texts of the page in several languages, and its HTML.

A language is a file in `texts`, an object of texts by their keys; each has the keys of English.
"""

import functools
import importlib.resources
import json
import re

from voxgan_jax import render
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


def page(language: str) -> str:
    """The page in a language; it asks for the rest of what it shows."""
    return render.render("app.html.j2", language=language, t=catalogue(language).__getitem__)
