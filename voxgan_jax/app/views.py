"""What the page shows in 3D, as its script takes it (`report.scene`)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from voxgan_jax.geometry import surface
from voxgan_jax.inference.answer import GIVEN
from voxgan_jax.report import page, scene
from voxgan_jax.restore.pot import Completion
from voxgan_jax.scan.pose import Sherd

if TYPE_CHECKING:
    import trimesh

UPRIGHT = {"y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}
"""What is up in a file, where its format says so."""

_BEYOND = 0.6
"""The axis is drawn so far from the pot's middle either way, as a share of its height."""


def of_scan(mesh: "trimesh.Trimesh", up: Sequence[float], scaled: bool = True) -> dict[str, Any]:
    """A scan by itself; its axis is not known, so `up` is only how the file has it. Not `scaled`:
    nobody told how big a voxel is."""
    labels = np.full(len(mesh.faces), GIVEN)
    frame = np.eye(4)
    frame[:3, 2] = -np.asarray(up) / np.linalg.norm(up)
    # Whichever side looks away most from the others.
    frame[:3, 0] = np.roll(frame[:3, 2], 1)
    part = scene.plain("pot", mesh, scene.colour_of(GIVEN), scene.POT)
    return scene.place(mesh, labels, frame) | {"parts": [part], "scaled": scaled}


def of_voxels(sherd: Sherd) -> "trimesh.Trimesh":
    """The surface of voxels that were given."""
    there = sherd.labels > 0
    return surface.surface(surface.smooth(there), there, sherd.to_mm)


def of_pot(made: Completion, *, first: bool = False) -> dict[str, Any]:
    """A restored pot, its parts as on its page, with its `axis`: from one point to another.

    Args:
        first: without what takes long: the missing piece, other pots, and the scan in the pot.
    """
    view = page.View(
        report=made.report,
        surfaces=made.first_surfaces if first else made.surfaces,
        missing=None if first else made.missing,
        hypotheses=() if first else made.hypothesis_meshes,
        matrix=made.matrix,
        drawing="",
    )
    told = page.scene_of(view)
    up, centre = np.array(told["up"]), np.array(told["centre"])
    if made.placed:
        centre = made.placed.point + ((centre - made.placed.point) @ up) * up
    reach = _BEYOND * told["height"] * up
    return told | {"axis": [(centre - reach).tolist(), (centre + reach).tolist()]}
