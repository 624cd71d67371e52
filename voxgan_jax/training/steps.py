"""The training step: a pure function of (state, batch)."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jaxtyping import Array, Float

from voxgan_jax.data import fragments
from voxgan_jax.training import losses
from voxgan_jax.training.state import NetState, TrainState, Tree

Scalars = dict[str, Float[Array, ""]]


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
        axis_name: the mapped axis to average over, under pmap.

    Returns:
        The next state and the scalars of this step: `g_loss`, `adversarial_loss`, `recon_loss`,
        `d_loss`, `d_real_prob`, `d_fake_prob` and the norms of both gradients.
    """
    volumes = fragments.select(batch["labels"], batch["given"], keep_crumbs=keep_crumbs)
    partial, complete = (jnp.asarray(volume, jnp.float32) for volume in volumes)
    net_g, net_d = state.generator, state.discriminator
    rng = jax.random.fold_in(state.rng, state.step)
    if axis_name is not None:
        rng = jax.random.fold_in(rng, jax.lax.axis_index(axis_name))
    low, high = real_label_range
    real_labels = jax.random.uniform(rng, partial.shape[:1], jnp.float32, low, high)

    completed, vjp_g, net_g = jax.vjp(
        lambda params: _forward(generator, net_g, params, partial), net_g.params, has_aux=True
    )

    def loss_d(params: Tree) -> tuple[jax.Array, tuple]:
        real_logits, after_real = _forward(discriminator, net_d, params, complete)
        fake_logits, after_fake = _forward(discriminator, after_real, params, completed)
        loss = losses.discriminator_loss(real_logits, fake_logits, real_labels).mean()
        return loss, (real_logits, fake_logits, after_fake)

    grad_d = jax.value_and_grad(loss_d, has_aux=True)
    (d_loss, (real_logits, fake_logits, net_d)), grads_d = grad_d(net_d.params)
    grads_d = _average(grads_d, axis_name)
    net_d = _update(net_d, grads_d, tx_d)

    def loss_g(completed: jax.Array) -> tuple[jax.Array, tuple]:
        logits, after = _forward(discriminator, net_d, net_d.params, completed)
        adversarial = losses.adversarial_loss(logits).mean()
        recon = recon_loss(completed, complete).mean()
        return adversarial + recon_weight * recon, (adversarial, recon, after)

    grad_g = jax.value_and_grad(loss_g, has_aux=True)
    (g_loss, (adversarial, recon, net_d)), cotangent = grad_g(completed)
    grads_g = _average(vjp_g(cotangent)[0], axis_name)
    net_g = _update(net_g, grads_g, tx_g)

    scalars = {
        "g_loss": g_loss,
        "adversarial_loss": adversarial,
        "recon_loss": recon,
        "d_loss": d_loss,
        "d_real_prob": jax.nn.sigmoid(real_logits).mean(),
        "d_fake_prob": jax.nn.sigmoid(fake_logits).mean(),
    }
    scalars = _average(scalars, axis_name) | {
        "grad_norm_g": optax.tree.norm(grads_g),
        "grad_norm_d": optax.tree.norm(grads_d),
    }
    return TrainState(
        step=state.step + 1,
        rng=state.rng,
        generator=net_g,
        discriminator=net_d,
        ema_params=_follow(state.ema_params, net_g.params, ema_decay),
    ), scalars


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
