"""Templates of HTML and SVG, filled in: whatever is put into one is escaped."""

import base64
import functools
import hashlib
import importlib.resources
import json
from typing import Any

import jinja2
from markupsafe import Markup

from voxgan_jax import language

_ROOMS = ("drawing", "report", "app")
_WORDS = ('"Sort by"', "} of ${", "} voxels`", '"Copied."', '"Now press Ctrl-C or Cmd-C."')
"""English in scripts and styles, with what stands around it."""


def render(name: str, **values: Any) -> str:
    """The text of a template in the folder `templates` of a room.

    Raises:
        jinja2.UndefinedError: it asks for a value that was not given.
    """
    return _environment().get_template(name).render(values)


def asset(name: str) -> Markup:
    """A file of the package's folder `viewer`, in the language that is spoken."""
    folder = importlib.resources.files("voxgan_jax") / "viewer"
    found = (folder / name).read_text(encoding="utf-8")
    for words in _WORDS:
        found = found.replace(words, language.told(words))
    return Markup(found)


def digest(name: str) -> str:
    """By what a Content-Security-Policy knows an asset that is a page's script."""
    return f"sha256-{base64.b64encode(hashlib.sha256(asset(name).encode()).digest()).decode()}"


def script_json(value: Any) -> Markup:
    """JSON that may stand in a script element, whatever its strings hold."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for sign in "<\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


def _fixed(value: float, digits: int = 2) -> str:
    return f"{value:.{digits}f}"


@jinja2.pass_context  # Else what is constant would stay in the language of the first page.
def _told(_: Any, english: str) -> str:
    """In the language that is spoken; English that is not known again is marked as such."""
    found = language.known(english)
    if found is None:
        return Markup('<span lang="en">{}</span>').format(english)
    return Markup(found) if isinstance(english, Markup) else found


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [jinja2.PackageLoader("voxgan_jax", f"{room}/templates") for room in _ROOMS]
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"fixed": _fixed, "script_json": script_json, "told": _told}
    environment.globals |= {"asset": asset, "digest": digest, "spoken": language.SPOKEN.get}
    return environment
