"""What speaks against what a file or a user says of a sherd, and how sure one may be then.

Nothing here changes an answer: what is stated is obeyed. But what contradicts it is said, and such
an answer is never called sure.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from voxgan_jax.geometry.solids import Mesh
from voxgan_jax.geometry.surface import Voxels
from voxgan_jax.scan.formats import UNITS
from voxgan_jax.scan.pose import HIGH, Doubt, Placement, PotSize

SHERDS, POTS = (10.0, 3000.0), (20.0, 2000.0)
"""Between these sizes in mm a scanned sherd, and a pot's height and diameter, are credible."""

MISSED = 0.1
"""From this share on an answer misses a size that was told."""

_FINE = 5.0
"""In mm: thinner walls are often those of fine ware, whose pots are wider for their walls than the
pots that the networks were trained on."""

_OFF = 2  # voxels: a rim or base further off a sherd that was told to hold part of it misses it
_LIKELY = (20.0, 1000.0)
_USUAL = 100.0
"""In mm: between such sizes most sherds are, and of that size many."""


def of_scan(mesh: Mesh) -> list[Doubt]:
    """Of a mesh in mm, as `formats.read_mesh` gives it, whose longest side is no sherd's."""
    size_mm, unit_mm = float(mesh.extents.max()), mesh.metadata.get("unit_mm", 1.0)
    if SHERDS[0] <= size_mm <= SHERDS[1]:
        return []
    raw = size_mm / unit_mm
    likely = {name: raw * unit for name, unit in UNITS.items() if unit != unit_mm}
    likely = {name: mm for name, mm in likely.items() if _LIKELY[0] <= mm <= _LIKELY[1]}
    named = sorted(likely, key=lambda name: abs(np.log(likely[name] / _USUAL)))
    units = " or ".join(f"--unit {name} ({length(likely[name])})" for name in named)
    remedy = f"likely it is {units}" if units else "check --unit"
    return [Doubt(f"a sherd of {length(size_mm)} is not credible; {remedy}")]


def of_pot(found: PotSize, told: PotSize) -> list[Doubt]:
    """Of a restored pot's sizes: such as no pot has, or that miss what was told."""
    doubts = []
    for name, size, stated in zip(PotSize._fields, found, told, strict=True):
        if size is None:
            continue
        if not POTS[0] <= size <= POTS[1]:
            text = f"a pot with a {name} of {length(size)} is not credible; check --unit"
            doubts.append(Doubt(f"{text}, or --voxel-mm where it was given"))
        if stated is not None and abs(size / stated - 1) > MISSED:
            more = f"{100 * abs(size / stated - 1):.0f} % {'more' if size > stated else 'less'}"
            text = f"the {name} was told as {length(stated)}, but the restored pot's is"
            text += f" {length(size)}, {more}: the model made no pot of that size of this sherd;"
            doubts.append(Doubt(f"{text} check --unit and what else was told"))
    return doubts


def of_ends(pot: Voxels, sherd: Voxels, voxel_mm: float, told: Mapping[str, Any]) -> list[Doubt]:
    """Of a rim or base that was told to be on the sherd: the pot's lies elsewhere; rim at low w."""
    pot, sherd = (np.flatnonzero(voxels.any(axis=(0, 1))) for voxels in (pot, sherd))
    found = []
    for name, rows in (("rim", sherd[0] - pot[0]), ("base", pot[-1] - sherd[-1])):
        if told.get(name) and rows > _OFF:
            text = f"the sherd was told to hold part of the {name}, but the restored pot's is"
            found.append(Doubt(f"{text} {length(float(rows) * voxel_mm)} off it; check --{name}"))
    return found


def of_placement(made: Placement, told: PotSize) -> list[Doubt]:
    """Of a sherd's place: an axis that its walls contradict, walls thinner than the model knows."""
    found = []
    if made.other_axis is not None:
        x, y, z = (round(float(part), 2) + 0.0 for part in made.other_axis)
        cosine = abs(float(made.other_axis @ made.direction))
        degrees = np.degrees(np.arccos(min(cosine, 1.0)))
        text = f"the axis that was told contradicts the sherd: its walls are round about ({x:g},"
        text += f" {y:g}, {z:g}), {degrees:.0f}° from it; check --axis or --up, or leave it out"
        found.append(Doubt(text))
    if made.shown_wall_mm:
        text = (
            f"the sherd's wall of {length(made.wall_mm)} is thinner than the model knows in pots of"
            f" this size: the pot is made with walls of some {length(made.shown_wall_mm)};"
            " its volume, its capacity and the missing piece are those of such walls"
        )
        found.append(Doubt(text, HIGH - 0.01))
    elif 0 < made.wall_mm < _FINE and not any(told):
        text = (
            f"the size is told from the wall's thickness alone, and fine ware, as a wall of"
            f" {length(made.wall_mm)} may be of, is bigger; give --diameter-mm or --height-mm"
        )
        found.append(Doubt(text, HIGH - 0.01))
    return found


def length(mm: float) -> str:
    """A length in mm or m, in three digits or so: "0.145 mm", "81.3 mm", "174 m"."""
    if mm >= 10_000:
        return f"{mm / 1000:,.0f} m".replace(",", " ")
    return f"{mm:.0f} mm" if mm >= 100 else f"{mm:.3g} mm"
