"""128³ in sparse bricks: the baseline's generator at 64³, refined where there is a surface.

Pots of 128³ are wanted, such as `voxgan synth --resolution 128` makes.

scripts/train.py --config configs/bricks128.py --workdir runs/bricks --config.data.dir=DIR
"""

from typing import Any

from configs import baseline


def get_config() -> Any:
    """Without an adversary, whose discriminator would see all of 128³."""
    config = baseline.get_config()
    config.objective, config.generator.kind = "regression", "bricks"
    config.data.resolution, config.loss.recon, config.loss.recon_weight = 128, "bce_dice", 1.0
    config.train.batch_size, config.eval.batch_size = 16, 16
    return config
