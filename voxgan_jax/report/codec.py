"""Records as JSON and back; a record is a dataclass or a named tuple.

A field that is None by default is left out of the JSON where it is None. What is said of a field
stands in its type, `Annotated[float, "outside, the greatest"]`, and so in the schema
(scripts/lib/report_schema.py).
"""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Literal

_JSON: dict[Any, Any] = {float: (int, float), tuple: (list, tuple)}
"""What stands in JSON for values of these types."""

_MOST = 1e15


def plain(value: Any) -> Any:
    """A record as JSON's objects, arrays, strings and numbers."""
    if parts := parts_of(type(value)):
        found = {name: getattr(value, name) for name in parts}
        return {
            name: plain(part)
            for name, part in found.items()
            if part is not None or not left_out(type(value), name)
        }
    if isinstance(value, Mapping):
        return {name: plain(part) for name, part in value.items()}
    return list(map(plain, value)) if isinstance(value, (list, tuple)) else value


def read(kind: Any, value: Any) -> Any:
    """What `plain` made of a value of this type; keys that the type does not know are left out.

    Raises:
        ValueError: anything in it is not of its type, is missing, or is a number beyond reason.
    """
    kind, _, optional = kind_of(kind)
    if value is None and optional:
        return None
    parts, inner = parts_of(kind), typing.get_args(kind)
    origin = typing.get_origin(kind) or kind
    json = Mapping if parts else _JSON.get(origin, origin)
    if origin is Literal:
        json = str
    if not isinstance(value, json) or isinstance(value, bool) != (kind is bool):
        raise ValueError(f"{value!r:.60} is not of the type {kind}")
    if isinstance(value, (int, float)) and not abs(value) <= _MOST:
        raise ValueError(f"{value!r:.60} is too great a number")
    if origin is Literal and value not in inner:
        raise ValueError(f"{value!r:.60} is none of {inner}")
    found: Any = value
    if parts:
        missing = [name for name in parts if name not in found and not left_out(kind, name)]
        if missing:
            raise ValueError(f"there is no {', '.join(missing)}")
        return kind(**{name: read(parts[name], found[name]) for name in parts if name in found})
    if origin is tuple:
        kinds = inner[:1] * len(found) if inner[-1] is ... else inner
        return tuple(read(*pair) for pair in zip(kinds, found, strict=True))
    return found


def parts_of(kind: Any) -> dict[str, Any]:
    """The names and types of a record's fields; of anything else there are none."""
    if dataclasses.is_dataclass(kind) or hasattr(kind, "_fields"):
        return typing.get_type_hints(kind, include_extras=True)
    return {}


def left_out(kind: Any, name: str) -> bool:
    """Whether a field is left out of the JSON where it is None."""
    return getattr(kind, name, dataclasses.MISSING) is None


def kind_of(kind: Any) -> tuple[Any, str, bool]:
    """The type of a field, what is said of it, and whether it may be None."""
    said = ""
    if typing.get_origin(kind) is Annotated:
        kind, said = typing.get_args(kind)
    if isinstance(kind, types.UnionType):
        (kind,) = (part for part in typing.get_args(kind) if part is not types.NoneType)
        return kind, said, True
    return kind, said, False
