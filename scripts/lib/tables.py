"""Markdown tables, as every report writes them."""

from collections.abc import Iterable, Mapping, Sequence


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table of cells that are written out already."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def cell(value: Mapping[str, float | None], form: str = "{:.4f}") -> str:
    """A mean with its interval, if it has one, each number as `form` writes it."""
    mean, low, high = (
        "-" if value[name] is None else form.format(value[name]) for name in ("mean", "low", "high")
    )
    return mean if value["low"] is None else f"{mean} ({low} … {high})"
