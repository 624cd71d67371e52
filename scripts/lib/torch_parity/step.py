# pyright: reportMissingImports=false
"""The original's training step in PyTorch; the mirror of `voxgan_jax.training.objectives.gan`."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional


def train_step(
    generator: nn.Module,
    discriminator: nn.Module,
    optimizer_g: torch.optim.Optimizer,
    optimizer_d: torch.optim.Optimizer,
    partial: torch.Tensor,
    complete: torch.Tensor,
    real_labels: torch.Tensor,
    *,
    recon_weight: float,
    recon_loss: Callable[..., torch.Tensor] = functional.l1_loss,
) -> dict[str, torch.Tensor]:
    """One update of the discriminator, then one of the generator, in place.

    The generator runs forward once. The discriminator runs on the complete pots, on the completed
    ones, and, updated, on these again: three passes, each of which moves its statistics. Afterwards
    `.grad` of every parameter is the gradient of its own network's loss, the one applied.
    Under autocast switch its cache off: it would keep kernels from before their update.

    Args:
        partial, complete: (b, 1, d, h, w).
        real_labels: what the discriminator should say of the complete pots, (b,).
        recon_weight: the weight λ of `recon_loss(completed, complete)` (paper, eq. 3).

    Returns:
        The scalars of the step under the names that the JAX step uses, detached.
    """
    bce = functional.binary_cross_entropy_with_logits
    optimizer_d.zero_grad()
    real_logits = discriminator(complete)
    completed = generator(partial)
    fake_logits = discriminator(completed.detach())
    d_loss = bce(real_logits, real_labels) + bce(fake_logits, torch.zeros_like(fake_logits))
    d_loss.backward()
    optimizer_d.step()

    # The discriminator only hands the gradient on, so its own need not be computed.
    discriminator.requires_grad_(False)
    optimizer_g.zero_grad()
    logits = discriminator(completed)
    adversarial = bce(logits, torch.ones_like(logits))
    recon = recon_loss(completed, complete)
    g_loss = adversarial + recon_weight * recon
    g_loss.backward()
    optimizer_g.step()
    discriminator.requires_grad_(True)
    scalars = {
        "g_loss": g_loss,
        "adversarial_loss": adversarial,
        "recon_loss": recon,
        "d_loss": d_loss,
        "d_real_prob": torch.sigmoid(real_logits).mean(),
        "d_fake_prob": torch.sigmoid(fake_logits).mean(),
        "d_accuracy": torch.cat([real_logits > 0, fake_logits <= 0]).to(g_loss.dtype).mean(),
    }
    return {name: value.detach() for name, value in scalars.items()}
