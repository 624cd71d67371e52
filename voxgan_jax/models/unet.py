"""The generator: from the given fragment(s) to the probability of every voxel of the pot."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from voxgan_jax.models import Keys, Volume
from voxgan_jax.models.layers import BatchNorm, ResBlock, leaky_relu, of_form

OUTPUT = "probability"


class Model(nn.Module):
    """Encoder to 1/16 of the side, residual blocks there, decoder back.

    `features` is b in b, 2b, 4b, 8b, the channels of the four encoder layers. With `skips` each
    decoder layer but the last hands on its output joined to the encoder's of the same size, as
    the published code of Navarro et al. (IJCAI 2023) does; without, the model is the plain
    auto-encoder that the paper's text describes. `dtype` is that of the computation;
    `axis_name` that of the devices over which batch statistics are shared.
    """

    features: int = 32
    num_res_blocks: int = 0
    skips: bool = True
    conv_form: str = "auto"
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(
        self, partial: Volume, *, train: bool, complete: Volume | None = None, keys: Keys = None
    ) -> Volume:
        """The completed pot, probabilities in float32; `train` is about batch statistics.

        `complete` and `keys`, which every generator is given in training, are not used here.

        Raises ValueError where a side of the grid is not a multiple of 16.
        """
        if any(side % 16 for side in partial.shape[1:4]):
            raise ValueError(f"sides of the grid must be multiples of 16: {partial.shape[1:4]}")
        norm = functools.partial(BatchNorm, axis_name=self.axis_name, dtype=self.dtype)
        down, same, up = of_form(self.conv_form, self.dtype)

        b = self.features
        x, encoded = partial.astype(self.dtype), []
        for n, features in enumerate((b, 2 * b, 4 * b), start=1):
            x = down(features, name=f"enc{n}_conv")(x)
            x = leaky_relu(norm(name=f"enc{n}_norm")(x, train=train))
            encoded.append(x)

        x = down(8 * b, name="bottleneck_conv")(x)
        x = nn.relu(norm(name="bottleneck_norm")(x, train=train))
        for n in range(self.num_res_blocks):
            x = ResBlock(conv=same, norm=norm, name=f"res_block{n}")(x, train=train)

        for n, skip in enumerate(reversed(encoded), start=1):
            x = up(skip.shape[-1], name=f"dec{n}_conv")(x)
            x = nn.relu(norm(name=f"dec{n}_norm")(x, train=train))
            if self.skips:
                x = jnp.concatenate([x, skip], axis=-1)

        x = up(1, name="final_conv")(x)
        return self._answer(x.astype(jnp.float32))

    def _answer(self, x: Volume) -> Volume:
        """What the grid is, of the last layer's numbers."""
        return jax.nn.sigmoid(x)
