"""Completing sherds with a trained generator: grids in, answers out."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, UInt8

from voxgan_jax.data import fragments, grid
from voxgan_jax.inference import bridge
from voxgan_jax.inference.answer import (
    GIVEN,
    INFERRED,
    UNCERTAIN,
    Answer,
    Hypothesis,
    Request,
)
from voxgan_jax.inference.completer import Completer
from voxgan_jax.inference.confidence import judge, measure


class UnknownFragmentError(ValueError):
    """A fragment id that the file does not have."""


def given_labels(
    labels: UInt8[np.ndarray, "d h w"], ids: Sequence[int] | None, source: str = ""
) -> Bool[np.ndarray, "256"]:
    """Which labels of a file are given: those of the named fragments, or all where none is named.

    Raises:
        UnknownFragmentError: the file has no such fragment.
        ValueError: the file is empty.
    """
    present = fragments.fragment_ids(labels)
    if not present:
        raise ValueError(f"{source}: it holds no voxel")
    if not ids:
        return np.arange(256) > 0
    missing = sorted(set(ids) - set(present))
    if missing:
        raise UnknownFragmentError(
            f"{source}: no fragment {missing[0]}; it has {', '.join(map(str, present))}"
        )
    return fragments.given_table(ids)


def complete(
    completer: Completer,
    labels: UInt8[np.ndarray, "d h w"],
    *,
    ids: Sequence[int] | None = None,
    threshold: float | None = None,
    whole_cube: bool = False,
    join: bool = True,
    source: str = "",
) -> Answer:
    """Complete one pot of which the fragments `ids` are given, or all that is in the file.

    Every given voxel is kept; the model decides about the others. Where the model works on a
    coarser grid (`pool`), what it adds comes in blocks of that size. Where its pot comes in several
    pieces, these are joined (`joined.join`).

    Args:
        whole_cube: the result fills the model's cube instead of the input's own box.
        join: whether pieces are joined; otherwise the pot is the model's own.
        threshold: probability above which a voxel is added; None takes the model's own.
        source: what the errors call the input.

    Raises:
        FitError: the pot is too big for the model's cube.
        ValueError: an empty file, or a fragment that it does not have.
    """
    requests = [Request(labels, ids, source)]
    options = {"threshold": threshold, "whole_cube": whole_cube, "join": join}
    return complete_batch(completer, requests, **options)[0]


def complete_batch(
    completer: Completer,
    requests: Sequence[Request],
    *,
    threshold: float | None = None,
    whole_cube: bool = False,
    join: bool = True,
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
        given = partial[row, ..., 0] > 0
        made = bridge.join(probabilities[row], given, cut, only_count=not join)
        answer = _assemble(completer, request.labels, table, made, cut, whole_cube)
        if completer.rule is not None:
            # The model's own answer and threshold, for which the rule was fitted.
            features = measure(given, probabilities[row], completer.threshold)
            answer = answer._replace(confidence=judge(completer.rule, features))
        answers.append(answer)
    if completer.alternatives is None:
        return answers
    others, shares = (np.asarray(part) for part in completer.alternatives(jnp.asarray(partial)))
    for row, (request, table) in enumerate(zip(requests, tables, strict=True)):
        hypotheses = []
        for other, share in zip(others[:, row, ..., 0], shares[:, row], strict=True):
            given = partial[row, ..., 0] > 0
            made = bridge.join(other, given, cut, only_count=not join)
            answer = _assemble(completer, request.labels, table, made, cut, whole_cube)
            hypotheses.append(Hypothesis(answer.labels, answer.belief, float(share)))
        answers[row] = answers[row]._replace(hypotheses=tuple(hypotheses))
    return answers


def _assemble(
    completer: Completer,
    labels: UInt8[np.ndarray, "_ _ _"],
    table: Bool[np.ndarray, "256"],
    made: bridge.Joined,
    threshold: float,
    whole_cube: bool,
) -> Answer:
    """What is given, and what the model adds to it, in the box asked for."""
    probabilities = made.probabilities
    inferred = np.where(probabilities > threshold, np.uint8(INFERRED), np.uint8(0))
    inferred[made.bridges] = UNCERTAIN
    belief = np.interp(probabilities, *_halved(threshold)).astype(np.float32)
    cube = inferred
    if completer.pool > 1:
        cube = grid.upsample(inferred, completer.pool)
        belief = grid.upsample(belief, completer.pool)
    region = grid.region(
        labels.shape, completer.resolution, pool=completer.pool, placement=completer.placement
    )
    cube[region][table[labels]] = GIVEN
    kept, left_out, shift = cube, 0, (0, 0, 0)
    if whole_cube:
        # Grid axes are (y, flipped z, x) of the file, so z counts from the end of h.
        d, h, w = region
        shift = (w.start, d.start, len(cube) - h.stop)
    else:
        kept, belief = cube[region], belief[region]
        left_out = int((cube > 0).sum() - (kept > 0).sum())
    pieces = made.pieces._replace(
        left=bridge.count(kept > 0),
        added=int((kept == UNCERTAIN).sum()),
        dropped=made.pieces.dropped * completer.pool**3,
    )
    return Answer(kept, left_out, shift, probabilities, belief, pieces=pieces)


def _halved(threshold: float) -> tuple[list[float], list[float]]:
    """The two polygons of a map from [0, 1] to itself that takes the threshold to 0.5."""
    return [0.0, min(max(threshold, 1e-6), 1 - 1e-6), 1.0], [0.0, 0.5, 1.0]
