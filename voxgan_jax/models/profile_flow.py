"""Pots drawn as half sections: rectified flow from noise to a signed distance, told of a sherd.

A half section (`geometry.half_section`, in units of its clip) is drawn by following, from noise at
time 0 to the pot at time 1, the mean of all straight paths that pass a place (Liu, Gong and Liu,
ICLR 2023): there the pot is expected that `FlowNet` gives. The same network, shown no noise at all,
answers at once.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float, Key

from voxgan_jax import models
from voxgan_jax.geometry import half_section, rings
from voxgan_jax.models import OUTPUTS, Keys, Volume, revolve
from voxgan_jax.models.flow_net import FlowNet
from voxgan_jax.models.profile import evidence
from voxgan_jax.models.weights import Variables

OUTPUT = "probability"

SOFTNESS = 0.15
"""In voxels, of a drawn pot's surface. The mean over draws is to be the share that has clay: as a
wall is some two voxels thick, what is softer shows thin walls as improbable."""

SHIFT = 3.0
"""How much denser times lie near 0, in odds. Many cells show one outline, so it is settled early
(Esser et al., ICML 2024, section 5.3.2)."""

_PROBABLE = 0.5  # of its height's share of the sector that the sherd covers
_LEAST = 1.0  # voxels
_COUNT_UNIT = 4.0  # `evidence` divides the logarithms of counts by it

HalfSection = Float[Array, "b rows ring"]


class Model(revolve.Model):
    """Completes a wheel-made pot by its half section; axes are found as `revolve.Model` does.

    Called, it answers at once, the surface within half a voxel; `several` draws `draws` half
    sections in `steps` each. `bottleneck` and what is said of residuals have no use.
    """

    draws: int = 8
    steps: int = 6

    @nn.compact
    def __call__(
        self,
        partial: Volume,
        *,
        train: bool,
        complete: Volume | None = None,
        keys: Keys = None,
        axis: Float[Array, "b 2"] | None = None,
        noisy: HalfSection | None = None,
        time: Float[Array, " b"] | None = None,
        aside: Float[Array, "b 2"] | None = None,
    ) -> Volume:
        """The completed pot as a probability; in `OUTPUTS` what the losses and `draw` need.

        Args:
            train, complete, keys, axis: as of `revolve.Model`; `keys` draw the axis.
            noisy, time: what `FlowNet` is shown; nothing is, where it is to answer at once.
            aside: by how much the axis is missed, in voxels.
        """
        axes, shares = self._axes(partial, axis, complete if train else None, keys)
        if aside is not None:
            axes = axes + aside[:, None]
        count = axes.shape[1]
        rows = jnp.repeat(partial, count, axis=0)
        width = half_section.STEP
        weights = rings.ring_weights(partial.shape[1], axes.reshape(-1, 2), width=width)
        maps = evidence(rows, weights)
        if noisy is None or time is None:
            noisy = jnp.zeros((len(rows), 2 * partial.shape[3], maps.shape[2]), jnp.float32)
            time = jnp.zeros(len(rows), jnp.float32)
        clean, quick = FlowNet(self.features, self.dtype, name="flow")(maps, noisy, time)
        chance = models.probabilities(turned(quick, weights), "sdf")
        if count > 1:
            each = chance.reshape(-1, count, *chance.shape[1:])
            chance = jnp.einsum("bn,bn...->b...", shares, each, precision="highest")
        # The likeliest axis comes first.
        found = {"clean": clean, "quick": quick, "maps": maps, "weights": weights}
        models.keep(
            self, axis=axes[:, 0], **{name: value[::count] for name, value in found.items()}
        )
        return jnp.where(partial > 0, 1.0, chance)


class Drawn(NamedTuple):
    """Pots that were drawn: half sections in voxels, the rings to turn them, where axes stand."""

    distance: HalfSection
    weights: Float[Array, "n column ring"]
    axis: Float[Array, "n 2"]


def draw(model: Model, variables: Variables, partial: Volume, key: Key[Array, ""]) -> Drawn:
    """A pot that each sherd may come from; it depends on the sherd, its row and the key alone."""
    rows = jnp.arange(len(partial))
    keys = jax.vmap(functools.partial(jax.random.fold_in, key))(rows)
    _, left = model.apply(variables, partial, train=False, keys=keys, mutable=[OUTPUTS])
    told: Any = left[OUTPUTS]
    maps, shape = jnp.asarray(told["maps"]), told["clean"].shape[1:]
    # Not the number that an axis is drawn with.
    own = jax.vmap(lambda key: jax.random.fold_in(key, 2))(keys)
    noise = jax.vmap(lambda key: jax.random.normal(key, shape, jnp.float32))(own)
    net, clay = FlowNet(model.features, model.dtype), given_clay(maps)
    params = {"params": variables["params"]["flow"]}

    def clean(x: HalfSection, time: Float[Array, ""]) -> HalfSection:
        found: Any = net.apply(params, maps, x, jnp.broadcast_to(time, len(x)))
        return jnp.where(clay, jnp.minimum(found[0], 0.0), found[0])

    found = half_section.CLIP * heun(clean, noise, times(model.steps))
    return Drawn(found, told["weights"], jnp.broadcast_to(told["axis"], (len(partial), 2)))


def several(
    model: Model, variables: Variables, partial: Volume, key: Key[Array, ""]
) -> tuple[Volume, Float[Array, "b draw rows ring"], Float[Array, "b draw 2"]]:
    """`model.draws` pots that each sherd may come from.

    Returns:
        The share of them that have clay in each voxel, where given ones are 1; their half sections
        in voxels; and where their axes stand.
    """

    def more(total: Volume, key: Key[Array, ""]) -> tuple[Volume, tuple[Array, Array]]:
        distance, weights, axis = draw(model, variables, partial, key)
        clay = jax.nn.sigmoid(-turned(distance, weights) / SOFTNESS)
        return total + clay, (distance, axis)

    # One after the other, for the memory of one.
    keys = jax.random.split(key, model.draws)
    total, drawn = jax.lax.scan(more, jnp.zeros(partial.shape, jnp.float32), keys)
    mean = jnp.where(partial > 0, 1.0, total / model.draws)
    return mean, drawn[0].swapaxes(0, 1), drawn[1].swapaxes(0, 1)


def heun(
    clean: Callable[[Array, Array], Array], noise: Array, at: Float[Array, " n"]
) -> Float[Array, "..."]:
    """From noise to where the flow leads, by Heun's steps from one time to the next.

    Args:
        clean: what is expected at time 1 of what is at a place at a time before.
        at: the times, rising from 0 to 1. The last step is Euler's and ends in what is expected.
    """

    def slope(x: Array, time: Array) -> Array:
        return (clean(x, time) - x) / (1.0 - time)

    def step(x: Array, span: Array) -> tuple[Array, None]:
        first, wide = slope(x, span[0]), span[1] - span[0]
        second = slope(x + wide * first, span[1])
        return x + wide * (first + second) / 2.0, None

    spans = jnp.stack([at[:-2], at[1:-1]], axis=1)
    return clean(jax.lax.scan(step, noise, spans)[0], at[-2])


def times(steps: int) -> Float[Array, " {steps}+1"]:
    """The times of so many steps, denser near 0."""
    even = jnp.linspace(0.0, 1.0, steps + 1)
    return even / (even + SHIFT * (1.0 - even))


def given_clay(maps: Float[Array, "b w ring 8"]) -> Bool[Array, "b 2*w ring"]:
    """The cells that the sherd shows to be clay."""
    relative, count = maps[..., 1], maps[..., 2]
    clay = (relative > _PROBABLE) & (count > jnp.log1p(_LEAST) / _COUNT_UNIT)
    return jnp.repeat(clay, 2, axis=1)


def turned(distance: HalfSection, weights: Float[Array, "n column ring"]) -> Volume:
    """A half section turned about the rings' axis: the signed distance of each voxel's middle.

    As `lathe.field` at the half section's own resolution, but that it is the clip beyond the rings.
    """
    # A voxel's middle lies between two rows.
    middle = (distance[:, ::2] + distance[:, 1::2]) / 2.0
    clip = half_section.CLIP
    return rings.revolve(middle - clip, weights) + clip
