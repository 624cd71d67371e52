"""The surfaces of a completed pot, and its files of voxels and surfaces."""

import contextlib
import pathlib
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, UInt8
from scipy.spatial import KDTree

from voxgan_jax.data import vox
from voxgan_jax.geometry import lathe, patches, solids, surface, voxelise
from voxgan_jax.geometry.solids import Mesh
from voxgan_jax.inference import round_pot
from voxgan_jax.inference.answer import GIVEN, INFERRED, UNCERTAIN, Belief, Labels
from voxgan_jax.inference.round_pot import Section
from voxgan_jax.report import seam
from voxgan_jax.scan import colours

COLOURS = {
    GIVEN: (190, 92, 52, 255),
    INFERRED: (158, 176, 190, 255),
    UNCERTAIN: (226, 214, 180, 255),
}
"""Terracotta for what was given, a pale blue-grey for what was inferred, sand for the doubtful."""

NAMES = {GIVEN: "given", INFERRED: "inferred", UNCERTAIN: "uncertain"}

FORMATS = ("vox", "stl", "glb")


class Surfaces(NamedTuple):
    """What is drawn, in mm.

    `labels` are those of the faces of `pot`. `original` is the scan, or the surface of the given
    voxels. `body` is the pot as the missing piece is cut from it: where the original is, nothing of
    it lies outside that. `pot` has the colours of the original where that has any.
    """

    pot: Mesh
    labels: solids.Labels
    original: Mesh
    body: Mesh


def surfaces(
    labels: Labels,
    belief: Belief,
    matrix: surface.Matrix,
    original: Mesh | None = None,
    section: Section | None = None,
    *,
    united: bool = True,
) -> Surfaces:
    """The surfaces of a pot, smooth and watertight.

    A round pot is the scan itself where there is one, else its half section turned, brought to the
    sherd at the break (`seam`); where what is read is no body, it is only brought to it. Any other
    pot is a surface of its voxels.

    Args:
        labels: as `inference.answer.mark` gives them.
        belief: probabilities, more than 0.5 where a voxel was added.
        matrix: from the grid's indices to mm (`surface.frame`).
        original: the scan in mm; None takes the surface of the given voxels.
        section: of a round pot.
        united: have the scan in a round pot's surface. That takes seconds; without it the pot is
            only brought to the scan.
    """
    step, scan = surface.step_of(matrix), original is not None
    if section is None:
        pot, level = surface.of_voxels(labels > 0, matrix, belief, labels == GIVEN)
    else:
        pot, level = round_pot.mesh(section, matrix), None
    if original is None:
        original, _ = surface.of_voxels(labels == GIVEN, matrix, level=level)
    if section is None:
        found = surface.face_labels(pot, labels, matrix)
        if scan:
            found = np.where(_touched(pot, original, step / 2), GIVEN, found)
        return Surfaces(colours.dyed(pot, original), _calmed(pot, found, step), original, pot)
    fit = seam.fitted(pot, original, step)
    if not scan:
        found = surface.face_labels(pot, labels, matrix)
        return Surfaces(pot, _calmed(pot, found, step), original, fit.body)
    added = np.where(labels == GIVEN, np.uint8(0), labels)
    found = surface.face_labels(pot, added if added.any() else labels, matrix)
    found = _calmed(pot, np.where(fit.over, GIVEN, found), step)
    pot = fit.mesh
    if united:
        # It may be open, or meet itself.
        with contextlib.suppress(ValueError):
            pot, found = _with_scan(fit.body, found, original, step)
    return Surfaces(colours.dyed(pot, original), found, original, fit.body)


def _with_scan(
    body: Mesh, labels: solids.Labels, scan: Mesh, step: float
) -> tuple[Mesh, solids.Labels]:
    """A pot united with the scan of its sherd, and the labels of its faces.

    Raises:
        ValueError: the scan is no solid.
    """
    if not solids.is_body(scan):
        raise ValueError("the scan is open")
    sherd = solids.solid(scan.vertices, scan.faces, np.full(len(scan.faces), GIVEN))
    # Of a fine scan what no eye tells is left out.
    sherd = sherd.simplify(lathe.chord(step) / 2)
    if colours.of(scan) is not None:
        sherd = sherd.refine_to_length(step / 2)  # Colours need vertices on a flat wall, too.
    pot, labels = solids.mesh(solids.solid(body.vertices, body.faces, labels) + sherd, step)
    # The body shows through where it lies as high as the scan, at a lip above all.
    shows = patches.mostly(pot.faces, pot.area_faces, labels, _touched(pot, scan, step / 2))
    return pot, np.where(shows, GIVEN, labels)


def _calmed(pot: Mesh, labels: solids.Labels, step: float) -> solids.Labels:
    return patches.calmed(pot.faces, pot.area_faces / step**2, labels, GIVEN)


def _touched(pot: Mesh, scan: Mesh, reach: float) -> Bool[np.ndarray, " faces"]:
    """The faces of a pot that lie on a scan, where no voxel may be half full of a thin wall."""
    try:
        points = voxelise.sample(scan, reach)
    except ValueError:  # There would be too many; the voxels have to do.
        return np.zeros(len(pot.faces), bool)
    return KDTree(points).query(pot.triangles_center, distance_upper_bound=reach)[0] < np.inf


def pot_surface(
    labels: Labels, belief: Belief, matrix: surface.Matrix, section: Section | None = None
) -> Mesh:
    """The surface of a pot alone, as `surfaces`."""
    if section is not None:
        return round_pot.mesh(section, matrix)
    return surface.of_voxels(labels > 0, matrix, belief, labels == GIVEN)[0]


def write(
    stem: pathlib.Path, formats: Iterable[str], labels: Labels, made: Surfaces | None
) -> list[pathlib.Path]:
    """Write `STEM_completed.vox`, `.stl` and `.glb`, those of FORMATS that are asked for.

    Args:
        labels: as `inference.answer.mark` gives them.
        made: the surfaces; None will do for "vox" alone.
    """
    targets = {
        form: pathlib.Path(f"{stem}_completed.{form}") for form in FORMATS if form in formats
    }
    if "vox" in targets:
        vox.write(targets["vox"], labels, palette=palette())
    if made and "stl" in targets:
        surface.write_stl(targets["stl"], made.pot)
    if made and "glb" in targets:
        parts = {label: (NAMES[label], COLOURS[label]) for label in NAMES}
        surface.write_glb(targets["glb"], made.pot, made.labels, parts, own=GIVEN)
    return list(targets.values())


def palette() -> UInt8[np.ndarray, "256 4"]:
    """The fragments' palette with COLOURS in it."""
    table = vox.fragment_palette()
    for label, colour in COLOURS.items():
        table[label] = colour
    return table
