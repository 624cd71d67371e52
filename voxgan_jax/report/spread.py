"""How far the pots differ that a model drew for one sherd: their sizes and their outlines."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from voxgan_jax.drawing import outline
from voxgan_jax.drawing.measures import Measures, measure
from voxgan_jax.drawing.outline import Points
from voxgan_jax.drawing.profile import Profile, of_half_section
from voxgan_jax.geometry import lathe
from voxgan_jax.inference.answer import Drawn, Labels
from voxgan_jax.report import sentences, sizes
from voxgan_jax.report.record import Report
from voxgan_jax.report.sizes import Interval, Spread

_ENDS = (0.05, 0.25, 0.75, 0.95)
_SHOWN = 16  # outlines


def of(drawn: Drawn, voxel_mm: float) -> Spread | None:
    """The sizes of the pots that were drawn, as intervals; None where less than two are pots."""
    step = voxel_mm * drawn.pool
    profiles = [of_half_section(distance, step) for distance in drawn.distance]
    found = [(measure(each), 1 / len(profiles)) for each in profiles if each is not None]
    return _spread(found, len(profiles))


def of_hypotheses(others: Iterable[tuple[Measures, float]]) -> Spread | None:
    """The sizes of other pots likewise, each counted by its share; None of less than two."""
    found = [(each, share) for each, share in others if share > 0]
    return _spread(found, len(found), by_share=True)


def _spread(
    found: Sequence[tuple[Measures, float]], draws: int, by_share: bool | None = None
) -> Spread | None:
    def interval(name: str) -> Interval | None:
        """Quantiles of weighted values, each in the middle of its weight (Hazen 1914)."""
        values = [(getattr(each, name), weight) for each, weight in found]
        known = np.array(sorted(pair for pair in values if pair[0] is not None))
        if not len(known) or known[:, 1].sum() < 0.5 - 1e-6:
            return None
        middle = (np.cumsum(known[:, 1]) - known[:, 1] / 2) / known[:, 1].sum()
        low, first, third, high = np.interp(_ENDS, middle, known[:, 0]).round(3).tolist()
        return Interval(half=(first, third), most=(low, high))

    if len(found) < 2:
        return None
    spans: dict[str, Any] = {name: interval(name) for name in sizes.SIZES}
    return Spread(draws=draws, by_share=by_share, **spans)


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


def pots(found: Spread) -> str:
    """Which pots an interval is of, in words."""
    drawn = "pots that the model drew"
    others = "other possible pots, each counted by its likelihood"
    return f"{found.draws} {others if found.by_share else drawn}"


def interval(span: tuple[float, float], unit: str, scaled: bool) -> str:
    """An interval in words: "105–118 mm"."""
    low, high = (sentences.size(value, unit, scaled) for value in span)
    short = low.removesuffix(high[high.rindex(" ") :])
    return high if low == high else f"{short}–{high}"


def sentence(report: Report) -> str:
    """How far the pots differ that the model drew, in words; "" where it draws none."""
    found = report.spread
    if found is None:
        return ""
    parts = []
    for name, title in sizes.SIZES.items():
        if (each := getattr(found, name)) is not None:
            spans = (interval(span, name[-2:], report.scaled) for span in (each.half, each.most))
            parts.append(f"{title} {' ('.join(spans)})")
    return f"Of {pots(found)}, half lie between these sizes (90 % in brackets): {'; '.join(parts)}."
