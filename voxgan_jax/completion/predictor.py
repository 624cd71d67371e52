"""Completing sherds with a trained generator: `.vox` in, `.vox` out."""

import functools
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, UInt8

from voxgan_jax import models
from voxgan_jax.data import fragments, grid, vox
from voxgan_jax.models import weights

GIVEN, INFERRED = 1, 2
"""The labels of a completed pot: voxels of the sherd, and voxels that the model adds."""

COLOURS = {GIVEN: (190, 92, 52, 255), INFERRED: (158, 176, 190, 255)}
"""Terracotta for what was given, a pale blue-grey for what was inferred."""


class Completer(NamedTuple):
    """A generator ready for use and how it wants its pots placed.

    `predict` maps the given voxels in {0, 1} to probabilities, both float32 (b, d, h, w, 1).
    """

    predict: Callable[[Float[Array, "b d h w 1"]], Float[Array, "b d h w 1"]]
    resolution: int
    pool: int
    placement: str
    threshold: float


class Completion(NamedTuple):
    """A completed pot.

    `labels` holds GIVEN and INFERRED in the box asked for; what the model adds outside it is only
    counted, in `left_out`. The file's coordinates (x, y, z) move by `shift`: not at all in the
    input's own box. `probabilities` fill the model's cube.
    """

    labels: UInt8[np.ndarray, "_ _ _"]
    left_out: int
    shift: tuple[int, int, int]
    probabilities: Float[np.ndarray, "r r r"]


class UnknownFragmentError(ValueError):
    """A fragment id that the file does not have."""


def load(
    *, weights_file: str | pathlib.Path | None = None, workdir: str | pathlib.Path | None = None
) -> Completer:
    """A completer from a weights file, or from the run in a folder.

    Raises:
        FileNotFoundError: no weights there.
        WeightsError: not a weights file.
    """
    if (weights_file is None) == (workdir is None):
        raise ValueError("name either a weights file or the folder of a run")
    if weights_file is None:
        weights_file = pathlib.Path(workdir or "") / weights.RUN_FILE
        if not weights_file.is_file():
            raise FileNotFoundError(f"{workdir}: no {weights.RUN_FILE} there; train that run first")
    variables, config = weights.load(weights_file)
    generator = models.build_generator(config.generator)
    return Completer(
        # The variables are an argument, not constants that XLA would fold at great length.
        functools.partial(jax.jit(functools.partial(generator.apply, train=False)), variables),
        config.data.resolution,
        config.data.pool,
        config.data.placement,
        config.eval.threshold,
    )


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
    table = given_labels(labels, ids, source)
    place = {"pool": completer.pool, "placement": completer.placement}
    placed = grid.place(labels, completer.resolution, source=source, **place)
    partial = jnp.asarray(table[placed], jnp.float32)[None, ..., None]
    probabilities = np.asarray(completer.predict(partial)[0, ..., 0])
    cut = completer.threshold if threshold is None else threshold
    inferred = probabilities > cut
    if completer.pool > 1:
        inferred = grid.upsample(inferred, completer.pool)
    cube = np.where(inferred, INFERRED, 0).astype(np.uint8)
    region = grid.region(labels.shape, completer.resolution, **place)
    cube[region][table[labels]] = GIVEN
    if not whole_cube:
        kept = cube[region]
        left_out = int((cube > 0).sum() - (kept > 0).sum())
        return Completion(kept, left_out, (0, 0, 0), probabilities)
    # Grid axes are (y, flipped z, x) of the file, so z counts from the end of h.
    d, h, w = region
    return Completion(cube, 0, (w.start, d.start, len(cube) - h.stop), probabilities)


def complete_file(
    completer: Completer,
    path: str | pathlib.Path,
    out_dir: str | pathlib.Path,
    *,
    ids: Sequence[int] | None = None,
    fixed_fragment: bool = False,
    **options: Any,
) -> tuple[pathlib.Path, Completion]:
    """Complete a `.vox` file and write `NAME_completed.vox` with one colour for what was given.

    Args:
        fixed_fragment: give the fragment that evaluation gives, in place of `ids`.
        options: `threshold` and `whole_cube`, as `complete` takes them.

    Raises:
        VoxError: not a readable `.vox` file; and what `complete` raises.
    """
    source = pathlib.Path(path)
    labels = vox.read(source)
    if fixed_fragment and labels.any():
        ids = [fragments.fixed_fragment(source.name, fragments.fragment_ids(labels))]
    ids = sorted(set(ids or ()))
    completion = complete(completer, labels, ids=ids, source=str(source), **options)
    suffix = "".join(f"_fragment{fragment}" for fragment in ids)
    target = pathlib.Path(out_dir) / f"{source.stem}{suffix}_completed.vox"
    target.parent.mkdir(parents=True, exist_ok=True)
    vox.write(target, completion.labels, palette=_palette())
    return target, completion


def _palette() -> UInt8[np.ndarray, "256 4"]:
    palette = vox.fragment_palette()
    for label, colour in COLOURS.items():
        palette[label] = colour
    return palette
