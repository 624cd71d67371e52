"""A profile drawn as archaeologists draw pots: the wall in section left, the outside right.

All lengths are mm of the pot, y down from the rim; where no scale is known they are written in
voxels, of which one is drawn as 1 mm. What the sherd shows is black and drawn in full
lines; what is inferred is hatched and dashed. `currentColor` is the only ink, so the drawing takes
the colour of the page it stands in.
"""

import hashlib
import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool

from voxgan_jax.report import outline as section_lines
from voxgan_jax.report import profile as section
from voxgan_jax.report.outline import Points
from voxgan_jax.report.profile import Profile


def svg(
    profile: Profile,
    found: Mapping[str, Any],
    title: str = "Section and outside of the restored pot",
    *,
    scaled: bool = True,
) -> str:
    """The drawing as SVG text, in mm, with title and description, for inline use or a file.

    Args:
        found: the profile's measures.
        scaled: whether a size in mm is known.
    """
    wall, known = section_lines.fields(profile)
    outline = [
        section_lines.half(path)
        for path in section_lines.contours(section_lines.mirrored(wall), profile)
    ]
    outline = [path for path in outline if len(path) > 3]
    if not outline:
        return _nothing(title)
    top = max(float(path[:, 1].max()) for path in outline)
    width = max(float(path[:, 0].max()) for path in outline)
    unit = max(top, 2 * width) / 100
    sherd = [
        section_lines.half(path)
        for path in section_lines.contours(section_lines.mirrored(np.minimum(wall, known)), profile)
    ]
    edges = [section_lines.edge_of(path, profile.step_mm) for path in outline]
    rim = max(edges, key=lambda edge: edge[-1, 1])[-1, 0]
    body = [
        _path("inferred", outline, top, mirror=True, closed=True),
        _path("given", sherd, top, mirror=True, closed=True),
        *_outside(profile, edges, top),
        f'<path class="fine" d="M0 {-3.2 * unit:.2f}V{top + 3.2 * unit:.2f}"/>',
        f'<path class="line" d="M{-rim:.2f} 0H{rim:.2f}"/>',
        *_notes(found, top, width, unit, scaled),
    ]
    text = "\n".join(body)
    name = "s" + hashlib.sha256(text.encode()).hexdigest()[:10]
    side = width + 4 * unit
    box = (-side, -9 * unit, 2 * side, top + (27 if scaled else 32) * unit)
    view = " ".join(f"{value:.2f}" for value in box)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="section" role="img" id="{name}"'
        f' aria-labelledby="{name}-t" aria-describedby="{name}-d" viewBox="{view}"'
        f' width="{box[2]:.2f}mm" height="{box[3]:.2f}mm" fill="none" stroke="currentColor"'
        ' stroke-linejoin="round" font-family="Helvetica, Arial, sans-serif"'
        f' font-size="{3.2 * unit:.3f}">\n'
        f'<title id="{name}-t">{html.escape(title)}</title>\n'
        f'<desc id="{name}-d">{html.escape(_said(profile, found, scaled))}</desc>\n'
        f"<defs>{_style(name, unit)}{_hatch(name, unit)}</defs>\n{text}\n</svg>\n"
    )


def _nothing(title: str) -> str:
    """What stands in place of the drawing of something that is not round at any height."""
    said = "It is not round at any height, so it has no section."
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" class="section" role="img" viewBox="0 0 120 16"'
        ' width="120.00mm" height="16.00mm" font-family="Helvetica, Arial, sans-serif"'
        f' font-size="4.4"><title>{html.escape(title)}</title><desc>{said}</desc>'
        f'<text x="0" y="10" fill="currentColor">{said}</text></svg>\n'
    )


def _style(name: str, unit: float) -> str:
    """The drawing's own classes; its id keeps them off other drawings on the page."""
    rules = {
        "inferred": f"fill:url(#{name}-h);stroke-width:{0.3 * unit:.3f}",
        "given": "fill:currentColor;stroke:none",
        "ghost": f"stroke-dasharray:{1.5 * unit:.3f} {1.1 * unit:.3f};"
        f"stroke-width:{0.3 * unit:.3f};stroke-opacity:.75",
        "edge": f"stroke-width:{0.45 * unit:.3f}",
        "line": f"stroke-width:{0.25 * unit:.3f}",
        "sherd": f"fill:currentColor;fill-opacity:.13;stroke-width:{0.35 * unit:.3f}",
        "fine": f"stroke-width:{0.22 * unit:.3f}",
        "full": "fill:currentColor;stroke:none",
        "bar": f"stroke-width:{0.22 * unit:.3f}",
        "key": f"stroke-width:{0.22 * unit:.3f}",
    }
    return (
        "<style>"
        + "".join(f"#{name} .{key}{{{rule}}}" for key, rule in rules.items())
        + f"#{name} text{{fill:currentColor;stroke:none}}</style>"
    )


def _hatch(name: str, unit: float) -> str:
    size = 1.15 * unit
    return (
        f'<pattern id="{name}-h" width="{size:.3f}" height="{size:.3f}"'
        ' patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        f'<path d="M0 0V{size:.3f}" stroke-width="{0.36 * unit:.3f}" stroke-opacity=".8"/>'
        "</pattern>"
    )


def _path(
    name: str, lines: Sequence[Points], top: float, *, mirror: bool = False, closed: bool = False
) -> str:
    """Lines of (radius, height) as one path; mirrored ones lie left of the centre line."""
    sign = -1 if mirror else 1
    parts = []
    for line in lines:
        if len(line) < 2:
            continue
        text = "L".join(f"{sign * x:.2f} {top - y:.2f}" for x, y in line)
        parts.append(f"M{text}{'Z' if closed else ''}")
    rule = ' fill-rule="evenodd"' if closed else ""
    return f'<path class="{name}"{rule} d="{"".join(parts)}"/>' if parts else ""


def _outside(profile: Profile, edges: Sequence[Points], top: float) -> list[str]:
    """The right half: the edges, the lines that run round, and the sherd where it shows."""
    parts = []
    for edge in edges:
        shown = np.interp(edge[:, 1], profile.heights, profile.seen.any(axis=1)) > 0.5
        parts += [_path("ghost", [edge], top), _path("edge", _runs(edge, shown), top)]
        parts += [
            f'<path class="{"line" if shown[place] else "ghost"}"'
            f' d="M0 {top - edge[place, 1]:.2f}H{edge[place, 0]:.2f}"/>'
            for place in [0, *section_lines.turns(edge, profile.step_mm)]
        ]
    every = np.concatenate(edges)
    parts.append(_path("sherd", section_lines.patch(profile, every), top, closed=True))
    return parts


def _runs(line: Points, chosen: Bool[np.ndarray, "_"]) -> list[Points]:
    """The stretches of a line whose points are chosen."""
    ends = np.flatnonzero(np.diff(np.concatenate([[0], chosen.astype(int), [0]])))
    return [line[start:end] for start, end in ends.reshape(-1, 2) if end - start > 1]


def _notes(
    found: Mapping[str, Any], top: float, width: float, unit: float, scaled: bool
) -> list[str]:
    """The rim's diameter, the scale bar, and what black and hatching mean."""
    foot = top + 8 * unit
    bar, part = _scale(2 * width)
    cells = [
        f'<path class="{"full" if index % 2 == 0 else "bar"}" d="M{index * part - bar:.2f}'
        f' {foot:.2f}h{part:.2f}v{1.3 * unit:.2f}h{-part:.2f}Z"/>'
        for index in range(round(bar / part))
    ]
    low = foot + 4.8 * unit
    words = (("given", "from the sherd"), ("inferred", "inferred"))
    keys = []
    for index, (name, word) in enumerate(words):
        y = foot - 0.6 * unit + index * 4.6 * unit
        keys.append(
            f'<path class="{name}" d="M{3 * unit:.2f} {y:.2f}h{4 * unit:.2f}v{2.6 * unit:.2f}'
            f'h{-4 * unit:.2f}Z"/><text x="{8.4 * unit:.2f}" y="{y + 2.2 * unit:.2f}">{word}</text>'
        )
    return [
        f'<text x="{1.6 * unit:.2f}" y="{-4.2 * unit:.2f}">⌀'
        f" {_length(found['rim_diameter_mm'], scaled)}</text>",
        *cells,
        f'<path class="bar" d="M{-bar:.2f} {foot:.2f}h{bar:.2f}v{1.3 * unit:.2f}h{-bar:.2f}Z"/>',
        f'<text x="{-bar:.2f}" y="{low:.2f}">0</text>',
        f'<text x="0" y="{low:.2f}" text-anchor="end">{_length(bar, scaled, "g")}</text>',
        f'<g class="legend">{"".join(keys)}</g>',
        *([] if scaled else [_no_scale(width, low + 7 * unit)]),
    ]


def _no_scale(width: float, y: float) -> str:
    """What the drawing says of its own size."""
    return f'<text class="scale" x="{-width:.2f}" y="{y:.2f}">{section.NO_SCALE}</text>'


def _length(size: float, scaled: bool, form: str = ".1f") -> str:
    """A length in cm, or in voxels where one is taken as 1 mm."""
    return f"{size / 10:{form}} cm" if scaled else f"{size:{form}} voxels"


def _scale(width: float) -> tuple[float, float]:
    """The length of the scale bar in mm, 1, 2 or 5 of a decade, and of its parts."""
    decade = 10 ** np.floor(np.log10(max(width, 1e-6) / 2))
    first = next(size for size in (5, 2, 1) if size * decade <= width / 2)
    return float(first * decade), float(first * decade / (5 if first == 5 else 2))


def _said(profile: Profile, found: Mapping[str, Any], scaled: bool) -> str:
    known = np.isfinite(profile.outer)
    share = 100 * float((profile.given[known] > 0).mean())
    height, rim = (_length(found[f"{name}_mm"], scaled) for name in ("height", "rim_diameter"))
    return (
        f"Half section left, outside right. Height {height}, rim diameter {rim}."
        f" The sherd shows the wall at {share:.0f} % of the height, drawn black; the rest,"
        " hatched, is inferred." + ("" if scaled else f" Sizes: {section.NO_SCALE}.")
    )
