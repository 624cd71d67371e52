"""The network that tells where a sherd's axis was, how big its pot and at what height it lay.

scripts/cut_sherds.py --data_dir pots.npz --split train --out sherds.npz
scripts/train.py --config configs/locator.py --workdir runs/locator --config.data.dir=sherds.npz
scripts/score_locator.py --workdir runs/locator --held_out held_out.npz
"""

from typing import Any

from configs import default


def get_config() -> Any:
    """Twelve lines about each sherd; the shipped one began with lines near the axis alone."""
    config = default.get_config()
    config.objective, config.generator.kind = "locator", "locator"
    config.data.source, config.eval.split = "sherds", ""
    config.generator.features, config.generator.bottleneck = 24, 192
    config.optim.generator_learning_rate, config.optim.schedule = 1.2e-3, "one_cycle"
    config.optim.rising_share, config.optim.b2 = 0.1, 0.99
    config.optim.weight_decay, config.train.ema_decay = 0.05, 0.995
    config.train.batch_size, config.train.num_train_steps = 16, 1400
    return config
