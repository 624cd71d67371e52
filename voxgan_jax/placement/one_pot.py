"""The place of each of several loose sherds of one pot, in the coordinates of one of them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from voxgan_jax.inference.completer import Completer
from voxgan_jax.placement import several
from voxgan_jax.placement.candidate import Known, matrix
from voxgan_jax.placement.place import placement, require_centred, settled
from voxgan_jax.placement.propose import Guess
from voxgan_jax.scan.pose import Placement

Move = Float[np.ndarray, "4 4"]

MOST = 12
"""So many sherds are placed together at most: time grows with their square."""

SHARE = 0.69
"""How sure such a place is said to be, never high: of two sherds each of 16 validation pots so many
were right (the right end up, the pot's size within 10 %), of three 75 %, and how well they foretell
each other did not tell these from the others."""


class Gathered(NamedTuple):
    """Sherds in the place that they have in their pot together.

    `placement` is that of the sherd with the number `frame`, in its coordinates; `moves` lead from
    each one's coordinates to these, None for a sherd that is set aside as the pot of the others
    does not foretell it.
    """

    placement: Placement
    frame: int
    moves: tuple[Move | None, ...]


def gather(
    completer: Completer,
    guesses: Sequence[Guess],
    known: Known = Known(),  # noqa: B008 - it cannot change
) -> Gathered:
    """The places of sherds that lie anywhere, each for itself, but are of one pot.

    Where no two of them agree, the one that is surest alone is placed, and the others are set
    aside.

    Args:
        guesses: two or more.
        known: of the pot, as the guesses were made with it.

    Raises:
        ValueError: a model whose pots do not stand in the middle of the cube.
    """
    require_centred(completer)
    found = several.Sherds(completer, tuple(map(several.loose, guesses)))
    parts = several.together(found)
    placed = [n for n, part in enumerate(parts) if part.placed]
    if len(placed) < 2:
        return _alone(completer, guesses, known)
    candidates, given = several.spread(found, parts)
    frame = max(placed, key=lambda n: parts[n].foretold)
    points = guesses[frame].view.fill.points
    made = placement(completer, candidates[frame], given, found.answer(given), points)
    shown = [guesses[n].view for n in placed if guesses[n].view.shown > guesses[n].view.thickness]
    made = made._replace(
        score=several.worth(parts),
        share=SHARE,
        wall_mm=float(np.median([guesses[n].view.thickness for n in placed])),
        shown_wall_mm=max((view.shown for view in shown), default=None),
    )
    side = completer.resolution
    to_frame = matrix(candidates[frame], side)
    moves = [to_frame @ np.linalg.inv(matrix(candidate, side)) for candidate in candidates]
    kept = [move if n in placed else None for n, move in enumerate(moves)]
    return Gathered(made, frame, tuple(kept))


def _alone(completer: Completer, guesses: Sequence[Guess], known: Known) -> Gathered:
    """The sherd that is surest alone, the others set aside."""
    each: dict[int, Placement] = {}
    why = ValueError("no sherd")
    for n, guess in enumerate(guesses):
        try:
            each[n] = settled(completer, guess, known)
        except ValueError as error:
            why = error
    if not each:
        raise why
    best = max(each, key=lambda n: each[n].share)
    moves = [np.eye(4) if n == best else None for n in range(len(guesses))]
    return Gathered(each[best], best, tuple(moves))
