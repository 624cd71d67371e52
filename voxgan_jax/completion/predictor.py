"""Completing sherds with a trained generator: files in, files out."""

import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, UInt8

from voxgan_jax.completion import mesh, outputs
from voxgan_jax.completion.confidence import Confidence, judge, measure
from voxgan_jax.completion.model import Completer
from voxgan_jax.completion.outputs import GIVEN, INFERRED
from voxgan_jax.completion.requests import Request, given_labels, request_of
from voxgan_jax.data import grid


class Completion(NamedTuple):
    """A completed pot.

    `labels` holds GIVEN and INFERRED in the box asked for; what the model adds outside it is only
    counted, in `left_out`. The file's coordinates (x, y, z) move by `shift`: not at all in the
    input's own box. `probabilities` fill the model's cube. `belief` are those in the box of
    `labels`, with the threshold moved to 0.5. `confidence` says how far to trust it; None where the
    model was not calibrated for that.
    """

    labels: UInt8[np.ndarray, "_ _ _"]
    left_out: int
    shift: tuple[int, int, int]
    probabilities: Float[np.ndarray, "r r r"]
    belief: Float[np.ndarray, "_ _ _"]
    confidence: Confidence | None = None


def complete(
    completer: Completer,
    labels: UInt8[np.ndarray, "d h w"],
    *,
    ids: Sequence[int] | None = None,
    threshold: float | None = None,
    whole_cube: bool = False,
    source: str = "",
) -> Completion:
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
) -> list[Completion]:
    """Complete several pots in one pass of the model; otherwise as `complete`.

    `rows` fills the batch up with empty pots: one size for all batches is compiled only once.
    """
    tables = [given_labels(*request[:3]) for request in requests]
    partial = np.zeros((max(rows or 0, len(requests)), *[completer.resolution] * 3, 1), np.float32)
    place = {"pool": completer.pool, "placement": completer.placement}
    for row, (request, table) in enumerate(zip(requests, tables, strict=True)):
        placed = grid.place(request.labels, completer.resolution, source=request.source, **place)
        partial[row, ..., 0] = table[placed]
    answers = np.asarray(completer.predict(jnp.asarray(partial)))[: len(requests), ..., 0]
    cut = completer.threshold if threshold is None else threshold
    completions = []
    for row, (request, table) in enumerate(zip(requests, tables, strict=True)):
        done = _assemble(completer, request.labels, table, answers[row], cut, whole_cube)
        if completer.rule is not None:
            # With the model's own threshold, for which the rule was fitted.
            features = measure(partial[row, ..., 0] > 0, answers[row], completer.threshold)
            done = done._replace(confidence=judge(completer.rule, features))
        completions.append(done)
    return completions


def _assemble(
    completer: Completer,
    labels: UInt8[np.ndarray, "_ _ _"],
    table: Bool[np.ndarray, "256"],
    probabilities: Float[np.ndarray, "r r r"],
    threshold: float,
    whole_cube: bool,
) -> Completion:
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
        return Completion(kept, left_out, (0, 0, 0), probabilities, belief[region])
    # Grid axes are (y, flipped z, x) of the file, so z counts from the end of h.
    d, h, w = region
    return Completion(cube, 0, (w.start, d.start, len(cube) - h.stop), probabilities, belief)


def _halved(threshold: float) -> tuple[list[float], list[float]]:
    """The two polygons of a map from [0, 1] to itself that takes the threshold to 0.5."""
    return [0.0, min(max(threshold, 1e-6), 1 - 1e-6), 1.0], [0.0, 0.5, 1.0]


class Result(NamedTuple):
    """A completed file: what was written, and the completion."""

    written: outputs.Written
    completion: Completion


def complete_file(
    completer: Completer,
    path: str | pathlib.Path,
    out_dir: str | pathlib.Path,
    **options: Any,
) -> Result:
    """Complete a file and write the results, as `complete_files` does for many.

    Raises:
        VoxError: not a readable `.vox` file; and what `complete` raises.
    """
    (result,) = complete_files(completer, [path], out_dir, **options)
    if isinstance(result, Exception):
        raise result
    return result


def complete_files(
    completer: Completer,
    paths: Iterable[str | pathlib.Path],
    out_dir: str | pathlib.Path,
    *,
    batch_size: int = 16,
    ids: Sequence[int] | None = None,
    fixed_fragment: bool = False,
    placing: Mapping[str, Any] | None = None,
    writing: Mapping[str, Any] | None = None,
    **options: Any,
) -> Iterator[Result | OSError | ValueError]:
    """Complete files, `batch_size` of them at a time, and write the results, in their order.

    For a file that cannot be completed its error comes in place of a result; the others go on.

    Args:
        out_dir: where `NAME_completed.vox` and the others go (`outputs.write`).
        fixed_fragment: give the fragment that evaluation gives, in place of `ids`.
        placing: how files are read: the options of `scans.read`.
        writing: which files are written: `formats` and `clearance_mm` of `outputs.write`.
        options: `threshold` and `whole_cube`, as `complete` takes them.
    """
    paths = [pathlib.Path(path) for path in paths]
    rows = min(batch_size, len(paths))
    for start in range(0, len(paths), batch_size):
        batch = paths[start : start + batch_size]
        requests = [
            request_of(completer, path, ids, fixed_fragment, placing or {}) for path in batch
        ]
        good = [request for request in requests if isinstance(request, Request)]
        completions = iter(complete_batch(completer, good, rows=rows, **options) if good else ())
        for request in requests:
            if isinstance(request, Exception):
                yield request
                continue
            try:
                yield _write(request, next(completions), out_dir, writing or {})
            except (OSError, ValueError) as error:
                yield error


def _write(
    request: Request,
    completion: Completion,
    out_dir: str | pathlib.Path,
    writing: Mapping[str, Any],
) -> Result:
    suffix = "".join(f"_fragment{fragment}" for fragment in request.ids or ())
    stem = pathlib.Path(out_dir) / (pathlib.Path(request.source).stem + suffix)
    labels, (x, y, z) = completion.labels, completion.shift
    matrix = mesh.frame(request.labels.shape) if request.matrix is None else request.matrix
    # The whole cube begins before the input's box; in h it is the far end that `shift` counts.
    moved = np.eye(4)
    moved[:3, 3] = -y, -(labels.shape[1] - z - request.labels.shape[1]), -x
    written = outputs.write(
        stem, labels, completion.belief, matrix @ moved, original=request.scan, **writing
    )
    return Result(written, completion)
