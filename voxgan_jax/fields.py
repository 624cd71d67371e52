"""The numbers of a config and their ranges, for runs and for configs that weights files hold."""

import math
from collections.abc import Collection, Mapping
from typing import Any

from flax.traverse_util import flatten_dict

_MANY = 10**9
_BELOW_1 = math.nextafter(1.0, 0.0)

_TABLE: tuple[tuple[float, float, str], ...] = (
    (0, 2**32 - 1, "seed"),
    # Above it a model's arrays fit no machine.
    (8, 256, "data.resolution"),
    (1, 64, "data.pool generator.axis_average"),
    (2, 1000, "data.lines"),
    (0, 1024, "sample.draws"),
    (1, 1024, "sample.steps"),
    (0.0, 1.0, "loss.quick_share"),
    (0.0, 10.0, "data.warp data.axis_noise loss.real_label_low loss.real_label_high"),
    (0.0, _BELOW_1, "data.scale_radius data.scale_height optim.b1 optim.b2 train.ema_decay"),
    (1e-6, _BELOW_1, "optim.rising_share"),
    (0.0, 1.0, "fragments.min_share fragments.max_share eval.threshold"),
    (1, 255, "fragments.k"),
    (0, 255, "fragments.max_k"),
    (1, 4096, "generator.features generator.code_size discriminator.features"),
    (0, 64, "generator.num_res_blocks"),
    (1, 6, "generator.doublings"),
    (1, 2**15, "generator.bricks"),
    (1, 1024, "generator.brick_features"),
    (1, 2**16, "generator.bottleneck"),
    (0.1, 16.0, "generator.ring_width"),
    (0, 4096, "generator.residual_features"),
    (0.0, 256.0, "generator.axis_within"),
    (0.0, 1e3, "generator.axis_trust optim.weight_decay"),
    (0.0, 1e3, "optim.generator_learning_rate optim.discriminator_learning_rate"),
    (0.0, 1e3, "optim.critic_learning_rate critic.clip critic.penalty"),
    (1, 10**6, "critic.steps critic.first_steps"),
    (0.0, 1.0, "discriminator.accuracy_limit"),
    (0, 100, "discriminator.spectral_norm_iterations"),
    (0.0, 1e9, "loss.adversarial_weight loss.recon_weight loss.profile_weight"),
    (0.0, 1e9, "loss.axis_weight loss.kl_weight loss.distance_weight loss.eikonal_weight"),
    (-1, _MANY, "parallel.process_id"),
    (0, _MANY, "data.synthetic_pots data.shuffle_buffer optim.warmup_steps eval.every_epochs"),
    (0, _MANY, "train.num_train_steps train.log_every_steps checkpoint.every_steps"),
    (0, _MANY, "parallel.num_processes"),
    (1, _MANY, "data.num_shards train.batch_size train.num_epochs train.accumulate_steps"),
    (1, _MANY, "train.steps_per_dispatch eval.batch_size checkpoint.keep"),
)
RANGES = {name: (least, most) for least, most, names in _TABLE for name in names.split()}
"""The least and the greatest value of each numeric field; a whole number where both are."""


def check(config: dict[str, Any]) -> None:
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


def require(known: Collection[str], what: str, name: str) -> None:
    """Raise ValueError, which says what there is none of, where a name is none of the known."""
    if name not in known:
        raise ValueError(f"unknown {what} {name!r}; known: {', '.join(known)}")


def choose(known: Mapping[str, Any], what: str, name: str) -> Any:
    """What has that name; otherwise as `require`."""
    require(known, what, name)
    return known[name]


def flatten(tree: dict[str, Any]) -> dict[str, Any]:
    """A config of nested dicts as one with dotted names."""
    return flatten_dict(tree, sep=".")
