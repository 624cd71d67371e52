"""The JSON schema of a restored pot's report, which follows from voxgan_jax/report/record.py."""

import typing
from typing import Any, Literal

from voxgan_jax.report import codec, record

_NAMES = {str: "string", int: "integer", float: "number", bool: "boolean"}


def schema() -> dict[str, Any]:
    """The JSON schema of `NAME.json`, which is kept in docs/report.schema.json."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The report of a restored pot, as voxgan_jax writes it",
        **schema_of(record.Report),
    }


def schema_of(kind: Any, *, null: bool = True) -> dict[str, Any]:
    """The JSON schema of a type.

    Args:
        null: whether an optional value may stand there as null.
    """
    kind, said, nullable = codec.kind_of(kind)
    if parts := codec.parts_of(kind):
        optional = [name for name in parts if codec.left_out(kind, name)]
        found: dict[str, Any] = {
            "type": "object",
            "description": (kind.__doc__ or "").split("\n\n")[0],
            "properties": {
                name: schema_of(part, null=name not in optional) for name, part in parts.items()
            },
            "required": [name for name in parts if name not in optional],
            "additionalProperties": False,
        }
    elif typing.get_origin(kind) is tuple:
        inner = typing.get_args(kind)
        found = {"type": "array", "items": schema_of(inner[0])}
        if inner[-1] is not ...:
            found |= {"minItems": len(inner), "maxItems": len(inner)}
    elif typing.get_origin(kind) is Literal:
        found = {"type": "string", "enum": list(typing.get_args(kind))}
    else:
        found = {"type": _NAMES.get(kind, "object")}
    if nullable and null:
        found["type"] = [found["type"], "null"]
    return found | ({"description": said} if said else {})
