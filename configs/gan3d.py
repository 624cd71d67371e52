"""3D-GAN: pots from noise (Wu et al., NIPS 2016).

scripts/train.py --config configs/gan3d.py --workdir runs/gan3d --config.data.dir=DIR

At 32³, with data prepared so: --config.data.resolution=32 --config.generator.doublings=3
"""

from typing import Any

from configs import baseline


def get_config() -> Any:
    """Batch 100, Adam(0.5) with 0.0025 and 1e-5, the discriminator held back above 80 %, as there.

    What is made from noise is not scored while it is trained: the last weights are kept.
    """
    config = baseline.get_config()
    config.generator.kind, config.generator.features, config.generator.code_size = "gan3d", 512, 200
    config.discriminator.features, config.discriminator.accuracy_limit = 64, 0.8
    config.loss.recon_weight, config.loss.real_label_low, config.loss.real_label_high = (
        0.0,
        1.0,
        1.0,
    )
    config.optim.generator_learning_rate, config.optim.discriminator_learning_rate = 2.5e-3, 1e-5
    config.optim.b1, config.train.batch_size, config.eval.split = 0.5, 100, ""
    return config
