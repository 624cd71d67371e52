"""Wasserstein GANs: a critic whose scores are no probabilities, and is trained more often.

With clipped weights (Arjovsky, Chintala and Bottou, ICML 2017) or with a gradient penalty
(Gulrajani et al., NIPS 2017). A step is one update of the critic; after so many of them comes one
of the generator. The reconstruction loss stands beside the critic as beside a discriminator.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float, Int

from voxgan_jax.data import fragments
from voxgan_jax.devices import accelerator
from voxgan_jax.models import Volume
from voxgan_jax.training import losses, updates
from voxgan_jax.training.objectives import Nets, gan
from voxgan_jax.training.objectives.gan import complete as complete
from voxgan_jax.training.state import NetState, TrainState, Tree
from voxgan_jax.training.updates import Examples, Pass, Scalars

_FIRST, _EVERY = 25, 500
"""Of the generator's updates the first, and every so many, wait for `first_steps` of the critic."""


def networks(config: Any, axis_name: str | None) -> dict[str, tuple[nn.Module, str]]:
    """The generator, and as the critic the discriminator of `config.discriminator`."""
    made = gan.networks(config, axis_name)
    return {"generator": made["generator"], "critic": made["discriminator"]}


def init(rng: jax.Array, config: Any, nets: Nets) -> dict[str, NetState]:
    """The networks before the first step, the critic's weights within their bound."""
    made = gan.init(rng, config, nets)
    return made | {"critic": _clipped(made["critic"], config.critic.clip)}


def options(config: Any) -> dict[str, Any]:
    """The losses, and how the critic is kept smooth.

    Raises:
        ValueError: a critic that nothing keeps smooth, a penalty on one whose scores hang on other
            pots, micro-batches, or what `gan.options` does not take.
    """
    if config.train.accumulate_steps > 1:
        raise ValueError("config.objective=wgan has no micro-batches: set accumulate_steps to 1")
    critic = config.critic
    spectral = config.discriminator.spectral_norm_iterations
    if not (critic.clip or critic.penalty or spectral):
        raise ValueError(
            "config.objective=wgan needs config.critic.clip or config.critic.penalty above 0, or"
            " spectral normalisation: without a bound on its slope a critic's scores grow for ever"
        )
    if critic.penalty and config.discriminator.norm == "batch":
        raise ValueError(
            "config.critic.penalty is on the slope at each pot by itself: set"
            " config.discriminator.norm=none, as batch normalisation mixes the pots"
        )
    taken = gan.options(config)
    return {name: taken[name] for name in ("supervised", "adversarial_weight", "keep_crumbs")} | {
        "critic_steps": critic.steps,
        "first_steps": critic.first_steps,
        "clip": critic.clip,
        "penalty": critic.penalty,
    }


def step(
    state: TrainState,
    batch: Mapping[str, Any],
    *,
    nets: Nets,
    supervised: losses.Supervised,
    adversarial_weight: float = 1.0,
    keep_crumbs: bool = True,
    critic_steps: int = 5,
    first_steps: int = 5,
    clip: float = 0.0,
    penalty: float = 0.0,
    ema_decay: float = 0.0,
    accumulate_steps: int = 1,
    axis_name: str | None = None,
) -> tuple[TrainState, Scalars]:
    """One update of the critic, and after it, where its turn has come (`is_due`), of the generator.

    Args:
        batch, supervised, axis_name: as for `gan.step`.
        adversarial_weight: of the critic's score in what the generator pays.
        critic_steps, first_steps: as `is_due` takes them.
        clip: the critic's weights, all of them, stay within ± this; 0: they are free.
        penalty: of how far the slope of the score is from 1, 10 in the source.
        accumulate_steps: 1.

    Returns:
        The next state and the scalars of this step: `wasserstein`, the critic's estimate of how far
        completed pots are from complete ones, `penalty`, `c_loss`, the norm of its gradient, and
        what the generator pays, `g_loss` with its parts, before either update.
    """

    def shares(rng: jax.Array, count: int) -> jax.Array:
        return jax.random.uniform(rng, (count, 1, 1, 1, 1), jnp.float32)

    examples = updates.with_chance(state, batch, axis_name, shares=shares)
    generator, critic = nets["generator"], nets["critic"]
    net_g, net_c = state.nets["generator"], state.nets["critic"]
    answer, net_g = gan.generate(generator, net_g, net_g.params, examples, keep_crumbs)
    partial, complete = fragments.volumes(examples["labels"], examples["given"], keep_crumbs)
    paid, parts = supervised(*answer, complete, partial)
    net_c, (grads, scalars) = _estimate(
        critic.module, penalty, net_c, complete, answer[0], examples
    )
    scalars |= parts | {"g_loss": adversarial_weight * scalars["adversarial_loss"] + paid}
    net_c, scalars, norm = updates.update(critic, net_c, (grads, scalars), axis_name)
    net_c = _clipped(net_c, clip)

    @accelerator.without_onednn()
    def better(both: tuple[NetState, NetState]) -> tuple[NetState, NetState]:
        net_g, net_c = both
        answer, vjp_g, net_g = gan.complete_pots(generator, keep_crumbs, net_g, examples)
        pays = (supervised, losses.score_loss, adversarial_weight)
        net_c, means = gan.improve(
            critic.module, keep_crumbs, *pays, net_c, answer, vjp_g, examples
        )
        return updates.update(generator, net_g, means, axis_name)[0], net_c

    due = is_due(state.step, critic_steps, first_steps)
    net_g, net_c = jax.lax.cond(due, better, lambda both: both, (net_g, net_c))
    state = updates.next_state(state, {"generator": net_g, "critic": net_c}, ema_decay)
    return state, scalars | {"grad_norm_c": norm}


def is_due(step: Int[Array, ""], critic_steps: int, first_steps: int) -> Bool[Array, ""]:
    """Whether an update of the generator follows the critic's of this step, counted from 0.

    It does after each `critic_steps` of the critic; but the first 25 updates of the generator, and
    every 500th, wait for `first_steps`, so that the critic comes near its best, as in the published
    code of Arjovsky et al.
    """
    often, slow = critic_steps, first_steps
    start, head, period = _FIRST * slow, (_EVERY - _FIRST) * often, slow + (_EVERY - 1) * often
    within = (step - start - head) % period
    return jnp.select(
        [step < start, step - start < head, within < slow],
        [(step + 1) % slow == 0, (step - start + 1) % often == 0, within == slow - 1],
        (within - slow + 1) % often == 0,
    )


def _clipped(net: NetState, bound: float) -> NetState:
    if not bound:
        return net
    clip = functools.partial(jnp.clip, min=-bound, max=bound)
    return dataclasses.replace(net, params=jax.tree.map(clip, net.params))


def _estimate(
    module: nn.Module,
    penalty: float,
    net_c: NetState,
    complete: Volume,
    completed: Volume,
    examples: Examples,
) -> Pass:
    """The critic's gradient. Complete and completed pots pass it apart, and by themselves."""

    def loss(params: Tree) -> tuple[jax.Array, tuple]:
        real, after = gan.judge(module, net_c, params, complete)
        fake, after = gan.judge(module, after, params, completed)
        parts = {"wasserstein": (real - fake).mean(), "adversarial_loss": -fake.mean()}
        total = -parts["wasserstein"]
        if penalty:
            between = completed + examples["shares"] * (complete - completed)
            parts["penalty"] = slope_penalty(module, net_c.variables(params), between).mean()
            total += penalty * parts["penalty"]
        return total, (after, parts | {"c_loss": total})

    (_, (net_c, parts)), grads = jax.value_and_grad(loss, has_aux=True)(net_c.params)
    return net_c, (grads, parts)


def slope_penalty(
    module: nn.Module, variables: Mapping[str, Any], between: Volume
) -> Float[Array, " b"]:
    """How far, squared, the slope of a critic's score is from 1, at points between real pots and
    made ones (Gulrajani et al., eq. 3). The slope is a norm over all voxels of an example."""

    def total(volume: Volume) -> Array:
        score: Any = module.apply(variables, volume, train=False)
        return score.sum()

    slope = jax.grad(total)(between).astype(jnp.float32)
    square = jnp.square(slope).sum(axis=(1, 2, 3, 4))
    # At a slope of nothing the root has no derivative.
    return jnp.square(jnp.sqrt(jnp.maximum(square, 1e-12)) - 1.0)
