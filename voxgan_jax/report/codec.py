"""Records as JSON and back, and their JSON schema; a record is a dataclass or a named tuple.

A field that is None by default is left out of the JSON where it is None. What is said of a field
stands in its type, `Annotated[float, "outside, the greatest"]`, and so in the schema.
"""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Annotated, Any

_NAMES = {str: "string", int: "integer", float: "number"}


def plain(value: Any) -> Any:
    """A record as JSON's objects, arrays, strings and numbers."""
    if parts := _parts(type(value)):
        found = {name: getattr(value, name) for name in parts}
        return {
            name: plain(part)
            for name, part in found.items()
            if part is not None or not _left_out(type(value), name)
        }
    if isinstance(value, Mapping):
        return {name: plain(part) for name, part in value.items()}
    return list(map(plain, value)) if isinstance(value, (list, tuple)) else value


def read(kind: Any, value: Any) -> Any:
    """What `plain` made of a value of this type; keys that the type does not know are left out.

    Raises:
        TypeError, AttributeError, KeyError, ValueError: it is of no such type.
    """
    kind, _, optional = _kind(kind)
    if value is None and optional:
        return None
    found: Any = value
    if parts := _parts(kind):
        known = [name for name in parts if name in found]
        return kind(**{name: read(parts[name], found[name]) for name in known})
    if typing.get_origin(kind) is tuple:
        return tuple(read(typing.get_args(kind)[0], part) for part in found)
    return found


def schema(kind: Any, *, null: bool = True) -> dict[str, Any]:
    """The JSON schema of a type.

    Args:
        null: whether an optional value may stand there as null.
    """
    kind, said, optional = _kind(kind)
    if parts := _parts(kind):
        left_out = [name for name in parts if _left_out(kind, name)]
        found: dict[str, Any] = {
            "type": "object",
            "description": (kind.__doc__ or "").split("\n\n")[0],
            "properties": {
                name: schema(part, null=name not in left_out) for name, part in parts.items()
            },
            "required": [name for name in parts if name not in left_out],
            "additionalProperties": False,
        }
    elif typing.get_origin(kind) is tuple:
        found = {"type": "array", "items": schema(typing.get_args(kind)[0])}
    else:
        found = {"type": _NAMES.get(kind, "object")}
    if optional and null:
        found["type"] = [found["type"], "null"]
    return found | ({"description": said} if said else {})


def _parts(kind: Any) -> dict[str, Any]:
    """The names and types of a record's fields; of anything else there are none."""
    if dataclasses.is_dataclass(kind) or hasattr(kind, "_fields"):
        return typing.get_type_hints(kind, include_extras=True)
    return {}


def _left_out(kind: Any, name: str) -> bool:
    """Whether a field is left out of the JSON where it is None."""
    return getattr(kind, name, dataclasses.MISSING) is None


def _kind(kind: Any) -> tuple[Any, str, bool]:
    """The type of a field, what is said of it, and whether it may be None."""
    said = ""
    if typing.get_origin(kind) is Annotated:
        kind, said = typing.get_args(kind)
    if isinstance(kind, types.UnionType):
        (kind,) = (part for part in typing.get_args(kind) if part is not types.NoneType)
        return kind, said, True
    return kind, said, False
