"""What `placements` measured, as tables and as curves."""

import itertools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scripts.lib.placement_cases import KINDS, TOLD
from scripts.lib.tables import table as markdown
from voxgan_jax.scan.pose import FAIR, HIGH

Rows = Sequence[Mapping[str, Any]]

SIZES = ((0.0, 0.08), (0.08, 0.15), (0.15, 1.01))
"""Shares of the pot's voxels between which sherds are told apart."""

_MEDIANS = {
    "axis °": ("angle", 1, "{:.1f}"),
    "axis mm": ("aside_mm", 1, "{:.1f}"),
    "Ø at the sherd %": ("at_sherd", 100, "{:.1f}"),
    "Ø at the rim %": ("at_rim", 100, "{:.1f}"),
    "pot's height %": ("tall", 100, "{:.1f}"),
    "wall near %": ("wall_near", 100, "{:.2f}"),
    "wall %": ("wall", 100, "{:.2f}"),
}


def table(rows: Rows) -> str:
    """A line for each kind and what was told, then by size: medians of errors without their sign,
    then how often the right end is up, and means of the IoU and of what is lost of it."""
    groups = []
    for kind in KINDS:
        own = [row for row in rows if row["kind"] == kind]
        groups += [(f"{kind}, {told}", _of(own, told=told)) for told in TOLD]
        nothing = _of(own, told="nothing")
        groups.append((f"{kind}, nothing, with rim", [row for row in nothing if row["rim"]]))
        for low, high in SIZES:
            part = [row for row in nothing if low <= row["share"] < high]
            name = f"{100 * low:.0f}–{min(100 * high, 100):.0f} % of the pot"
            groups.append((f"{kind}, nothing; {name}", part))
    heads = ["sherds", "number", *_MEDIANS, "right end up", "IoU", "lost", "s"]
    return markdown(heads, [_line(name, part) for name, part in groups if part])


def _of(rows: Rows, **values: Any) -> list[Mapping[str, Any]]:
    return [row for row in rows if all(row[name] == value for name, value in values.items())]


def _line(name: str, part: Rows) -> list[str]:
    placed = [row for row in part if "iou" in row]
    count = str(len(part)) if len(placed) == len(part) else f"{len(placed)} of {len(part)}"
    cells = [name, count]
    for key, factor, form in _MEDIANS.values():
        values = [abs(row[key]) for row in placed if row[key] is not None]
        cells.append(form.format(factor * np.median(values)) if values else "")
    if not placed:
        return [*cells, "", "", "", ""]
    means = {key: np.mean([row[key] for row in placed]) for key in ("up", "iou", "lost", "seconds")}
    up, iou, lost, seconds = means.values()
    return [*cells, f"{100 * up:.0f} %", f"{iou:.3f}", f"{lost:.3f}", f"{seconds:.1f}"]


def calibration(rows: Rows) -> str:
    """How often a placement is right, by how sure it is said to be."""
    lines = []
    for kind in KINDS:
        placed = [row for row in rows if row["kind"] == kind and "iou" in row]
        for word, low, high in (("high", HIGH, 1.01), ("fair", FAIR, HIGH), ("low", 0, FAIR)):
            part = [row for row in placed if low <= row["confidence"] < high]
            if part:
                right = np.mean([abs(row["scale"]) < 0.1 and row["up"] for row in part])
                said = np.mean([row["confidence"] for row in part])
                lines.append([f"{kind}, {word}", str(len(part)), f"{said:.2f}", f"{right:.2f}"])
    return markdown(["confidence", "placements", "mean", "right"], lines)


def figure(rows: Rows, path: pathlib.Path, before: Rows = ()) -> None:
    """The share of sherds below each error of the axis, and below each loss of IoU.

    Args:
        before: the same of other code, drawn paler.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    drawn, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    drawn_rows = ((rows, "", 1.0), (before, ", before", 0.4))
    styles = dict(zip(KINDS, ("-", ":"), strict=True))
    for kind, told, (some, when, alpha) in itertools.product(KINDS, TOLD, drawn_rows):
        part = [row for row in _of(some, kind=kind, told=told) if "iou" in row]
        if part:
            share = (np.arange(len(part)) + 1) / len(part)
            look = {"where": "post", "label": f"{kind}, {told}{when}", "ls": styles[kind]}
            look |= {"c": f"C{TOLD.index(told)}", "alpha": alpha}
            if "axis" not in told:
                left.step(np.sort([row["angle"] for row in part]), share, **look)
            right.step(np.sort([row["lost"] for row in part]), share, **look)
    left.set(xlabel="error of the axis (degrees)", ylabel="share of sherds", xlim=(0, 30))
    right.set(xlabel="IoU lost to the placement", xlim=(-0.1, 0.8))
    for axes in (left, right):
        axes.set_ylim(0, 1)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(fontsize=7, frameon=False, loc="lower right")
    drawn.savefig(path, dpi=150)
    pyplot.close(drawn)
