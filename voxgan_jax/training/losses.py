"""Losses of the adversarial auto-encoder, one value per example."""

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


def recon_loss(completed: Volume, complete: Volume) -> Float[Array, " b"]:
    """Mean absolute difference over the voxels, the L1 term of the paper's eq. 3."""
    return jnp.abs(completed - complete).mean(axis=(1, 2, 3, 4))
