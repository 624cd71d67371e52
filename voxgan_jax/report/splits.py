"""How a missing piece is put in: straight, or split into parts that are, one after another.

A body is divided into cells: sectors about the pot's axis, in bands across it. A plan's parts are
blocks of cells, so that they are cut by planes through the axis and at most one across it.
"""

import functools
import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage
from scipy.spatial import KDTree

from voxgan_jax.geometry import solids, voxelise
from voxgan_jax.geometry.surface import Matrix
from voxgan_jax.scan.walls import Points

Fixed = Float[np.ndarray, "fixed 3"]
Block = tuple[int, int, int, int]
"""A part's cells: the first sector and how many, counted round and round, and so its bands."""

_SECTORS, _BANDS = 16, 6
_COUNT = _SECTORS * _BANDS
MOST_PARTS = 9
"""Of all bodies of a piece."""
_BARRED = 0.01
"""Of a joint: what slides in has no more of it in its way."""
_LEAST = 0.05
"""Of a body's surface: no part has less of it, nor of its own volume a crumb that falls off."""


class Part(NamedTuple):
    """`mesh` is watertight; `way`, of length 1, is the direction in which it is put in."""

    mesh: solids.Mesh
    way: Float[np.ndarray, "3"]


def put_in(
    piece: solids.Mesh, original: solids.Mesh, frame: Matrix, step: float
) -> tuple[float, tuple[Part, ...]]:
    """How a missing piece is put in.

    Args:
        piece: watertight, in mm.
        original: in mm.
        frame: from mm to coordinates of the pot, whose axis is z.
        step: the side of a voxel in mm.

    Returns:
        Of the joint, the share that is in the way by half a voxel or more when each body is put in
        straight by its best way; and the parts in their order, as few as may be and then by the
        shortest cut: the bodies as they are where they can be put in, at most three of each, none
        where no plan is found.
    """
    import trimesh

    parts, fixed = list[Part | None](), voxelise.sample(original, step / 3)
    tree, counts = KDTree(fixed, balanced_tree=False, compact_nodes=False), np.zeros(2)
    ways = trimesh.creation.icosphere(subdivisions=2).vertices
    bodies = sorted(piece.split(only_watertight=False), key=lambda body: -body.area)
    for number, body in enumerate(bodies):
        if number:
            fixed = np.concatenate([fixed, voxelise.sample(bodies[number - 1], step / 3)])
        points = _thinned(voxelise.sample(body, step), step)
        near = np.isfinite(tree.query(points, distance_upper_bound=1.5 * step, workers=-1)[0])
        away = points.mean(axis=0) - fixed.mean(axis=0)
        away /= np.linalg.norm(away) + 1e-9
        # Most pieces can be drawn straight away, or nearly so.
        tried, met = [away, *ways[np.argsort(-ways @ away)]], list[Bool[np.ndarray, "n"]]()
        for way in tried:
            met.append(barred(points, fixed, way, step))
            if met[-1].sum() <= _BARRED * near.sum():
                parts.append(Part(body, -way))
                break
        else:
            search = _Search(body, frame, points, near, step, np.array(tried), met)
            try:
                parts += search.parts() or [None]
            except ValueError:  # It touches itself.
                parts.append(None)
        counts += min(each.sum() for each in met), near.sum()
    found = tuple(part for part in parts if part)
    whole = len(found) == len(parts) <= MOST_PARTS
    return float(counts[0] / max(counts[1], 1)), found if whole else ()


def _thinned(points: Points, cell: float) -> Float[np.ndarray, "_ 3"]:
    """One point of those in each cell of a grid."""
    cells = ((points - points.min(axis=0)) / cell).astype(int)
    keys = np.ravel_multi_index(tuple(cells.T), tuple(cells.max(axis=0) + 1))
    return points[np.unique(keys, return_index=True)[1]]


def barred(
    points: Points, fixed: Fixed, way: Float[np.ndarray, "3"], step: float
) -> Bool[np.ndarray, "n"]:
    """Which points have something fixed in their way, by half a voxel or more along and across it.

    Args:
        points, fixed: on surfaces, those that are fixed no further apart than a third of a voxel.
        way: in which the points move, of length 1.
        step: the side of a voxel.
    """
    across, side = np.linalg.svd(way[None])[2][1:], step / 2
    below, above = (np.rint(across @ each.T / side).astype(int) for each in (points, fixed))
    low, most = above.min(axis=1) - 1, np.ptp(above, axis=1) + 2
    high = np.full(most + 1, -np.inf)
    np.maximum.at(high, tuple(above - low[:, None]), fixed @ way)
    high = ndimage.minimum_filter(high, 3)  # What is grazed is not met.
    return high[tuple(np.clip(below - low[:, None], 0, most[:, None]))] > points @ way + side


class _Search:
    """Of a body's cells how many points lie there and at the joint, and how many each way bars."""

    def __init__(
        self,
        body: solids.Mesh,
        frame: Matrix,
        points: Points,
        near: Bool[np.ndarray, "n"],
        step: float,
        ways: Float[np.ndarray, "ways 3"],
        met: Sequence[Bool[np.ndarray, "n"]],
    ):
        self.ways = ways
        self.body, self.frame, self.step = body, frame, step
        inside = body.vertices @ frame[:3, :3].T + frame[:3, 3]
        self.low, self.tall = float(inside[:, 2].min()), float(np.ptp(inside[:, 2])) / _BANDS
        self.reach = 2 * float(np.linalg.norm(inside, axis=1).max())
        x, y, z = (points @ frame[:3, :3].T + frame[:3, 3]).T
        turn, rise = np.arctan2(y, x) / (2 * np.pi) * _SECTORS, (z - self.low) / self.tall
        cells = _numbers(np.floor(turn), np.floor(rise))
        self.joint, self.points = (np.bincount(cells, kind, _COUNT) for kind in (near, near | True))
        self.barred = np.stack([np.bincount(cells, each, _COUNT) for each in met], 1)
        # How long a cut is, by the points beside it: at the begin of sectors, and below bands.
        off = np.abs(turn - np.rint(turn)) * 2 * np.pi / _SECTORS * np.hypot(x, y)
        beside = _numbers(np.rint(turn), np.floor(rise))[off < step]
        above = np.abs(rise - np.rint(rise)) * self.tall
        under = _numbers(np.floor(turn), np.rint(rise))[above < step]
        self.beside, self.under = (np.bincount(at, minlength=_COUNT) for at in (beside, under))

    def parts(self) -> list[Part]:
        """Those of the best plan; none where there is none."""
        whole = solids.solid(self.body.vertices, self.body.faces)
        for plan in sorted(_plans(), key=lambda plan: (len(plan), self._length(plan))):
            for order in self._orders(plan):
                made = [self._cut(whole, block) for block, _ in order]
                if all(map(_is_one, made)):
                    pairs = zip(made, order, strict=True)
                    return [Part(solids.mesh(each, self.step)[0], -way) for each, (_, way) in pairs]
        return []

    def _length(self, plan: Sequence[Block]) -> float:
        """Of a plan's cuts, in points beside them."""
        parted = (block for block in plan if block[1] < _SECTORS)
        beside = sum(self.beside[_at(block[0], 1, *block[2:])].sum() for block in parted)
        under = sum(self.under[_at(*block[:3], 1)].sum() for block in plan if block[2])
        return float(beside + under)

    def _orders(
        self, plan: Sequence[Block]
    ) -> Iterator[list[tuple[Block, Float[np.ndarray, "3"]]]]:
        """Orders in which parts can be put in, each with the way by which it is drawn out."""
        own = np.zeros((len(plan), _COUNT))
        for number, block in enumerate(plan):
            own[number, _at(*block)] = 1
        share = own @ self.barred / np.maximum(own @ self.joint, 1)[:, None]
        if (own @ self.points).min() < _LEAST * self.points.sum():
            return
        # What follows the first is not moved into what may be there already.
        late = [
            (self.ways @ (_walls(block) @ self.frame[:3, :3]).T < 1e-9).all(1) for block in plan
        ]
        for first in range(len(plan)):
            chosen = []
            for number in (first, *(other for other in range(len(plan)) if other != first)):
                free = (share[number] <= _BARRED) & (late[number] | (number == first))
                if free.any():
                    # Of equal ways the one amid the others.
                    amid = self.ways @ self.ways[free].mean(axis=0)
                    cost = np.where(free, share[number] - 1e-6 * amid, np.inf)
                    chosen.append((plan[number], self.ways[cost.argmin()]))
            if len(chosen) == len(plan):
                yield chosen

    def _cut(self, whole: solids.Solid, block: Block) -> solids.Solid:
        """What of the body lies in a block."""
        import manifold3d

        sector, sectors, band, bands = block
        turns = 2 * np.pi / _SECTORS * (sector + np.arange(sectors + 1))
        rim = self.reach * np.stack([np.cos(turns), np.sin(turns)], 1)
        outline = rim[:-1] if sectors == _SECTORS else np.vstack([np.zeros((1, 2)), rim])
        low = self.low + self.tall * band if band else -self.reach
        high = self.low + self.tall * (band + bands) if band + bands < _BANDS else self.reach
        cutter = manifold3d.Manifold.extrude(manifold3d.CrossSection([outline]), high - low)
        cutter = cutter.translate((0, 0, low)).transform(np.linalg.inv(self.frame)[:3])
        return whole ^ cutter


def _numbers(sector: Float[np.ndarray, "n"], band: Float[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
    """The numbers of cells, those of a sector one after another."""
    return sector.astype(int) % _SECTORS * _BANDS + np.clip(band, 0, _BANDS - 1).astype(int)


def _at(sector: int, sectors: int, band: int, bands: int) -> Int[np.ndarray, "_"]:
    """The numbers of a block's cells."""
    one, other = np.mgrid[sector : sector + sectors, band : band + bands]
    return (one % _SECTORS * _BANDS + other).ravel()


def _walls(block: Block) -> Float[np.ndarray, "walls 3"]:
    """Whither the walls look that a block has to others."""
    sector, sectors, band, bands = block
    found = [(0, 0, -1)] * (band > 0) + [(0, 0, 1)] * (band + bands < _BANDS)
    for turn, sign in ((sector, -1), (sector + sectors, 1)) if sectors < _SECTORS else ():
        angle = 2 * np.pi / _SECTORS * turn
        found.append((-sign * np.sin(angle), sign * np.cos(angle), 0))
    return np.array(found, float).reshape(-1, 3)


def _is_one(part: solids.Solid) -> bool:
    """Whether a part hangs together, but for crumbs."""
    volumes = sorted(body.volume() for body in part.decompose())
    return bool(volumes) and sum(volumes[:-1]) < _LEAST * volumes[-1]


@functools.cache
def _plans() -> list[tuple[Block, ...]]:
    """All plans of two and of three parts."""
    tall, every = (0, _BANDS), range(_SECTORS)
    plans: list[tuple[Block, ...]] = []
    halves = [((i, j - i), (j, _SECTORS + i - j)) for i, j in itertools.combinations(every, 2)]
    plans += [((*first, *tall), (*last, *tall)) for first, last in halves]
    for band in range(1, _BANDS):
        low, high = (0, band), (band, _BANDS - band)
        plans.append(((0, _SECTORS, *low), (0, _SECTORS, *high)))
        for whole, cut in ((low, high), (high, low)):
            plans += [((0, _SECTORS, *whole), (*a, *cut), (*b, *cut)) for a, b in halves]
    for i, j, k in itertools.combinations(every, 3):
        plans.append(((i, j - i, *tall), (j, k - j, *tall), (k, _SECTORS + i - k, *tall)))
    return plans
