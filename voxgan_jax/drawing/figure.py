"""What is drawn of a pot, as archaeologists do: the wall in section on one side of the centre line,
the outside with the sherd in its place on the other.

All lengths are mm of the pot, x from the centre line, y down from the rim; where no scale is known
a voxel is taken as 1 mm. How the lines look is for `plan`.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from voxgan_jax.drawing import outline
from voxgan_jax.drawing.measures import Measures, measure
from voxgan_jax.drawing.outline import Points
from voxgan_jax.drawing.profile import Profile

_AT_END = 2
"""A sherd that shows in one of so many rows from an end of the pot holds part of it."""


class Facts(NamedTuple):
    """What a drawing says of its pot besides its lines.

    `rim_mm` and `base_mm` are outer diameters. `scaled` tells whether sizes in mm are known. `side`
    is that of the section, -1 left and 1 right. `shown` is the share of the height at which the
    sherd shows the wall. `based` tells whether it holds part of the base. `rim` are the arcs of the
    rim that it holds, as pairs of degrees, seen from above: counterclockwise from what is nearest
    to who looks at the outside.
    """

    height_mm: float
    rim_mm: float
    base_mm: float
    scaled: bool
    side: int
    shown: float
    based: bool
    rim: tuple[tuple[float, float], ...] = ()

    @property
    def rim_share(self) -> float:
        """Which part of the rim's circumference the sherd holds."""
        return sum(end - start for start, end in self.rim) / 360

    def length(self, mm: float, form: str = ".1f") -> str:
        """A length in cm, or in voxels where one is taken as 1 mm."""
        return f"{mm / 10:{form}} cm" if self.scaled else f"{mm:{form}} voxels"


class Figure(NamedTuple):
    """The lines of a drawing by their kinds, and what is said beside them.

    "inferred" is the whole wall, "given" what of it the sherd shows, "spread" are other walls that
    may have been; "edge" and "line" are the outside and what runs round it where the sherd shows
    them, "ghost" where it does not; "sherd" is the sherd's face.
    """

    lines: Mapping[str, Sequence[Points]]
    facts: Facts


def figure_of(
    profile: Profile,
    found: Measures | None = None,
    *,
    scaled: bool = True,
    spread: Sequence[Points] = (),
    mirrored: bool = False,
) -> Figure | None:
    """What is drawn of a profile; None of what is round at no height.

    Args:
        found: the profile's measures, where they are at hand.
        scaled: whether a size in mm is known.
        spread: outlines (radius, height) of other walls that may have been.
        mirrored: the section stands right.
    """
    found = found or measure(profile)
    wall, known = outline.fields(profile)
    walls = [path for path in outline.halves(wall, profile) if len(path) > 3]
    if not walls or found.rim_diameter_mm is None or found.base_diameter_mm is None:
        return None
    top = max(float(path[:, 1].max()) for path in walls)
    side = 1 if mirrored else -1
    edges = [outline.edge_of(path, profile.step_mm) for path in walls]
    faces = outline.patch(profile, np.concatenate(edges), -side)
    rim = float(max(edges, key=lambda edge: edge[-1, 1])[-1, 0])

    def placed(lines: Sequence[Points], turn: int) -> list[Points]:
        return [line * (turn, -1) + (0, top) for line in lines if len(line) > 1]

    lines = {
        "inferred": placed(walls, side),
        "spread": placed(spread, side),
        "given": placed(outline.halves(np.minimum(wall, known), profile), side),
        **{kind: placed(each, -side) for kind, each in _outside(profile, edges).items()},
        "sherd": placed(faces, 1),
    }
    clay = np.flatnonzero(np.isfinite(profile.outer))
    arcs = _rim(profile, clay, outline.front_of(profile, -side))
    lines["line" if arcs else "ghost"].append(np.array([[-rim, 0.0], [rim, 0.0]]))
    facts = Facts(
        height_mm=found.height_mm,
        rim_mm=found.rim_diameter_mm,
        base_mm=found.base_diameter_mm,
        scaled=scaled,
        side=side,
        shown=round(float((profile.given[clay] > 0).mean()), 4),
        based=bool(profile.seen[clay[:_AT_END]].any()),
        rim=arcs,
    )
    return Figure(lines, facts)


def runs(chosen: Bool[np.ndarray, "_"]) -> list[tuple[int, int]]:
    """Where stretches of two or more that are chosen begin and end."""
    ends = np.flatnonzero(np.diff(np.concatenate([[0], chosen.astype(int), [0]])))
    return [(int(start), int(end)) for start, end in ends.reshape(-1, 2) if end - start > 1]


def _outside(profile: Profile, edges: Sequence[Points]) -> dict[str, list[Points]]:
    """The half but for the sherd: the edges and the lines that run round, by their kinds."""
    parts: dict[str, list[Points]] = {"ghost": [], "edge": [], "line": []}
    for edge in edges:
        shown = np.interp(edge[:, 1], profile.heights, profile.seen.any(axis=1)) > 0.5
        parts["ghost"].append(edge)
        parts["edge"] += [edge[start:end] for start, end in runs(shown)]
        for place in [0, *outline.turns(edge, profile.step_mm)]:
            round_it = np.stack([edge[place] * (0, 1), edge[place]])
            parts["line" if shown[place] else "ghost"].append(round_it)
    return parts


def _rim(
    profile: Profile, clay: Int[np.ndarray, "_"], front: float
) -> tuple[tuple[float, float], ...]:
    """The arcs of the rim that the sherd holds, in degrees from `front`."""
    held = np.asarray(profile.seen[clay[-_AT_END:]].any(axis=0))
    if held.all():
        return ((0.0, 360.0),)
    # So that no arc runs over the list's end.
    first, step = int(np.argmin(held)), 360 / len(held)
    turned = (first - 0.5) * step - float(np.degrees(front))
    arcs = runs(np.roll(held, -first))
    return tuple((round(a * step + turned, 2), round(b * step + turned, 2)) for a, b in arcs)
