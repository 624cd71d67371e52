"""The paper's spectral normalisation (Table 1, row 3): on a wide generator's discriminator.

scripts/train.py --config configs/spectral_norm.py --workdir runs/sn --config.data.dir=DIR
"""

from typing import Any

from configs import wide_generator


def get_config() -> Any:
    """The wide generator against a spectrally normalised discriminator."""
    config = wide_generator.get_config()
    config.discriminator.spectral_norm_iterations = 1
    return config
