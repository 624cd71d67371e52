"""Sherds in random poses and sizes whose place in their pot is known, as scans and as voxels."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import trimesh
from jaxtyping import Bool, Float
from scipy.spatial.transform import Rotation

from scripts.lib import scans
from voxgan_jax.data import folder, fragments
from voxgan_jax.geometry import surface, wheel
from voxgan_jax.placement.candidate import Known

KINDS = ("scan", "voxels")
"""Sherds as a scanner has them (`scans`), or the surface of their voxels."""

TOLD = (
    "nothing",
    "rim or base",
    "axis",
    "diameter",
    "height, diameter",
    "axis, diameter",
    "axis, both sizes",
)


class Case(NamedTuple):
    """A sherd as it is scanned, and the truth: `matrix` maps the cube's indices to the scan's mm.

    `share` is that of the pot's voxels, `axis` where the pot's stands in the cube's d and h.
    """

    name: str
    kind: str
    share: float
    scan: trimesh.Trimesh
    matrix: Float[np.ndarray, "4 4"]
    pot: Bool[np.ndarray, "r r r"]
    given: Bool[np.ndarray, "r r r"]
    axis: Float[np.ndarray, "2"]

    @property
    def step(self) -> float:
        """The side of a voxel in mm."""
        return surface.step_of(self.matrix)

    @property
    def up(self) -> Float[np.ndarray, "3"]:
        """From the pot's base to its rim, in the scan's coordinates."""
        return -self.matrix[:3, 2] / self.step

    def on_axis(self, height: float) -> Float[np.ndarray, "3"]:
        """The point of the axis in that row of the cube, in mm."""
        return self.matrix[:3, :3] @ [*self.axis, height] + self.matrix[:3, 3]


def cases(
    pots: Iterator[folder.PotFile],
    rng: np.random.Generator,
    least_share: float,
    count: int,
    kinds: Sequence[str] = KINDS,
) -> Iterator[Case]:
    """The fixed fragment of one file of each pot, drawn from those where it is big enough, in a
    random pose: the same of each kind, one after the other."""
    drawn: dict[str, tuple[folder.PotFile, int, float]] = {}
    seen: dict[str, int] = {}
    for pot in pots:
        counts = fragments.voxel_counts(pot.labels)
        chosen = fragments.fixed_fragment(pot.name, fragments.fragment_ids(pot.labels))
        share = float(counts[chosen] / counts[1:].sum())
        if share >= least_share:
            seen[pot.pot] = seen.get(pot.pot, 0) + 1
            if rng.random() * seen[pot.pot] < 1:
                drawn[pot.pot] = (pot, chosen, share)
    # What becomes of one does not hang on how many there are.
    for number, own in zip(rng.permutation(len(drawn))[:count], rng.spawn(count), strict=False):
        pot, chosen, share = list(drawn.values())[number]
        yield from _in_a_pose(pot, chosen, share, own, kinds)


def _in_a_pose(
    pot: folder.PotFile, chosen: int, share: float, rng: np.random.Generator, kinds: Sequence[str]
) -> Iterator[Case]:
    given, clay = pot.labels == chosen, pot.labels > 0
    turn = np.eye(4)
    turn[:3, :3] = Rotation.random(rng=rng).as_matrix()
    turn[:3, 3] = rng.uniform(-100, 100, 3)
    matrix = turn @ surface.frame(given.shape, float(rng.uniform(1.5, 8)), up="z")
    axis = np.array(wheel.find_axis(clay))
    for kind in kinds:
        if kind == "scan":
            faults = scans.draw_faults(rng)
            mesh = scans.scan(pot.labels, chosen, matrix, faults, rng)
        else:
            field = surface.smooth(given)
            mesh = surface.surface(field, given, matrix, surface.find_level(field, given))
        yield Case(pot.name, kind, share, mesh, matrix, clay, given, axis)


def ends(case: Case) -> tuple[bool, bool]:
    """Whether the sherd holds part of the rim, of the base: of the pot's first or last row."""
    pot, given = (np.flatnonzero(one.any(axis=(0, 1))) for one in (case.pot, case.given))
    return bool(given.min() == pot.min()), bool(given.max() == pot.max())


def known(case: Case, told: str) -> Known:
    """What is told of a case, of `TOLD`, as a user would know it."""
    d, h, w = (float(np.ptp(cells) + 1) * case.step for cells in np.nonzero(case.pot))
    rim, base = ends(case) if "rim" in told else (False, False)
    return Known(
        rim=rim,
        base=base,
        direction=(case.up[0], case.up[1], case.up[2]) if "axis" in told else None,
        height=w if "height" in told or "both" in told else None,
        diameter=max(d, h) if "diameter" in told or "both" in told else None,
    )
