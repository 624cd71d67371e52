"""The baseline with a Wasserstein critic and a gradient penalty (Gulrajani et al., NIPS 2017).

A step is one of the critic's; every fifth one the generator is updated, too.

scripts/train.py --config configs/wgan_gp.py --workdir runs/wgan_gp --config.data.dir=DIR
"""

from typing import Any

from configs import baseline


def get_config() -> Any:
    """Adam(0.5, 0.9), 1e-4 for both networks, penalty 10, no batch norm in the critic, as there."""
    config = baseline.get_config()
    config.objective, config.discriminator.norm = "wgan", "none"
    config.critic.clip, config.critic.penalty, config.critic.first_steps = 0.0, 10.0, 5
    config.optim.b1, config.optim.b2 = 0.5, 0.9
    config.optim.generator_learning_rate = config.optim.critic_learning_rate = 1e-4
    return config
