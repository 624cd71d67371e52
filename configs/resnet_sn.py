"""The paper's full system (Table 1, row 4): wide, spectral norm, 3 residual blocks, λ = 50.

scripts/train.py --config configs/resnet_sn.py --workdir runs/resnet_sn --config.data.dir=DIR
"""

from typing import Any

from configs import spectral_norm


def get_config() -> Any:
    """Spectral normalisation, residual blocks at 4³, and half the weight on L1."""
    config = spectral_norm.get_config()
    config.generator.num_res_blocks = 3
    config.loss.recon_weight = 50.0
    return config
