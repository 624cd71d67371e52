"""A section drawing as DXF for CAD: mm of the pot, the base at 0, the centre line at x = 0.

By ezdxf, which comes with the extra `drawing`.
"""

import io

import numpy as np

from voxgan_jax.drawing import plan
from voxgan_jax.drawing.plan import Plan

_CAPITAL = 0.7
"""DXF tells a text's size by its capital letters: this share of the letters' size."""
_GREY = 8
_ANSI31 = 3.175
"""So far apart are the lines of the hatching that DXF calls ANSI31."""


def require() -> None:
    """Load ezdxf.

    Raises:
        ModuleNotFoundError: it is not installed; the text says what to type.
    """
    try:
        import ezdxf  # noqa: F401
    except ModuleNotFoundError as error:
        message = "DXF needs the package ezdxf: pip install 'voxgan_jax[drawing]'"
        raise ModuleNotFoundError(message) from error


def dxf(drawn: Plan) -> str:
    """A drawing as the text of a DXF file (R2010), its layers called as `plan.LAYERS`.

    Raises:
        ModuleNotFoundError: ezdxf is not installed (`require`).
    """
    require()
    from ezdxf.enums import TextEntityAlignment
    from ezdxf.filemanagement import new

    mm = drawn.mm
    made = new("R2010", units=4)
    dash, gap = (part * mm for part in plan.DASH)
    made.linetypes.add("INFERRED", [dash + gap, dash, -gap], description="inferred __ __ __")
    made.styles.add("LETTERS", font="arial.ttf")
    for layer in plan.LAYERS:
        made.layers.add(layer)
    space = made.modelspace()
    base = max(
        (line[:, 1].max() for kind, lines in drawn.shapes if kind == "inferred" for line in lines),
        default=0.0,
    )
    upright = np.array([1, -1]), np.array([0, base])
    for kind, lines in drawn.shapes:
        pen = plan.PENS[kind]
        look = {"layer": pen.layer, "lineweight": round(100 * pen.width) or 13}
        look["color"] = _GREY if kind == "spread" else 256
        points = [line * upright[0] + upright[1] for line in lines]
        if pen.fill in ("solid", "hatch"):
            hatch = space.add_hatch(color=7, dxfattribs={"layer": pen.layer})
            if pen.fill == "hatch":
                hatch.set_pattern_fill("ANSI31", scale=plan.HATCH * mm / _ANSI31)
            for line in points:
                hatch.paths.add_polyline_path(line, is_closed=True)
        if pen.width:
            style = {"linetype": "INFERRED"} if pen.dashed else {}
            for line in points:
                space.add_lwpolyline(line, close=pen.closed, dxfattribs=look | style)
    anchors = {"start": TextEntityAlignment.LEFT, "middle": TextEntityAlignment.CENTER}
    for word in drawn.words:
        look = {"layer": word.layer, "style": "LETTERS", "rotation": 90 if word.upright else 0}
        text = space.add_text(word.text, height=_CAPITAL * plan.LETTERS * mm, dxfattribs=look)
        text.set_placement((word.x, base - word.y), align=anchors[word.anchor])
    file = io.StringIO()
    made.write(file)
    return file.getvalue()
