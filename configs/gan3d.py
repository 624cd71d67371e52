"""3D-GAN: pots from noise (Wu et al., NIPS 2016). At 32³: --config.generator.doublings=3

scripts/train.py --config configs/gan3d.py --workdir runs/gan3d --config.data.dir=DIR
"""

from typing import Any

from configs import baseline


def get_config() -> Any:
    """As published. Nothing is scored while it is trained: the last weights are kept."""
    config = baseline.get_config()
    config.generator.update({"kind": "gan3d", "features": 512, "code_size": 200})
    config.discriminator.update({"features": 64, "accuracy_limit": 0.8})
    config.loss.update({"recon_weight": 0.0, "real_label_low": 1.0, "real_label_high": 1.0})
    config.optim.update({"generator_learning_rate": 2.5e-3, "discriminator_learning_rate": 1e-5})
    config.optim.b1, config.train.batch_size, config.eval.split = 0.5, 100, ""
    return config
