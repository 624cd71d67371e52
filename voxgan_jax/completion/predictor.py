"""Completing sherds with a trained generator: grids in, answers out."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, UInt8

from voxgan_jax.completion.answers import Answer, Hypothesis, Request
from voxgan_jax.completion.confidence import judge, measure
from voxgan_jax.completion.model import Completer
from voxgan_jax.completion.outputs import GIVEN, INFERRED
from voxgan_jax.completion.requests import given_labels
from voxgan_jax.data import grid


def complete(
    completer: Completer,
    labels: UInt8[np.ndarray, "d h w"],
    *,
    ids: Sequence[int] | None = None,
    threshold: float | None = None,
    whole_cube: bool = False,
    source: str = "",
) -> Answer:
    """Complete one pot of which the fragments `ids` are given, or all that is in the file.

    Every given voxel is kept; the model decides about the others. Where the model works on a
    coarser grid (`pool`), what it adds comes in blocks of that size.

    Args:
        whole_cube: the result fills the model's cube instead of the input's own box.
        threshold: probability above which a voxel is added; None takes the model's own.
        source: what the errors call the input.

    Raises:
        FitError: the pot is too big for the model's cube.
        ValueError: an empty file, or a fragment that it does not have.
    """
    requests = [Request(labels, ids, source)]
    return complete_batch(completer, requests, threshold=threshold, whole_cube=whole_cube)[0]


def complete_batch(
    completer: Completer,
    requests: Sequence[Request],
    *,
    threshold: float | None = None,
    whole_cube: bool = False,
    rows: int | None = None,
) -> list[Answer]:
    """Complete several pots in one pass of the model; otherwise as `complete`.

    `rows` fills the batch up with empty pots: one size for all batches is compiled only once.
    """
    tables = [given_labels(*request[:3]) for request in requests]
    partial = np.zeros((max(rows or 0, len(requests)), *[completer.resolution] * 3, 1), np.float32)
    place = {"pool": completer.pool, "placement": completer.placement}
    for row, (request, table) in enumerate(zip(requests, tables, strict=True)):
        placed = grid.place(request.labels, completer.resolution, source=request.source, **place)
        partial[row, ..., 0] = table[placed]
    probabilities = np.asarray(completer.predict(jnp.asarray(partial)))[..., 0]
    cut = completer.threshold if threshold is None else threshold
    answers = []
    for row, (request, table) in enumerate(zip(requests, tables, strict=True)):
        answer = _assemble(completer, request.labels, table, probabilities[row], cut, whole_cube)
        if completer.rule is not None:
            # With the model's own threshold, for which the rule was fitted.
            features = measure(partial[row, ..., 0] > 0, probabilities[row], completer.threshold)
            answer = answer._replace(confidence=judge(completer.rule, features))
        answers.append(answer)
    if completer.alternatives is None:
        return answers
    others, shares = (np.asarray(part) for part in completer.alternatives(jnp.asarray(partial)))
    for row, (request, table) in enumerate(zip(requests, tables, strict=True)):
        hypotheses = []
        for other, share in zip(others[:, row, ..., 0], shares[:, row], strict=True):
            made = _assemble(completer, request.labels, table, other, cut, whole_cube)
            hypotheses.append(Hypothesis(made.labels, made.belief, float(share)))
        answers[row] = answers[row]._replace(hypotheses=tuple(hypotheses))
    return answers


def _assemble(
    completer: Completer,
    labels: UInt8[np.ndarray, "_ _ _"],
    table: Bool[np.ndarray, "256"],
    probabilities: Float[np.ndarray, "r r r"],
    threshold: float,
    whole_cube: bool,
) -> Answer:
    """What is given, and what the model adds to it, in the box asked for."""
    inferred = probabilities > threshold
    belief = np.interp(probabilities, *_halved(threshold)).astype(np.float32)
    if completer.pool > 1:
        inferred = grid.upsample(inferred, completer.pool)
        belief = grid.upsample(belief, completer.pool)
    cube = np.where(inferred, INFERRED, 0).astype(np.uint8)
    region = grid.region(
        labels.shape, completer.resolution, pool=completer.pool, placement=completer.placement
    )
    cube[region][table[labels]] = GIVEN
    if not whole_cube:
        kept = cube[region]
        left_out = int((cube > 0).sum() - (kept > 0).sum())
        return Answer(kept, left_out, (0, 0, 0), probabilities, belief[region])
    # Grid axes are (y, flipped z, x) of the file, so z counts from the end of h.
    d, h, w = region
    return Answer(cube, 0, (w.start, d.start, len(cube) - h.stop), probabilities, belief)


def _halved(threshold: float) -> tuple[list[float], list[float]]:
    """The two polygons of a map from [0, 1] to itself that takes the threshold to 0.5."""
    return [0.0, min(max(threshold, 1e-6), 1 - 1e-6), 1.0], [0.0, 0.5, 1.0]
