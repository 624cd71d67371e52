"""The training step: a pure function of (state, batch)."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jaxtyping import Array, Float, Int, UInt32

from voxgan_jax.data import fragments
from voxgan_jax.devices import parallel
from voxgan_jax.models.revolve import OUTPUTS
from voxgan_jax.training import losses
from voxgan_jax.training.state import NetState, TrainState, Tree

Scalars = dict[str, Float[Array, ""]]

Examples = dict[str, Any]
"""A batch with its `real_labels`, float32 (b), and `keys`: all that a step needs of its rows."""

Answer = tuple[Float[Array, "b d h w 1"], dict[str, Any]]
"""The completed pots, and what else the generator puts out in training."""

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
    recon_loss: losses.ReconLoss,
    recon_weight: float,
    real_label_range: tuple[float, float],
    adversarial_weight: float = 1.0,
    auxiliary: losses.Auxiliary = losses.no_auxiliary,
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
        recon_weight: its weight λ (paper, eq. 3); at 0 it is not computed.
        real_label_range: bounds of the uniform labels of complete pots.
        adversarial_weight: of the generator's adversarial loss, 1 in the paper; at 0 the
            discriminator does not run and stays as it is.
        auxiliary: losses on what else the generator puts out in training, already weighted.
        accumulate_steps: micro-batches whose gradients are averaged for each of the two updates.
            Above 1 less memory is needed, but the generator runs forward twice; batch statistics
            are those of a micro-batch, and move with each.
        axis_name: the mapped axis to average over, under pmap.

    Returns:
        The next state and the scalars of this step: `g_loss` and its parts, `adversarial_loss`,
        `recon_loss` and the auxiliary ones; `d_loss`, `d_real_prob`, `d_fake_prob`; the norms of
        both gradients. Those of what does not run are missing.

    Raises:
        ValueError: the rows do not divide into so many micro-batches.
    """
    devices = 1 if axis_name is None else jax.lax.axis_size(axis_name)
    rows = batch["labels"].shape[0]
    rng = jax.random.fold_in(state.rng, state.step)
    examples = dict(batch) | {
        "real_labels": parallel.own_rows(
            jax.random.uniform(rng, (rows * devices,), jnp.float32, *real_label_range), axis_name
        ),
        # A key for each row, whatever the number of devices.
        "keys": parallel.own_rows(
            jax.random.key_data(jax.random.split(jax.random.fold_in(rng, 1), rows * devices)),
            axis_name,
        ),
    }
    volumes = functools.partial(_volumes, keep_crumbs=keep_crumbs)

    def complete_pots(net_g: NetState, examples: Examples) -> tuple[Answer, Any, NetState]:
        """What the generator answers, what takes its cotangent to the gradient, the net."""
        partial, complete = volumes(examples)
        return jax.vjp(
            lambda params: _generate(generator, net_g, params, partial, complete, examples["keys"]),
            net_g.params,
            has_aux=True,
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

    def improve(net_d: NetState, answer: Answer, vjp_g: Any, examples: Examples) -> Pass:
        """The generator's gradient; the discriminator only moves its statistics."""
        partial, complete = volumes(examples)

        def loss(answer: Answer) -> tuple[jax.Array, tuple]:
            completed, outputs = answer
            after, total, parts = net_d, jnp.zeros(()), {}
            if adversarial_weight:
                logits, after = _forward(discriminator, net_d, net_d.params, completed)
                parts["adversarial_loss"] = losses.adversarial_loss(logits).mean()
                total += adversarial_weight * parts["adversarial_loss"]
            if recon_weight:
                parts["recon_loss"] = recon_loss(completed, complete, partial).mean()
                total += recon_weight * parts["recon_loss"]
            for name, values in auxiliary(outputs, complete, partial).items():
                parts[name] = values.mean()
                total += parts[name]
            return total, (after, parts)

        (g_loss, (net_d, parts)), cotangent = jax.value_and_grad(loss, has_aux=True)(answer)
        return net_d, (vjp_g(cotangent)[0], {"g_loss": g_loss} | parts)

    def update_d(net_d: NetState, means: Any) -> tuple[NetState, Scalars]:
        grads, scalars = _average(means, axis_name)
        return _update(net_d, grads, tx_d), scalars | {"grad_norm_d": optax.tree.norm(grads)}

    net_g, net_d, scalars_d = state.generator, state.discriminator, {}
    if accumulate_steps == 1:
        answer, vjp_g, net_g = complete_pots(net_g, examples)
        if adversarial_weight:
            net_d, scalars_d = update_d(*tell_apart(net_d, answer[0], examples))
        net_d, means_g = improve(net_d, answer, vjp_g, examples)
    else:

        def first(nets: tuple[NetState, NetState], examples: Examples) -> tuple[Any, Any]:
            net_g, net_d = nets
            (completed, _), net_g = _generate(
                generator, net_g, net_g.params, *volumes(examples), examples["keys"]
            )
            net_d, means = tell_apart(net_d, completed, examples)
            return (net_g, net_d), means

        def second(nets: tuple[NetState, NetState], examples: Examples) -> tuple[Any, Any]:
            # Again, as keeping the first pass would take the memory that is to be saved. Its
            # statistics have moved already.
            net_g, net_d = nets
            answer, vjp_g, moved = complete_pots(net_g, examples)
            net_d, means = improve(net_d, answer, vjp_g, examples)
            return (net_g if adversarial_weight else moved, net_d), means

        micro_batches = _split(examples, accumulate_steps)
        if adversarial_weight:
            (net_g, net_d), means_d = _accumulate(first, (net_g, net_d), micro_batches)
            net_d, scalars_d = update_d(net_d, means_d)
        (net_g, net_d), means_g = _accumulate(second, (net_g, net_d), micro_batches)
    grads_g, scalars_g = _average(means_g, axis_name)
    net_g = _update(net_g, grads_g, tx_g)

    return TrainState(
        step=state.step + 1,
        rng=state.rng,
        generator=net_g,
        discriminator=net_d,
        ema_params=_follow(state.ema_params, net_g.params, ema_decay, state.step),
    ), scalars_d | scalars_g | {"grad_norm_g": optax.tree.norm(grads_g)}


def _generate(
    generator: nn.Module,
    net: NetState,
    params: Tree,
    partial: Float[Array, "b d h w 1"],
    complete: Float[Array, "b d h w 1"],
    keys: UInt32[Array, "b words"],
) -> tuple[Answer, NetState]:
    """The generator's pass in training mode, and the net with the statistics that it left."""
    moved: Any
    completed, moved = generator.apply(
        net.variables(params),
        partial,
        train=True,
        complete=complete,
        keys=jax.random.wrap_key_data(keys),
        mutable=["batch_stats", OUTPUTS],
    )
    left = dataclasses.replace(net, batch_stats=moved.get("batch_stats", {}))
    return (completed, dict(moved.get(OUTPUTS, {}))), left


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


def _follow(ema_params: Tree, params: Tree, decay: float, step: Int[Array, ""]) -> Tree:
    """The moving average; over few steps at first, else it would remember the untrained start."""
    if not ema_params:
        return ema_params
    count = step.astype(jnp.float32)
    decay_now = jnp.minimum(decay, (1.0 + count) / (10.0 + count))
    return jax.tree.map(
        lambda ema, new: decay_now * ema + (1.0 - decay_now) * new, ema_params, params
    )
