"""Where a scanned sherd lay in its pot, and how big the pot was: what is not known is estimated.

Lines are tried as its axis (`axis_search`) and fitted to its surface (`axis_fit`); a small network
says how well each serves, how big the pot was then, where in its height the sherd lay and which end
was up (`locator`); the likeliest placements (`propose`) are completed by the model itself, and
what it makes of them is weighed with the rest (`WEIGHTS`).
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy import special

from voxgan_jax.inference.completer import Completer
from voxgan_jax.inference.confidence import own_iou
from voxgan_jax.placement import foretold, locator
from voxgan_jax.placement.candidate import Candidate, Known, given_cells, matrix, same, spans
from voxgan_jax.placement.foretold import Voxels
from voxgan_jax.placement.propose import Guess, guess
from voxgan_jax.placement.view import Sight
from voxgan_jax.scan.pose import Placement
from voxgan_jax.scan.walls import Points

LOOKED_AT = 8
"""Placements that the model completes."""

RUNNER_UPS = 3  # told beside the best
WEIGHTS = (0.85, 0.4, 4.0)
"""What `Candidate.log_share`, the logit of the IoU that the model expects of its own answer, and
how well either half of the sherd foretells the other are worth, as logarithms of likelihood."""

TRUST = (-1.1, 0.8, 0.4)
"""How often a placement is right (the right end up, its size within 10 %), as a logit: a constant,
and what the logits of its share among the candidates and of that IoU are worth. Fitted to
64 fragments of 30 validation pots; docs/results.md tells how well they do on other pots."""

_ROW_ERROR = 1.5  # voxels, standard deviation of where a rim or base is seen
_SIZE_ERROR = 0.04  # likewise, of the logarithm of a size that the model sees

Answer = Float[np.ndarray, "r r r"]


def place(
    completer: Completer,
    sight: Sight,
    known: Known = Known(),  # noqa: B008 - it cannot change
) -> Placement:
    """The likeliest placement of a sherd, with runners-up that really differ from it.

    Raises:
        ValueError: nothing agrees with the surface and with what is known, or a model whose pots do
            not stand in the middle of the cube.
    """
    require_centred(completer)
    return settled(completer, guess(sight, known, locator.load()), known)


def settled(completer: Completer, found: Guess, known: Known) -> Placement:
    """The likeliest placement of a sherd of which it is known how it may have lain."""
    view, (points, volume) = found.view, found.view.fill
    asked = []
    for candidate in found.candidates()[:LOOKED_AT]:
        given = given_cells(candidate, points, volume, completer.resolution)
        if given.any():
            # One by one, as sherds are completed: so the model is compiled but once. None is waited
            # for before all are asked.
            shown = [given, *foretold.halves(given)]
            rows = (jnp.asarray(some[None, ..., None], jnp.float32) for some in shown)
            asked.append((candidate, given, [completer.glance(row) for row in rows]))
    placements = []
    for candidate, given, answers in asked:
        seen = [np.asarray(answer)[0, ..., 0] for answer in answers]
        placements.append((candidate, judged(completer, candidate, given, seen, known, points)))
    shown = view.shown if view.shown > view.thickness else None
    return ranked(placements, points)._replace(
        wall_mm=view.thickness, shown_wall_mm=shown, other_axis=view.other
    )


def require_centred(completer: Completer) -> None:
    """Raise ValueError for a model whose pots do not stand in the middle of the cube."""
    if completer.placement != "center":
        raise ValueError(
            "this model was trained on pots in the corner of the cube, for which nothing is known"
            " of placing; give --as-is"
        )


def judged(
    completer: Completer,
    candidate: Candidate,
    given: Voxels,
    answers: Sequence[Answer],
    known: Known,
    points: Points,
) -> Placement:
    """A candidate's placement and score; its share is still to come.

    Args:
        answers: to what is given, and to either half of it.
    """
    answer = answers[0]
    made = placement(completer, candidate, given, answer, points)
    parts = candidate.log_share, _logit(made.own_iou), foretold.likelihood(answers[1:], given)
    score = float(np.dot(WEIGHTS, parts))
    for told, found in ((known.height, made.height_mm), (known.diameter, made.diameter_mm)):
        if told is not None:
            error = np.log(max(found, 1e-9) / told) / _SIZE_ERROR
            score -= min(0.5 * error**2, 12.0)
    low, high, _ = spans(np.where(given, 1.0, answer), completer.threshold)
    rows = len(answer) - 1 - np.flatnonzero(given.any(axis=(0, 1)))
    if known.rim:
        score -= min(0.5 * ((high - 1 - rows.max()) / _ROW_ERROR) ** 2, 12.0)
    if known.base:
        score -= min(0.5 * ((rows.min() - low) / _ROW_ERROR) ** 2, 12.0)
    return made._replace(score=float(score))


def placement(
    completer: Completer, candidate: Candidate, given: Voxels, answer: Answer, points: Points
) -> Placement:
    """A candidate as a placement, with the sizes of the pot that the model makes of what is given;
    its score and share are still to come.

    Args:
        points: that fill the sherd.
    """
    step = candidate.voxel * locator.CUBE / len(answer)
    low, high, wide = spans(np.where(given, 1.0, answer), completer.threshold)
    middle = (points.mean(0) - candidate.axis.point) @ candidate.axis.direction
    return Placement(
        matrix=matrix(candidate, completer.resolution * completer.pool),
        point=candidate.axis.point,
        direction=candidate.axis.direction,
        voxel_mm=step / completer.pool,
        height_mm=(high - low) * step,
        diameter_mm=wide * step,
        above_base_mm=float(middle - candidate.bottom - low * step),
        score=0.0,
        share=0.0,
        own_iou=own_iou(given, answer, completer.threshold),
    )


def _logit(share: float) -> float:
    return float(special.logit(np.clip(share, 0.01, 0.99)))


def ranked(judged: Sequence[tuple[Candidate, Placement]], points: Points) -> Placement:
    """The best placement, how sure it is, and its runners-up.

    A softmax over all scores gives the shares; what is much the same is one. How sure the best is
    follows from `TRUST`, and the others are less sure as their shares are less; what is left to 1
    is that none of them is right.

    Raises:
        ValueError: no placement at all.
    """
    if not judged:
        raise ValueError("no placement keeps the sherd in the model's cube; give --as-is")
    scores = np.array([made.score for _, made in judged])
    shares = special.softmax(scores)
    left = list(np.argsort(-scores))
    kept: list[Placement] = []
    while left:
        best = left[0]
        group = [n for n in left if same(judged[best][0], judged[n][0], points)]
        kept.append(judged[best][1]._replace(share=float(shares[group].sum())))
        left = [n for n in left if n not in group]
    kept = sorted(kept, key=lambda made: -made.share)[: RUNNER_UPS + 1]
    best = kept[0]
    parts = (1.0, _logit(best.share), _logit(best.own_iou))
    sure = float(special.expit(np.dot(TRUST, parts)))
    others = tuple(
        other._replace(share=sure * other.share / max(best.share, 1e-9)) for other in kept[1:]
    )
    return best._replace(share=sure, runner_ups=others)
