"""Completing sherds with a trained generator: grids in, answers out."""

import functools
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, UInt8

from voxgan_jax.data import fragments, grid
from voxgan_jax.inference import bridge, floor
from voxgan_jax.inference.answer import (
    GIVEN,
    INFERRED,
    UNCERTAIN,
    Answer,
    Drawn,
    Hypothesis,
    Request,
)
from voxgan_jax.inference.completer import Completer
from voxgan_jax.inference.confidence import judge, measure, of_pot
from voxgan_jax.scan.pose import Sherd


def given_voxels(request: Request) -> Bool[np.ndarray, "_ _ _"]:
    """The voxels of the pot's box that any sherd gives.

    Raises:
        ValueError: a sherd is empty or has no such fragment, or their boxes are not of one size.
    """
    shapes = {sherd.labels.shape: sherd.source for sherd in request.sherds}
    if len(shapes) > 1:
        one, other, *_ = shapes.values()
        raise ValueError(f"{one} and {other}: their boxes differ; place both in the box of one pot")
    given = [_given_labels(sherd)[sherd.labels] for sherd in request.sherds]
    return np.logical_or.reduce(given)


def _given_labels(sherd: Sherd) -> Bool[np.ndarray, "256"]:
    """Which labels are given: those of the named fragments, or all where none is named."""
    present = fragments.fragment_ids(sherd.labels)
    if not present:
        raise ValueError(f"{sherd.source}: it holds no voxel")
    if not sherd.ids:
        return np.arange(256) > 0
    missing = sorted(set(sherd.ids) - set(present))
    if missing:
        listing = ", ".join(map(str, present))
        raise ValueError(f"{sherd.source}: no fragment {missing[0]}; it has {listing}")
    return fragments.given_table(sherd.ids)


def complete(
    completer: Completer,
    labels: UInt8[np.ndarray, "d h w"],
    *,
    ids: Sequence[int] = (),
    threshold: float | None = None,
    whole_cube: bool = False,
    source: str = "",
) -> Answer:
    """Complete one pot of which the fragments `ids` are given, or all that is in the grid.

    Every given voxel is kept; the model decides about the others. Where the model works on a
    coarser grid (`pool`), what it adds comes in blocks of that size. Where its pot comes in several
    pieces or its floor has a hole, these are joined and that is closed (`floor.whole`).

    Args:
        whole_cube: the result fills the model's cube instead of the input's own box.
        threshold: probability above which a voxel is added; None takes the model's own.
        source: what the errors call the input.

    Raises:
        FitError: the pot is too big for the model's cube.
        ValueError: an empty grid, or a fragment that it does not have.
    """
    request = Request((Sherd(labels, tuple(ids), source),))
    return complete_batch(completer, [request], threshold=threshold, whole_cube=whole_cube)[0]


def complete_batch(
    completer: Completer,
    requests: Sequence[Request],
    *,
    threshold: float | None = None,
    whole_cube: bool = False,
) -> list[Answer]:
    """Complete several pots in one pass of the model; otherwise as `complete`."""
    cut = completer.threshold if threshold is None else threshold
    boxes = [given_voxels(request) for request in requests]
    partial = np.zeros((len(requests), *[completer.resolution] * 3, 1), np.float32)
    for row, request in enumerate(requests):
        partial[row, ..., 0] = _given_cells(completer, request)
    halves = axes = None
    if completer.several is None:
        found = completer.predict(jnp.asarray(partial))
    else:
        found, halves, axes = completer.several(jnp.asarray(partial))
    probabilities = np.asarray(found)[..., 0]
    given = partial[..., 0] > 0
    answer = functools.partial(_answer, completer, threshold=cut, whole_cube=whole_cube)
    answers = list(map(answer, boxes, given, probabilities))
    if completer.rule is not None:
        # The model's own answer and threshold, for which the rule was fitted.
        for row, cells in enumerate(given):
            features = measure(cells, probabilities[row], completer.threshold)
            found = of_pot(judge(completer.rule, features), answers[row].pieces)
            answers[row] = answers[row]._replace(confidence=found)
    if halves is not None and axes is not None:
        for row, (box, distance, stand) in enumerate(zip(boxes, halves, axes, strict=True)):
            region = grid.region(box.shape, **completer.place)
            d, h, w = (0 if whole_cube else side.start / completer.pool for side in region)
            drawn = Drawn(np.asarray(distance), np.asarray(stand), (d, h, w), completer.pool)
            answers[row] = answers[row]._replace(drawn=drawn)
    if completer.alternatives is not None:
        others, shares = map(np.asarray, completer.alternatives(jnp.asarray(partial)))
        for row, (box, cells) in enumerate(zip(boxes, given, strict=True)):
            made = [answer(box, cells, other) for other in others[:, row, ..., 0]]
            pots = zip(made, shares[:, row].tolist(), strict=True)
            several = tuple(Hypothesis(pot.labels, pot.belief, share) for pot, share in pots)
            answers[row] = answers[row]._replace(hypotheses=several)
    return answers


def _given_cells(completer: Completer, request: Request) -> Bool[np.ndarray, "r r r"]:
    """The cells of the model's cube that any sherd gives: those of which most of a sherd is."""
    given = np.zeros([completer.resolution] * 3, bool)
    for sherd in request.sherds:
        cells = grid.place(sherd.labels, source=sherd.source, **completer.place)
        given |= _given_labels(sherd)[cells]
    return given


def _answer(
    completer: Completer,
    box: Bool[np.ndarray, "_ _ _"],
    given: Bool[np.ndarray, "r r r"],
    probabilities: Float[np.ndarray, "r r r"],
    threshold: float,
    whole_cube: bool,
) -> Answer:
    """What is given, and what the model adds to it, in the box asked for.

    Args:
        box: the voxels that are given, in the pot's box; `given` in the model's cube.
    """
    region = grid.region(box.shape, **completer.place)
    # What is cut off at the box must not part the pot or open its floor unseen.
    asked = np.full(given.shape, whole_cube)
    asked[tuple(slice(s.start // completer.pool, -(-s.stop // completer.pool)) for s in region)] = 1
    outside = int(((probabilities > threshold) & ~asked).sum())
    made = floor.whole(np.where(asked, probabilities, np.float32(0)), given, threshold)
    inferred = np.where(made.probabilities > threshold, np.uint8(INFERRED), np.uint8(0))
    inferred[made.bridges] = UNCERTAIN
    # Polygons from [0, 1] to itself that take the threshold to 0.5.
    middle = min(max(threshold, 1e-6), 1 - 1e-6)
    belief = np.interp(made.probabilities, [0, middle, 1], [0, 0.5, 1]).astype(np.float32)
    cube, belief = (grid.upsample(each, completer.pool) for each in (inferred, belief))
    cube[region][box] = GIVEN
    kept, left_out, shift = cube, 0, (0, 0, 0)
    if whole_cube:
        # Grid axes are (y, flipped z, x) of the file, so z counts from the end of h.
        d, h, w = region
        shift = (w.start, d.start, len(cube) - h.stop)
    else:
        kept, belief = cube[region], belief[region]
        left_out = outside * completer.pool**3 + int((cube > 0).sum() - (kept > 0).sum())
    found, cell = made.pieces, completer.pool**3
    closed, plugs = cell * found.floor, cell * found.plugs
    pieces = found._replace(
        left=bridge.count(kept > 0),
        added=max(int((kept == UNCERTAIN).sum()) - closed - plugs, 0),
        dropped=cell * found.dropped,
        floor=closed,
        plugs=plugs,
        is_open=bool(floor.hole(kept > 0).any()),
    )
    probabilities = np.where(asked, made.probabilities, probabilities)
    return Answer(kept, left_out, shift, probabilities, belief, pieces=pieces)
