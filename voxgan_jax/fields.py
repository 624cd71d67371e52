"""The numbers of a config and their ranges, for runs and for configs that weights files hold."""

import math
from collections.abc import Mapping
from typing import Any

_MANY = 10**9
_BELOW_1 = math.nextafter(1.0, 0.0)
_RATE = (0.0, 1e3)
_WEIGHT = (0.0, 1e9)

RANGES: dict[str, tuple[float, float]] = {
    "seed": (0, 2**32 - 1),
    # Above it a model's arrays fit no machine.
    "data.resolution": (8, 256),
    "data.pool": (1, 64),
    "data.num_shards": (1, _MANY),
    "data.scale_radius": (0.0, _BELOW_1),
    "data.scale_height": (0.0, _BELOW_1),
    "data.warp": (0.0, 10.0),
    "data.synthetic_pots": (0, _MANY),
    "data.lines": (2, 1000),
    "data.shuffle_buffer": (0, _MANY),
    "fragments.k": (1, 255),
    "fragments.max_k": (0, 255),
    "fragments.min_share": (0.0, 1.0),
    "fragments.max_share": (0.0, 1.0),
    "generator.features": (1, 4096),
    "generator.num_res_blocks": (0, 64),
    "generator.bottleneck": (1, 2**16),
    "generator.ring_width": (0.1, 16.0),
    "generator.residual_features": (0, 4096),
    "generator.axis_within": (0.0, 512.0),
    "generator.axis_trust": (0.0, 1e3),
    "generator.axis_average": (1, 64),
    "generator.code_size": (1, 4096),
    "discriminator.features": (1, 4096),
    "discriminator.spectral_norm_iterations": (0, 100),
    "loss.adversarial_weight": _WEIGHT,
    "loss.recon_weight": _WEIGHT,
    "loss.profile_weight": _WEIGHT,
    "loss.axis_weight": _WEIGHT,
    "loss.kl_weight": _WEIGHT,
    "loss.real_label_low": (0.0, 10.0),
    "loss.real_label_high": (0.0, 10.0),
    "optim.generator_learning_rate": _RATE,
    "optim.discriminator_learning_rate": _RATE,
    "optim.b1": (0.0, _BELOW_1),
    "optim.b2": (0.0, _BELOW_1),
    "optim.warmup_steps": (0, _MANY),
    "optim.rising_share": (1e-6, _BELOW_1),
    "optim.weight_decay": _RATE,
    "parallel.num_processes": (0, _MANY),
    "parallel.process_id": (-1, _MANY),
    "train.batch_size": (1, _MANY),
    "train.num_epochs": (1, _MANY),
    "train.num_train_steps": (0, _MANY),
    "train.log_every_steps": (0, _MANY),
    "train.ema_decay": (0.0, _BELOW_1),
    "train.accumulate_steps": (1, _MANY),
    "train.steps_per_dispatch": (1, _MANY),
    "eval.every_epochs": (0, _MANY),
    "eval.batch_size": (1, _MANY),
    "eval.threshold": (0.0, 1.0),
    "checkpoint.every_steps": (0, _MANY),
    "checkpoint.keep": (1, _MANY),
}
"""The least and the greatest value of each numeric field; a whole number where both are."""


def check(config: Mapping[str, Any]) -> None:
    """Raise ValueError where a field of `RANGES` holds anything else; all of them are named."""
    wrong = []
    for name, value in flatten(config).items():
        # Weights of a locator may have their fields under its own name.
        least, most = RANGES.get(name.replace("locator.", "generator."), (None, None))
        if least is None or most is None:
            continue
        kind, said = (int, "whole number") if isinstance(least, int) else ((int, float), "number")
        if isinstance(value, bool) or not isinstance(value, kind) or not least <= value <= most:
            wrong.append(f"config.{name} is {value!r}, not a {said} from {least} to {most}")
    if wrong:
        raise ValueError("; ".join(wrong))


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested config as one dict with dotted names."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
