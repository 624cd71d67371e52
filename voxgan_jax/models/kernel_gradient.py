"""The gradient for the kernel of a convolution of kernel 4, stride 2, padding 1, in several forms.

That of the transposed convolution is the same, the two grids exchanged.
"""

import functools
import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from voxgan_jax.models.rearrange import pad, space_to_depth

Convolve = Callable[[Array, Array], Array]
"""Of a grid and a kernel."""

LAYOUT = ("NDHWC", "DHWIO", "NDHWC")
"""The order of the axes of grid, kernel and output."""


def by_block(kernel: Float[Array, "4 4 4 ci co"]) -> Float[Array, "8 8 ci co"]:
    """The kernel as (block of the 2³ window, voxel in that block, in, out)."""
    ci, co = kernel.shape[3:]
    # (d1 d0 h1 h0 w1 w0) to (d1 h1 w1 d0 h0 w0), in two exchanges of low rank.
    kernel = kernel.reshape(2, 2, 2, 8 * ci * co).swapaxes(1, 2)
    return kernel.reshape(4, 4, 2, 2 * ci * co).swapaxes(1, 2).reshape(8, 8, ci, co)


def strided(x: Array, kernel: Array) -> Array:
    """The convolution as `jax.lax` has it."""
    return lax.conv_general_dilated(x, kernel, (2, 2, 2), [(1, 1)] * 3, dimension_numbers=LAYOUT)


def kernel_gradient(convolve: Convolve, fine: Array, coarse: Array, kernel: Array) -> Array:
    """Of a strided convolution from the fine grid to the coarse one, at that cotangent."""
    (gradient,) = jax.linear_transpose(functools.partial(convolve, fine), kernel)(coarse)
    return gradient


def onednn_gradient(fine: Array, coarse: Array, kernel: Array) -> Array:
    """The same in the way that is quickest beside oneDNN (scripts/benchmark.py --what conv)."""
    # Batch norm's gradient would be computed anew in the copies that turn the batch innermost.
    fine, coarse = lax.optimization_barrier((fine, coarse))
    if kernel.shape[3] == 1:
        return _gradient_by_products(fine, coarse, kernel)
    # The coarse grid is the kernel of this convolution: on a large one, few examples at a time.
    size = 16 if min(coarse.shape[1:4]) >= 8 else len(fine)
    parts = [
        kernel_gradient(strided, fine[n : n + size], coarse[n : n + size], kernel)
        for n in range(0, len(fine), size)
    ]
    return parts[0] if len(parts) == 1 else jnp.sum(jnp.stack(parts), axis=0)


def _gradient_by_products(fine: Array, coarse: Array, kernel: Array) -> Array:
    """One product for each of the 8 blocks of a window, for the few channels of a finest grid."""
    (d, h, w), co = coarse.shape[1:4], coarse.shape[-1]
    blocks, coarse = space_to_depth(pad(fine)), coarse.reshape(-1, co)
    places = itertools.product(range(2), repeat=3)
    shifted = (blocks[:, i : i + d, j : j + h, k : k + w] for i, j, k in places)
    products = jnp.stack([x.reshape(-1, x.shape[-1]).T @ coarse for x in shifted])
    (gradient,) = jax.linear_transpose(by_block, kernel)(products.reshape(8, 8, -1, co))
    return gradient
