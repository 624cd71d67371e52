"""The 3D network behind `revolve`, from whose weights it starts and which stays as it is.

scripts/train.py --config configs/revolve_residual.py --workdir runs/revolve_residual \
    --config.data.dir=pots.npz --config.train.init_weights=runs/revolve/generator.safetensors
"""

from typing import Any

from configs import revolve


def get_config() -> Any:
    """What is not round, and an axis that was not met quite, are learned from voxels."""
    config = revolve.get_config()
    config.generator.residual_features, config.generator.only_residual = 8, True
    config.loss.profile_weight = config.loss.axis_weight = 0.0
    config.loss.recon, config.loss.recon_weight = "bce_dice", 1.0
    # It would shrink what is not trained.
    config.optim.weight_decay = 0.0
    config.train.batch_size, config.train.num_train_steps = 8, 800
    return config
