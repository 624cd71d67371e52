"""Losses of the adversarial auto-encoder, one value per example."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from voxgan_jax import fields
from voxgan_jax.geometry import distance, rings
from voxgan_jax.models import SDF_BOUND, Volume, axis, hypotheses

Each = Float[Array, " b"]
"""A number for each example."""

ReconLoss = Callable[[Volume, Volume, Volume], Each]
"""`loss(completed, complete, partial)`."""

Supervised = Callable[..., tuple[Float[Array, ""], dict[str, Float[Array, ""]]]]
"""`supervised(completed, outputs, complete, partial)`: the weighted sum of means, and its parts."""


def discriminator_loss(real_logits: Each, fake_logits: Each, real_labels: Each) -> Each:
    """Cross-entropy of complete pots against `real_labels` plus that of completed ones against 0.

    The labels are drawn around 1 (one-sided smoothing) and may lie above it.
    """
    real = optax.sigmoid_binary_cross_entropy(real_logits, real_labels)
    fake = optax.sigmoid_binary_cross_entropy(fake_logits, jnp.zeros_like(fake_logits))
    return real + fake


def adversarial_loss(fake_logits: Each) -> Each:
    """What the generator pays where the discriminator is not fooled: cross-entropy against 1."""
    return optax.sigmoid_binary_cross_entropy(fake_logits, jnp.ones_like(fake_logits))


def hinge_loss(real_logits: Each, fake_logits: Each, real_labels: Each) -> Each:
    """What is missing to 1 of the complete pots' logits, and to -1 of the completed ones'.

    Beyond these margins nothing is to be won (Miyato et al., ICLR 2018, eq. 16); there are no
    labels in it, so `real_labels` are not looked at.
    """
    return jax.nn.relu(1.0 - real_logits) + jax.nn.relu(1.0 + fake_logits)


def score_loss(fake_logits: Each) -> Each:
    """What the generator pays where a score is no probability: less where it is higher."""
    return -fake_logits


class Adversary(NamedTuple):
    """What the discriminator pays and what the generator pays, each of the logits, per example."""

    judge: Callable[..., Each]
    fool: Callable[[Each], Each]


ADVERSARIES = {
    "bce": Adversary(discriminator_loss, adversarial_loss),
    "hinge": Adversary(hinge_loss, score_loss),
}


def l1_loss(completed: Volume, complete: Volume, partial: Volume) -> Each:
    """Mean absolute difference over the voxels, the L1 term of the paper's eq. 3.

    All voxels count, the given ones as well; `partial` is not looked at.
    """
    return jnp.abs(completed - complete).mean(axis=_VOXELS)


def bce_loss(completed: Volume, complete: Volume, partial: Volume) -> Each:
    """Mean cross-entropy over the voxels, the given ones as well.

    Unlike that of L1, its gradient does not vanish where the generator is sure and wrong, as it is
    at first about most of a pot: nine tenths of the cube are empty.
    """
    return _cross_entropy(completed, complete).mean(axis=_VOXELS)


def bce_dice_loss(completed: Volume, complete: Volume, partial: Volume) -> Each:
    """Mean cross-entropy plus `DICE_WEIGHT` times soft Dice, over the voxels that are not given."""
    return cross_entropy_and_dice(completed, complete, 1.0 - partial, _VOXELS)


def dice_loss(completed: Volume, complete: Volume, partial: Volume) -> Each:
    """Soft Dice over the voxels that are not given: where it is unsure an answer is bold then."""
    return _dice(completed, complete, 1.0 - partial, _VOXELS)


def profile_loss(
    profile_logits: Float[Array, "b w ring"],
    axes: Float[Array, "n 2"],
    complete: Volume,
    partial: Volume,
    *,
    ring_width: float,
) -> Each:
    """`bce_dice_loss` of a profile before it is revolved, its rings weighted by their size.

    The truth of a ring is the mean over its voxels that are not given.
    """
    weights = rings.ring_weights(complete.shape[1], axes, width=ring_width)
    truth, size = rings.missing_means(complete, partial, weights)
    return cross_entropy_and_dice(jax.nn.sigmoid(profile_logits), truth, size, (1, 2))


DICE_WEIGHT = 0.1
"""That of soft Dice beside mean cross-entropy: of a pot both are then of one size."""

_SMALL = 1e-6
_VOXELS = (1, 2, 3, 4)


def _cross_entropy(answer: Array, truth: Array) -> Array:
    answer = jnp.clip(answer, _SMALL, 1.0 - _SMALL)
    return -(truth * jnp.log(answer) + (1.0 - truth) * jnp.log1p(-answer))


def cross_entropy_and_dice(
    answer: Array, truth: Array, size: Array, cells: tuple[int, ...]
) -> Array:
    """Per example; each cell counts by its size."""
    total = jnp.maximum(size.sum(axis=cells), _SMALL)
    bce = (size * _cross_entropy(answer, truth)).sum(axis=cells) / total
    return bce + DICE_WEIGHT * _dice(answer, truth, size, cells)


def _dice(answer: Array, truth: Array, size: Array, cells: tuple[int, ...]) -> Array:
    shared = (size * answer * truth).sum(axis=cells)
    both = (size * (answer + truth)).sum(axis=cells)
    # One voxel each: of nothing and nothing the loss is 0.
    return 1.0 - (2.0 * shared + 1.0) / (both + 1.0)


RECON_LOSSES: dict[str, ReconLoss] = {
    "l1": l1_loss,
    "bce": bce_loss,
    "bce_dice": bce_dice_loss,
    "dice": dice_loss,
}


def supervised_loss(config: Any) -> Supervised:
    """All that the generator pays for being off the truth, weighted as `config.loss` says.

    Its parts are `recon_loss`, before it is weighted, and `auxiliary_losses`; what has no weight is
    not computed.

    Raises:
        ValueError: an unknown reconstruction loss.
    """
    recon_loss = fields.choose(RECON_LOSSES, "config.loss.recon", config.loss.recon)
    recon_weight = config.loss.recon_weight

    def supervised(
        completed: Volume, outputs: Mapping[str, Any], complete: Volume, partial: Volume
    ) -> tuple[Array, dict[str, Array]]:
        total, parts = jnp.zeros(()), {}
        if recon_weight:
            parts["recon_loss"] = recon_loss(completed, complete, partial).mean()
            total += recon_weight * parts["recon_loss"]
        for name, values in auxiliary_losses(config, outputs, complete, partial).items():
            parts[name] = values.mean()
            total += parts[name]
        return total, parts

    return supervised


def distance_loss(answer: Volume, complete: Volume) -> Each:
    """Mean absolute error of a clipped signed distance in voxels, near the surface in full and a
    fifth of it far off."""
    bound = int(SDF_BOUND)
    truth = distance.signed(complete, bound)
    weight = jnp.maximum(1.0 - jnp.abs(truth) / bound, 0.2)
    # Beyond the bound all is as far.
    beyond = (jnp.abs(truth) >= bound) & (answer * jnp.sign(truth) >= bound)
    error = jnp.where(beyond, 0.0, jnp.abs(answer - truth))
    return (weight * error).sum(axis=_VOXELS) / weight.sum(axis=_VOXELS)


def eikonal_loss(answer: Volume, complete: Volume) -> Each:
    """How far, squared, the slope of a signed distance is from 1 where it is not clipped.

    Gropp et al., "Implicit Geometric Regularization", ICML 2020, eq. 1.
    """
    bound = int(SDF_BOUND)
    inner = (slice(None), *[slice(1, -1)] * 3)
    near = (jnp.abs(distance.signed(complete, bound)[inner]) < bound - 1).astype(jnp.float32)
    error = jnp.square(distance.slope(answer) - 1.0)
    return (near * error).sum(axis=_VOXELS) / jnp.maximum(near.sum(axis=_VOXELS), 1.0)


def auxiliary_losses(
    config: Any, outputs: Mapping[str, Any], complete: Volume, partial: Volume
) -> dict[str, Each]:
    """The losses on what a generator leaves in `OUTPUTS`, by name, already weighted.

    Only those whose weight in `config.loss` is above 0.
    """
    weights, found = config.loss, {}
    if weights.profile_weight > 0 and "profile_logits" in outputs:
        found["profile_loss"] = weights.profile_weight * profile_loss(
            outputs["profile_logits"],
            outputs["axis"],
            complete,
            partial,
            ring_width=config.generator.ring_width,
        )
    if weights.axis_weight > 0 and "axis_logits" in outputs:
        found["axis_loss"] = weights.axis_weight * axis.axis_loss(
            outputs["axis_logits"], rings.round_axis(complete)
        )
    if weights.distance_weight > 0 and "distance" in outputs:
        answer = outputs["distance"]
        found["distance_loss"] = weights.distance_weight * distance_loss(answer, complete)
        if weights.eikonal_weight > 0:
            found["eikonal_loss"] = weights.eikonal_weight * eikonal_loss(answer, complete)
    if weights.kl_weight > 0 and "posterior_mean" in outputs:
        found["kl_loss"] = weights.kl_weight * hypotheses.kl_divergence(outputs)
    return found
