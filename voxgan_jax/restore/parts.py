"""The bodies of a restored pot: the pot itself, the original, and the missing piece."""

import functools
from typing import TYPE_CHECKING, Any

from voxgan_jax.report import meshes, missing_piece
from voxgan_jax.report.printing import Printing, prepare
from voxgan_jax.scan import walls
from voxgan_jax.scan.pose import Placement

if TYPE_CHECKING:
    import trimesh


class Parts:
    """A pot of voxels, and the scan of its sherd: `pot.Completion` tells the attributes."""

    labels: Any
    belief: Any
    matrix: Any
    voxel_mm: Any
    original: Any
    placed: Placement | None
    clearance_mm: float

    @functools.cached_property
    def surfaces(self) -> meshes.Surfaces:
        """The restored pot, with the labels of its faces, and the original, as meshes in mm."""
        return meshes.surfaces(self.labels, self.belief, self.matrix, self.original)

    @functools.cached_property
    def piece(self) -> missing_piece.MissingPiece | None:
        """The missing piece and how far it stays from the original; None where there is none."""
        return self._piece[0]

    @functools.cached_property
    def _piece(self) -> tuple[missing_piece.MissingPiece | None, str | None]:
        """`piece`, which takes longer than all the rest, or why it cannot be made."""
        pot, _, original = self.surfaces
        shown = self.placed and self.placed.shown_wall_mm
        # With a thicker wall, where the model was shown one: else the piece would enclose it.
        original = walls.thick(original, shown) if shown else original
        return missing_piece.attempt(pot, original, self.voxel_mm, self.clearance_mm)

    @functools.cached_property
    def printing(self) -> Printing | None:
        """The missing piece upright, for the printer, and what of it makes trouble."""
        return self.piece and prepare(self.piece, self.surfaces.original, self.matrix)

    @property
    def pot(self) -> "trimesh.Trimesh":
        """The restored pot, watertight."""
        return self.surfaces.pot

    @property
    def missing(self) -> "trimesh.Trimesh | None":
        """The missing piece, watertight; None where nothing is missing."""
        return self.piece and self.piece.mesh
