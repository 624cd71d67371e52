"""The baseline's generator with a signed distance for its grid, learned without an adversary.

scripts/train.py --config configs/sdf.py --workdir runs/sdf --config.data.dir=DIR
"""

from typing import Any

from configs import baseline


def get_config() -> Any:
    """Distances within ±3 voxels, most where the surface is near, and slopes of 1."""
    config = baseline.get_config()
    config.objective, config.generator.kind = "regression", "unet_sdf"
    config.loss.recon_weight = 0.0
    config.loss.distance_weight, config.loss.eikonal_weight = 1.0, 0.1
    return config
