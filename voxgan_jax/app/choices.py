"""What a conservator says of a sherd: checked, told to the model, and as a command to type."""

import pathlib
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from voxgan_jax.restore import arguments, files, naming
from voxgan_jax.scan import formats

Paths = Sequence[pathlib.Path]
Choices = dict[str, Any]
"""By the names in Python of the options of `voxgan complete`; what is not said is left out."""

_OF_ONE_SHERD = ("axis", "rim", "base", "body")
_OF_A_MESH = ("unit", "height_mm", "diameter_mm", *_OF_ONE_SHERD, "others")
_OF_VOXELS = ("voxel_mm",)
_FACTS = ("unit", "voxel_mm", "axis", "height_mm", "diameter_mm", "rim", "base", "place", "body")
"""In the order in which a command has them, so that the reports are the same to a byte."""

CLEARANCE_MM = 0.2
FORMATS = (*naming.USUAL, "pdf")
"""What is written: the drawing for print, too."""

_DIGITS = 3
_STRAIGHT = 0.08
"""Three points whose triangle is no higher than this share of its longest side say no plane."""


def checked(told: Any, path: pathlib.Path) -> Choices:
    """What may be chosen for a file, without what says nothing.

    Raises:
        ValueError, TypeError: no such choice for such a file, or a value that cannot be.
    """
    if not isinstance(told, Mapping):
        raise TypeError("choices are an object of JSON")
    known = (*(_OF_A_MESH if formats.is_mesh(path) else _OF_VOXELS), "hypotheses")
    if unknown := sorted(told.keys() - set(known)):
        raise ValueError(f"no choice {unknown[0][:40]!r} here; there are {', '.join(known)}")
    said = {name: told.get(name) for name in known}
    # By identity: a height of 0 is told, and wrong; but so many other pots are what is usual.
    nothing = {"hypotheses": 0}
    said = {k: v for k, v in said.items() if not (v is None or v is False or nothing.get(k) == v)}
    others = said.pop("others", None) or []
    if not isinstance(others, list) or not all(type(number) is int for number in others):
        raise TypeError("the other sherds of a pot are a list of their numbers")
    if others and (alone := sorted(said.keys() & set(_OF_ONE_SHERD))):
        raise ValueError(f"{', '.join(alone)}: told of one sherd; clear it, to restore several")
    found = arguments.checked(said)
    # As the command has it, so that both ask for the same.
    found |= {"axis": rounded(found["axis"])} if "axis" in found else {}
    return found | ({"others": sorted(set(others))} if others else {})


def facts(choices: Choices, path: pathlib.Path) -> dict[str, Any]:
    """The choices as `request.read_request` takes them.

    A scan that is dropped lies anyhow; only where both sizes are told would the model take it to
    lie as in its pot, unless it is told otherwise or of the axis, the rim or the base.
    """
    both = formats.is_mesh(path) and {"height_mm", "diameter_mm"} <= choices.keys()
    placed = choices.keys() & {"axis", "rim", "base"}
    told: dict[str, Any] = {name: choices.get(name) for name in _FACTS}
    told["place"] = bool(both and not placed and not choices.get("others"))
    told["axis"] = tuple(told["axis"]) if told["axis"] else None
    return told


def options(choices: Choices, path: pathlib.Path, others: Paths = (), lang: str = "en") -> Choices:
    """What the report says was asked for: as that of `command` does."""
    more = {"clearance_mm": CLEARANCE_MM, "hypotheses": choices.get("hypotheses", 0)}
    more |= {"lang": lang, "formats": list(FORMATS), "one_pot": files.named(others)}
    return files.asked(facts(choices, path) | more)


def without(choices: Choices, sherd: int) -> Choices:
    """The choices without one of the pot's other sherds, which was removed."""
    left = [number for number in choices.get("others", ()) if number != sherd]
    return {name: value for name, value in (choices | {"others": left}).items() if value != []}


def command(choices: Choices, path: pathlib.Path, others: Paths = (), lang: str = "") -> str:
    """The command that gives the same, to be typed; `others` are of the same pot."""
    words = ["voxgan", "complete", *map(str, (path, *others)), *(["--one-pot"] if others else [])]
    told = {name: value for name, value in choices.items() if name != "others"}
    for name, value in {**facts(choices, path), **told}.items():
        option = "--" + name.replace("_", "-")
        if name == "axis" and value:
            # So that a minus is not taken for another option.
            words.append(f"{option}=" + ",".join(f"{part:.10g}" for part in value))
        elif value is True:
            words.append(option)
        elif value:
            words += [option, f"{value:.10g}" if isinstance(value, float) else str(value)]
    words += ["--lang", lang] if lang else []
    return shlex.join([*words, "--formats", *FORMATS, "--out", "restored"])


def rim_axis(points: Any, middle: Sequence[float]) -> list[float]:
    """The direction of the pot's axis from base to rim, of three points on the sherd's rim.

    It is the normal of the plane through them that looks away from the sherd's middle: all of a
    sherd lies below its rim.

    Args:
        points: three of them, of the scan.
        middle: the sherd's, in the same coordinates.

    Raises:
        ValueError: they are no three points, lie in a line, or in one plane with the middle.
    """
    corners = np.asarray(points, float)
    if corners.shape != (3, 3) or not np.isfinite(corners).all():
        raise ValueError("click three points on the rim")
    sides = corners - np.roll(corners, 1, 0)
    normal = np.cross(sides[0], sides[1])
    longest = np.linalg.norm(sides, axis=1).max()
    if np.linalg.norm(normal) <= _STRAIGHT * longest**2:
        raise ValueError(
            "the three points lie almost in a line; choose points further apart along the rim"
        )
    normal /= np.linalg.norm(normal)
    away = float(normal @ (corners.mean(0) - np.asarray(middle, float)))
    if abs(away) <= 1e-3 * longest:
        raise ValueError("the sherd lies in the plane of these points; choose points on the rim")
    return rounded(np.sign(away) * normal)


def rounded(axis: Any) -> list[float]:
    """A direction, and a point if one is told, as the page and the command have them; a very long
    or short direction becomes 1 long."""
    parts = np.asarray(axis[:3], float)
    parts = parts if 0.1 <= np.abs(parts).max() <= 10 else parts / np.linalg.norm(parts)
    return [round(float(part), _DIGITS) + 0.0 for part in (*parts, *axis[3:])]


def taking(choices: Choices, place: Mapping[str, Any]) -> Choices:
    """The choices with which one of the next best places becomes the best: as the report has it
    typed (`sentences.typed`), what was said stays."""
    return {
        "axis": rounded(place["axis_direction"]),
        "height_mm": float(round(place["height_mm"])),
        "diameter_mm": float(round(place["diameter_mm"])),
    } | choices


def flipped(axis: Sequence[float]) -> list[float]:
    """An axis with its other end up; a point of it that was told stays."""
    return rounded([*(-part for part in axis[:3]), *axis[3:]])
