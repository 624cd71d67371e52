"""A run of two minutes on 2 CPU cores, for the demo and for trying things out: 32³, 500 steps.

scripts/train.py --config configs/smoke.py --workdir runs/smoke --config.data.dir=DIR
"""

from typing import Any

from configs import default


def get_config() -> Any:
    """The baseline at 32³ with a narrower generator, small batches and a quicker loss."""
    config = default.get_config()
    config.data.resolution = 32
    config.data.keep_last_batch = False
    config.generator.features = config.discriminator.features = 16
    config.loss.recon = "bce"
    config.loss.recon_weight = 1000.0
    config.train.batch_size = config.eval.batch_size = 8
    config.train.num_train_steps = 500
    config.eval.every_epochs = 0
    config.train.log_every_steps = 50
    config.checkpoint.every_steps = 250
    return config
