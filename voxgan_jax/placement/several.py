"""Where several loose sherds of one pot lay in it: each by what the others foretell of it.

Every sherd alone gives some places (`propose.Guess`), and one pot has one size. From the likeliest
of each the model makes a pot, in which the others find their places; then each sherd is placed anew
in the pot that the model makes of all others. A sherd that this pot does not foretell is set aside.
How they were turned about the axis nothing tells: they are spread around it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy import special

from voxgan_jax.inference.completer import Completer
from voxgan_jax.placement import axis_fit, axis_search, foretold, locator, nearby
from voxgan_jax.placement.axis_fit import Axis
from voxgan_jax.placement.belief import Belief, Shown, Voxels, belief, shown, slid
from voxgan_jax.placement.candidate import Candidate, given_cells
from voxgan_jax.placement.propose import Guess, Pose

_STEP = 0.03  # between the sizes that are tried, as a logarithm
_SIZES, _PLACES = 6, 3
"""So many sizes are tried, and so many places of each sherd to begin with."""
_ROUNDS = ((8, False), (3, True), (2, True))
"""How many combinations each round places anew, and whether it moves axes as well."""

_WEIGHTS = _SHARE, _FORETOLD = 0.85, 12.0
"""What the logarithms of a place's own likelihood, and of how well the other sherds foretell it,
are worth: chosen on validation pots."""
_SURE, _UNLIKELY = -1.5, -8.0
"""A sherd's own shape counts within these bounds: not more, as a line that is round by chance would
outdo all others, and not less, so that the other sherds may speak for a place."""
_SET_ASIDE = -8.0
"""A sherd whose place is worth less is left out."""
_AGREED = -0.5
"""So well another sherd is foretold before there is a pot."""

_NEAR = 0.1  # of a logarithm of size, beyond which a table says nothing
_APART = 4  # rows between two places of a sherd
_ALIKE_ROWS, _ALIKE_SIZE = 3.0, 0.02


class Part(NamedTuple):
    """A sherd's place, and how well the pot that the others make foretells it: the mean logarithm
    of the probability."""

    candidate: Candidate
    foretold: float

    @property
    def value(self) -> float:
        """A logarithm of how likely it is."""
        return _SHARE * min(self.candidate.log_share, _SURE) + _FORETOLD * self.foretold

    @property
    def placed(self) -> bool:
        """Whether the pot foretells it well enough."""
        return self.value > _SET_ASIDE


Pot = tuple[Part, ...]
"""A place for each sherd."""


def worth(pot: Pot) -> float:
    """A logarithm of how likely places are together; a sherd that is set aside costs the same
    wherever it would lie."""
    return sum(max(part.value, _SET_ASIDE) for part in pot)


class Loose(NamedTuple):
    """A sherd; its poses, with the points of their axes half-way between its lowest and highest
    point; some points of it."""

    guess: Guess
    poses: tuple[Pose, ...]
    shown: Shown


class Sherds(NamedTuple):
    """Sherds of one pot, and the model that completes it."""

    completer: Completer
    all: tuple[Loose, ...]

    def cells(self, n: int, candidate: Candidate) -> Voxels:
        """The voxels of a sherd in a place."""
        return given_cells(candidate, *self.all[n].guess.view.fill, self.completer.resolution)

    def answer(self, given: Voxels) -> Float[np.ndarray, "r r r"]:
        """Probabilities of the pot that the model makes of what is given."""
        answer = self.completer.glance(jnp.asarray(given[None, ..., None], jnp.float32))
        return np.asarray(answer)[0, ..., 0]

    def believed(self, given: Voxels) -> Belief:
        """That pot by rings and rows."""
        return belief(given, self.answer(given))


def loose(guess: Guess) -> Loose:
    """A sherd to be placed together with others, as its own shape tells."""

    def level(axis: Axis) -> Axis:
        height = axis_fit.cylindrical(axis, guess.view.fill.points)[1]
        half = (height.max() + height.min()) / 2
        return axis._replace(point=axis.point + half * axis.direction)

    # By a size that is told nearly all may be ruled out: what is left is likely as a whole.
    left = special.logsumexp([special.logsumexp(cells) for _, _, cells in guess.poses])
    poses = tuple((level(axis), scales, cells - left) for axis, scales, cells in guess.poses)
    return Loose(guess, poses, shown(guess.view))


def together(found: Sherds) -> Pot:
    """The likeliest places of all sherds."""
    pots: list[Pot] = []
    for voxel in _voxels(found):
        for n, sherd in enumerate(found.all):
            for part in _places(sherd, voxel, None, _PLACES):
                pot = found.believed(found.cells(n, part.candidate))
                pots.append(
                    tuple(
                        part if other is sherd else _places(other, voxel, pot)[0]
                        for other in found.all
                    )
                )
    for count, fine in _ROUNDS:
        kept: list[Pot] = []
        for pot in sorted(pots, key=worth, reverse=True):
            if not any(_alike(pot, other) for other in kept):
                kept.append(pot)
        pots = [_again(found, pot, fine) for pot in kept[:count]]
    return max(pots, key=worth)


def spread(found: Sherds, parts: Sequence[Part], skip: int = -1) -> tuple[list[Candidate], Voxels]:
    """The sherds turned about the axis so that they overlap least and stand apart; the voxels of
    all that are placed.

    Args:
        skip: the number of one that is left out.
    """
    side, sectors = found.completer.resolution, foretold.SECTORS
    made, whole = [part.candidate for part in parts], np.zeros((side,) * 3, bool)
    taken = np.zeros((sectors, side))
    away = np.abs((np.arange(sectors) + sectors // 2) % sectors - sectors // 2)
    near = 0.5**away
    for n, part in enumerate(parts):
        if n == skip or not part.placed:
            continue
        mask = foretold.sectors(found.cells(n, part.candidate)).astype(float)
        turns = [np.roll(mask, k, 0) for k in range(sectors)]
        k = int(np.argmin([(turned * taken).sum() for turned in turns]))
        made[n] = part.candidate._replace(turn=-2 * np.pi * k / sectors)
        whole |= found.cells(n, made[n])
        beside = np.convolve(np.tile(turns[k].max(1), 3), np.roll(near, (sectors - 1) // 2), "same")
        # Where two overlap costs more than where they are close.
        taken += 1000 * turns[k] + beside[sectors : 2 * sectors, None]
    return made, whole


def _tables(sherd: Loose, voxel: float) -> Float[np.ndarray, "poses places"]:
    """How likely, in each pose, the sherd's middle is at each whole row above the cube's bottom; a
    logarithm, far below `_UNLIKELY` for a size beyond the pose's table."""
    made = np.full((len(sherd.poses), locator.CUBE + 1), 10 * _UNLIKELY)
    scale = np.log(voxel / sherd.guess.view.unit)
    for pose, (_, scales, cells) in enumerate(sherd.poses):
        if scales[0] - _NEAR <= scale <= scales[-1] + _NEAR:
            where = float(np.interp(scale, scales, np.arange(len(scales))))
            low = min(int(where), max(len(scales) - 2, 0))
            row = cells[low] + (where - low) * (cells[min(low + 1, len(scales) - 1)] - cells[low])
            made[pose] = np.interp(np.arange(locator.CUBE + 1), locator.PLACES, row)
    return made


def _voxels(found: Sherds) -> list[float]:
    """The likeliest sides of a voxel in mm, by what each sherd's own shape tells."""
    ends = [s.guess.view.unit * np.exp(pose[1][[0, -1]]) for s in found.all for pose in s.poses]
    grid = np.exp(np.arange(np.log(np.min(ends)), np.log(np.max(ends)) + _STEP, _STEP))

    def value(voxel: float) -> float:
        each = (special.logsumexp(_tables(sherd, voxel)) for sherd in found.all)
        return float(sum(np.logaddexp(own, _UNLIKELY) for own in each))

    return sorted(map(float, grid), key=value, reverse=True)[:_SIZES]


def _places(sherd: Loose, voxel: float, pot: Belief | None, count: int = 1) -> list[Part]:
    """The best places of a sherd in a pot, or by its own shape alone."""
    shares = np.maximum(_tables(sherd, voxel), _UNLIKELY)
    agreed = np.full(shares.shape, _AGREED)
    if pot is not None:
        lines = axis_search.lines_of([axis for axis, _, _ in sherd.poses])
        agreed = slid(lines, voxel, sherd.shown, pot)
        rows = np.linspace(0, agreed.shape[1] - 1, shares.shape[1])
        agreed = agreed[:, np.rint(rows).astype(int)]
    left = _SHARE * shares + _FORETOLD * agreed
    made = []
    for _ in range(count):
        m, place = (int(k) for k in np.unravel_index(int(left.argmax()), left.shape))
        axis = sherd.poses[m][0]
        candidate = Candidate(axis, voxel, -place * voxel, float(shares[m, place]))
        made.append(Part(candidate, float(agreed[m, place])))
        left[m, max(place - _APART, 0) : place + _APART + 1] = -np.inf
    return made


def _again(found: Sherds, pot: Pot, fine: bool) -> Pot:
    """Each sherd placed anew in the pot that the others make, its axis and height moved as well
    where that is `fine`."""
    parts = list(pot)
    for n, sherd in enumerate(found.all):
        others = spread(found, parts, n)[1]
        if not others.any():
            continue
        made, view = found.believed(others), sherd.guess.view
        options = [
            part.candidate for part in (parts[n], *_places(sherd, parts[n].candidate.voxel, made))
        ]
        if fine:
            options = [nearby.best(c, view, sherd.shown, made, _WEIGHTS) for c in options]
        agreed = (nearby.foretold(candidate, sherd.shown, made) for candidate in options)
        parts[n] = max(map(Part, options, agreed), key=lambda part: part.value)
    return tuple(parts)


def _alike(one: Pot, other: Pot) -> bool:
    """Whether all sherds lie much the same in two pots."""
    pairs = [(a.candidate, b.candidate) for a, b in zip(one, other, strict=True)]
    return all(
        abs(np.log(a.voxel / b.voxel)) <= _ALIKE_SIZE
        and np.array_equal(a.axis.direction, b.axis.direction)
        and abs(a.bottom - b.bottom) <= _ALIKE_ROWS * a.voxel
        for a, b in pairs
    )
