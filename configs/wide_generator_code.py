"""The wider generator of the authors' public code: 64 features, 3 residual blocks, λ = 100.

Their `Generator_wider` equals their `Generator_res` line for line (67,134,593 parameters), though
the paper's Table 1 has a row for each; `configs/wide_generator.py` is the row as the table has it.

scripts/train.py --config configs/wide_generator_code.py --workdir runs/wide --config.data.dir=DIR
"""

from typing import Any

from configs import wide_generator


def get_config() -> Any:
    """The wide generator with 3 residual blocks at 4³."""
    config = wide_generator.get_config()
    config.generator.num_res_blocks = 3
    return config
