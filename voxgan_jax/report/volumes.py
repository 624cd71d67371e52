"""The surfaces of a completed pot, and its files of voxels and surfaces."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8
from scipy import ndimage

from voxgan_jax.data import vox
from voxgan_jax.geometry import surface
from voxgan_jax.inference.answer import GIVEN, INFERRED, UNCERTAIN

if TYPE_CHECKING:
    import trimesh


"""The labels of a completed pot: voxels of the sherd, and voxels that the model adds, surely or
less so (`mark`)."""

COLOURS = {
    GIVEN: (190, 92, 52, 255),
    INFERRED: (158, 176, 190, 255),
    UNCERTAIN: (226, 214, 180, 255),
}
"""Terracotta for what was given, a pale blue-grey for what was inferred, sand for the doubtful."""

NAMES = {GIVEN: "given", INFERRED: "inferred", UNCERTAIN: "uncertain"}

FORMATS = ("vox", "stl", "glb")

SURE = 0.85
"""Where the inferred voxels around have less belief on average, a voxel is uncertain. On 56
validation files (every 20th), with weights that had not seen them (D in docs/results.md), 25 % of
the inferred voxels were; 56 % of these were right, and 93 % of the others."""

_AROUND = 1.5


class Surfaces(NamedTuple):
    """What is drawn and printed, in mm.

    `labels` are those of the faces of `pot`. `original` is the scan, or the surface of the given
    voxels. `piece` is None where nothing is missing.
    """

    pot: "trimesh.Trimesh"
    labels: Int[np.ndarray, " faces"]
    original: "trimesh.Trimesh"
    piece: "missing.MissingPiece | None"


class Written(NamedTuple):
    """The files of one pot, and what was measured about them.

    `volume_mm3` is that of the completed pot, `missing_mm3` that of the missing piece; `gap_mm` is
    its least distance from the original, `pieces` how many bodies it has. Zeros where no mesh was
    asked for or nothing is missing. `report` is what `NAME.json` holds.
    """

    paths: list[pathlib.Path]
    volume_mm3: float = 0.0
    missing_mm3: float = 0.0
    gap_mm: float = 0.0
    pieces: int = 0
    report: Mapping[str, Any] = {}


def mark(
    labels: UInt8[np.ndarray, "d h w"], belief: Float[np.ndarray, "d h w"]
) -> UInt8[np.ndarray, "d h w"]:
    """Labels in which inferred voxels are UNCERTAIN where they were, or the belief around is below
    SURE.

    The mean is one over inferred voxels, with Gaussian weights: at any wall's surface the belief of
    single voxels goes down, however sure the wall is.
    """
    inferred = labels > GIVEN
    weight = ndimage.gaussian_filter(inferred.astype(np.float32), _AROUND)
    around = ndimage.gaussian_filter(np.where(inferred, belief, np.float32(0)), _AROUND)
    sure = (around >= SURE * np.maximum(weight, np.float32(1e-6))) & (labels != UNCERTAIN)
    return np.where(inferred, np.where(sure, np.uint8(INFERRED), np.uint8(UNCERTAIN)), labels)


def step_of(matrix: Float[np.ndarray, "4 4"]) -> float:
    """The side of a voxel in mm."""
    return float(abs(np.linalg.det(matrix[:3, :3])) ** (1 / 3))


def surfaces(
    labels: UInt8[np.ndarray, "d h w"],
    belief: Float[np.ndarray, "d h w"],
    matrix: Float[np.ndarray, "4 4"],
    *,
    clearance_mm: float = 0.2,
    original: "trimesh.Trimesh | None" = None,
    with_piece: bool = True,
) -> Surfaces:
    """The surfaces of a pot, smooth and watertight; the arguments are those of `write`.

    Without `with_piece` the missing piece, the dearest of them, is not made.
    """
    from voxgan_jax.report import missing_piece

    given = labels == GIVEN
    field = surface.smooth(labels > 0, belief, given)
    level = surface.find_level(field, labels > 0)
    pot = surface.surface(field, labels > 0, matrix, level)
    faces = surface.face_labels(pot, mark(labels, belief), matrix)
    if original is None:
        original = surface.surface(surface.smooth(given), given, matrix, level)
    if not with_piece:
        return Surfaces(pot, faces, original, None)
    piece = missing_piece.missing_piece(pot, original, step_of(matrix), clearance_mm)
    return Surfaces(pot, faces, original, piece)


def write(
    stem: str | pathlib.Path,
    labels: UInt8[np.ndarray, "d h w"],
    belief: Float[np.ndarray, "d h w"],
    matrix: Float[np.ndarray, "4 4"],
    *,
    formats: Sequence[str] = FORMATS,
    clearance_mm: float = 0.2,
    original: "trimesh.Trimesh | None" = None,
    made: Surfaces | None = None,
) -> Written:
    """Write `STEM_completed.vox`, `.stl` and `.glb` and `STEM_missing.stl`, each whole or not.

    Where nothing is missing, an older `STEM_missing.stl` is removed.

    Args:
        labels: GIVEN, INFERRED and UNCERTAIN.
        belief: probabilities, more than 0.5 where a voxel was added.
        matrix: from the grid's indices to mm (`mesh.frame`).
        formats: which of FORMATS; the missing piece comes with "stl".
        original: the scan in mm, from which the missing piece keeps its distance; None takes the
            surface of the given voxels.
        made: what `surfaces` made of all this, where that is at hand.
    """
    completed, piece_file = (f"{stem}_completed", pathlib.Path(f"{stem}_missing.stl"))
    piece_file.parent.mkdir(parents=True, exist_ok=True)
    targets = {form: pathlib.Path(f"{completed}.{form}") for form in FORMATS if form in formats}
    if "vox" in targets:
        vox.write(targets["vox"], mark(labels, belief), palette=palette())
    if set(targets) <= {"vox"}:
        return Written(list(targets.values()))
    if made is None:
        made = surfaces(
            labels,
            belief,
            matrix,
            clearance_mm=clearance_mm,
            original=original,
            with_piece="stl" in targets,
        )
    if "glb" in targets:
        parts = {label: (NAMES[label], COLOURS[label]) for label in NAMES}
        surface.write_glb(targets["glb"], made.pot, made.labels, parts)
    written = Written(list(targets.values()), float(made.pot.volume))
    if "stl" not in targets:
        return written
    surface.write_stl(targets["stl"], made.pot)
    if made.piece is None:
        piece_file.unlink(missing_ok=True)
        return written
    surface.write_stl(piece_file, made.piece.mesh)
    return written._replace(
        paths=[*written.paths, piece_file],
        missing_mm3=float(made.piece.mesh.volume),
        gap_mm=made.piece.gap,
        pieces=made.piece.pieces,
    )


def palette() -> UInt8[np.ndarray, "256 4"]:
    """The fragments' palette with COLOURS in it."""
    table = vox.fragment_palette()
    for label, colour in COLOURS.items():
        table[label] = colour
    return table
