"""The training step: a pure function of (state, batch)."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jaxtyping import Array, Float

from voxgan_jax.data import fragments
from voxgan_jax.training import losses, parallel
from voxgan_jax.training.state import NetState, TrainState, Tree

Scalars = dict[str, Float[Array, ""]]

Examples = dict[str, Any]
"""A batch with its `real_labels`, float32 (b): all that a step needs to know of its rows."""

Pass = tuple[NetState, tuple[Tree, Scalars]]
"""The discriminator after a pass, and what is averaged: gradients and scalars."""


def train_step(
    state: TrainState,
    batch: Mapping[str, Any],
    *,
    generator: nn.Module,
    discriminator: nn.Module,
    tx_g: optax.GradientTransformation,
    tx_d: optax.GradientTransformation,
    recon_loss: Callable[..., Float[Array, " b"]],
    recon_weight: float,
    real_label_range: tuple[float, float],
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
        recon_loss: how far completed pots are from complete ones, one of `losses.RECON_LOSSES`.
        recon_weight: its weight λ (paper, eq. 3).
        real_label_range: bounds of the uniform labels of complete pots.
        accumulate_steps: micro-batches whose gradients are averaged for each of the two updates.
            Above 1 less memory is needed, but the generator runs forward twice; batch statistics
            are those of a micro-batch, and move with each.
        axis_name: the mapped axis to average over, under pmap.

    Returns:
        The next state and the scalars of this step: `g_loss`, `adversarial_loss`, `recon_loss`,
        `d_loss`, `d_real_prob`, `d_fake_prob` and the norms of both gradients.

    Raises:
        ValueError: the rows do not divide into so many micro-batches.
    """
    devices = 1 if axis_name is None else jax.lax.axis_size(axis_name)
    examples = dict(batch) | {
        "real_labels": parallel.own_rows(
            jax.random.uniform(
                jax.random.fold_in(state.rng, state.step),
                (batch["labels"].shape[0] * devices,),
                jnp.float32,
                *real_label_range,
            ),
            axis_name,
        )
    }
    volumes = functools.partial(_volumes, keep_crumbs=keep_crumbs)

    def complete_pots(net_g: NetState, partial: jax.Array) -> tuple[jax.Array, Any, NetState]:
        """The completed pots, what takes their cotangent to the generator's gradient, the net."""
        return jax.vjp(
            lambda params: _forward(generator, net_g, params, partial), net_g.params, has_aux=True
        )

    def tell_apart(net_d: NetState, completed: jax.Array, examples: Examples) -> Pass:
        """The discriminator's gradient."""
        _, complete = volumes(examples)

        def loss(params: Tree) -> tuple[jax.Array, tuple]:
            real_logits, after_real = _forward(discriminator, net_d, params, complete)
            fake_logits, after_fake = _forward(discriminator, after_real, params, completed)
            loss = losses.discriminator_loss(real_logits, fake_logits, examples["real_labels"])
            probs = {
                "d_real_prob": jax.nn.sigmoid(real_logits).mean(),
                "d_fake_prob": jax.nn.sigmoid(fake_logits).mean(),
            }
            return loss.mean(), (after_fake, probs)

        (d_loss, (net_d, probs)), grads = jax.value_and_grad(loss, has_aux=True)(net_d.params)
        return net_d, (grads, {"d_loss": d_loss} | probs)

    def deceive(net_d: NetState, completed: jax.Array, vjp_g: Any, examples: Examples) -> Pass:
        """The generator's gradient; the discriminator only moves its statistics."""
        _, complete = volumes(examples)

        def loss(completed: jax.Array) -> tuple[jax.Array, tuple]:
            logits, after = _forward(discriminator, net_d, net_d.params, completed)
            adversarial = losses.adversarial_loss(logits).mean()
            recon = recon_loss(completed, complete).mean()
            parts = {"adversarial_loss": adversarial, "recon_loss": recon}
            return adversarial + recon_weight * recon, (after, parts)

        (g_loss, (net_d, parts)), cotangent = jax.value_and_grad(loss, has_aux=True)(completed)
        return net_d, (vjp_g(cotangent)[0], {"g_loss": g_loss} | parts)

    net_g, net_d = state.generator, state.discriminator
    if accumulate_steps == 1:
        completed, vjp_g, net_g = complete_pots(net_g, volumes(examples)[0])
        net_d, means_d = tell_apart(net_d, completed, examples)
        grads_d, scalars_d = _average(means_d, axis_name)
        net_d = _update(net_d, grads_d, tx_d)
        net_d, means_g = deceive(net_d, completed, vjp_g, examples)
    else:

        def first(nets: tuple[NetState, NetState], examples: Examples) -> tuple[Any, Any]:
            net_g, net_d = nets
            partial, _ = volumes(examples)
            completed, net_g = _forward(generator, net_g, net_g.params, partial)
            net_d, means = tell_apart(net_d, completed, examples)
            return (net_g, net_d), means

        def second(net_d: NetState, examples: Examples) -> Pass:
            # Again, as keeping the first pass would take the memory that is to be saved. Its
            # statistics have moved already.
            completed, vjp_g, _ = complete_pots(net_g, volumes(examples)[0])
            return deceive(net_d, completed, vjp_g, examples)

        micro_batches = _split(examples, accumulate_steps)
        (net_g, net_d), means_d = _accumulate(first, (net_g, net_d), micro_batches)
        grads_d, scalars_d = _average(means_d, axis_name)
        net_d = _update(net_d, grads_d, tx_d)
        net_d, means_g = _accumulate(second, net_d, micro_batches)
    grads_g, scalars_g = _average(means_g, axis_name)
    net_g = _update(net_g, grads_g, tx_g)

    norms = {"grad_norm_g": optax.tree.norm(grads_g), "grad_norm_d": optax.tree.norm(grads_d)}
    return TrainState(
        step=state.step + 1,
        rng=state.rng,
        generator=net_g,
        discriminator=net_d,
        ema_params=_follow(state.ema_params, net_g.params, ema_decay),
    ), scalars_d | scalars_g | norms


def _volumes(
    examples: Examples, keep_crumbs: bool
) -> tuple[Float[Array, "b d h w 1"], Float[Array, "b d h w 1"]]:
    """(partial, complete) as floats."""
    partial, complete = fragments.select(
        examples["labels"], examples["given"], keep_crumbs=keep_crumbs
    )
    return jnp.asarray(partial, jnp.float32), jnp.asarray(complete, jnp.float32)


def _split(examples: Examples, count: int) -> Examples:
    """So many micro-batches along a new first axis, every `count`-th row in one.

    So each device has as many rows of each, and a micro-batch has the same rows whatever the number
    of devices.
    """
    rows = examples["labels"].shape[0]
    if rows % count:
        lower = max(rows // count, 1) * count
        raise ValueError(
            f"{rows} rows a device do not divide into config.train.accumulate_steps = {count}"
            f" micro-batches; the nearest that do are {lower} and {lower + count}"
        )
    return jax.tree.map(
        lambda leaf: jnp.moveaxis(leaf.reshape(-1, count, *leaf.shape[1:]), 1, 0), examples
    )


def _accumulate(
    run: Callable[[Any, Examples], tuple[Any, Any]], carry: Any, micro_batches: Examples
) -> tuple[Any, Any]:
    """`run` on each micro-batch in turn: the last carry and the mean of what else it gives."""
    count = micro_batches["labels"].shape[0]
    shapes = jax.eval_shape(run, carry, jax.tree.map(lambda leaf: leaf[0], micro_batches))[1]
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)

    def body(carry: Any, examples: Examples) -> tuple[Any, None]:
        carry, total = carry
        carry, values = run(carry, examples)
        return (carry, jax.tree.map(jnp.add, total, values)), None

    (carry, total), _ = jax.lax.scan(body, (carry, zeros), micro_batches)
    return carry, jax.tree.map(lambda leaf: leaf / count, total)


def _forward(
    module: nn.Module, net: NetState, params: Tree, volume: Float[Array, "b d h w 1"]
) -> tuple[jax.Array, NetState]:
    """A pass in training mode and the network with the statistics that the pass left."""
    out, moved = module.apply(
        net.variables(params), volume, train=True, mutable=["batch_stats", "spectral_stats"]
    )
    return out, dataclasses.replace(
        net,
        batch_stats=moved.get("batch_stats", {}),
        spectral_stats=moved.get("spectral_stats", {}),
    )


def _update(net: NetState, grads: Tree, tx: optax.GradientTransformation) -> NetState:
    updates, opt_state = tx.update(grads, net.opt_state, net.params)
    return dataclasses.replace(
        net, params=optax.apply_updates(net.params, updates), opt_state=opt_state
    )


def _average(tree: Tree, axis_name: str | None) -> Tree:
    return tree if axis_name is None else jax.lax.pmean(tree, axis_name)


def _follow(ema_params: Tree, params: Tree, decay: float) -> Tree:
    if not ema_params:
        return ema_params
    return jax.tree.map(lambda ema, new: decay * ema + (1.0 - decay) * new, ema_params, params)
