"""Meshes as a page's 3D view takes them: thinned out, quantised to 16 bits, in base64.

A page holds no more faces than `POT`, `PIECE` and `HYPOTHESES` allow, which keeps it below 3 MB.
"""

import base64
from typing import Any

import numpy as np
from jaxtyping import Int, Shaped

from voxgan_jax.geometry import simplify
from voxgan_jax.geometry.solids import Mesh
from voxgan_jax.geometry.surface import Matrix
from voxgan_jax.inference.answer import GIVEN
from voxgan_jax.report import meshes
from voxgan_jax.scan import colours

POT, PIECE, HYPOTHESES = 60_000, 36_000, 60_000
"""Faces: of the pot; of the original and of the missing piece, each; of all hypotheses together."""

_CORNERS = 65_535
"""So many corners, and so many steps along each axis, are told apart by 16 bits."""
_OTHER = ("#8c6d9e", "#5d8a72", "#b08a3c", "#5f7fa8", "#a0655f", "#6f7d4f")
"""Colours of hypotheses, in turn: none of `meshes.COLOURS`."""


def pack(
    name: str,
    mesh: Mesh,
    groups: dict[int, tuple[str, str]],
    labels: Int[np.ndarray, "faces"],
    budget: int,
) -> dict[str, Any]:
    """A mesh as the view takes it.

    Args:
        name: of the part, which its switch names too.
        groups: a label's name and colour, "#rrggbb".
        labels: of the faces; those of no group are left out. What is given has the mesh's colours.
        budget: about so many faces at most.
    """
    thin, labels = simplify.thinned(mesh, budget, labels)
    dyes = colours.of(colours.dyed(thin, mesh))
    low, high = thin.bounds
    step = np.maximum(high - low, 1e-9) / _CORNERS
    corners = np.rint((thin.vertices - low) / step).astype("<u2")
    kind = "<u2" if len(corners) <= _CORNERS else "<u4"
    return {
        "id": name,
        "low": [float(value) for value in low],
        "step": [float(value) for value in step],
        "closed": bool(thin.is_watertight),
        "corners": _text(corners),
        "groups": [
            {
                "label": label,
                "name": title,
                "colour": colour,
                "wide": kind == "<u4",
                "faces": _text(thin.faces[labels == label].astype(kind)),
            }
            | ({} if dyes is None or label > GIVEN else {"colours": _text(dyes)})
            for label, (title, colour) in groups.items()
            if (labels == label).any()
        ],
    }


def plain(name: str, mesh: Mesh, colour: str, budget: int) -> dict[str, Any]:
    """`pack` for a mesh of one colour."""
    return pack(name, mesh, {0: (name, colour)}, np.zeros(len(mesh.faces), int), budget)


def hypothesis_colour(index: int) -> str:
    """The colour of the hypothesis of this number."""
    return _OTHER[index % len(_OTHER)]


def colour_of(label: int) -> str:
    """A label's colour as "#rrggbb"."""
    red, green, blue = meshes.COLOURS[label][:3]
    return f"#{red:02x}{green:02x}{blue:02x}"


def place(pot: Mesh, labels: Int[np.ndarray, "faces"], matrix: Matrix) -> dict[str, Any]:
    """How the view stands the pot: whither it rises, where its middle is and where its sherd.

    `up` and `front` are unit vectors, `front` from the axis to the middle of the given faces;
    `centre`, `radius` and `height` in mm.

    Args:
        matrix: from the grid's indices to mm; the rim is at low w.
    """
    up = -matrix[:3, 2] / np.linalg.norm(matrix[:3, 2])
    points = np.asarray(pot.vertices)
    rise = points @ up
    flat = points - rise[:, None] * up
    middle = (flat.min(axis=0) + flat.max(axis=0)) / 2
    height = float(np.ptp(rise))
    centre = middle - (middle @ up) * up + (rise.min() + height / 2) * up
    area = np.asarray(pot.area_faces) * (labels == GIVEN)
    sherd = area @ (np.asarray(pot.triangles_center) - centre)
    sherd -= (sherd @ up) * up
    if np.linalg.norm(sherd) < 1e-6 * max(area.sum(), 1e-9):
        sherd = matrix[:3, 0] - (matrix[:3, 0] @ up) * up
    sherd = sherd / np.linalg.norm(sherd)
    off = points - centre
    off = off - (off @ up)[:, None] * up
    return {
        "up": [float(value) for value in up],
        "front": [float(value) for value in sherd],
        "centre": [float(value) for value in centre],
        "radius": float(np.linalg.norm(off, axis=1).max()),
        "height": height,
    }


def _text(values: Shaped[np.ndarray, "..."]) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")
