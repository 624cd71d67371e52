"""What a solid of revolution cannot say: a light 3D network that corrects the revolved profile."""

import functools
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from voxgan_jax.models.conv import conv_k3s1, conv_k4s2
from voxgan_jax.models.layers import Conv, ConvTranspose


class ResidualNet(nn.Module):
    """A 3D U-Net of three levels: 5 volumes in, a correction of the logit out, none at first.

    `features` is b in b, 2b, 4b, the channels at 1/2, 1/4 and 1/8 of the side. Without batch norm,
    so that training and use do the same.
    """

    features: int = 16
    conv_form: str = "auto"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, volumes: Float[Array, "b d h w c"]) -> Float[Array, "b d h w 1"]:
        """In float32. Raises ValueError where a side of the grid is no multiple of 8."""
        if any(side % 8 for side in volumes.shape[1:4]):
            raise ValueError(f"sides of the grid must be multiples of 8: {volumes.shape[1:4]}")
        bind, b = functools.partial, self.features
        down = bind(Conv, convolve=bind(conv_k4s2, form=self.conv_form), dtype=self.dtype)
        same = bind(
            Conv, kernel_size=3, convolve=bind(conv_k3s1, form=self.conv_form), dtype=self.dtype
        )
        up = bind(ConvTranspose, form=self.conv_form, dtype=self.dtype)
        x, skips = volumes.astype(self.dtype), []
        for n, features in enumerate((b, 2 * b, 4 * b), start=1):
            x = nn.silu(down(features, name=f"enc{n}_conv")(x))
            skips.append(x)
        x = x + nn.silu(same(4 * b, name="middle_conv")(x))
        for n, skip in enumerate(reversed(skips[:-1]), start=1):
            x = nn.silu(up(skip.shape[-1], name=f"dec{n}_conv")(x))
            x = jnp.concatenate([x, skip], axis=-1)
        x = up(1, name="final_conv")(x).astype(jnp.float32)
        # Starts as no correction at all.
        return x * self.param("gain", nn.initializers.zeros, (), jnp.float32)
