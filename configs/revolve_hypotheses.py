"""Several answers for one sherd: `revolve` with a code for what the sherd leaves open.

scripts/train.py --config configs/revolve_hypotheses.py --workdir runs/revolve_hypotheses \
    --config.data.dir=pots.npz --config.train.init_weights=runs/revolve/generator.safetensors
"""

from typing import Any

from configs import revolve


def get_config() -> Any:
    """Fewer steps than `revolve`, from whose weights it starts."""
    config = revolve.get_config()
    config.generator.kind = "revolve_hypotheses"
    config.loss.kl_weight = 1e-4
    config.optim.generator_learning_rate = 1e-3
    config.train.num_train_steps = 1200
    return config
