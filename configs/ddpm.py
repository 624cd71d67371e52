"""Diffusion in 3D, in its kind with straight paths: whole grids drawn, told of a sherd.

scripts/train.py --config configs/ddpm.py --workdir runs/ddpm --config.data.dir=DIR
"""

from typing import Any

from configs import baseline


def get_config() -> Any:
    """A light U-Net whose parameters are averaged; validation takes the mean of two drawn pots."""
    config = baseline.get_config()
    config.objective = config.generator.kind = "voxel_flow"
    config.optim.generator_learning_rate, config.train.ema_decay = 5e-4, 0.999
    config.sample.draws, config.sample.steps = 2, 6
    return config
