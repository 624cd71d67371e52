"""Half sections by rectified flow, and the quick answer that is learned along with it."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float, Key

from voxgan_jax import models
from voxgan_jax.data import fragments
from voxgan_jax.geometry import half_section, rings
from voxgan_jax.models import SDF_SCALE, Volume, axis, profile_flow
from voxgan_jax.models.profile_flow import HalfSection
from voxgan_jax.training import losses
from voxgan_jax.training.losses import Each
from voxgan_jax.training.objectives.gan import init as init
from voxgan_jax.training.state import Net, NetState, Tree
from voxgan_jax.training.updates import Examples, Pass, Scalars

LATEST = 0.8
"""The loss of a velocity counts times as no later: towards time 1 it would grow without bounds."""

_FAR, _NEAR = 0.2, 1.5  # the weight far from a surface; over so many voxels it falls to that


def networks(config: Any, axis_name: str | None) -> dict[str, tuple[nn.Module, str]]:
    """The generator alone, see `drawing`."""
    return drawing(config, axis_name, "profile_flow")


def drawing(config: Any, axis_name: str | None, kind: str) -> dict[str, tuple[nn.Module, str]]:
    """A generator alone, which draws as `config.sample` says.

    Raises:
        ValueError: it is of another kind than the objective is for.
    """
    if config.generator.kind != kind:
        raise ValueError(f"config.objective={config.objective} is for config.generator.kind={kind}")
    generator: Any = models.build(config.generator, axis_name=axis_name)
    generator = generator.clone(draws=config.sample.draws, steps=config.sample.steps)
    return {"generator": (generator, models.output(config.generator))}


def options(config: Any) -> dict[str, Any]:
    """Which voxels count, what is weighted how, and how far an axis is missed.

    Raises:
        ValueError: data without half sections.
    """
    if not config.data.profiles:
        raise ValueError(
            "config.objective=flow learns half sections: set config.data.profiles=True and"
            " config.data.source=resident"
        )
    return {
        "keep_crumbs": config.fragments.keep_crumbs,
        "quick_share": config.loss.quick_share,
        "axis_weight": config.loss.axis_weight,
        "axis_noise": config.data.axis_noise,
    }


def learn(
    net: Net,
    state: NetState,
    examples: Examples,
    *,
    keep_crumbs: bool,
    quick_share: float,
    axis_weight: float,
    axis_noise: float,
) -> Pass:
    """What the generator learns of a micro-batch.

    Args:
        examples: as for `gan.step`, and `profiles`, the pots' half sections in voxels.
        quick_share: the chance of an example to be for the quick answer, without noise.
        axis_weight: of the loss on the axis.
        axis_noise: the standard deviation, in voxels, by which an axis is missed.
    """
    partial, complete = fragments.volumes(examples["labels"], examples["given"], keep_crumbs)
    distance = examples["profiles"].astype(jnp.float32)
    clean = distance / half_section.CLIP
    row_keys = jax.random.wrap_key_data(examples["keys"])
    noise, time, quick, missed = chance(row_keys, clean.shape[1:], quick_share)
    shown = jnp.where(quick[:, None, None], 0.0, path(noise, clean, time))
    aside = axis_noise * missed

    def loss(params: Tree) -> tuple[Array, Scalars]:
        _, left = net.module.apply(
            *(state.variables(params), partial),
            **{"train": True, "complete": complete, "aside": aside},
            **{"noisy": shown, "time": time, "mutable": [models.OUTPUTS]},
        )
        told: Any = left[models.OUTPUTS]
        size = rings.ring_sizes(told["weights"])
        flow = flow_loss(told["clean"], clean, time, size)
        missing = jnp.maximum(size - rings.ring_sums(partial, told["weights"]), 0.0)
        answer = quick_loss(told["quick"], distance, jnp.repeat(missing, 2, axis=1))
        # The expected share of each kind, not the met one: all examples count alike.
        parts = {
            "flow_loss": jnp.where(quick, 0.0, flow).mean() / max(1.0 - quick_share, 1e-6),
            "quick_loss": jnp.where(quick, answer, 0.0).mean() / max(quick_share, 1e-6),
        }
        if axis_weight and "axis_logits" in told:
            found = axis.axis_loss(told["axis_logits"], rings.round_axis(complete))
            parts["axis_loss"] = axis_weight * found.mean()
        return jnp.stack(list(parts.values())).sum(), parts

    (g_loss, parts), grads = jax.value_and_grad(loss, has_aux=True)(state.params)
    return state, (grads, {"g_loss": g_loss} | parts)


def complete(
    net: Net, variables: Mapping[str, Any], partial: Volume, key: jax.Array | None = None
) -> Volume:
    """The probabilities of completed pots: with a key the mean of draws; without, and where
    none are to be drawn, the quick ones."""
    module: Any = net.module
    if key is None or not module.draws:
        return models.complete(net.module, net.output, variables, partial)
    return profile_flow.several(module, dict(variables), partial, key)[0]


def chance(
    keys: Key[Array, " b"], shape: tuple[int, int], quick_share: float
) -> tuple[HalfSection, Each, Bool[Array, " b"], Float[Array, "b 2"]]:
    """For each example: noise, a time, whether it is for the quick answer, where the time is 0, and
    by how many deviations the axis is missed."""

    def one(key: Array) -> tuple[Array, Array, Array, Array]:
        for_noise, for_time, for_quick, for_axis = jax.random.split(key, 4)
        quick = jax.random.uniform(for_quick, ()) < quick_share
        time = jnp.where(quick, 0.0, draw_time(for_time))
        noise = jax.random.normal(for_noise, shape, jnp.float32)
        return noise, time, quick, jax.random.normal(for_axis, (2,))

    return jax.vmap(one)(keys)


def draw_time(key: Key[Array, ""]) -> Float[Array, ""]:
    """Logistic-normal, its odds shifted as in drawing."""
    return jax.nn.sigmoid(jax.random.normal(key, ()) - jnp.log(profile_flow.SHIFT))


def path(noise: HalfSection, clean: HalfSection, time: Each) -> HalfSection:
    """Where the straight way from noise to clean is at a time."""
    share = time[:, None, None]
    return (1.0 - share) * noise + share * clean


def flow_loss(
    answer: HalfSection, clean: HalfSection, time: Each, size: Float[Array, "n 1 ring"]
) -> Each:
    """The squared error of the velocity, mean over cells, which count by their ring's size.

    Near the surface they count more: near that of the answer. Were it the truth's, what is learned
    would no longer be the mean of all pots that a sherd may come from, but of their surfaces.
    """
    near = jnp.exp(-jnp.abs(jax.lax.stop_gradient(answer)) * half_section.CLIP / _NEAR)
    ring = _FAR + (1.0 - _FAR) * size / size.mean(axis=2, keepdims=True)
    weight = ring * (_FAR + (1.0 - _FAR) * near)
    error = (weight * jnp.square(answer - clean)).sum(axis=(1, 2)) / weight.sum(axis=(1, 2))
    return error / jnp.square(1.0 - jnp.minimum(time, LATEST))


def quick_loss(answer: HalfSection, distance: HalfSection, size: HalfSection) -> Each:
    """Cross-entropy and soft Dice of the cells' clay, which count by their ring's missing voxels.

    The truth of a cell is the share of it that is clay, were the surface flat and along it.
    """
    truth = jnp.clip(0.5 - distance / half_section.STEP, 0.0, 1.0)
    return losses.cross_entropy_and_dice(jax.nn.sigmoid(-answer / SDF_SCALE), truth, size, (1, 2))
