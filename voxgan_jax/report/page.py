"""The page of a restored pot: one HTML file that needs no network and nothing beside it.

It shows the pot in 3D, its section drawing, what was measured and how far to trust it, and says
plainly what of it is a guess. Where there is no WebGL it still shows all but the 3D view.
"""

import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from voxgan_jax.drawing import svg
from voxgan_jax.drawing.profile import Profile
from voxgan_jax.files import write_whole
from voxgan_jax.geometry.solids import Mesh
from voxgan_jax.inference.answer import GIVEN, INFERRED
from voxgan_jax.render import render
from voxgan_jax.report import caption, loose_sherds, meshes, scene, sentences, spread, whereabouts
from voxgan_jax.report.record import Report


class View(NamedTuple):
    """What a page shows.

    `surfaces` are the restored pot and the original, `missing` is the missing piece in the same
    coordinates, None where there is none, and `hypotheses` are other pots. `matrix` maps the
    grid's indices to these coordinates, the rim at low w. `drawing` is the section as SVG text
    (`svg.svg`), `files` are names of files beside the page. `profile` is the pot's, of which is
    told where the sherd sat. `overview` is the path of that of all pots, as the page links to it,
    "" where there is none.
    """

    report: Report
    surfaces: meshes.Surfaces
    missing: Mesh | None
    hypotheses: Sequence[Mesh]
    matrix: Float[np.ndarray, "4 4"]
    drawing: str
    files: Sequence[str] = ()
    profile: Profile | None = None
    overview: str = ""


def write_page(path: str | pathlib.Path, view: View) -> None:
    """Write the page, whole or not at all."""
    write_whole(path, page(view))


def page(view: View) -> str:
    """The page as HTML."""
    report, scaled = view.report, view.report.scaled
    printed = svg.printed(view.drawing)
    sherd = scene.colour_of(GIVEN)
    return render(
        "page.html.j2",
        report=report,
        say=sentences,
        cite=caption,
        spread=spread.sentence(report),
        among=report.spread and spread.pots(report.spread),
        loose=loose_sherds.sentences(report.sherds),
        scene=scene_of(view),
        colour_of=scene.colour_of,
        hypothesis_colour=scene.hypothesis_colour,
        drawing=view.drawing,
        printed=printed.width,
        printed_at=printed.times if scaled else 0,
        files=view.files,
        whereabouts=view.profile and whereabouts.whereabouts(view.profile, sherd),
        overview=view.overview,
    )


def scene_of(view: View) -> dict[str, Any]:
    """What the view shows in 3D, as the page's script takes it: the pot is the first part."""
    groups = {label: (name, scene.colour_of(label)) for label, name in meshes.NAMES.items()}
    pot, labels, original, _ = view.surfaces
    parts = [scene.pack("pot", pot, groups, labels, scene.POT)]
    for name, mesh, label in (("original", original, GIVEN), ("missing", view.missing, INFERRED)):
        if mesh is not None and len(mesh.faces):
            parts.append(scene.plain(name, mesh, scene.colour_of(label), scene.PIECE))
    budget = scene.HYPOTHESES // max(len(view.hypotheses), 3)
    for index, mesh in enumerate(view.hypotheses):
        colour = scene.hypothesis_colour(index)
        parts.append(scene.plain(f"hypothesis-{index + 1}", mesh, colour, budget))
    place = scene.place(pot, labels, view.matrix)
    return place | {"parts": parts, "scaled": view.report.scaled}
