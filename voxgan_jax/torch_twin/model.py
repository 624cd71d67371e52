# pyright: reportMissingImports=false
"""The two networks in PyTorch, with the structure and the state-dict names of the original.

Written from the description of Navarro et al. (IJCAI 2023) and the names in their checkpoints.
Tensors are PyTorch's: float (b, 1, d, h, w).
"""

from typing import Any

import torch
from torch import nn

LEAK = 0.2  # slope of the LeakyReLU below 0


class Generator(nn.Module):
    """From the given fragment(s) to the probability of every voxel of the pot.

    Fields as of `voxgan_jax.models.Generator`. With residual blocks the original calls its fourth
    layer `bottleneck_conv`, without them `bottleneck`.
    """

    def __init__(
        self,
        features: int = 32,
        num_res_blocks: int = 0,
        skips: bool = True,
        dtype: torch.dtype = torch.float32,
    ):
        super().__init__()
        b, wider = features, 2 if skips else 1
        self.skips, self.num_res_blocks = skips, num_res_blocks
        self.enc1 = _down(1, b, nn.LeakyReLU(LEAK))
        self.enc2 = _down(b, 2 * b, nn.LeakyReLU(LEAK))
        self.enc3 = _down(2 * b, 4 * b, nn.LeakyReLU(LEAK))
        bottleneck = _down(4 * b, 8 * b, nn.ReLU())
        if num_res_blocks:
            self.bottleneck_conv = bottleneck
            self.res_blocks = nn.Sequential(*(ResBlock(8 * b) for _ in range(num_res_blocks)))
        else:
            self.bottleneck = bottleneck
        self.dec1 = _up(8 * b, 4 * b)
        self.dec2 = _up(wider * 4 * b, 2 * b)
        self.dec3 = _up(wider * 2 * b, b)
        self.final = nn.Sequential(_up_conv(wider * b, 1), nn.Sigmoid())
        self.to(dtype)

    def forward(self, partial: torch.Tensor) -> torch.Tensor:
        """The completed pot, in the type of `partial`; sides must be multiples of 16."""
        first = self.enc1(partial)
        second = self.enc2(first)
        third = self.enc3(second)
        if self.num_res_blocks:
            x = self.res_blocks(self.bottleneck_conv(third))
        else:
            x = self.bottleneck(third)
        for up, encoded in ((self.dec1, third), (self.dec2, second), (self.dec3, first)):
            x = up(x)
            if self.skips:
                x = torch.cat([x, encoded], dim=1)
        # Out of reduced precision before the sigmoid, as in JAX.
        return self.final[1](self.final[0](x).to(partial.dtype))


class ResBlock(nn.Module):
    """ReLU(x + norm(conv(ReLU(norm(conv(x)))))); channels stay as they are."""

    def __init__(self, features: int):
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv3d(features, features, 3, padding=1),
            nn.BatchNorm3d(features),
            nn.ReLU(),
            nn.Conv3d(features, features, 3, padding=1),
            nn.BatchNorm3d(features),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(b, c, d, h, w) to the same."""
        return torch.relu(x + self.block(x))


class Discriminator(nn.Module):
    """From a whole pot in a cube of side `resolution` to one logit a pot, positive for a real one.

    Above 0, `spectral_norm_iterations` divides the kernels of all five convolutions by their
    largest singular value, with so many power iterations in each forward pass of training.
    """

    def __init__(
        self,
        features: int = 32,
        spectral_norm_iterations: int = 0,
        resolution: int = 64,
        dtype: torch.dtype = torch.float32,
    ):
        super().__init__()

        def conv(*args: Any, **options: Any) -> nn.Module:
            layer = nn.Conv3d(*args, **options)
            if not spectral_norm_iterations:
                return layer
            return nn.utils.spectral_norm(layer, n_power_iterations=spectral_norm_iterations)

        layers = [conv(1, features, 4, stride=2, padding=1), nn.LeakyReLU(LEAK)]
        for width in (features, 2 * features, 4 * features):
            layers.append(conv(width, 2 * width, 4, stride=2, padding=1))
            layers += [nn.BatchNorm3d(2 * width), nn.LeakyReLU(LEAK)]
        layers.append(conv(8 * features, 1, resolution // 16))
        self.blocks = nn.Sequential(*layers)
        self.to(dtype)

    def forward(self, grid: torch.Tensor) -> torch.Tensor:
        """(b, 1, r, r, r) to the logits (b,), in the type of `grid`."""
        return self.blocks(grid).reshape(-1).to(grid.dtype)


def _down(inputs: int, outputs: int, activation: nn.Module) -> nn.Sequential:
    conv = nn.Conv3d(inputs, outputs, 4, stride=2, padding=1)
    return nn.Sequential(conv, nn.BatchNorm3d(outputs), activation)


def _up_conv(inputs: int, outputs: int) -> nn.ConvTranspose3d:
    return nn.ConvTranspose3d(inputs, outputs, 4, stride=2, padding=1)


def _up(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(_up_conv(inputs, outputs), nn.BatchNorm3d(outputs), nn.ReLU())
