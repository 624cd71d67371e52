"""Where several loose sherds of one pot lay in it: each by what the others foretell of it.

Every sherd alone gives some placements (`propose.Guess`); one pot has one size. From the likeliest
of each the model makes a pot, in which the others find their places; then each sherd is placed anew
in the pot that the model makes of all others. How they were turned about the axis nothing tells:
they are spread around it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage, optimize, special

from voxgan_jax.geometry import wheel
from voxgan_jax.inference.completer import Completer
from voxgan_jax.inference.confidence import own_iou
from voxgan_jax.placement import axis_fit, axis_lines, axis_maps, foretold, locator
from voxgan_jax.placement.axis_fit import Axis
from voxgan_jax.placement.axis_maps import Lines
from voxgan_jax.placement.candidate import Candidate, given_cells
from voxgan_jax.placement.propose import Guess

Voxels = Bool[np.ndarray, "r r r"]
Rings = Float[np.ndarray, "rings rows"]
Points = Float[np.ndarray, "n 3"]
Places = Float[np.ndarray, "places"]

_STEP = 0.03  # between the sizes that are tried, as a logarithm
_SIZES, _PLACES = 6, 3
_COMBINATIONS = 8
_ROUNDS = 3
_OPEN = (1.0, 2.0, 3.0, 4.0)
_DOUBT = 0.02
_SHARE, _OWN, _FORETOLD = 0.85, 0.4, 12.0
_NEVER = -60.0
UNPLACED = -11.0
_AXIS_WEIGHT, _ALIKE_ERROR = 25.0, 0.03


class Part(NamedTuple):
    """A sherd's place, and how well the pot that the others make foretells it."""

    candidate: Candidate
    foretold: float
    pose: int = 0
    bonus: float = 0.0

    @property
    def value(self) -> float:
        return _SHARE * self.candidate.log_share + _FORETOLD * self.foretold

    @property
    def placed(self) -> bool:
        return self.value > UNPLACED

    @property
    def score(self) -> float:
        return max(self.value, UNPLACED)


class Pot(NamedTuple):
    parts: tuple[Part, ...]
    score: float


class Belief(NamedTuple):
    """Logarithms of how probable clay is in each ring and row of a pot, and that there is none."""

    clay: Rings
    none: Rings


class Shown(NamedTuple):
    """What a sherd shows: some points in its clay, some on its walls with their normals."""

    clay: Points
    walls: Points
    normals: Points

    def open(self, voxel: float) -> Points:
        """Points beside its walls, where there is no clay."""
        return np.concatenate([self.walls + d * voxel * self.normals for d in _OPEN])


def shown(guess: Guess) -> Shown:
    fill, surface = axis_maps.thinned(guess.view.fill, guess.view.surface, np.random.default_rng(0))
    return Shown(fill.points, surface.points, surface.normals)


class Search(NamedTuple):
    completer: Completer
    guesses: Sequence[Guess]
    shown: Sequence[Shown]


def search(completer, guesses):
    return Search(completer, guesses, [shown(g) for g in guesses])


def belief(completer: Completer, given: Voxels, answer) -> Belief:
    side = len(given)
    ring = wheel.nearest_rings(side).ravel()
    member = (np.arange(ring.max() + 1)[:, None] == ring).astype(np.float32)
    count, total = np.maximum(member.sum(1), 1), member @ np.where(given, 1.0, answer).reshape(-1, side)
    share = np.clip(total / count[:, None], _DOUBT, 1 - _DOUBT)
    return Belief(np.log(share), np.log(1 - share))


def ask(s: Search, givens: Sequence[Voxels]) -> list[Belief]:
    rows = [jnp.asarray(some[None, ..., None], jnp.float32) for some in givens]
    answers = [s.completer.glance(row) for row in rows]
    return [belief(s.completer, g, np.asarray(a)[0, ..., 0]) for g, a in zip(givens, answers, strict=True)]


def middle(axis: Axis, points: Points) -> float:
    height = axis_fit.cylindrical(axis, points)[1]
    return float(height.max() + height.min()) / 2


def table(guess: Guess, m: int, voxel: float) -> Places:
    """How likely the sherd's middle is at each whole row above the cube's bottom."""
    (_, scales, cells), unit = guess.poses[m], guess.view.unit
    scale = np.log(voxel / unit)
    where = float(np.interp(scale, scales, np.arange(len(scales))))
    low = min(int(where), max(len(scales) - 2, 0))
    high = min(low + 1, len(scales) - 1)
    row = cells[low] + (where - low) * (cells[high] - cells[low])
    if max(scales[0] - scale, scale - scales[-1]) > 0.1:
        row = row + _NEVER
    return np.maximum(np.interp(np.arange(locator.CUBE + 1), locator.PLACES, row), _NEVER)


def agreement(axis: Axis, zero: float, voxel: float, s: Shown, pot: Belief, side: int) -> Places:
    """How well what the sherd shows is foretold, with its middle at each row."""
    step = voxel * locator.CUBE / side
    rings = len(pot.clay)
    found = np.zeros(locator.CUBE + 1)
    total = 0
    shifts = np.rint((np.arange(locator.CUBE + 1)) * side / locator.CUBE).astype(int)
    for points, values, edge in (
        (s.clay, pot.clay, np.log(_DOUBT)),
        (s.open(voxel), pot.none, np.log(1 - _DOUBT)),
    ):
        radius, height = axis_fit.cylindrical(axis, points)
        ring = np.minimum(np.rint(radius / step).astype(int), rings)
        row = np.clip(np.rint(side - 0.5 - (height - zero) / step).astype(int), 0, 2 * side)
        count = np.bincount(ring * (2 * side + 1) + row, minlength=(rings + 1) * (2 * side + 1))
        count = count.reshape(rings + 1, -1).astype(np.float64)
        # A sherd of which row w is in row w - shift of the pot.
        wide = np.full((rings + 1, 3 * side + 1), edge)
        wide[:rings, side : 2 * side] = values
        windows = np.lib.stride_tricks.sliding_window_view(wide, 2 * side + 1, axis=1)
        found += np.einsum("rw,rsw->s", count, windows[:, side - shifts], optimize=True)
        total += len(points)
    return found / total


def exact(axis: Axis, bottom: float, voxel: float, s: Shown, pot: Belief, side: int) -> float:
    """The same at one place, between rings and rows."""
    step, total, count = voxel * locator.CUBE / side, 0.0, 0
    for points, values, edge in (
        (s.clay, pot.clay, np.log(_DOUBT)),
        (s.open(voxel), pot.none, np.log(1 - _DOUBT)),
    ):
        radius, height = axis_fit.cylindrical(axis, points)
        where = [radius / step, side - 0.5 - (height - bottom) / step]
        total += float(np.asarray(ndimage.map_coordinates(values, where, order=1, cval=edge)).sum())
        count += len(points)
    return total / count


def places(s: Search, n: int, voxel: float, pot: Belief | None, count: int = 1) -> list[Part]:
    """The best places of a sherd in a pot, or by its own shape."""
    guess = s.guesses[n]
    tables = np.array([table(guess, m, voxel) for m in range(len(guess.poses))])
    agreed = np.full(tables.shape, -0.5)
    points = guess.view.fill.points
    zeros = [middle(pose[0], points) for pose in guess.poses]
    if pot is not None:
        agreed[:] = np.log(_DOUBT)
        for m, pose in enumerate(guess.poses):
            if tables[m].max() > max(tables.max() - 12, _NEVER):
                agreed[m] = agreement(pose[0], zeros[m], voxel, s.shown[n], pot, s.completer.resolution)
    left = _SHARE * tables + _FORETOLD * agreed
    found = []
    for _ in range(count):
        m, place = (int(k) for k in np.unravel_index(int(left.argmax()), left.shape))
        axis = guess.poses[m][0]
        made = Candidate(axis, voxel, zeros[m] - place * voxel, float(tables[m, place]))
        found.append(Part(made, float(agreed[m, place]), m))
        left[m, max(place - 4, 0) : place + 5] = -np.inf
    return found


def sizes(s: Search) -> list[float]:
    """The likeliest sides of a voxel in mm."""
    ends = [g.view.unit * np.exp(p[1][[0, -1]]) for g in s.guesses for p in g.poses]
    low, high = np.min(ends), np.max(ends)
    grid = np.exp(np.arange(np.log(low), np.log(high) + _STEP, _STEP))
    value = [
        sum(
            max(float(special.logsumexp([table(g, m, voxel) for m in range(len(g.poses))])), UNPLACED / _SHARE)
            for g in s.guesses
        )
        for voxel in grid
    ]
    return [float(grid[n]) for n in np.argsort(-np.array(value))[:_SIZES]]


def given(s: Search, n: int, candidate: Candidate) -> Voxels:
    return given_cells(candidate, *s.guesses[n].view.fill, s.completer.resolution)


def spread(s: Search, parts: Sequence[Part], skip: int | None = None) -> tuple[list[Candidate], Voxels]:
    """Turned about the axis so that they overlap least, and stand apart; and all of them."""
    made, whole = [], np.zeros((s.completer.resolution,) * 3, bool)
    taken = np.zeros((foretold._SECTORS, s.completer.resolution))
    for n, part in enumerate(parts):
        if n == skip or not part.placed:
            made.append(part.candidate)
            continue
        plain = part.candidate._replace(turn=0.0)
        mask = foretold.sectors(given(s, n, plain)).astype(float)
        costs = [(np.roll(mask, k, 0) * taken).sum() for k in range(foretold._SECTORS)]
        k = int(np.argmin(costs))
        made.append(plain._replace(turn=-2 * np.pi * k / foretold._SECTORS))
        whole |= given(s, n, made[-1])
        own = np.roll(mask, k, 0)
        around = sum(np.roll(own.max(1), j) * (0.5 ** abs(j)) for j in range(-12, 13))
        taken += 1000 * own + around[:, None]
    return made, whole


def refined(s: Search, n: int, part: Part, pot: Belief) -> Part:
    """The place near one that its surface and the pot suit best."""
    start, guess, side = part.candidate, s.guesses[n], s.completer.resolution
    first, second = axis_fit.beside(start.axis.direction)
    points, unit = guess.view.surface.points[::6], guess.view.unit
    normals = guess.view.surface.normals[::6]
    radius, height = axis_fit.cylindrical(start.axis, points)
    frame = axis_fit._profile_frame(start.axis, points, normals, radius, height)
    extent = float(np.linalg.norm(points - points.mean(0), axis=1).max())
    centre = points.mean(0)
    lever = (centre - start.axis.point) @ start.axis.direction

    def moved(x):
        direction = start.axis.direction + (x[0] * first + x[1] * second) * start.voxel / extent
        direction = direction / np.linalg.norm(direction)
        point = start.axis.point + lever * start.axis.direction + start.voxel * (x[2] * first + x[3] * second)
        return Axis(point, direction, 0.0), start.bottom - lever + x[4] * start.voxel

    def error(axis):
        distance, _ = axis_lines.roundness(Lines(axis.point[None], axis.direction[None]), points, frame, np.ones(len(points)))
        return float(np.median(np.abs(distance)))

    first_error = error(start.axis)

    def cost(x):
        axis, bottom = moved(x)
        round_ = _AXIS_WEIGHT * np.log((error(axis) + _ALIKE_ERROR * unit) / (first_error + _ALIKE_ERROR * unit))
        return _SHARE * round_ - _FORETOLD * exact(axis, bottom, start.voxel, s.shown[n], pot, side)

    simplex = np.vstack([np.zeros(5), np.diag([1.0, 1.0, 1.0, 1.0, 1.0])])
    solved = optimize.minimize(cost, np.zeros(5), method="Nelder-Mead", options={"initial_simplex": simplex, "maxfev": 200, "xatol": 0.02, "fatol": 0.005})
    axis, bottom = moved(solved.x)
    agreed = exact(axis, bottom, start.voxel, s.shown[n], pot, side)
    bonus = -_AXIS_WEIGHT * float(np.log((error(axis) + _ALIKE_ERROR * unit) / (first_error + _ALIKE_ERROR * unit)))
    made = start._replace(axis=axis, bottom=bottom, log_share=start.log_share + bonus)
    return Part(made, agreed, part.pose, part.bonus + bonus)


def again(s: Search, pot: Pot, fine: bool) -> Pot:
    """Each sherd placed anew by the others."""
    parts = list(pot.parts)
    for n in range(len(parts)):
        whole = spread(s, parts, n)[1]
        if not whole.any():
            continue
        (believed,) = ask(s, [whole])
        voxel = parts[n].candidate.voxel
        side = s.completer.resolution
        old = parts[n].candidate
        options = [parts[n]._replace(foretold=exact(old.axis, old.bottom, voxel, s.shown[n], believed, side))]
        options += places(s, n, voxel, believed, 1)
        if fine:
            options = [refined(s, n, option, believed) for option in options]
        parts[n] = max(options, key=lambda part: part.value)
    return Pot(tuple(parts), sum(part.score for part in parts))


def run(s: Search) -> list[Pot]:
    begun = [
        (n, part)
        for voxel in sizes(s)
        for n in range(len(s.guesses))
        for part in places(s, n, voxel, None, _PLACES)
    ]
    pots = []
    for (n, part), believed in zip(begun, ask(s, [given(s, n, p.candidate) for n, p in begun]), strict=True):
        parts = [
            part if other == n else places(s, other, part.candidate.voxel, believed)[0]
            for other in range(len(s.guesses))
        ]
        pots.append(Pot(tuple(parts), sum(p.score for p in parts)))
    kept: list[Pot] = []
    for pot in sorted(pots, key=lambda p: -p.score):
        if not any(alike(pot, other) for other in kept):
            kept.append(pot)
    kept = kept[:_COMBINATIONS]
    for turn in range(_ROUNDS):
        kept = [again(s, pot, turn > 0) for pot in kept]
        kept.sort(key=lambda p: -p.score)
        kept = kept[: max(len(kept) // 3, 2)]
    return kept


def alike(one: Pot, other: Pot) -> bool:
    for a, b in zip(one.parts, other.parts, strict=True):
        a, b = a.candidate, b.candidate
        if abs(np.log(a.voxel / b.voxel)) > 0.02 or a.axis is not b.axis and not np.array_equal(a.axis.direction, b.axis.direction):
            return False
        if abs(a.bottom - b.bottom) > 3 * a.voxel:
            return False
    return True


def rescaled(s: Search, pot: Pot, by: float) -> Pot:
    """The same with another size of the pot; its middle stays."""
    parts = []
    for n, part in enumerate(pot.parts):
        c, guess = part.candidate, s.guesses[n]
        voxel = c.voxel * np.exp(by)
        half = locator.CUBE / 2
        bottom = c.bottom + half * c.voxel - half * voxel
        place = (middle(c.axis, guess.view.fill.points) - bottom) / voxel
        row = table(guess, part.pose, voxel)
        share = float(np.interp(place, np.arange(len(row)), row)) + part.bonus
        parts.append(part._replace(candidate=c._replace(voxel=voxel, bottom=bottom, log_share=share)))
    return Pot(tuple(parts), pot.score)
