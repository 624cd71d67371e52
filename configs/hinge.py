"""The paper's spectral normalisation with the hinge loss of its source (Miyato et al., ICLR 2018).

scripts/train.py --config configs/hinge.py --workdir runs/hinge --config.data.dir=DIR
"""

from typing import Any

from configs import baseline


def get_config() -> Any:
    """The baseline's generator against a spectrally normalised discriminator."""
    config = baseline.get_config()
    config.discriminator.spectral_norm_iterations = 1
    config.loss.adversarial = "hinge"
    return config
