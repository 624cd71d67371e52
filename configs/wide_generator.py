"""The paper's wider generator (Table 1, row 2): 64 features, no residual blocks.

scripts/train.py --config configs/wide_generator.py --workdir runs/wide --config.data.dir=DIR
"""

from typing import Any

from configs import default


def get_config() -> Any:
    """The baseline with twice the features in the generator."""
    config = default.get_config()
    config.generator.features = 64
    return config
