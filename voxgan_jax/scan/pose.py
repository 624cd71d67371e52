"""A sherd in its pot; its placement there, and how sure that is, in numbers and in words."""

from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from voxgan_jax.geometry import surface
from voxgan_jax.geometry.solids import Mesh
from voxgan_jax.scan.contents import NOTHING, Contents

Word = Literal["high", "fair", "low"]
Row = tuple[float, float, float, float]

HIGH, FAIR = 0.7, 0.4
"""From this share on a placement is called sure, and fairly sure."""


class Doubt(NamedTuple):
    """What is wrong, in words, and the most that the share of a placement may be then: 0 where the
    answer contradicts what is known, just less than `HIGH` where it is only unlike what was tried.
    """

    text: str
    share: float = 0.0


class PotSize(NamedTuple):
    """A whole pot's height and greatest diameter in mm; None where unknown."""

    height: float | None = None
    diameter: float | None = None


def word_of(share: float) -> Word:
    """What a placement with such a share is called."""
    return "high" if share >= HIGH else "fair" if share >= FAIR else "low"


class Placement(NamedTuple):
    """One placement of a sherd, or the best of several.

    `matrix` maps the indices of the model's cube to the scan's coordinates in mm. `point` and
    `direction` are the pot's axis, from base to rim. `voxel_mm` is the side of a voxel,
    `height_mm` and `diameter_mm` are those of the pot that the model sees, `above_base_mm` is where
    the sherd's middle lies in it. `score` is a logarithm of likelihood, `share` how likely it is
    that this one is right: that end up, that size within 10 %. `own_iou` is the IoU that the model
    expects of its answer there. `wall_mm` is how thick the sherd's wall is, and `shown_wall_mm` how
    thick the model is shown it; None: as it is. `other_axis` is a direction about which the sherd's
    walls are far rounder than about the one that was told.
    """

    matrix: surface.Matrix
    point: Float[np.ndarray, "3"]
    direction: Float[np.ndarray, "3"]
    voxel_mm: float
    height_mm: float
    diameter_mm: float
    above_base_mm: float
    score: float
    share: float
    own_iou: float = 0.5
    runner_ups: tuple["Placement", ...] = ()
    wall_mm: float = 0.0
    shown_wall_mm: float | None = None
    other_axis: Float[np.ndarray, "3"] | None = None

    @property
    def word(self) -> Word:
        """How sure it is: high, fair or low."""
        return word_of(self.share)

    @property
    def sentence(self) -> str:
        """It in plain words."""
        x, y, z = (round(float(part), 2) + 0.0 for part in self.direction)
        return (
            f"a pot {_mm(self.height_mm)} high and {_mm(self.diameter_mm)} wide, the sherd's"
            f" middle {_mm(self.above_base_mm)} above its base, the rim towards"
            f" ({x:g}, {y:g}, {z:g})"
        )


def _mm(size: float) -> str:
    return f"{size:.0f} mm" if abs(size) >= 100 else f"{size:.1f} mm"


class Loose(NamedTuple):
    """One of several loose sherds of one pot, placed together: a record of the report."""

    file: Annotated[str, "its name without folders"]
    sha256: str
    move: Annotated[
        tuple[Row, Row, Row, Row] | None,
        "4 × 4, from its file's coordinates in mm to the report's; null: it was set aside, as the"
        " pot of the others does not foretell it",
    ]
    frame: Annotated[bool, "whether the report's coordinates are its own, but for `origin_mm`"]
    notes: Annotated[tuple[str, ...], "what a user has to know of its file, in words"]


class Sherd(NamedTuple):
    """A sherd in its pot's box.

    `labels` are 0 or a fragment's id; the fragments `ids` are given, or all where none is named.
    `source` is what errors call it. `matrix` maps the grid's indices to the file's coordinates in
    mm (`surface.frame`); None stands for voxels of 1 mm. `mesh` is what was read, in mm; None where
    that was voxels. `placement` says how it was placed; None where it lies as the file has it.
    `scaled` is False where nobody told how big a voxel is. `input` is the record of the file that
    was read: its name, bytes and sha256; `contents` what that held, and the origin of all
    coordinates here. `told` is the size that the pot was told to have. `loose` says where each of
    several loose sherds of one pot lies, which together are this one.
    """

    labels: UInt8[np.ndarray, "_ _ _"]
    ids: tuple[int, ...] = ()
    source: str = ""
    matrix: surface.Matrix | None = None
    mesh: Mesh | None = None
    placement: Placement | None = None
    scaled: bool = True
    input: dict[str, Any] | None = None
    contents: Contents = NOTHING
    told: PotSize = PotSize()
    loose: tuple[Loose, ...] = ()

    @property
    def to_mm(self) -> surface.Matrix:
        """`matrix`, whether it is given or not."""
        return surface.frame(self.labels.shape) if self.matrix is None else self.matrix
