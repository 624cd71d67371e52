"""How a missing piece is put in: straight, or split into parts that are, one after another.

A body is divided into cells: sectors about the pot's axis, in bands across it. A plan's parts are
blocks of cells, so that they are cut by planes through the axis and at most one across it.
"""

import functools
import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage
from scipy.spatial import KDTree

from voxgan_jax.geometry import solids, voxelise

if TYPE_CHECKING:
    import manifold3d
    import trimesh

Points = Float[np.ndarray, "n 3"]
Fixed = Float[np.ndarray, "fixed 3"]
Matrix = Float[np.ndarray, "4 4"]
Labels = Int[np.ndarray, "cells"]
"""Of each cell the number of its part."""
Block = tuple[int, int, int, int]
"""Of cells: the first sector and how many, counted round and round; the first band and how many."""
Plan = tuple[Block, ...]
"""The parts."""

_SECTORS, _BANDS = 16, 6
_COUNT = _SECTORS * _BANDS
_GRID = np.arange(_COUNT).reshape(_SECTORS, _BANDS)
_BELOW = _GRID[:, np.maximum(np.arange(_BANDS) - 1, 0)]
_WALLS = np.stack([[np.roll(_GRID, 1, axis=0), _BELOW], [_GRID, _GRID]]).reshape(2, -1).T
"""The cells on both sides of each wall: at the begin of each sector, and below each band."""
_TURNS = 2 * np.pi / _SECTORS * np.arange(_SECTORS).repeat(_BANDS)
_NORMALS = np.vstack(
    [
        np.stack([-np.sin(_TURNS), np.cos(_TURNS), 0 * _TURNS], 1),
        np.tile([0.0, 0.0, 1.0], (_COUNT, 1)),
    ]
)
"""From the first cell to the second."""
MOST_PARTS = 9
"""Of all bodies of a piece."""
_BARRED = 0.01
"""Of a joint: what slides in has less of it in its way."""
_LEAST = 0.05
"""Of a body's surface: no part has less of it, nor of its own volume a crumb that falls off."""


class Part(NamedTuple):
    """`mesh` is watertight; `way`, of length 1, is the direction in which it is put in."""

    mesh: "trimesh.Trimesh"
    way: Float[np.ndarray, "3"]


def put_in(
    piece: "trimesh.Trimesh", original: "trimesh.Trimesh", frame: Matrix, step: float
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
    parts, fixed = list[Part | None](), voxelise.sample(original, step / 3)
    tree, counts = KDTree(fixed, balanced_tree=False, compact_nodes=False), np.zeros(2)
    for body in sorted(piece.split(only_watertight=False), key=lambda body: -body.area):
        points = voxelise.sample(body, step)
        near = np.isfinite(tree.query(points, distance_upper_bound=1.5 * step, workers=-1)[0])
        search = _Search(body, frame, points, near, fixed, step)
        counts += search.barred.sum(axis=0).min(), search.joint.sum()
        try:
            parts += search.parts() or [None]
        except ValueError:  # It touches itself.
            parts.append(None)
        fixed = np.concatenate([fixed, voxelise.sample(body, step / 3)])
    found = tuple(part for part in parts if part)
    whole = len(found) == len(parts) <= MOST_PARTS
    return float(counts[0] / max(counts[1], 1)), found if whole else ()


def barred(
    points: Points, fixed: Fixed, way: Float[np.ndarray, "3"], step: float
) -> Bool[np.ndarray, "n"]:
    """Which points have something fixed in their way, by half a voxel or more along and across it.

    Args:
        points, fixed: on surfaces, those that are fixed no further apart than a third of a voxel.
        way: in which the points move, of length 1.
        step: the side of a voxel.
    """
    across, side = np.linalg.svd(way[None])[2][1:].T, step / 2
    below, above = (
        np.rint(np.einsum("nk,kj->nj", each, across) / side).astype(int) for each in (points, fixed)
    )
    low, most = above.min(axis=0) - 1, np.ptp(above, axis=0) + 2
    high = np.full(most + 1, -np.inf)
    np.maximum.at(high, tuple((above - low).T), fixed @ way)
    high = ndimage.minimum_filter(high, 3)  # What is grazed is not met.
    return high[tuple(np.clip(below - low, 0, most).T)] > points @ way + side


class _Search:
    """A body's cells: how many points of each are barred by each of `ways` and lie at the joint;
    and how long the body is cut at each of `_WALLS`."""

    def __init__(
        self,
        body: "trimesh.Trimesh",
        frame: Matrix,
        points: Points,
        near: Bool[np.ndarray, "n"],
        fixed: Fixed,
        step: float,
    ):
        import trimesh

        self.body, self.frame, self.step = body, frame, step
        inside = _moved(frame, body.vertices)
        self.low, self.tall = float(inside[:, 2].min()), float(np.ptp(inside[:, 2])) / _BANDS
        self.reach = 2 * float(np.linalg.norm(inside, axis=1).max())
        self.ways = trimesh.creation.icosphere(subdivisions=2).vertices @ frame[:3, :3]
        cells = _numbers(*map(np.floor, self._places(points)))
        self.joint, self.points = (np.bincount(cells, kind, _COUNT) for kind in (near, near | True))
        met = [barred(points, fixed, way, step) for way in self.ways]
        self.barred = np.stack([np.bincount(cells, each, _COUNT) for each in met], 1)
        self.normals = _NORMALS @ frame[:3, :3]
        self.lengths = self._lengths()

    def _places(self, points: Points) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
        """In how many sectors from x, and how many bands from below, points lie."""
        x, y, z = _moved(self.frame, points).T
        return np.arctan2(y, x) / (2 * np.pi) * _SECTORS, (z - self.low) / self.tall

    def _lengths(self) -> Float[np.ndarray, "walls"]:
        from trimesh.intersections import mesh_plane

        found, up = np.zeros(2 * _COUNT), self.frame[2, :3]
        foot = -self.frame[:3, :3].T @ self.frame[:3, 3]
        planes = [(self.normals[n * _BANDS], foot) for n in range(_SECTORS // 2)]
        planes += [(up, foot + (self.low + n * self.tall) * up) for n in range(1, _BANDS)]
        for number, (normal, origin) in enumerate(planes):
            lines = mesh_plane(self.body, normal, origin)
            turn, rise = self._places(lines.mean(axis=1))
            if number < _SECTORS // 2:
                wall = _numbers(np.rint(turn), np.floor(rise))
            else:
                wall = _COUNT + _numbers(np.floor(turn), np.rint(rise))
            found += np.bincount(
                wall, np.linalg.norm(np.diff(lines, axis=1)[:, 0], axis=1), 2 * _COUNT
            )
        return found

    def parts(self) -> list[Part]:
        """Those of the best plan; none where there is none."""
        if first := next(self._orders(*_plans()[0]), None):
            return [Part(self.body, -first[0][1])]
        whole = solids.solid(self.body.vertices, self.body.faces)
        cuts = [self.lengths[np.ptp(labels[_WALLS], axis=1) > 0].sum() for _, labels in _plans()]
        for number in np.lexsort([cuts, [len(plan) for plan, _ in _plans()]]):
            plan, labels = _plans()[number]
            for order in self._orders(plan, labels):
                made = [self._cut(whole, plan[part]) for part, _ in order]
                if all(map(_is_one, made)):
                    pairs = zip(made, order, strict=True)
                    return [Part(solids.mesh(each, self.step)[0], -way) for each, (_, way) in pairs]
        return []

    def _orders(
        self, plan: Plan, labels: Labels
    ) -> Iterator[list[tuple[int, Float[np.ndarray, "3"]]]]:
        """The orders in which parts can be put in, each with the way by which it is drawn out."""
        own = np.arange(len(plan))[:, None] == labels
        share = own @ self.barred / np.maximum(own @ self.joint, 1)[:, None]
        small = (own @ self.points).min() < _LEAST * self.points.sum()
        if small or (share.min(axis=1) > _BARRED).any():
            return
        for order in itertools.permutations(range(len(plan))):
            before, chosen = np.zeros(_COUNT, bool), []
            for part in order:
                (a, b), (c, d) = own[part][_WALLS.T], before[_WALLS.T]
                # Walls to parts that are there already: none is moved into.
                sign = ((a & d).astype(int) - (b & c)) * (self.lengths > 0)
                free = ((self.ways @ (sign[:, None] * self.normals).T) < 1e-9).all(axis=1)
                free &= share[part] <= _BARRED
                if not free.any():
                    break
                # Of equal ways the one amid the others.
                amid = self.ways @ self.ways[free].mean(axis=0)
                cost = np.where(free, share[part] - 1e-6 * amid, np.inf)
                chosen.append((part, self.ways[cost.argmin()]))
                before |= own[part]
            else:
                yield chosen

    def _cut(self, whole: "manifold3d.Manifold", block: Block) -> "manifold3d.Manifold":
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


def _moved(frame: Matrix, points: Points) -> Points:
    return points @ frame[:3, :3].T + frame[:3, 3]


def _numbers(sector: Float[np.ndarray, "n"], band: Float[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
    """The numbers of cells, those of a sector one after another."""
    return sector.astype(int) % _SECTORS * _BANDS + np.clip(band, 0, _BANDS - 1).astype(int)


def _is_one(part: "manifold3d.Manifold") -> bool:
    """Whether a part hangs together, but for crumbs."""
    volumes = sorted(body.volume() for body in part.decompose())
    return bool(volumes) and sum(volumes[:-1]) < _LEAST * volumes[-1]


@functools.cache
def _plans() -> list[tuple[Plan, Labels]]:
    """All plans, and of each the numbers of the parts to which the cells belong."""
    tall, every = (0, _BANDS), range(_SECTORS)
    plans: list[Plan] = [((0, _SECTORS, *tall),)]
    halves = [((i, j - i), (j, _SECTORS + i - j)) for i, j in itertools.combinations(every, 2)]
    plans += [((*first, *tall), (*last, *tall)) for first, last in halves]
    for band in range(1, _BANDS):
        low, high = (0, band), (band, _BANDS - band)
        plans.append(((0, _SECTORS, *low), (0, _SECTORS, *high)))
        for whole, cut in ((low, high), (high, low)):
            plans += [((0, _SECTORS, *whole), (*a, *cut), (*b, *cut)) for a, b in halves]
    for i, j, k in itertools.combinations(every, 3):
        plans.append(((i, j - i, *tall), (j, k - j, *tall), (k, _SECTORS + i - k, *tall)))
    return [(plan, _labels(plan)) for plan in plans]


def _labels(plan: Plan) -> Labels:
    labels = np.zeros((_SECTORS, _BANDS), int)
    for number, (sector, sectors, band, bands) in enumerate(plan):
        labels[np.arange(sector, sector + sectors) % _SECTORS, band : band + bands] = number
    return labels.ravel()
