"""The files of a completed pot."""

import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from voxgan_jax.completion import mesh
from voxgan_jax.data import vox

if TYPE_CHECKING:
    import trimesh

GIVEN, INFERRED = 1, 2
"""The labels of a completed pot: voxels of the sherd, and voxels that the model adds."""

COLOURS = {GIVEN: (190, 92, 52, 255), INFERRED: (158, 176, 190, 255)}
"""Terracotta for what was given, a pale blue-grey for what was inferred."""

NAMES = {GIVEN: "given", INFERRED: "inferred"}

FORMATS = ("vox", "stl", "glb")


class Written(NamedTuple):
    """The files of one pot, and what was measured about them.

    `volume_mm3` is that of the completed pot, `missing_mm3` that of the missing piece; `gap_mm` is
    its least distance from the original, `pieces` how many bodies it has. Zeros where no mesh was
    asked for or nothing is missing.
    """

    paths: list[pathlib.Path]
    volume_mm3: float = 0.0
    missing_mm3: float = 0.0
    gap_mm: float = 0.0
    pieces: int = 0


def write(
    stem: str | pathlib.Path,
    labels: UInt8[np.ndarray, "d h w"],
    belief: Float[np.ndarray, "d h w"],
    matrix: Float[np.ndarray, "4 4"],
    *,
    formats: Sequence[str] = FORMATS,
    clearance_mm: float = 0.2,
    original: "trimesh.Trimesh | None" = None,
) -> Written:
    """Write `STEM_completed.vox`, `.stl` and `.glb` and `STEM_missing.stl`, each whole or not.

    Where nothing is missing, an older `STEM_missing.stl` is removed.

    Args:
        labels: GIVEN and INFERRED.
        belief: probabilities, more than 0.5 where a voxel was added.
        matrix: from the grid's indices to mm (`mesh.frame`).
        formats: which of FORMATS; the missing piece comes with "stl".
        original: the scan in mm, from which the missing piece keeps its distance; None takes the
            surface of the given voxels.
    """
    from voxgan_jax.completion import missing

    completed, piece_file = (f"{stem}_completed", pathlib.Path(f"{stem}_missing.stl"))
    piece_file.parent.mkdir(parents=True, exist_ok=True)
    targets = {form: pathlib.Path(f"{completed}.{form}") for form in FORMATS if form in formats}
    if "vox" in targets:
        vox.write(targets["vox"], labels, palette=palette())
    if set(targets) <= {"vox"}:
        return Written(list(targets.values()))

    given = labels == GIVEN
    field = mesh.smooth(labels > 0, belief, given)
    level = mesh.find_level(field, labels > 0)
    pot = mesh.surface(field, labels > 0, matrix, level)
    if "glb" in targets:
        parts = {label: (NAMES[label], COLOURS[label]) for label in NAMES}
        mesh.write_glb(targets["glb"], pot, mesh.face_labels(pot, labels, matrix), parts)
    written = Written(list(targets.values()), float(pot.volume))
    if "stl" not in targets:
        return written
    mesh.write_stl(targets["stl"], pot)
    if original is None:
        original = mesh.surface(mesh.smooth(given), given, matrix, level)
    step = abs(float(np.linalg.det(matrix[:3, :3]))) ** (1 / 3)
    piece = missing.missing_piece(pot, original, step, clearance_mm)
    if piece is None:
        piece_file.unlink(missing_ok=True)
        return written
    mesh.write_stl(piece_file, piece.mesh)
    return written._replace(
        paths=[*written.paths, piece_file],
        missing_mm3=float(piece.mesh.volume),
        gap_mm=piece.gap,
        pieces=piece.pieces,
    )


def palette() -> UInt8[np.ndarray, "256 4"]:
    """The fragments' palette with COLOURS in it."""
    table = vox.fragment_palette()
    for label, colour in COLOURS.items():
        table[label] = colour
    return table
