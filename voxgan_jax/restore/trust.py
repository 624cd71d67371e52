"""What is measured on a restored pot, and how far to trust it: all that speaks against it."""

import functools
from typing import Any

from voxgan_jax.inference.confidence import Confidence, bounded
from voxgan_jax.report import record
from voxgan_jax.report.measures import Measures, measure
from voxgan_jax.report.profile import Profile, profile_of
from voxgan_jax.scan import doubts
from voxgan_jax.scan.pose import Doubt, Placement, PotSize


class Trusted:
    """A pot, and what is known of its sherd: `pot.Completion` tells the attributes."""

    labels: Any
    belief: Any
    voxel_mm: Any
    original: Any
    judged: Confidence | None
    placed: Placement | None
    told: PotSize
    scaled: bool

    @functools.cached_property
    def profile(self) -> Profile:
        """The pot's wall in section."""
        return profile_of(self.labels, self.belief, self.voxel_mm)

    @functools.cached_property
    def measures(self) -> Measures:
        """What is measured on the pot."""
        return measure(self.profile)

    @functools.cached_property
    def doubts(self) -> list[Doubt]:
        """What contradicts what was told, or is not credible."""
        found = []
        if self.original is not None:
            found += doubts.of_scan(self.original)
        if self.scaled:
            size = PotSize(self.measures.height_mm, self.measures.max_diameter_mm)
            found += doubts.of_pot(size, self.told)
        return found + (doubts.of_placement(self.placed, self.told) if self.placed else [])

    @functools.cached_property
    def placement(self) -> record.Placement | None:
        """How the sherd was placed, with the sizes that the restored pot has."""
        return self._placement and record.Placement.of(self._placement)

    @functools.cached_property
    def _placement(self) -> Placement | None:
        if self.placed is None:
            return None
        width = self.measures.max_diameter_mm
        return self.placed._replace(
            height_mm=self.measures.height_mm,
            diameter_mm=self.placed.diameter_mm if width is None else width,
            share=min(self.placed.share, *(doubt.share for doubt in self.doubts), 1.0),
        )

    @functools.cached_property
    def confidence(self) -> Confidence | None:
        """How far to trust it and its placement; None for a model without calibration."""
        return bounded(self.judged, self._placement, self.doubts)
