"""A restored pot: its voxels, the scan of its sherd, what is made of them and measured on them."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from voxgan_jax import ledger
from voxgan_jax.drawing.figure import Figure, figure_of
from voxgan_jax.drawing.measures import Measures, measure
from voxgan_jax.drawing.profile import Profile, profile_of
from voxgan_jax.geometry import surface, wheel
from voxgan_jax.geometry.solids import Mesh
from voxgan_jax.inference import refinement, wall_fit
from voxgan_jax.inference.answer import GIVEN, Belief, Drawn, Hypothesis, Labels
from voxgan_jax.inference.bridge import Pieces
from voxgan_jax.inference.confidence import Confidence, bounded
from voxgan_jax.inference.round_pot import Section, section_of
from voxgan_jax.report import meshes, missing_piece, record, sizes, spread
from voxgan_jax.report.printing import Printing, prepare
from voxgan_jax.scan import doubts, walls
from voxgan_jax.scan.contents import NOTHING, Contents
from voxgan_jax.scan.pose import Doubt, Loose, Placement, PotSize


@dataclasses.dataclass(frozen=True, repr=False)
class Vessel:
    """A pot restored from a sherd; lengths are mm, in the input's coordinates but for
    `contents.origin`.

    Attributes:
        name: the input's, without its ending; "a/sherd" is written into the folder a.
        labels: `GIVEN`, `INFERRED` and `UNCERTAIN` of `inference.answer`, 0 where nothing is.
        belief: how probable each voxel is, from 0 to 1, above 0.5 where one was added.
        matrix: from the grid's indices to mm.
        judged: how far the model's answer is to be trusted; None for one without calibration.
        left_out: how many voxels the model adds outside the box asked for.
        shift: by how many voxels the file's coordinates (x, y, z) move in the `.vox` file.
        hypotheses: other pots that the sherd may come from, the likeliest first.
        drawn: the pots whose mean it is, of a model that draws.
        pieces: in how many pieces the model's pot came, and how many are left; None if unknown.
        original: the scan, or None where voxels were read.
        placed: how the sherd was placed; None where it lies as the file says.
        told: the size that the pot was told to have.
        fineness: so many voxels of the `.vox` file lie along one of the grid.
        clearance_mm: how far the missing piece stays from the original.
        scaled: whether it is known how many mm a voxel has; otherwise it was taken as 1 mm.
        scale, mirrored: of the drawing: in print, as "1:3"; whether its section stands right.
        lang: of page and drawings.
        probabilities: the model's own but where pieces were joined or dropped, in its cube.
        about: `model`, `options` and `input` of the report.
        inputs: `ledger.marks` of files that no result may replace.
        in_overview: whether an overview of several pots links to its page, which links back.
        contents: what the scan's file held, and the origin of all coordinates here.
        loose: where each of several loose sherds lies, which together are `original`.
    """

    name: str
    labels: Labels
    belief: Belief
    matrix: surface.Matrix
    judged: Confidence | None = None
    left_out: int = 0
    shift: tuple[int, int, int] = (0, 0, 0)
    hypotheses: tuple[Hypothesis, ...] = ()
    pieces: Pieces | None = None
    drawn: Drawn | None = None
    original: Mesh | None = None
    placed: Placement | None = None
    told: PotSize = PotSize()  # noqa: RUF009 - it cannot change
    fineness: int = 1
    clearance_mm: float = 0.2
    scaled: bool = True
    scale: str | None = None
    mirrored: bool = False
    lang: str = "en"
    probabilities: Float[np.ndarray, "r r r"] | None = None
    about: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    inputs: ledger.Marks = frozenset()
    in_overview: bool = False
    contents: Contents = NOTHING
    loose: tuple[Loose, ...] = ()

    @functools.cached_property
    def hypothesis_meshes(self) -> list[Mesh]:
        """The surfaces of `hypotheses`."""
        return [
            meshes.pot_surface(
                pot.labels, pot.belief, self.matrix, section_of(pot.labels, pot.belief)
            )
            for pot in self.hypotheses
        ]

    @functools.cached_property
    def voxels(self) -> UInt8[np.ndarray, "_ _ _"]:
        """The labels of the `.vox` file's voxels."""
        return refinement.labels_of(
            *(self.labels, self.belief, self.matrix, self.fineness),
            *(self.section if self.fineness > 1 else None, self.original),
        )

    @property
    def voxel_mm(self) -> float:
        """The side of a voxel."""
        return surface.step_of(self.matrix)

    # The bodies.

    @functools.cached_property
    def section(self) -> Section | None:
        """The half section whose turning is the pot; None where the pot is not round."""
        axis = None
        if self.placed:
            # A placed sherd's pot stands about the axis that was found for it.
            d, h, _, _ = np.linalg.inv(self.matrix) @ [*self.placed.point, 1.0]
            axis = float(d), float(h)
        section = section_of(self.labels, self.belief, axis)
        if section is None or self.original is None or (self.placed and self.placed.shown_wall_mm):
            return section
        return wall_fit.fitted(section, wall_fit.walls_of(self.original, self.matrix))

    @functools.cached_property
    def surfaces(self) -> meshes.Surfaces:
        """The restored pot, with the labels of its faces, and the original, as meshes in mm."""
        return meshes.surfaces(*self._shape)

    @property
    def first_surfaces(self) -> meshes.Surfaces:
        """What is seen of them much sooner: the scan is not united with the pot yet."""
        return meshes.surfaces(*self._shape, united=False)

    @property
    def _shape(self) -> Any:
        return self.labels, self.belief, self.matrix, self.original, self.section

    @functools.cached_property
    def piece(self) -> missing_piece.MissingPiece | None:
        """The missing piece and how far it stays from the original; None where there is none."""
        return self._piece[0]

    @functools.cached_property
    def _piece(self) -> tuple[missing_piece.MissingPiece | None, str | None]:
        """`piece`, which takes longer than all the rest, or why it cannot be made."""
        original = self.surfaces.original
        shown = self.placed and self.placed.shown_wall_mm
        # With a thicker wall, where the model was shown one: else the piece would enclose it.
        original = walls.thick(original, shown) if shown else original
        return missing_piece.attempt(self.surfaces.body, original, self.voxel_mm, self.clearance_mm)

    @functools.cached_property
    def printing(self) -> Printing | None:
        """The missing piece upright, for the printer, and what of it makes trouble."""
        if self.piece is None:
            return None
        axis = self.section.axis if self.section else wheel.find_axis(self.labels > 0)
        return prepare(self.piece, self.surfaces.original, self.matrix, axis)

    @property
    def pot(self) -> Mesh:
        """The restored pot, watertight."""
        return self.surfaces.pot

    @property
    def missing(self) -> Mesh | None:
        """The missing piece, watertight; None where nothing is missing."""
        return self.piece and self.piece.mesh

    # What is measured, and how far to trust it.

    @functools.cached_property
    def profile(self) -> Profile:
        """The pot's wall in section."""
        return profile_of(self.labels, self.belief, self.voxel_mm)

    @functools.cached_property
    def measures(self) -> Measures:
        """What is measured on the pot."""
        return measure(self.profile)

    @functools.cached_property
    def spread(self) -> sizes.Spread | None:
        """How far the pots that were drawn differ, or else the hypotheses; None without several."""
        others = zip(self.hypothesis_measures, (pot.share for pot in self.hypotheses), strict=True)
        return spread.of(self.drawn, self.voxel_mm) if self.drawn else spread.of_hypotheses(others)

    @functools.cached_property
    def figure(self) -> Figure | None:
        """What is drawn of it, with the walls of other pots that were drawn or are hypotheses."""
        others = spread.outlines(self.drawn, self.labels, self.voxel_mm) if self.drawn else []
        for pot, profile in zip(self.hypotheses, self.hypothesis_profiles, strict=True):
            others += spread.walls(profile, pot.labels, self.labels)
        how = {"scaled": self.scaled, "mirrored": self.mirrored}
        return figure_of(self.profile, self.measures, spread=others, **how)

    @functools.cached_property
    def hypothesis_profiles(self) -> list[Profile]:
        """The profiles of `hypotheses`."""
        return [profile_of(pot.labels, pot.belief, self.voxel_mm) for pot in self.hypotheses]

    @functools.cached_property
    def hypothesis_measures(self) -> list[Measures]:
        """What is measured on them."""
        return list(map(measure, self.hypothesis_profiles))

    @functools.cached_property
    def doubts(self) -> list[Doubt]:
        """What contradicts what was told, or is not credible."""
        found = []
        if self.original is not None:
            found += doubts.of_scan(self.original)
        if self.scaled:
            size = PotSize(self.measures.height_mm, self.measures.max_diameter_mm)
            found += doubts.of_pot(size, self.told)
        if self.placed:
            grids = self.labels > 0, self.labels == GIVEN
            found += doubts.of_ends(*grids, self.voxel_mm, self.about.get("options", {}))
        return found + (doubts.of_placement(self.placed, self.told) if self.placed else [])

    @functools.cached_property
    def placement(self) -> record.Placement | None:
        """How the sherd was placed, with the sizes that the restored pot has."""
        return self._placement and record.Placement.of(self._placement, bool(self.loose))

    @functools.cached_property
    def _placement(self) -> Placement | None:
        if self.placed is None:
            return None
        width = self.measures.max_diameter_mm
        base = np.flatnonzero(self.labels.any(axis=(0, 1)))[-1] + 0.5
        middle = np.nonzero(self.labels == GIVEN)[2].mean()
        return self.placed._replace(
            height_mm=self.measures.height_mm,
            above_base_mm=float(base - middle) * self.voxel_mm,
            diameter_mm=self.placed.diameter_mm if width is None else width,
            share=min(self.placed.share, *(doubt.share for doubt in self.doubts), 1.0),
        )

    @functools.cached_property
    def confidence(self) -> Confidence | None:
        """How far to trust it and its placement; None for a model without calibration."""
        return bounded(self.judged, self._placement, self.doubts)
