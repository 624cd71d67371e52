"""What can be told when a sherd is restored, and what each may be: for Python and the command line.

Imports nothing heavy, as `voxgan --help` needs it.
"""

import functools
import math
import numbers
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from voxgan_jax.language import LANGUAGES
from voxgan_jax.restore.naming import MOST_HYPOTHESES

UNITS = ("mm", "cm", "m", "in")
UPS = ("x", "y", "z", "-x", "-y", "-z")
SCALES = ("1:1", "1:2", "1:3", "1:4", "1:5", "1:10")
"""Of drawings in print."""
RESOLUTIONS = (64, 128, 256)
"""The most that a `.vox` file holds is the last."""
MOST_BODIES = 100
"""Each has a hundredth of a scan's area at least."""
MOST_POOL = 8
"""With it a model of 64³ takes pots of 512 voxels a side, the most that are read."""


FACTS = ("unit", "voxel_mm", "up", "axis", "height_mm", "diameter_mm", "rim", "base")
FACTS += ("as_is", "place", "largest", "body")
"""How big a sherd is and how it lay in its pot, as `request.read_request` takes it."""


class Argument(NamedTuple):
    """What an argument may be, in words; what a value of it becomes, by a function that raises
    TypeError or ValueError where it is none; and how the text of a command line is read."""

    wanted: str
    take: Callable[[Any], Any]
    read: Callable[[str], Any] = str


def check(name: str, value: Any) -> Any:
    """A value of an argument in TABLE, as Python's own numbers, tuples and texts.

    Raises:
        TypeError: it is of a kind that says nothing here.
        ValueError: it is of the right kind, but not one that can be.
    """
    try:
        return _taken(name, value)
    except (TypeError, ValueError, OverflowError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name}={_short(value)}: give {TABLE[name].wanted}") from None


def checked(told: Mapping[str, Any]) -> dict[str, Any]:
    """All that is told, each by `check`; None says nothing where that is a default.

    Raises:
        TypeError, ValueError: as `check`, or where one contradicts another.
    """
    found = {
        name: value if value is None and name in _MAY_LACK else check(name, value)
        for name, value in told.items()
    }
    for one, other in _EITHER:
        if found.get(one) and found.get(other):
            raise ValueError(f"{one} and {other} contradict each other: give one of them")
    return found


def fineness(resolution: int | None, side: int) -> int:
    """How many voxels of the `.vox` file lie along one of the model's, of a cube of this side.

    Raises:
        ValueError: no whole number does.
    """
    if resolution is None:
        return 1
    if resolution % side:
        several = [str(known) for known in RESOLUTIONS if known % side == 0]
        raise ValueError(
            f"resolution {resolution}: the model's cube has {side} voxels a side;"
            + (f" give {' or '.join(several)}" if several else " leave it out")
        )
    return resolution // side


def from_text(name: str) -> Callable[[str], Any]:
    """The `type` of an option of argparse."""

    def read(text: str) -> Any:
        from argparse import ArgumentTypeError

        try:
            return _taken(name, TABLE[name].read(text))
        except (TypeError, ValueError, OverflowError):
            raise ArgumentTypeError(f"{text!r}: give {TABLE[name].wanted}") from None

    return read


def _taken(name: str, value: Any) -> Any:
    # NumPy's and JAX's numbers and arrays.
    return TABLE[name].take(value.tolist() if hasattr(value, "tolist") else value)


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return f"{text[:57]}…" if len(text) > 58 else text


def _of_kind(kind: type, value: Any) -> Any:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise TypeError
    return value


def _one_of(known: Sequence[str]) -> Argument:
    return Argument(
        f"one of {', '.join(known)}", lambda value: known[known.index(_of_kind(str, value))]
    )


def _number(value: Any) -> float:
    number = float(_of_kind(numbers.Real, value))
    if not math.isfinite(number):
        raise ValueError
    return number


def _between(low: float, high: float, wanted: str, *, above: bool = False) -> Argument:
    """A number from `low`, or above it, to `high`."""

    def take(value: Any) -> float:
        number = _number(value)
        if not low <= number <= high or (above and number == low):
            raise ValueError
        return number

    return Argument(wanted, take, float)


def _whole(value: Any, low: int, high: int) -> int:
    number = int(_of_kind(numbers.Integral, value))
    if not low <= number <= high:
        raise ValueError
    return number


def _count(low: int, high: int) -> Argument:
    return Argument(
        f"a whole number from {low} to {high}", lambda value: _whole(value, low, high), int
    )


def _axis(value: Any) -> tuple[float, ...]:
    found = tuple(map(_number, _several(value)))
    if len(found) not in (3, 6) or not 0 < sum(part * part for part in found[:3]) < math.inf:
        raise ValueError
    return found


def _fragments(value: Any) -> tuple[int, ...]:
    several = value if isinstance(value, Iterable) else [value]
    ids = tuple(_whole(number, 1, 255) for number in _several(several))
    if not ids:
        raise ValueError
    return ids


def _several(value: Any) -> Iterable[Any]:
    if isinstance(value, (str, bytes)):
        raise TypeError
    return iter(value)


def _path(value: Any) -> str:
    path = _of_kind(str, os.fspath(value))
    if not path or "\0" in path:
        raise ValueError
    return path


_SIZE = _between(0.0, 1e6, "a size in mm, above 0", above=True)
_FLAG = Argument("True or False", functools.partial(_of_kind, bool))
_PATH = Argument("a path", _path)

TABLE = {
    "unit": _one_of(UNITS),
    "up": _one_of(UPS),
    "scale": _one_of(SCALES),
    "lang": _one_of(LANGUAGES),
    "axis": Argument(
        "three numbers that are not all 0, as 0,0,1, or a point's three besides",
        _axis,
        lambda text: [float(part) for part in text.split(",")],
    ),
    **dict.fromkeys(("voxel_mm", "height_mm", "diameter_mm"), _SIZE),
    **dict.fromkeys(("rim", "base", "as_is", "place", "whole_cube", "largest", "mirrored"), _FLAG),
    "body": Argument(
        f"a whole number from 1 to {MOST_BODIES}, the largest body 1, or all",
        lambda value: value if value == "all" else _whole(value, 1, MOST_BODIES),
        lambda text: text if text == "all" else int(text),
    ),
    "fragment": _count(1, 255),
    "fragments": Argument("one or more whole numbers from 1 to 255", _fragments),
    "resolution": Argument(
        "64, 128 or 256",
        lambda value: RESOLUTIONS[RESOLUTIONS.index(_of_kind(numbers.Integral, value))],
        int,
    ),
    "hypotheses": _count(0, MOST_HYPOTHESES),
    "pool": _count(1, MOST_POOL),
    "threshold": _between(0.0, 1.0, "a probability from 0 to 1"),
    "clearance_mm": _between(0.0, 1e6, "a distance in mm, 0 or more"),
    "name": Argument("a text", functools.partial(_of_kind, str)),
    **dict.fromkeys(("sherd", "weights", "workdir"), _PATH),
    "out_dir": Argument("a folder's path, '.' for the one you are in", _path),
}
"""All of them, by their names in Python."""

_MAY_LACK = ("unit", "up", "axis", "voxel_mm", "height_mm", "diameter_mm", "fragments", "threshold")
_MAY_LACK += ("weights", "workdir", "body", "resolution", "scale")
_EITHER = (("as_is", "place"), ("largest", "body"), ("axis", "up"), ("weights", "workdir"))
