"""The adversarial auto-encoder of Navarro et al. (IJCAI 2023): a generator and a discriminator."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from voxgan_jax import fields, models
from voxgan_jax.data import fragments
from voxgan_jax.models import Volume
from voxgan_jax.models import discriminator as discriminators
from voxgan_jax.training import losses, updates
from voxgan_jax.training.objectives import Nets
from voxgan_jax.training.state import Net, NetState, TrainState, Tree, create_net
from voxgan_jax.training.updates import Examples, Pass, Scalars

Answer = tuple[Volume, dict[str, Any]]
"""The completed pots, and what else the generator puts out in training."""


def networks(config: Any, axis_name: str | None) -> dict[str, tuple[nn.Module, str]]:
    """The generator and the discriminator."""
    generator = models.build(config.generator, axis_name=axis_name)
    return {
        "generator": (generator, models.output(config.generator)),
        "discriminator": (discriminators.from_config(config.discriminator, axis_name), "logits"),
    }


def init(rng: jax.Array, config: Any, nets: Nets) -> dict[str, NetState]:
    """The networks before the first step, for cubes of side `config.data.resolution`."""
    volume = jnp.zeros((1, *[config.data.resolution] * 3, 1), jnp.float32)
    keys = jax.random.split(rng, 3)
    return {
        name: create_net(net, key, volume, train=False)
        for (name, net), key in zip(nets.items(), keys[: len(nets)], strict=True)
    }


def options(config: Any) -> dict[str, Any]:
    """The losses, which voxels count, and when the discriminator is held back.

    Raises:
        ValueError: no adversarial loss, which is another objective, or an unknown value.
    """
    if not config.loss.adversarial_weight:
        raise ValueError(
            "config.objective=gan needs a config.loss.adversarial_weight above 0; without an"
            " adversarial loss set config.objective=regression"
        )
    return {
        "supervised": losses.supervised_loss(config),
        "adversary": fields.choose(
            losses.ADVERSARIES, "config.loss.adversarial", config.loss.adversarial
        ),
        "adversarial_weight": config.loss.adversarial_weight,
        "real_label_range": (config.loss.real_label_low, config.loss.real_label_high),
        "accuracy_limit": config.discriminator.accuracy_limit,
        "keep_crumbs": config.fragments.keep_crumbs,
    }


def step(
    state: TrainState,
    batch: Mapping[str, Any],
    *,
    nets: Nets,
    supervised: losses.Supervised,
    real_label_range: tuple[float, float],
    adversary: losses.Adversary = losses.ADVERSARIES["bce"],
    adversarial_weight: float = 1.0,
    accuracy_limit: float = 1.0,
    keep_crumbs: bool = True,
    ema_decay: float = 0.0,
    accumulate_steps: int = 1,
    axis_name: str | None = None,
) -> tuple[TrainState, Scalars]:
    """One update of the discriminator, then one of the generator, as the original orders them.

    The generator runs forward once; its vector-Jacobian product is kept for the second update. The
    discriminator runs on the complete pots, on the completed ones, and, updated, on these again:
    three forward passes, each of which moves its batch statistics.

    Args:
        batch: `labels` uint8 (b, d, h, w) and `given` bool (b, 256).
        supervised: how far completed pots are from complete ones, already weighted (eq. 3's λ).
        real_label_range: bounds of the uniform labels of complete pots.
        adversary: what both networks pay by the logits.
        adversarial_weight: of the generator's adversarial loss, 1 in the paper.
        accuracy_limit: above this share of pots that it tells right, before its update, the
            discriminator is not updated (Wu et al., NIPS 2016, section 3.2: 0.8).
        accumulate_steps: micro-batches whose gradients are averaged for each of the two updates.
            Above 1 less memory is needed, but the generator runs forward twice; batch statistics
            are those of a micro-batch, and move with each.
        axis_name: the mapped axis to average over.

    Returns:
        The next state and the scalars of this step: `g_loss` and its parts, `d_loss`,
        `d_real_prob`, `d_fake_prob`, `d_accuracy`, and the norms of both gradients.
    """

    def labels(rng: jax.Array, count: int) -> jax.Array:
        return jax.random.uniform(rng, (count,), jnp.float32, *real_label_range)

    examples = updates.with_chance(state, batch, axis_name, real_labels=labels)
    generator, discriminator = nets["generator"], nets["discriminator"]
    tell_apart = functools.partial(_tell_apart, discriminator.module, keep_crumbs, adversary.judge)
    pays = (supervised, adversary.fool, adversarial_weight)
    better = functools.partial(improve, discriminator.module, keep_crumbs, *pays)
    teach = functools.partial(_teach, accuracy_limit, axis_name)
    net_g, net_d = state.nets["generator"], state.nets["discriminator"]
    if accumulate_steps == 1:
        answer, vjp_g, net_g = complete_pots(generator, keep_crumbs, net_g, examples)
        net_d, means_d = tell_apart(net_d, answer[0], examples)
        net_d, scalars_d, norm_d = teach(discriminator, net_d, means_d)
        net_d, means_g = better(net_d, answer, vjp_g, examples)
    else:

        def first(both: tuple[NetState, NetState], examples: Examples) -> tuple[Any, Any]:
            answer, net_g = generate(generator, both[0], both[0].params, examples, keep_crumbs)
            net_d, means = tell_apart(both[1], answer[0], examples)
            return (net_g, net_d), means

        def second(net_d: NetState, examples: Examples) -> Pass:
            # Again, as keeping the first pass would take the memory that is to be saved. Its
            # statistics have moved already.
            answer, vjp_g, _ = complete_pots(generator, keep_crumbs, net_g, examples)
            return better(net_d, answer, vjp_g, examples)

        in_parts = functools.partial(updates.accumulate, examples=examples, count=accumulate_steps)
        (net_g, net_d), means_d = in_parts(first, (net_g, net_d))
        net_d, scalars_d, norm_d = teach(discriminator, net_d, means_d)
        net_d, means_g = in_parts(second, net_d)
    net_g, scalars_g, norm_g = updates.update(generator, net_g, means_g, axis_name)
    norms = {"grad_norm_d": norm_d, "grad_norm_g": norm_g}
    state = updates.next_state(state, {"generator": net_g, "discriminator": net_d}, ema_decay)
    return state, scalars_d | scalars_g | norms


def generate(
    net: Net, state: NetState, params: Tree, examples: Examples, keep_crumbs: bool
) -> tuple[Answer, NetState]:
    """The generator's pass in training mode, and the net with the statistics that it left."""
    partial, complete = fragments.volumes(examples["labels"], examples["given"], keep_crumbs)
    left: Any
    grid, left = net.module.apply(
        state.variables(params),
        partial,
        train=True,
        complete=complete,
        keys=jax.random.wrap_key_data(examples["keys"]),
        mutable=["batch_stats", models.OUTPUTS],
    )
    completed = models.probabilities(grid, net.output)
    return (completed, dict(left.get(models.OUTPUTS, {}))), state.moved(left)


def complete(
    net: Net, variables: Mapping[str, Any], partial: Volume, key: jax.Array | None = None
) -> Volume:
    """The probabilities of completed pots, see `models.complete`."""
    return models.complete(net.module, net.output, variables, partial, key)


def complete_pots(
    net: Net, keep_crumbs: bool, net_g: NetState, examples: Examples
) -> tuple[Answer, Any, NetState]:
    """What the generator answers, what takes its cotangent to the gradient, the net."""
    return jax.vjp(
        lambda params: generate(net, net_g, params, examples, keep_crumbs),
        net_g.params,
        has_aux=True,
    )


def _tell_apart(
    module: nn.Module,
    keep_crumbs: bool,
    pays: Callable[..., Float[Array, " b"]],
    net_d: NetState,
    completed: Volume,
    examples: Examples,
) -> Pass:
    """The discriminator's gradient, from a pass over complete pots and one over completed ones."""
    _, complete = fragments.volumes(examples["labels"], examples["given"], keep_crumbs)

    def loss(params: Tree) -> tuple[jax.Array, tuple]:
        real_logits, after_real = judge(module, net_d, params, complete)
        fake_logits, after_fake = judge(module, after_real, params, completed)
        loss = pays(real_logits, fake_logits, examples["real_labels"])
        right = jnp.concatenate([real_logits > 0, fake_logits <= 0])
        probs = {
            "d_real_prob": jax.nn.sigmoid(real_logits).mean(),
            "d_fake_prob": jax.nn.sigmoid(fake_logits).mean(),
            "d_accuracy": right.mean(dtype=jnp.float32),
        }
        return loss.mean(), (after_fake, probs)

    (d_loss, (net_d, probs)), grads = jax.value_and_grad(loss, has_aux=True)(net_d.params)
    return net_d, (grads, {"d_loss": d_loss} | probs)


def _teach(
    limit: float, axis_name: str | None, net: Net, state: NetState, means: tuple[Tree, Scalars]
) -> tuple[NetState, Scalars, Float[Array, ""]]:
    """`updates.update`, but what is more accurate than the limit stays as it is."""
    taught, scalars, norm = updates.update(net, state, means, axis_name)
    if limit < 1.0:
        behind = scalars["d_accuracy"] <= limit
        taught = jax.tree.map(lambda new, old: jnp.where(behind, new, old), taught, state)
    return taught, scalars, norm


def improve(
    module: nn.Module,
    keep_crumbs: bool,
    supervised: losses.Supervised,
    fool: Callable[[Float[Array, " b"]], Float[Array, " b"]],
    adversarial_weight: float,
    net_d: NetState,
    answer: Answer,
    vjp_g: Any,
    examples: Examples,
) -> Pass:
    """The generator's gradient; the discriminator only moves its statistics."""
    partial, complete = fragments.volumes(examples["labels"], examples["given"], keep_crumbs)

    def loss(answer: Answer) -> tuple[jax.Array, tuple]:
        logits, after = judge(module, net_d, net_d.params, answer[0])
        adversarial_loss = fool(logits).mean()
        total, parts = supervised(*answer, complete, partial)
        total = adversarial_weight * adversarial_loss + total
        return total, (after, {"adversarial_loss": adversarial_loss} | parts)

    (g_loss, (net_d, parts)), cotangent = jax.value_and_grad(loss, has_aux=True)(answer)
    return net_d, (vjp_g(cotangent)[0], {"g_loss": g_loss} | parts)


def judge(
    module: nn.Module, net: NetState, params: Tree, volume: Volume
) -> tuple[Float[Array, " b"], NetState]:
    """The discriminator's pass in training mode, and the net with the statistics that it left."""
    logits, left = module.apply(
        net.variables(params), volume, train=True, mutable=["batch_stats", "spectral_stats"]
    )
    return logits, net.moved(left)
