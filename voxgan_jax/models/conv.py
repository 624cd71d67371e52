"""The three-dimensional convolutions of the models, each in several exactly equal forms.

XLA is slow, on some backends by a factor of hundreds, at the strided convolution and at the
transposed one that `flax.linen` writes. The same sums have faster spellings. All forms take the
same kernel, `(k, k, k, in, out)`, so that a model trained under one runs under any other:

- ``"lax"``: one `jax.lax` convolution; the reference, for tests. The gradient of its transposed
  convolution dilates the input, which neither Eigen nor cuDNN does well.
- ``"s2d"``: space to depth, then a convolution of kernel 2 and stride 1 (and the reverse for the
  transposed one). No dilation and no stride anywhere, forward or backward: what cuDNN does best.
- ``"matmul"``: windows are copied side by side, then multiplied as one matrix; fastest on a CPU.
- ``"onednn"``: strided as "lax", transposed as "s2d", and each pass of the gradients as one of
  them, so that nothing is dilated but a kernel; faster still where XLA has oneDNN do it.
- ``"auto"``: the one that `AUTO` names for the platform and the kind of layer.

Why kernel 4, stride 2, padding 1 is kernel 2, stride 1 on blocks: pad by 1 and cut the grid into
blocks of 2³. An output voxel reads 4³ voxels, which are exactly 2³ whole blocks.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from voxgan_jax import fields
from voxgan_jax.devices import accelerator
from voxgan_jax.models.kernel_gradient import (
    LAYOUT,
    Convolve,
    by_block,
    kernel_gradient,
    onednn_gradient,
    strided,
)
from voxgan_jax.models.rearrange import (
    crop,
    depth_to_space,
    overlap_add,
    pad,
    space_to_depth,
    windows,
)

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
"""The types that networks compute in, by their names in a config."""

FORMS = ("auto", "lax", "s2d", "matmul", "onednn")

AUTO = {
    # Fastest in every layer of `baseline` and at the 4³ of `resnet_sn`, all passes together:
    # scripts/benchmark.py --what conv.
    "cpu": {"down": "matmul", "up": "matmul", "same": "matmul"},
    "onednn": {"down": "onednn", "up": "onednn", "same": "onednn"},
    # Not measured: what XLA's sources promise for cuDNN (no dilation, no gradient it cannot take).
    "gpu": {"down": "s2d", "up": "s2d", "same": "lax"},
}
"""The form of a layer by platform and kind: strided, transposed, or of stride 1.

"onednn" is a CPU on which `devices.accelerator.has_onednn`.
"""


def find_dtype(name: str) -> Any:
    """The type of that name; ValueError lists the known ones."""
    return fields.choose(DTYPES, "dtype", name)


def choose_form(form: str, kind: str, platform: str, dtype: Any = jnp.float32) -> str:
    """The form that `form` stands for in layers of a kind ("down", "up", "same") on a platform.

    ValueError names the known forms. A platform that is not in `AUTO` takes those of "gpu".
    """
    fields.require(FORMS, "convolution form", form)
    # oneDNN has no convolutions in float64.
    if platform == "cpu" and dtype != jnp.float64 and accelerator.has_onednn():
        platform = "onednn"
    return AUTO.get(platform, AUTO["gpu"])[kind] if form == "auto" else form


def _convolve(spellings: Mapping[str, Convolve], form: str, kind: str, dtype: Any) -> Convolve:
    """The spelling of a form, for "auto" by the platform that a program is compiled for.

    That need not be the one that compiles it.
    """
    cpu, other = (spellings[choose_form(form, kind, target, dtype)] for target in ("cpu", "gpu"))
    if cpu is other:
        return cpu
    return lambda x, kernel: jnp.asarray(lax.platform_dependent(x, kernel, cpu=cpu, default=other))


def _matmul(x: Array, matrix: Array) -> Array:
    """Multiplies the channels, as the plain 2D product that every backend is best at."""
    return (x.reshape(-1, x.shape[-1]) @ matrix).reshape(*x.shape[:-1], matrix.shape[-1])


def _few_columns(coarse: tuple[int, ...], coarse_channels: int, fine_channels: int) -> bool:
    """Whether a "matmul" form works on the grid of blocks, one voxel larger than the coarse grid.

    A layer lies between a fine grid and a coarse one of half the side, and its product can have
    64·fine_channels columns on the coarse grid, or 8·coarse_channels on the grid of blocks. Fewer
    columns mean less copying, which is most of the time; but below a side of 8 the extra voxel
    costs too much (1.95 times the products at 4, 1.42 at 8).
    """
    return min(coarse) >= 8 and coarse_channels < 8 * fine_channels


# The strided convolution.


def _strided_s2d(x: Array, kernel: Array) -> Array:
    ci, co = kernel.shape[3:]
    kernel = by_block(kernel).reshape(2, 2, 2, 8 * ci, co)
    blocks = space_to_depth(pad(x))
    return lax.conv_general_dilated(blocks, kernel, (1, 1, 1), "VALID", dimension_numbers=LAYOUT)


def _strided_matmul(x: Array, kernel: Array) -> Array:
    ci, co = kernel.shape[3:]
    kernel, blocks = by_block(kernel), space_to_depth(pad(x))
    coarse = tuple(length // 2 for length in x.shape[1:4])
    if not _few_columns(coarse, co, ci):
        return _matmul(windows(blocks, 2), kernel.reshape(64 * ci, co))
    # Every block's share in each of the 8 outputs it touches, then their sums. A block is the last
    # of the window before it, hence the reversed order.
    shares = _matmul(blocks, kernel[::-1].transpose(1, 2, 0, 3).reshape(8 * ci, 8 * co))
    return crop(overlap_add(shares, 2))


@jax.custom_vjp
def _strided_onednn(x: Array, kernel: Array) -> Array:
    return strided(x, kernel)


def _strided_onednn_backward(saved: tuple[Array, Array], g: Array) -> tuple[Array, Array]:
    x, kernel = saved
    return _transposed_onednn(g, kernel.swapaxes(3, 4)), onednn_gradient(x, g, kernel)


_strided_onednn.defvjp(
    lambda x, kernel: (strided(x, kernel), (x, kernel)), _strided_onednn_backward
)
_STRIDED = {
    "lax": strided,
    "s2d": _strided_s2d,
    "matmul": _strided_matmul,
    "onednn": _strided_onednn,
}


def conv_k4s2(
    x: Float[Array, "b d h w ci"], kernel: Float[Array, "4 4 4 ci co"], *, form: str = "auto"
) -> Float[Array, "b d//2 h//2 w//2 co"]:
    """Convolution of kernel 4, stride 2, padding 1 in each dimension, without bias.

    Raises ValueError for a grid with an odd side, and for an unknown form.
    """
    if any(length % 2 for length in x.shape[1:4]):
        raise ValueError(f"the sides of the grid must be even, got {x.shape[1:4]}")
    return _convolve(_STRIDED, form, "down", x.dtype)(x, kernel)


# The transposed convolution.


def _transposed_lax(x: Array, kernel: Array) -> Array:
    return lax.conv_general_dilated(
        x,
        kernel[::-1, ::-1, ::-1],
        (1, 1, 1),
        [(2, 2)] * 3,
        lhs_dilation=(2, 2, 2),
        dimension_numbers=LAYOUT,
    )


def _blocks_transposed(x: Array, kernel: Array) -> Array:
    ci, co = kernel.shape[3:]
    # A block of the output reads the 2³ input voxels around it; the first of them reaches it with
    # the far half of its window, hence the reversed order.
    kernel = by_block(kernel)[::-1].transpose(0, 2, 1, 3).reshape(2, 2, 2, ci, 8 * co)
    blocks = lax.conv_general_dilated(x, kernel, (1, 1, 1), [(1, 1)] * 3, dimension_numbers=LAYOUT)
    return crop(depth_to_space(blocks))


def _transposed_by(
    convolve: Convolve, gradient_of: Callable[[Array, Array, Array], Array]
) -> Convolve:
    """The transposed convolution on blocks, with the gradients that a strided one's passes are.

    The strided convolution carries the fine grid to the coarse one, so `x` is the cotangent of its
    output. Differentiated as written, the kernel gradient would have a padded grid for its kernel,
    which oneDNN does not take and Eigen is slow at.
    """

    def backward(saved: tuple[Array, Array], cotangent: Array) -> tuple[Array, Array]:
        x, kernel = saved
        turned = kernel.swapaxes(3, 4)
        gradient = gradient_of(cotangent, x, turned)
        return convolve(cotangent, turned), gradient.swapaxes(3, 4)

    transposed = jax.custom_vjp(_blocks_transposed)
    transposed.defvjp(lambda x, kernel: (_blocks_transposed(x, kernel), (x, kernel)), backward)
    return transposed


_transposed_s2d = _transposed_by(_strided_s2d, functools.partial(kernel_gradient, _strided_s2d))
_transposed_onednn = _transposed_by(_strided_onednn, onednn_gradient)


def _transposed_matmul(x: Array, kernel: Array) -> Array:
    ci, co = kernel.shape[3:]
    kernel = by_block(kernel)
    if _few_columns(x.shape[1:4], ci, co):
        matrix = kernel[::-1].transpose(0, 2, 1, 3).reshape(8 * ci, 8 * co)
        return crop(depth_to_space(_matmul(windows(pad(x), 2), matrix)))
    shares = _matmul(x, kernel.transpose(2, 0, 1, 3).reshape(ci, 64 * co))
    return crop(depth_to_space(overlap_add(shares, 2)))


_TRANSPOSED = {
    "lax": _transposed_lax,
    "s2d": _transposed_s2d,
    "matmul": _transposed_matmul,
    "onednn": _transposed_onednn,
}


def conv_transpose_k4s2(
    x: Float[Array, "b d h w ci"], kernel: Float[Array, "4 4 4 ci co"], *, form: str = "auto"
) -> Float[Array, "b 2*d 2*h 2*w co"]:
    """Transposed convolution of kernel 4, stride 2, padding 1, without bias.

    In each dimension input voxel i adds x[i]·kernel[k] to output voxel 2i − 1 + k, as PyTorch's
    ConvTranspose3d does. Raises ValueError for an unknown form.
    """
    return _convolve(_TRANSPOSED, form, "up", x.dtype)(x, kernel)


# The convolutions of stride 1.


def _same_lax(x: Array, kernel: Array) -> Array:
    return lax.conv_general_dilated(x, kernel, (1, 1, 1), [(1, 1)] * 3, dimension_numbers=LAYOUT)


def _same_matmul(x: Array, kernel: Array) -> Array:
    ci, co = kernel.shape[3:]
    return _matmul(windows(pad(x), 3), kernel.reshape(27 * ci, co))


def _same_onednn(x: Array, kernel: Array) -> Array:
    # Of a grid that is smaller than the kernel oneDNN takes none (jaxlib 0.11.2).
    return (_same_matmul if min(x.shape[1:4]) < 3 else _same_lax)(x, kernel)


_SAME = {"lax": _same_lax, "s2d": _same_lax, "matmul": _same_matmul, "onednn": _same_onednn}


def conv_k3s1(
    x: Float[Array, "b d h w ci"], kernel: Float[Array, "3 3 3 ci co"], *, form: str = "auto"
) -> Float[Array, "b d h w co"]:
    """Convolution of kernel 3, stride 1, padding 1, without bias; "s2d" is as "lax"."""
    return _convolve(_SAME, form, "same", x.dtype)(x, kernel)


def conv_full(
    x: Float[Array, "b d h w ci"], kernel: Float[Array, "d h w ci co"]
) -> Float[Array, "b 1 1 1 co"]:
    """Convolution whose kernel covers the whole grid, without padding: one product in any form."""
    b, co = x.shape[0], kernel.shape[-1]
    return (x.reshape(b, -1) @ kernel.reshape(-1, co)).reshape(b, 1, 1, 1, co)
