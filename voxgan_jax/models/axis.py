"""Where a pot's vertical axis stands, found from one fragment of it.

Two ways, which work best together. `AxisNet` learns a heat map over quarter-voxel positions.
`agreement` needs no learning: about the true axis the voxels of a wheel-made pot fall into few,
full rings; about any other they smear over more.
"""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float, Key

from voxgan_jax.geometry import wheel
from voxgan_jax.models import Volume

TOKEN = 4
"""Voxels from one place of AxisNet's coarse map to the next."""
SLABS = 16
"""Layers of equal height that AxisNet sees a fragment in."""
FINENESS = 4
"""Positions of the heat map per voxel. The pots' axes lie between half voxels as well: the best of
quarter voxels costs a pot's own revolved profile 0.004 of IoU, the best of half voxels 0.011."""
TARGET_SIGMA = 0.1
"""Width in voxels of the Gaussian about the true axis that AxisNet learns to give."""
PRIOR_RATE = 30.0
"""How much faster than other parameters the heat map's prior is learned: it spans many nats."""

ENTROPY = 0.25
"""What a nat of `agreement`'s code is worth as log-likelihood; the best of 0.1…0.5 on fragments of
training pots. Less than 1, since neighbouring voxels are far from independent."""
SLACK, BEYOND = 1.0, 10.0
"""How far a pot may reach beyond the cube by rounding (voxels); what a voxel more costs (nats)."""

Example = Float[Array, "d h w 1"]
Axes = Float[Array, "b n 2"]
Scores = Float[Array, "b n"]
Heat = Float[Array, "b i j"]


class AxisNet(nn.Module):
    """A small 2D network over where the axis might stand: a heat map.

    For a coarse grid of places it is told, slab by slab, how far the fragment's voxels lie from the
    place and how much these distances vary (little about the axis), which one fixed matmul gives;
    convolutions compare each place with its neighbours and with the whole map. `features` is the
    number of channels. With `prior` it learns for each position how often axes stand there at all:
    of pots in the middle of the cube, rounding to voxels leaves few.
    """

    features: int = 48
    num_blocks: int = 2
    prior: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, partial: Volume) -> Float[Array, "b 4*d-3 4*h-3"]:
        """Logits in float32; entry (i, j) stands for the axis (i/4, j/4), in voxel centres.

        Raises ValueError where the first two sides differ, or a side is no multiple of 16.
        """
        _, d, h, w, _ = partial.shape
        if d != h or d % SLABS or w % SLABS:
            raise ValueError(f"d and h must be equal, all sides multiples of 16: {(d, h, w)}")
        x = distance_moments(partial).astype(self.dtype)
        dense = functools.partial(nn.Dense, dtype=self.dtype)
        x = dense(self.features, name="embed")(x)
        shape = (1, *x.shape[1:])
        place = self.param("place", nn.initializers.normal(0.02), shape, jnp.float32)
        x = x + place.astype(self.dtype)
        for n in range(self.num_blocks):
            y = nn.LayerNorm(name=f"norm{n}")(x.astype(jnp.float32)).astype(self.dtype)
            # A smooth maximum: that of `max` has a gradient of NaN where XLA computes y twice over.
            most = jax.nn.logsumexp(y, axis=(1, 2))
            whole = jnp.concatenate([y.mean(axis=(1, 2)), most], axis=-1)
            y = nn.Conv(self.features, (3, 3), dtype=self.dtype, name=f"conv{n}")(y)
            y = nn.silu(y + dense(self.features, name=f"whole{n}")(whole)[:, None, None])
            x = x + dense(self.features, name=f"dense{n}")(y)
        x = nn.LayerNorm(name="norm")(x.astype(jnp.float32))
        side = FINENESS * TOKEN
        x = nn.Dense(side * side, name="logits")(x)
        b, m, n, _ = x.shape
        x = x.reshape(b, m, n, side, side).transpose(0, 1, 3, 2, 4)
        x = x.reshape(b, FINENESS * d, FINENESS * h)
        # None beyond the middle of the last voxel.
        x = x[:, : 1 - FINENESS, : 1 - FINENESS]
        if not self.prior:
            return x
        prior = self.param("prior", nn.initializers.zeros, (1, *x.shape[1:]), jnp.float32)
        return x + PRIOR_RATE * prior


def distance_moments(partial: Volume) -> Float[Array, "b d//4 h//4 c"]:
    """How far the fragment lies from each place of the coarse grid.

    Channels: for each of `SLABS` slabs the logarithm of its voxel count, their mean horizontal
    distance and its standard deviation; then the greatest distance of all, and how much room a pot
    of this radius would have to the nearest face of the cube. Distances are in units of the cube's
    half side, deviations in voxels, both 0 in an empty slab.
    """
    b, d, h, w, _ = partial.shape
    # The middle of the positions that each place of the coarse grid answers for.
    places = _columns(d // TOKEN) * TOKEN + (TOKEN - 1 / FINENESS) / 2
    columns = _columns(d)
    offset = places[:, None] - columns[None, :]
    distance = np.hypot(offset[..., 0], offset[..., 1])
    mass = partial.reshape(b, d * h, SLABS, w // SLABS).sum(axis=-1)
    count = mass.sum(axis=1)[:, None, :]
    most = jnp.maximum(count, 1.0)
    # The variance is a difference of near-equal numbers.
    mean = jnp.einsum("cp,bps->bcs", distance, mass, precision="highest") / most
    square = jnp.einsum("cp,bps->bcs", distance**2, mass, precision="highest") / most
    deviation = jnp.sqrt(jnp.maximum(square - mean * mean, 0.0) + 1e-4)
    deviation = jnp.where(count > 0, deviation, 0.0)
    touched = mass.sum(axis=2) > 0
    reach = jnp.where(touched[:, None, :], distance[None], 0.0).max(axis=2)[..., None]
    room = np.minimum(places, d - 1 - places).min(axis=1)[None, :, None]
    unit = 2.0 / d
    counts = jnp.broadcast_to(jnp.log1p(count) / 4.0, mean.shape)
    maps = [counts, mean * unit, deviation, reach * unit, (room - reach) * unit]
    return jnp.concatenate(maps, axis=-1).reshape(b, d // TOKEN, h // TOKEN, -1)


def _columns(side: int) -> Float[np.ndarray, "column 2"]:
    """The first two coordinates of each column of the cube."""
    cell = np.arange(side, dtype=np.float32)
    return np.stack(np.meshgrid(cell, cell, indexing="ij"), axis=-1).reshape(-1, 2)


def axis_loss(logits: Float[Array, "b _ _"], axis: Float[Array, "b 2"]) -> Float[Array, " b"]:
    """Cross-entropy, in nats, of a heat map against a narrow Gaussian about the true axis."""

    def gaussian(size: int, middle: Float[Array, " b"]) -> Float[Array, "b size"]:
        away = jnp.arange(size)[None] / FINENESS - middle[:, None]
        return jax.nn.softmax(-0.5 * jnp.square(away / TARGET_SIGMA))

    rows, columns = (gaussian(size, axis[:, n]) for n, size in enumerate(logits.shape[1:]))
    # The shares sum to 1, so that the logarithm of the whole counts once. Of log_softmax and a sum
    # over it XLA makes one kernel, which needs more shared memory than a GPU has.
    heat = jnp.einsum("bi,bj,bij->b", rows, columns, logits, precision="highest")
    return jax.nn.logsumexp(logits, axis=(1, 2)) - heat


def agreement(partial: Volume, candidates: Axes) -> Scores:
    """How well a fragment agrees with each candidate axis; the higher the better, in nats.

    The fragment's voxels are gathered in half-voxel rings about the candidate. The score is the
    entropy of the counts over rings and heights, times the number of voxels, negative and scaled. A
    pot of the fragment's radius must also stand in the cube about that axis: each voxel that it
    would reach beyond costs much.

    Fragments that touch more than a quarter of the columns are judged by a fixed subset of them.

    Args:
        candidates: axes in voxel centres of the first two axes of the grid.
    """
    return jax.lax.map(lambda example: _agreement(*example), (partial, candidates))


def find_axis(
    logits: Heat, partial: Volume, *, keys: Key[Array, " b"] | None = None, **options: Any
) -> Float[Array, "b 2"]:
    """The axis by both, heat map and agreement: the candidate of the best score.

    With `keys` it is drawn instead: each with a probability in proportion to the exponential of its
    score. The other options are those of `rate_axes`.
    """
    candidates, score = rate_axes(logits, partial, **options)
    if keys is not None:
        # The largest of scores with Gumbel noise is such a draw.
        score = score + jax.vmap(lambda key: jax.random.gumbel(key, score.shape[1:]))(keys)
    return jnp.take_along_axis(candidates, score.argmax(axis=1)[:, None, None], axis=1)[:, 0]


def likely_axes(
    logits: Heat, partial: Volume, *, count: int, **options: Any
) -> tuple[Axes, Scores]:
    """The `count` likeliest axes, the best first, and how likely each is; this sums to 1.

    Fewer where there are not so many. The options are those of `rate_axes`.
    """
    candidates, score = rate_axes(logits, partial, **options)
    score, index = jax.lax.top_k(score, min(count, score.shape[1]))
    return jnp.take_along_axis(candidates, index[..., None], axis=1), jax.nn.softmax(score)


def rate_axes(
    logits: Heat,
    partial: Volume,
    *,
    within: float = math.inf,
    trust: float = 1.0,
    num_candidates: int = 81,
) -> tuple[Axes, Scores]:
    """The heat map's highest positions, and their scores by both: log-likelihoods, but for a sum.

    Args:
        logits: of `AxisNet`.
        within: how far, in voxels along either axis, it may stand from the middle of the cube; 1
            suits pots placed in the centre.
        trust: what `agreement` counts beside the heat map.
        num_candidates: how many positions are tried.
    """
    rows = logits.shape[1]
    middle = (rows - 1) / (2 * FINENESS)
    positions = _columns(rows) / FINENESS
    allowed = np.abs(positions - middle).max(axis=1) <= within
    positions = jnp.asarray(positions[allowed])
    heat = jax.nn.log_softmax(logits.reshape(len(logits), -1)[:, allowed])
    heat, index = jax.lax.top_k(heat, min(num_candidates, len(positions)))
    candidates = positions[index]
    return candidates, heat + trust * agreement(partial, candidates)


def _agreement(partial: Example, candidates: Float[Array, "n 2"]) -> Float[Array, " n"]:
    """`agreement` of one fragment."""
    side = partial.shape[0]
    mass, columns = _occupied(partial)
    offset = columns[None] - candidates[:, None]
    radius = jnp.sqrt(jnp.square(offset).sum(axis=-1))
    splat = wheel.ring_shares(radius / wheel.RING_WIDTH, wheel.num_rings(side))
    # Candidates differ by little.
    count = jnp.einsum("nmr,mw->nwr", splat, mass, precision="highest")
    # The number of voxels does not depend on the candidate, nor does its part in the entropy.
    length = -jax.scipy.special.xlogy(count, count).sum(axis=(1, 2))
    scale = partial.sum() / jnp.maximum(mass.sum(), 1.0)
    reach = jnp.where(mass.any(axis=1)[None], radius, 0.0).max(axis=1)
    room = jnp.minimum(candidates, side - 1 - candidates).min(axis=1)
    beyond = jnp.maximum(reach - room - SLACK, 0.0)
    return -ENTROPY * scale * length - BEYOND * beyond


def _occupied(partial: Example) -> tuple[Float[Array, "m w"], Float[Array, "m 2"]]:
    """Columns with voxels, and where they stand; filled up with empty ones to a fixed number."""
    d, h, w, _ = partial.shape
    mass = partial.reshape(d * h, w)
    # Golden-ratio steps: a subset that is spread evenly, whatever the fragment.
    order = (np.arange(d * h) * 0.6180339887 % 1.0).astype(np.float32)
    _, chosen = jax.lax.top_k(jnp.where(mass.any(axis=1), 1.0 + order, order * 0.5), d * h // 4)
    return mass[chosen], jnp.asarray(_columns(d))[chosen]
