"""How far the pots differ that a model drew for one sherd: their sizes and their outlines."""

from collections.abc import Sequence

import numpy as np

from voxgan_jax.drawing import outline
from voxgan_jax.drawing.measures import Measures, measure
from voxgan_jax.drawing.outline import Points
from voxgan_jax.drawing.profile import Profile, of_half_section
from voxgan_jax.geometry import lathe
from voxgan_jax.inference.answer import Drawn, Labels
from voxgan_jax.report import sentences
from voxgan_jax.report.record import Interval, Report, Spread

_HALF, _MOST = (0.25, 0.75), (0.05, 0.95)
_SHOWN = 16  # outlines


def of(drawn: Drawn, voxel_mm: float) -> Spread | None:
    """The sizes of the pots that were drawn, as intervals; None where none is a pot."""
    step = voxel_mm * drawn.pool
    profiles = [of_half_section(distance, step) for distance in drawn.distance]
    found = [measure(profile) for profile in profiles if profile is not None]
    if not found:
        return None
    names = ("height_mm", "rim_diameter_mm", "base_diameter_mm", "capacity_ml")
    spans = {name: _interval(found, name, len(profiles)) for name in names}
    return Spread(draws=len(profiles), **spans)


def _interval(found: Sequence[Measures], name: str, draws: int) -> Interval | None:
    values = [value for value in (getattr(each, name) for each in found) if value is not None]
    if 2 * len(values) < draws:
        return None
    half, most = (
        tuple(round(float(value), 3) for value in np.quantile(values, share))
        for share in (_HALF, _MOST)
    )
    return Interval(half=(half[0], half[1]), most=(most[0], most[1]))


def outlines(drawn: Drawn, labels: Labels, voxel_mm: float) -> list[Points]:
    """The outlines (radius, height) in mm of some of the pots, above the restored pot's base.

    Args:
        labels: of the restored pot, the base at high w.
    """
    lowest = int(np.flatnonzero(labels.any(axis=(0, 1)))[-1])
    base = (lowest + 1) / drawn.pool + drawn.start[2] - 0.5
    step = voxel_mm * drawn.pool
    return [
        np.stack([line[:, 1], base - line[:, 0]], axis=1) * step
        for distance in drawn.distance[:_SHOWN]
        for line in lathe.smooth_outline(distance)
    ]


def walls(profile: Profile, labels: Labels, restored: Labels) -> list[Points]:
    """The outlines of another pot in the same grid, likewise.

    Args:
        labels, restored: of the other pot and of the restored one, the base at high w.
    """
    feet = (int(np.flatnonzero(each.any(axis=(0, 1)))[-1]) for each in (restored, labels))
    lift = (0.0, profile.step_mm * (next(feet) - next(feet)))
    return [line + lift for line in outline.halves(outline.fields(profile)[0], profile)]


def sentence(report: Report) -> str:
    """How far the pots differ that the model drew, in words; "" where it draws none."""
    found = report.spread
    if found is None:
        return ""
    parts = []
    for title, each, unit in (
        ("height", found.height_mm, "mm"),
        ("rim", found.rim_diameter_mm, "mm"),
        ("base", found.base_diameter_mm, "mm"),
        ("capacity", found.capacity_ml, "ml"),
    ):
        if each is not None:
            spans = (
                f"{low:.3g}–{sentences.size(high, unit, report.scaled)}"
                for low, high in (each.half, each.most)
            )
            parts.append(f"{title} {' ('.join(spans)})")
    return (
        f"Of {found.draws} pots that the model drew half lie between these sizes (90 % in"
        f" brackets): {'; '.join(parts)}."
    )
