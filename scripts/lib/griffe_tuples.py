"""For the API's pages: constants of one line (`OK, FAULT = "ok", "fault"`) are each listed."""

import ast
from typing import Any

import griffe  # pyright: ignore[reportMissingImports]


class Tuples(griffe.Extension):
    """Adds to a module what is assigned to a tuple of names, which griffe passes over."""

    def on_module_members(self, *, node: Any, mod: griffe.Module, **_: Any) -> None:
        body = getattr(node, "body", [])
        for statement, after in zip(body, [*body[1:], None], strict=True):
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Tuple):
                for name, value in _pairs(statement):
                    known = griffe.Attribute(
                        name,
                        value=value,
                        lineno=statement.lineno,
                        endlineno=statement.end_lineno,
                        docstring=griffe.Docstring(_text(after)) if _text(after) else None,
                    )
                    mod.set_member(name, known)


def _pairs(statement: ast.Assign) -> list[tuple[str, str]]:
    """Each name and, where there is a value for each, the source text of its own."""
    (target,), value = statement.targets, statement.value
    names = [name.id for name in ast.walk(target) if isinstance(name, ast.Name)]
    if isinstance(value, ast.Tuple) and len(value.elts) == len(names):
        return [(name, ast.unparse(part)) for name, part in zip(names, value.elts, strict=True)]
    return [(name, ast.unparse(value)) for name in names]


def _text(statement: ast.stmt | None) -> str:
    """The docstring that stands after an assignment."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else ""
