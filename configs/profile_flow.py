"""Half sections as signed distances, drawn by rectified flow; a quick answer is learned along.

scripts/train.py --config configs/profile_flow.py --workdir runs/flow --config.data.dir=pots.npz
"""

from typing import Any

from configs import revolve


def get_config() -> Any:
    """The pots of `revolve`, stretched as there, and some of anywhere."""
    config = revolve.get_config()
    config.objective, config.data.profiles = "flow", True
    config.data.axis_noise = 0.15
    config.data.synthetic_pots, config.data.synthetic_kind = 500, "world"
    config.generator.kind = "profile_flow"
    config.loss.profile_weight = 0.0
    config.optim.generator_learning_rate = 1e-3
    config.train.batch_size, config.train.num_train_steps = 32, 8000
    config.eval.every_epochs = 2
    return config
