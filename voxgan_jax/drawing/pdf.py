"""Section drawings as PDF: one on its page, or many on sheets of A4.

By Matplotlib with its own letters and those of `chinese.ttf`; a name in another script shows boxes.
"""

import io
import pathlib
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from voxgan_jax.drawing import plan
from voxgan_jax.drawing.figure import Figure
from voxgan_jax.drawing.plan import Plan
from voxgan_jax.drawing.svg import TIMES
from voxgan_jax.language import told

if TYPE_CHECKING:
    from matplotlib.axes import Axes

A4 = (210.0, 297.0)
_MARGIN = 15.0
_ROOM = A4[0] - 2 * _MARGIN, A4[1] - 2 * _MARGIN
_APART = 8.0
"""mm between the rows of a sheet."""
_FOOT = "Black: from the sherd. Hatched, dashed, in ( ): inferred, a guess and not a find."
_HATCHING = "//////"
"""So many make lines 1.0 mm apart, which is `plan.HATCH`."""
_INSIDE = {"solid": "black", "tint": ("black", plan.TINT)}
_CHINESE = "Droid Sans Fallback"
_POINT = 72 / 25.4
"""A mm in points."""


Placed = tuple[Plan, float, float]
"""A drawing on a page, and x and y of its left upper corner in mm from that of the paper."""


def single(figure: Figure | None, name: str, times: int | None = None) -> bytes:
    """A page with one drawing: A4, or as big as it has to be.

    Args:
        name: stands under the drawing.
        times: how many times smaller than the pot it is; None: as big as fits on A4 at a round
            scale.
    """
    plans = [plan.compose(figure, scale, name=name) for scale in ((times,) if times else TIMES)]
    fitting = (made for made in plans if np.less_equal(made.paper, _ROOM).all())
    made = next(fitting, plans[-1])
    wide, high = made.paper
    size = max(A4[0], wide + 2 * _MARGIN), max(A4[1], high + 2 * _MARGIN)
    return _written([[(made, (size[0] - wide) / 2, _MARGIN)]], size, name)


def sheet(drawings: Sequence[tuple[str, Figure]], times: int) -> bytes:
    """Pages of A4 with many drawings in rows, each with its name and scale bar.

    Args:
        drawings: names and figures, in the order in which they stand.
        times: how many times smaller than the pots they are.

    Raises:
        ValueError: one is bigger than a page.
    """
    rows: list[list[Plan]] = []
    left = 0.0
    for name, figure in drawings:
        made = plan.compose(figure, times, legend=False, name=name)
        wide, high = made.paper
        if wide > _ROOM[0] or high > _ROOM[1]:
            raise ValueError(f"{name}: bigger than a page of A4 at 1:{times}; give a smaller scale")
        if wide > left:
            rows.append([])
            left = _ROOM[0]
        rows[-1].append(made)
        left -= wide
    pages: list[list[Placed]] = []
    y = np.inf
    for row in rows:
        tall = max(made.paper[1] for made in row)
        if y + tall > _MARGIN + _ROOM[1]:
            pages.append([])
            y = _MARGIN
        gap = (_ROOM[0] - sum(made.paper[0] for made in row)) / (len(row) + 1)
        x = _MARGIN + gap
        for made in row:
            # What stands below the pots is level.
            pages[-1].append((made, x, y + tall - made.paper[1]))
            x += made.paper[0] + gap
        y += tall + _APART
    return _written(pages, A4, told(f"Sections 1:{times}"), told(_FOOT))


def _written(
    pages: Sequence[Sequence[Placed]], size: tuple[float, float], title: str, foot: str = ""
) -> bytes:
    """Pages of a size in mm; what is inside has its size on paper."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_pdf import PdfPages
    from matplotlib.figure import Figure as Page
    from matplotlib.font_manager import fontManager

    file = io.BytesIO()
    if _CHINESE not in fontManager.get_font_names():
        fontManager.addfont(pathlib.Path(__file__).with_name("chinese.ttf"))
    look: Any = {"pdf.fonttype": 42, "hatch.linewidth": plan.HATCH_PEN * _POINT}
    look["font.family"] = ["DejaVu Sans", _CHINESE]
    about = {"Title": title, "CreationDate": None}
    with rc_context(look), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        with PdfPages(file, metadata=about) as pdf:
            for number, placed in enumerate(pages, 1):
                page = Page(figsize=(size[0] / 25.4, size[1] / 25.4))
                axes = page.add_axes((0, 0, 1, 1), xlim=(0, size[0]), ylim=(size[1], 0))
                axes.set_axis_off()
                for each in placed:
                    _draw(axes, each)
                if foot:
                    text = f"{title}   {foot}   {number}/{len(pages)}"
                    _letters(axes, text, (size[0] / 2, size[1] - _MARGIN / 2), "middle")
                pdf.savefig(page)
    return file.getvalue()


def _draw(axes: "Axes", placed: Placed) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    made, *place = placed
    corner = np.array(place) - np.array(made.box[:2]) / made.mm
    shapes = sorted(made.shapes, key=lambda shape: plan.LAYERS.index(plan.PENS[shape[0]].layer))
    for kind, lines in shapes:
        pen = plan.PENS[kind]
        placed_lines = [line / made.mm + corner for line in lines]
        if pen.closed:
            placed_lines = [np.concatenate([line, line[:1]]) for line in placed_lines]
        whole = Path.make_compound_path(*(Path(line, closed=pen.closed) for line in placed_lines))
        width = pen.width * _POINT
        dashes = [part * _POINT / width for part in plan.DASH] if pen.dashed else []
        patch = PathPatch(
            whole,
            edgecolor=("black", pen.opacity) if pen.width else "none",
            facecolor=_INSIDE.get(pen.fill, "none"),
            hatch=_HATCHING if pen.fill == "hatch" else None,
            linewidth=width,
            linestyle=(0, dashes) if dashes else "solid",
            joinstyle="round",
        )
        axes.add_patch(patch)
    for word in made.words:
        x, y = np.array([word.x, word.y]) / made.mm + corner
        _letters(axes, word.text, (x, y), word.anchor, turned=90 if word.upright else 0)


def _letters(
    axes: "Axes", text: str, place: tuple[float, float], anchor: str, turned: int = 0
) -> None:
    axes.text(
        *(*place, text),
        fontsize=plan.LETTERS * _POINT,
        horizontalalignment={"start": "left", "middle": "center", "end": "right"}[anchor],
        rotation=turned,
        rotation_mode="anchor",
        parse_math=False,
        verticalalignment="baseline",
    )
