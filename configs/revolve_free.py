"""`revolve` where nobody knows the axis: fragments anywhere in the cube, the axis found by itself.

scripts/train.py --config configs/revolve_free.py --workdir runs/revolve_free \
    --config.data.dir=pots.npz --config.train.init_weights=runs/revolve/generator.safetensors
"""

from typing import Any

from configs import revolve


def get_config() -> Any:
    """From the centred model's weights: pots turned, stretched and moved at random."""
    config = revolve.get_config()
    config.data.augment = config.data.shift = True
    config.generator.axis_within = 0.0
    config.optim.generator_learning_rate = 1e-3
    config.train.num_train_steps = 1200
    return config
