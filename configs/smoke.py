"""A run of minutes on 2 CPU cores, for the demo and for trying things out: 32³, few steps.

scripts/train.py --config configs/smoke.py --workdir runs/smoke --config.data.dir=DIR
"""

from typing import Any

from configs import default


def get_config() -> Any:
    """The baseline at 32³ with a narrower generator and batches of 16."""
    config = default.get_config()
    config.data.resolution = 32
    config.generator.features = 16
    config.discriminator.features = 16
    config.train.batch_size = 16
    config.train.num_train_steps = 300
    config.eval.every_epochs = 0
    config.eval.batch_size = 16
    config.checkpoint.every_steps = 100
    return config
