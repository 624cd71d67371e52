"""Several pots that one sherd may come from, by a model that draws (`models.hypotheses`).

Ten random draws are often alike. So many profiles are drawn, which costs little as they are flat,
and gathered in K clusters: an answer is the mean of a cluster, its score the cluster's share of
the draws.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Key

from voxgan_jax.geometry import half_section, rings
from voxgan_jax.models import OUTPUTS, Volume, hypotheses, profile_flow
from voxgan_jax.models.profile import ProfileNet
from voxgan_jax.models.weights import Variables

NUM_DRAWS = 32
NUM_ROUNDS = 6
_SURE = 1e-4
_AXIS_WEIGHT = 1.5
"""Of axes a voxel apart, beside profiles: at 64³ a pot's walls then count 1.5² · 64² cells."""

Answers = tuple[Float[Array, "{count} b d h w 1"], Float[Array, "{count} b"]]
Rng = Key[Array, ""]


def complete(
    generator: hypotheses.Model,
    variables: Variables,
    partial: Volume,
    rng: Rng,
    count: int,
    draws: int = NUM_DRAWS,
) -> Answers:
    """Different pots that the sherd may come from, the best-ranked first.

    Compile it by jit with `generator`, `count` and `draws` static. An answer depends on its row of
    `partial`, the place of that row and `rng` only.

    Args:
        partial: the given voxels in {0, 1}.
        count: how many answers, at least 1.
        draws: how many profiles are drawn; at least `count`.

    Returns:
        Probabilities of each answer, in which given voxels are 1, and scores in [0, 1] that sum to
        1 over the answers: how likely each is next to the others.

    Raises:
        ValueError: `count` below 1 or above `draws`.
    """
    _require_enough(count, draws)
    drawn = draw_profiles(generator, variables, partial, rng, draws)
    profiles, axes, scores = _gathered(*drawn, count)

    def turn(drawn: tuple[Float[Array, "b w ring"], Float[Array, "b 2"]]) -> Volume:
        profile, axis = jnp.clip(drawn[0], _SURE, 1.0 - _SURE), drawn[1]
        logits = jnp.log(profile) - jnp.log1p(-profile)

        def instead(net: Any, args: Any, kwargs: Any, context: nn.module.InterceptorContext) -> Any:
            is_profile = isinstance(context.module, ProfileNet)
            return logits if is_profile else net(*args, **kwargs)

        # The generator's own way from a profile to a pot, with this one in its network's place.
        with nn.intercept_methods(instead):
            return jnp.asarray(generator.apply(variables, partial, train=False, axis=axis))

    # One after the other: the 3D network would need K times the memory.
    return jax.lax.map(turn, (profiles, axes)), scores


def complete_drawn(
    model: profile_flow.Model, variables: Variables, partial: Volume, rng: Rng, count: int
) -> Answers:
    """`complete` by a model that draws half sections; clusters are of their clay."""
    _require_enough(count, NUM_DRAWS)
    _, distance, axes = profile_flow.several(model.clone(draws=NUM_DRAWS), variables, partial, rng)
    clay = jax.nn.sigmoid(-distance.swapaxes(0, 1) / profile_flow.SOFTNESS)
    # A voxel's middle lies between two rows.
    halves = clay.reshape(NUM_DRAWS, len(partial), -1, 2, clay.shape[-1]).mean(axis=3)
    profiles, axes, scores = _gathered(halves, axes.swapaxes(0, 1), count)

    def turn(drawn: tuple[Float[Array, "b w ring"], Float[Array, "b 2"]]) -> Volume:
        weights = rings.ring_weights(partial.shape[1], drawn[1], width=half_section.STEP)
        return jnp.where(partial > 0, 1.0, rings.revolve(drawn[0], weights))

    return jax.lax.map(turn, (profiles, axes)), scores


def _require_enough(count: int, draws: int) -> None:
    if not 1 <= count <= draws:
        raise ValueError(f"{count} answers from {draws} draws: needed are 1 <= count <= draws")


def _gathered(
    profiles: Float[Array, "n b w ring"], axes: Float[Array, "n b 2"], count: int
) -> tuple[Float[Array, "k b w ring"], Float[Array, "k b 2"], Float[Array, "k b"]]:
    """`cluster` of each sherd's draws, in rings half a voxel wide."""
    sizes = jnp.maximum(jnp.arange(profiles.shape[-1], dtype=jnp.float32), 0.125)
    gather = functools.partial(cluster, sizes=sizes, count=count)
    return jax.vmap(gather, in_axes=1, out_axes=1)(profiles, axes)


def draw_profiles(
    generator: hypotheses.Model, variables: Variables, partial: Volume, rng: Rng, draws: int
) -> tuple[Float[Array, "{draws} b w ring"], Float[Array, "{draws} b 2"]]:
    """Pots that the sherd may come from, drawn from the prior: profiles as probabilities, axes."""

    def draw(keys: Key[Array, " b"]) -> tuple[Float[Array, "b w ring"], Float[Array, "b 2"]]:
        _, left = generator.apply(variables, partial, train=False, keys=keys, mutable=[OUTPUTS])
        axis = jnp.broadcast_to(jnp.asarray(left[OUTPUTS]["axis"]), (len(partial), 2))
        return jax.nn.sigmoid(jnp.asarray(left[OUTPUTS]["profile_logits"])), axis

    return jax.vmap(draw)(jax.random.split(rng, (draws, len(partial))))


def cluster(
    profiles: Float[Array, "n w ring"],
    axes: Float[Array, "n 2"],
    *,
    sizes: Float[Array, " ring"],
    count: int,
) -> tuple[Float[Array, "{count} w ring"], Float[Array, "{count} 2"], Float[Array, " {count}"]]:
    """Gather pots in `count` clusters: mean profiles, mean axes and shares, the largest first.

    k-means (Lloyd 1982), a cell counting by the size of its ring: the squared distance of two
    profiles of zeros and ones is the volume in which their pots differ. That of axes half a voxel
    apart comes to about as much as they move of a pot's walls. It starts from the profile
    nearest to the mean of all, and then each time the one farthest from those taken (Gonzalez
    1985). The share of a cluster without members is 0.
    """
    scale = jnp.sqrt(sizes)[None, None, :]
    flat = (profiles * scale).reshape(len(profiles), -1)
    # From their mean, so that squares lose nothing by rounding.
    middle, unit = axes.mean(axis=0, keepdims=True), 1.0 / (_AXIS_WEIGHT * profiles.shape[1])
    points = jnp.concatenate([flat, (axes - middle) / unit], axis=1)

    def squares(centres: Float[Array, "k v"]) -> Float[Array, "n k"]:
        shared = jnp.matmul(points, centres.T, precision="highest")
        both = (points**2).sum(axis=1)[:, None] + (centres**2).sum(axis=1)[None]
        return jnp.maximum(both - 2.0 * shared, 0.0)

    def farther(nearest: Float[Array, " n"], _: None) -> tuple[Array, Array]:
        chosen = jnp.argmax(nearest)
        return jnp.minimum(nearest, squares(points[chosen][None])[:, 0]), chosen

    first = jnp.argmin(squares(points.mean(axis=0, keepdims=True))[:, 0])
    start = squares(points[first][None])[:, 0]
    _, others = jax.lax.scan(farther, start, None, length=count - 1)
    centres = points[jnp.concatenate([first[None], others])]

    def members(centres: Float[Array, "k v"]) -> Float[Array, "n k"]:
        return jax.nn.one_hot(jnp.argmin(squares(centres), axis=1), count, dtype=jnp.float32)

    def improve(_: Any, centres: Float[Array, "k v"]) -> Float[Array, "k v"]:
        member = members(centres)
        size = member.sum(axis=0)[:, None]
        total = jnp.matmul(member.T, points, precision="highest")
        return jnp.where(size > 0, total / jnp.maximum(size, 1.0), centres)

    centres = jax.lax.fori_loop(0, NUM_ROUNDS, improve, centres)
    share = members(centres).mean(axis=0)
    order = jnp.argsort(-share)
    means = centres[order, :-2].reshape(count, *profiles.shape[1:]) / scale
    return means, middle + centres[order, -2:] * unit, share[order]
