"""The paper's baseline (Table 1, row 1): 32 features, λ = 100, batch 64, 100 epochs at 64³.

scripts/train.py --config configs/baseline.py --workdir runs/baseline --config.data.dir=DIR
"""

from typing import Any

from configs import default


def get_config() -> Any:
    """The default as it stands."""
    return default.get_config()
