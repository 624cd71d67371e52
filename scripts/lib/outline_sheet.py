"""Many pots' sections on one sheet."""

import pathlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

_ACROSS = 10
_INCHES, _DPI = 1.1, 75


def draw(outlines: Sequence[Float[np.ndarray, "_ 2"]], side: int, path: pathlib.Path) -> None:
    """Draw outlines, each (height, radius) in a cube of this side, as filled sections in rows."""
    from matplotlib import figure

    down = -(-len(outlines) // _ACROSS)
    sheet = figure.Figure(figsize=(_ACROSS * _INCHES, down * _INCHES), dpi=_DPI)
    axes = sheet.add_axes((0, 0, 1, 1))
    pitch = side * 1.1
    for number, line in enumerate(outlines):
        row, column = divmod(number, _ACROSS)
        x, y = (column + 0.5) * pitch, -(row + 0.05) * pitch
        height, radius = line.T
        both = np.concatenate([x + radius, x - radius[::-1]])
        down_both = y - np.concatenate([height, height[::-1]])
        axes.fill(both, down_both, color="0.3", linewidth=0)
    axes.set(xlim=(0, _ACROSS * pitch), ylim=(-down * pitch, 0), aspect="equal")
    axes.axis("off")
    sheet.savefig(path)
