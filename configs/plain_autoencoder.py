"""The encoder-decoder as the paper's text has it (section 3.2): the baseline without skips.

scripts/train.py --config configs/plain_autoencoder.py --workdir runs/plain --config.data.dir=DIR
"""

from typing import Any

from configs import default


def get_config() -> Any:
    """The baseline with `skips` off."""
    config = default.get_config()
    config.generator.skips = False
    return config
