"""Losses of the adversarial auto-encoder, one value per example."""

from collections.abc import Callable

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

Volume = Float[Array, "b d h w 1"]


def discriminator_loss(
    real_logits: Float[Array, " b"],
    fake_logits: Float[Array, " b"],
    real_labels: Float[Array, " b"],
) -> Float[Array, " b"]:
    """Cross-entropy of complete pots against `real_labels` plus that of completed ones against 0.

    The labels are drawn around 1 (one-sided smoothing) and may lie above it.
    """
    real = optax.sigmoid_binary_cross_entropy(real_logits, real_labels)
    fake = optax.sigmoid_binary_cross_entropy(fake_logits, jnp.zeros_like(fake_logits))
    return real + fake


def adversarial_loss(fake_logits: Float[Array, " b"]) -> Float[Array, " b"]:
    """What the generator pays where the discriminator is not fooled: cross-entropy against 1."""
    return optax.sigmoid_binary_cross_entropy(fake_logits, jnp.ones_like(fake_logits))


def l1_loss(completed: Volume, complete: Volume) -> Float[Array, " b"]:
    """Mean absolute difference over the voxels, the L1 term of the paper's eq. 3."""
    return jnp.abs(completed - complete).mean(axis=(1, 2, 3, 4))


def bce_loss(completed: Volume, complete: Volume) -> Float[Array, " b"]:
    """Mean cross-entropy over the voxels.

    Unlike that of L1, its gradient does not vanish where the generator is sure and wrong, as it is
    at first about most of a pot: nine tenths of the cube are empty.
    """
    completed = jnp.clip(completed, 1e-6, 1.0 - 1e-6)
    likelihood = complete * jnp.log(completed) + (1.0 - complete) * jnp.log1p(-completed)
    return -likelihood.mean(axis=(1, 2, 3, 4))


RECON_LOSSES = {"l1": l1_loss, "bce": bce_loss}


def choose_recon_loss(name: str) -> Callable[[Volume, Volume], Float[Array, " b"]]:
    """The reconstruction loss of that name; ValueError lists the known ones."""
    if name not in RECON_LOSSES:
        raise ValueError(f"unknown config.loss.recon {name!r}; known: {', '.join(RECON_LOSSES)}")
    return RECON_LOSSES[name]
