"""The axis-aware generator, its profile network alone: what 2 CPU cores can train in an hour.

scripts/train.py --config configs/revolve.py --workdir runs/revolve --config.data.dir=pots.npz
"""

from typing import Any

from configs import default


def get_config() -> Any:
    """Profile loss only; resident data, its pots stretched at random."""
    config = default.get_config()
    config.objective, config.data.source = "regression", "resident"
    config.data.scale_radius = config.data.scale_height = 0.15
    config.generator.kind, config.generator.features = "revolve", 32
    config.generator.axis, config.generator.axis_within = "found", 1.0
    config.generator.axis_trust, config.generator.axis_average = 0.3, 5
    config.loss.recon_weight = 0.0
    config.loss.profile_weight, config.loss.axis_weight = 1.0, 0.1
    config.optim.generator_learning_rate, config.optim.schedule = 2e-3, "one_cycle"
    config.optim.weight_decay, config.train.ema_decay = 0.05, 0.999
    config.train.batch_size, config.train.num_train_steps = 32, 4000
    return config
