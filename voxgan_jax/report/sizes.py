"""What a report tells of sizes beside what was measured: how far they may be off, how much rim."""

from dataclasses import dataclass
from typing import Annotated

from voxgan_jax.drawing.figure import Figure


@dataclass(frozen=True, kw_only=True)
class Rim:
    """How much of the pot's rim the sherd holds, to be counted with other sherds."""

    percent: Annotated[float, "of the rim's circumference"]
    eve: Annotated[float, "estimated vessel equivalent: the same as a share, 1 for a whole rim"]

    @classmethod
    def of(cls, figure: Figure | None) -> "Rim | None":
        """That of a pot which is drawn so; None where the sherd shows nothing of the rim."""
        share = figure.facts.rim_share if figure else 0.0
        return cls(percent=round(100 * share, 1), eve=round(share, 3)) if share else None


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Between which values a size lies in pots that were drawn."""

    half: Annotated[tuple[float, float], "of half of them, the middle ones"]
    most: Annotated[tuple[float, float], "of 90 % of them"]


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How far several pots differ; null where less than half of them have a size."""

    draws: Annotated[int, "so many pots were drawn; the answer is their mean"]
    by_share: Annotated[bool | None, "true: the hypotheses, each counted by its share"] = None
    height_mm: Interval | None
    rim_diameter_mm: Interval | None
    base_diameter_mm: Interval | None
    max_diameter_mm: Interval | None = None
    capacity_ml: Interval | None


SIZES = {
    "height_mm": "height",
    "rim_diameter_mm": "rim diameter",
    "max_diameter_mm": "greatest diameter",
    "base_diameter_mm": "base diameter",
    "capacity_ml": "capacity",
}
"""The sizes that have intervals, and what they are called."""
