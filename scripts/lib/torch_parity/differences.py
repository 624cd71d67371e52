"""How far two sets of values lie apart, and a table of it."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from scripts.lib.torch_parity.traces import Values, normalised_away

_FORWARD = ("Outputs", "Activations", "Statistics after a pass", "Losses")
# The discriminator's statistics after a step are those of its updated parameters, too.
_BACKWARD = ("Gradients", "Statistics after 1 step", "Parameters after 1 Adam steps")
_BACKWARD += tuple(f"Parameters after {n} SGD steps" for n in (1, 2, 5))

TOLERANCES: dict[str, dict[str, float]] = {
    "float64": dict.fromkeys(_FORWARD, 1e-9) | dict.fromkeys(_BACKWARD, 1e-8),
    "float32": dict.fromkeys(_FORWARD, 1e-5),
    "bfloat16": {},
}
"""The relative L2 difference that a section may have; one that is not named is only reported."""


class Row(NamedTuple):
    """One difference: the largest of an element, and the L2 norm relative to PyTorch's.

    `rounding` is the relative one between PyTorch and PyTorch in float64, None where not known.
    """

    section: str
    name: str
    largest: float
    relative: float
    rounding: float | None


def compare(ours: Values, theirs: Values, exact: Values | None = None) -> list[Row]:
    """The differences in the order of `ours`.

    Args:
        theirs: PyTorch's values, to which differences are relative. A bias that batch norm takes
            out has no gradient to be relative to, so it is to that of its kernel.
        exact: PyTorch's values in float64.

    Raises:
        ValueError: the two do not hold the same things.
    """
    if set(ours) != set(theirs):
        alone = sorted(f"{section}: {name}" for section, name in set(ours) ^ set(theirs))
        raise ValueError(f"only one of the two frameworks has {', '.join(alone)}")
    rows = []
    for section, name in ours:
        mine, other = (np.asarray(values[section, name], np.float64) for values in (ours, theirs))
        length = max(_length(theirs[section, _reference(theirs, section, name)]), 1e-30)
        rounding = None if exact is None else _length(exact[section, name] - other) / length
        largest = float(np.abs(mine - other).max())
        rows.append(Row(section, name, largest, _length(mine - other) / length, rounding))
    return rows


def _length(array: Any) -> float:
    return float(np.linalg.norm(np.asarray(array, np.float64).ravel()))


def _reference(values: Values, section: str, name: str) -> str:
    """The name of that whose length a difference is divided by."""
    if section == "Gradients" and normalised_away(
        name, {key for part, key in values if part == section}
    ):
        kernel = f"{name.removesuffix('bias')}weight"
        return kernel if (section, kernel) in values else f"{kernel}_orig"
    return name


def over_tolerance(rows: Iterable[Row], tolerances: Mapping[str, float]) -> list[Row]:
    """The rows whose relative difference is above their section's tolerance, or is no number."""
    return [row for row in rows if not row.relative <= tolerances.get(row.section, np.inf)]


def summary(rows: Iterable[Row], tolerances: Mapping[str, float]) -> list[str]:
    """A Markdown table of the worst of each section."""
    worst: dict[str, Row] = {}
    for row in rows:
        known = worst.get(row.section)
        if known is None or not row.relative <= known.relative:
            worst[row.section] = row
    lines = [
        "| | max | relative L2 | tolerance | where | rounding there |",
        "|---|---|---|---|---|---|",
    ]
    for section, row in worst.items():
        limit = f"{tolerances[section]:.0e}" if section in tolerances else "reported"
        lines.append(
            f"| {section} | {row.largest:.1e} | {row.relative:.1e} | {limit} | {row.name} |"
            f" {_number(row.rounding)} |"
        )
    return lines


def table(rows: Iterable[Row]) -> list[str]:
    """A Markdown table of every row."""
    lines = ["| | | max | relative L2 | rounding |", "|---|---|---|---|---|"]
    for section, name, *numbers in rows:
        lines.append(f"| {section} | {name} | " + " | ".join(map(_number, numbers)) + " |")
    return lines


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1e}"
