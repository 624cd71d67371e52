"""Answers that need no learning: what a trained model has to beat.

Each is a `predict` for `protocol.evaluate`, compiled already, with the threshold that goes with
it. `revolve`, `retrieval` and `vote8` take the vertical line through the middle of the cube as the
pot's axis, so they suit pots placed in the centre, not in the corner.

The choices here (ring width, score of a match, threshold of the vote) were made on pots cut from
the train split. Only `vote8` adds the given voxels to its answer; the others are as they were when
their scores were first published.
"""

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from scripts.lib import training_pots
from voxgan_jax.data.folder import PotFile
from voxgan_jax.evaluation.protocol import Predict
from voxgan_jax.geometry.wheel import nearest_rings

COARSE, FINE = 1.0, 0.5
"""Ring widths in voxels. A fine ring follows a wall better: IoU 0.562 against 0.529 on validation
pots. `revolve` stays coarse, the plain form that the known scores near 0.50 belong to;
`revolve_fine` is the harder one to beat, and `retrieval` compares in fine rings."""

MEAN_THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(1, 11))
VOTERS = 8
VOTE_THRESHOLD = 0.4
"""On validation pots the vote's IoU is 0.598 at 0.4, 0.596 at 0.35, 0.597 at 0.45, 0.584 at 0.5."""

_BLOCK = 32


class Library(NamedTuple):
    """Known pots, one row each: their voxels as bits and how many of them lie in each ring."""

    bits: UInt8[Array, "n bytes"]
    ring_counts: Float[Array, "n ring w"]  # in fine rings


def ring_counts(voxels: Float[Array, "b d h w 1"], ring_width: float) -> Float[Array, "b ring w"]:
    """How many voxels lie in each ring at each height."""
    ring = nearest_rings(voxels.shape[1], ring_width)
    member = np.arange(ring.max() + 1)[:, None, None] == ring[None]
    # Sums of ones: exact in any matmul precision.
    return jnp.einsum("rdh,bdhwc->brw", member.astype(np.float32), voxels)


@functools.partial(jax.jit, static_argnames="ring_width")
def revolve(
    partial: Float[Array, "b d h w 1"], ring_width: float = COARSE
) -> Float[Array, "b d h w 1"]:
    """Fill each ring that the fragment touches: the fragment turned once about the axis."""
    touched = jnp.minimum(ring_counts(partial, ring_width), 1)
    return jnp.take(touched, nearest_rings(partial.shape[1], ring_width), axis=1)[..., None]


def match(library: Library, partial: Float[Array, "b d h w 1"]) -> Float[Array, "b n"]:
    """The IoU of the revolved fragment with each known pot.

    A revolved fragment fills whole rings, so its overlap with a pot is the pot's voxel count over
    these rings, and no pot has to be unpacked.
    """
    touched = jnp.minimum(ring_counts(partial, FINE), 1)
    shared = jnp.einsum("brw,nrw->bn", touched, library.ring_counts)
    revolved = jnp.sum(revolve(partial, FINE), axis=(1, 2, 3, 4))
    volumes = jnp.sum(library.ring_counts, axis=(1, 2))
    return shared / (revolved[:, None] + volumes[None, :] - shared)


@jax.jit
def retrieve(library: Library, partial: Float[Array, "b d h w 1"]) -> Float[Array, "b d h w 1"]:
    """The known pot whose IoU with the revolved fragment is the highest."""
    best = jnp.argmax(match(library, partial), axis=1)
    side = partial.shape[1]
    voxels = training_pots.unpack_bits(library.bits[best], (side, side, side))
    return jnp.asarray(voxels, jnp.float32)[..., None]


@functools.partial(jax.jit, static_argnames="voters")
def vote(
    library: Library, partial: Float[Array, "b d h w 1"], voters: int = VOTERS
) -> Float[Array, "b d h w 1"]:
    """The mean profile of the known pots that match best, revolved; the given voxels are kept.

    A profile says how much of each ring is filled, in [0, 1]. With fewer known pots than `voters`
    all of them have a say.
    """
    ring = nearest_rings(partial.shape[1], FINE)
    sizes = np.maximum(np.bincount(ring.ravel()), 1).astype(np.float32)[None, :, None]
    _, nearest = jax.lax.top_k(match(library, partial), min(voters, len(library.bits)))
    profile = jnp.mean(library.ring_counts[nearest], axis=1) / sizes
    return jnp.maximum(jnp.take(profile, ring, axis=1)[..., None], partial)


def pack_pots(train_pots: Iterable[PotFile]) -> tuple[UInt8[np.ndarray, "n bytes"], int]:
    """The geometry of each distinct pot as bits (1/8 byte a voxel), and the cube's resolution.

    Raises:
        ValueError: no pot.
    """
    resolution, bits = 0, []
    for item in training_pots.first_of_each_pot(train_pots):
        resolution = item.labels.shape[0]
        bits.append(training_pots.pack_bits(item.labels))
    if not bits:
        raise ValueError("no training pots to learn the answer from")
    return np.stack(bits), resolution


def _blocks(bits: UInt8[np.ndarray, "n bytes"], voxels: int) -> Iterator[Float[np.ndarray, "b v"]]:
    """The pots again, some at a time, flat."""
    for start in range(0, len(bits), _BLOCK):
        yield np.unpackbits(bits[start : start + _BLOCK], axis=1, count=voxels).astype(np.float32)


def make_library(train_pots: Iterable[PotFile]) -> Library:
    """Pack the distinct pots for `retrieve`."""
    bits, resolution = pack_pots(train_pots)
    count = jax.jit(functools.partial(ring_counts, ring_width=FINE))
    counts = [
        count(jnp.asarray(block.reshape(-1, resolution, resolution, resolution, 1)))
        for block in _blocks(bits, resolution**3)
    ]
    return Library(jnp.asarray(bits), jnp.concatenate(counts))


def mean_pot(train_pots: Iterable[PotFile]) -> tuple[Float[np.ndarray, "d h w 1"], float]:
    """How many of the distinct pots fill each voxel, in [0, 1], and the best threshold for it.

    Best is the one of `MEAN_THRESHOLDS` with the highest mean IoU on the same pots.
    """
    bits, resolution = pack_pots(train_pots)
    mean, ious = mean_of_bits(bits, resolution)
    return mean, MEAN_THRESHOLDS[int(ious.sum(axis=0).argmax())]


def mean_of_bits(
    bits: UInt8[np.ndarray, "n bytes"], resolution: int
) -> tuple[Float[np.ndarray, "d h w 1"], Float[np.ndarray, "n thresholds"]]:
    """The mean of packed pots and its IoU with each of them at each of `MEAN_THRESHOLDS`."""
    voxels = resolution**3
    mean = sum(block.sum(axis=0) for block in _blocks(bits, voxels)) / np.float32(len(bits))
    answers = np.stack([mean > threshold for threshold in MEAN_THRESHOLDS]).astype(np.float32)
    ious = []
    for block in _blocks(bits, voxels):
        shared = block @ answers.T
        union = block.sum(axis=1)[:, None] + answers.sum(axis=1)[None, :] - shared
        ious.append(shared / np.maximum(union, 1))
    return np.reshape(mean, (resolution, resolution, resolution, 1)), np.concatenate(ious)


def _make_fragment(_: Iterable[PotFile]) -> tuple[Predict, float]:
    return lambda partial: partial, 0.5


def _make_mean(train_pots: Iterable[PotFile]) -> tuple[Predict, float]:
    mean, threshold = mean_pot(train_pots)
    answer = jnp.asarray(mean)[None]
    return lambda partial: jnp.broadcast_to(answer, partial.shape), threshold


def _make_revolve(_: Iterable[PotFile], *, ring_width: float) -> tuple[Predict, float]:
    return functools.partial(revolve, ring_width=ring_width), 0.5


def _make_retrieval(train_pots: Iterable[PotFile]) -> tuple[Predict, float]:
    return functools.partial(retrieve, make_library(train_pots)), 0.5


def _make_vote(train_pots: Iterable[PotFile]) -> tuple[Predict, float]:
    return functools.partial(vote, make_library(train_pots)), VOTE_THRESHOLD


METHODS: dict[str, Callable[[Iterable[PotFile]], tuple[Predict, float]]] = {
    "fragment": _make_fragment,
    "mean": _make_mean,
    "revolve": functools.partial(_make_revolve, ring_width=COARSE),
    "revolve_fine": functools.partial(_make_revolve, ring_width=FINE),
    "retrieval": _make_retrieval,
    "vote8": _make_vote,
}

NEEDS_TRAINING_POTS = frozenset({"mean", "retrieval", "vote8"})


def make(name: str, train_pots: Iterable[PotFile] | None = None) -> tuple[Predict, float]:
    """The method `name` as (predict, threshold).

    Args:
        train_pots: for the methods in `NEEDS_TRAINING_POTS`, at the resolution and placement of
            the evaluation. Read once, as a stream; of each pot only the first file counts.

    Raises:
        ValueError: an unknown name, or no training pots for a method that needs them.
    """
    if name not in METHODS:
        raise ValueError(f"no method {name!r}; there are {', '.join(METHODS)}")
    return METHODS[name](train_pots or ())
