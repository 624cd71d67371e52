"""Convolutions with bias, batch and spectral normalisation with PyTorch's semantics, and the
residual block."""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Float

from voxgan_jax.models.conv import Convolve, conv_k3s1, conv_k4s2, conv_transpose_k4s2

leaky_relu = functools.partial(nn.leaky_relu, negative_slope=0.2)

Grid = Float[Array, "b d h w ci"]
Convolved = Float[Array, "b _d _h _w co"]
Kernel = Float[Array, "k k k ci co"]


def conv_parameters(
    module: nn.Module, size: int, channels: int, features: int, fan_in: int
) -> tuple[Float[Array, "{size} {size} {size} {channels} {features}"], Float[Array, " {features}"]]:
    """A module's `kernel` and `bias`, drawn from U(±1/√fan_in), PyTorch's default, in float32."""

    def init(key, shape):
        # Drawn flat: XLA takes seconds to compile a draw of five dimensions.
        bound, count = fan_in**-0.5, math.prod(shape)
        return jax.random.uniform(key, (count,), jnp.float32, -bound, bound).reshape(shape)

    kernel = module.param("kernel", init, (size, size, size, channels, features))
    return kernel, module.param("bias", init, (features,))


def convolve_with_bias(
    x: Grid, kernel: Kernel, bias: Float[Array, " co"], convolve: Convolve, dtype: Any
) -> Convolved:
    """`convolve(x, kernel) + bias`, computed in `dtype` but for the addition.

    The bias's gradient is a sum over the whole grid, in which bfloat16 would soon add nothing more.
    """
    y = convolve(x.astype(dtype), kernel.astype(dtype)).astype(jnp.float32)
    return (y + bias.reshape(1, 1, 1, 1, -1)).astype(dtype)


class Conv(nn.Module):
    """A convolution with bias: `convolve(x, kernel)`, computed in `dtype`, parameters in float32.

    `convolve` is one of `conv_k4s2`, `conv_k3s1` (its form bound by `functools.partial`) and
    `conv_full`, and `kernel_size` the side that it expects.
    """

    features: int
    kernel_size: int = 4
    convolve: Convolve = conv_k4s2
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Grid, *, train: bool = False) -> Convolved:
        """`train` changes nothing here, but in the layers that take this one's place."""
        size, channels = self.kernel_size, x.shape[-1]
        kernel, bias = conv_parameters(self, size, channels, self.features, size**3 * channels)
        return convolve_with_bias(x, kernel, bias, self.convolve, self.dtype)


class ConvTranspose(nn.Module):
    """`conv_transpose_k4s2` with bias, computed in `dtype`, parameters in float32."""

    features: int
    form: str = "auto"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Grid) -> Float[Array, "b 2*d 2*h 2*w co"]:
        # PyTorch counts a transposed kernel's fan-in over its output channels.
        fan_in = 4**3 * self.features
        kernel, bias = conv_parameters(self, 4, x.shape[-1], self.features, fan_in)
        convolve = functools.partial(conv_transpose_k4s2, form=self.form)
        return convolve_with_bias(x, kernel, bias, convolve, self.dtype)


def of_form(form: str, dtype: Any) -> tuple[Callable[..., nn.Module], ...]:
    """What makes the layers of a network, by `(features, name=)`: convolutions that halve the sides
    and that keep them, and the transposed one, which doubles them."""
    bind = functools.partial
    down = bind(Conv, convolve=bind(conv_k4s2, form=form), dtype=dtype)
    same = bind(Conv, kernel_size=3, convolve=bind(conv_k3s1, form=form), dtype=dtype)
    return down, same, bind(ConvTranspose, form=form, dtype=dtype)


class BatchNorm(nn.Module):
    """Normalises each channel over the batch and the grid.

    Differs from `flax.linen.BatchNorm` where PyTorch does: the running variance is the unbiased
    one (n/(n−1)), though the batch is normalised by the biased one. Statistics and normalisation
    are in float32 whatever comes in; what goes out is `dtype`. Under `axis_name` the statistics
    are those of all devices' batches together.

    `train` normalises by the batch and updates `mean` and `var` in the collection `batch_stats`
    (running ← momentum · running + (1 − momentum) · batch); otherwise those two are used.
    """

    momentum: float = 0.9
    epsilon: float = 1e-5
    axis_name: str | None = None
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "*n c"], *, train: bool) -> Float[Array, "*n c"]:
        channels = x.shape[-1]
        scale = self.param("scale", nn.initializers.ones, (channels,), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (channels,), jnp.float32)
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, (channels,), jnp.float32)
        running_var = self.variable("batch_stats", "var", jnp.ones, (channels,), jnp.float32)

        x = x.astype(jnp.float32)
        if train:
            # No device axis exists yet while the parameters are made.
            axis_name = None if self.is_initializing() else self.axis_name
            mean, var, count = batch_moments(x, axis_name)
            if not self.is_initializing():
                keep, take = self.momentum, 1 - self.momentum
                unbiased = var * (count / max(count - 1, 1))
                running_mean.value = keep * running_mean.value + take * mean
                running_var.value = keep * running_var.value + take * unbiased
        else:
            mean, var = running_mean.value, running_var.value

        row = (1,) * (x.ndim - 1) + (channels,)
        gain = scale * lax.rsqrt(var + self.epsilon)
        x = (x - mean.reshape(row)) * gain.reshape(row) + bias.reshape(row)
        return x.astype(self.dtype)


class NoNorm(nn.Module):
    """In the place of `BatchNorm`: what comes in goes out."""

    axis_name: str | None = None
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "*n c"], *, train: bool) -> Float[Array, "*n c"]:
        """`train` changes nothing."""
        return x.astype(self.dtype)


def batch_moments(
    x: Float[Array, "*n c"], axis_name: str | None
) -> tuple[Float[Array, " c"], Float[Array, " c"], int]:
    """Mean and biased variance of each channel, and the count they were taken over.

    Both come from one pass over x, less the first example's mean: where a channel hardly varies,
    as in a pot's empty space, the mean square would drown the variance otherwise.
    """
    axes = tuple(range(x.ndim - 1))
    count = x.size // x.shape[-1]
    shift = lax.stop_gradient(x[:1].mean(axes))
    if axis_name is not None:
        shift = lax.pmean(shift, axis_name)
    x = x - shift.reshape((1,) * len(axes) + (-1,))
    moments = jnp.stack([x.mean(axes), (x * x).mean(axes)])
    if axis_name is not None:
        moments = lax.pmean(moments, axis_name)
        count *= lax.psum(1, axis_name)
    mean, mean_square = moments
    return mean + shift, jnp.maximum(mean_square - mean * mean, 0.0), count


class SpectralConv(Conv):
    """`Conv` with the kernel W divided by an estimate of its largest singular value σ.

    As a matrix W has a row for each output channel, so σ bounds by how much the products with W
    stretch a window (Miyato et al., ICLR 2018, §2.1; it is not the norm of the convolution).
    The parameters are those of `Conv`; `kernel` is W before the division. The collection
    `spectral_stats` holds unit vectors that come ever nearer to the singular vectors of σ: `u`
    (Co), the left one, and `v` (k, k, k, Ci), the right one in the shape of the kernel.

    `train` moves both by `iterations` steps of `power_iteration`; otherwise they stay. Either way
    σ = uᵀWv, differentiated with u and v held constant. Values, gradients and vectors are those of
    the hook `torch.nn.utils.spectral_norm`, whose `weight_u` is `u` and whose `weight_v` is
    `v.transpose(3, 0, 1, 2).reshape(-1)`. All of this is in float32, whatever `dtype` is.
    """

    iterations: int = 1

    @nn.compact
    def __call__(self, x: Grid, *, train: bool = False) -> Convolved:
        size, channels = self.kernel_size, x.shape[-1]
        kernel, bias = conv_parameters(self, size, channels, self.features, size**3 * channels)

        def draw(shape):
            normal = jax.random.normal(self.make_rng("params"), (math.prod(shape),), jnp.float32)
            return unit(normal.reshape(shape))

        stored_u = self.variable("spectral_stats", "u", draw, kernel.shape[-1:])
        stored_v = self.variable("spectral_stats", "v", draw, kernel.shape[:-1])
        u, v = stored_u.value, stored_v.value
        if train:
            u, v = power_iteration(lax.stop_gradient(kernel), u, v, self.iterations)
            if not self.is_initializing():
                stored_u.value, stored_v.value = u, v
        kernel = kernel / spectral_norm(kernel, u, v)
        return convolve_with_bias(x, kernel, bias, self.convolve, self.dtype)


def power_iteration(
    kernel: Kernel, u: Float[Array, " co"], v: Float[Array, "k k k ci"], iterations: int
) -> tuple[Float[Array, " co"], Float[Array, "k k k ci"]]:
    """v ← Wᵀu / ‖Wᵀu‖, then u ← Wv / ‖Wv‖, so many times."""
    for _ in range(iterations):
        v = unit(jnp.einsum("dhwio,o->dhwi", kernel, u, precision="highest"))
        u = unit(jnp.einsum("dhwio,dhwi->o", kernel, v, precision="highest"))
    return u, v


def spectral_norm(
    kernel: Kernel, u: Float[Array, " co"], v: Float[Array, "k k k ci"]
) -> Float[Array, ""]:
    """σ = uᵀWv: the largest singular value of W where u and v are its singular vectors."""
    return jnp.einsum("dhwio,dhwi,o->", kernel, v, u, precision="highest")


def unit(x: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """x divided by its length; zero stays zero."""
    return x / jnp.maximum(jnp.sqrt(jnp.sum(x * x)), 1e-12)


class ResBlock(nn.Module):
    """ReLU(x + norm(conv(ReLU(norm(conv(x)))))); channels stay as they are.

    `conv(features, name=...)` and `norm(name=...)` make the layers.
    """

    conv: Callable[..., nn.Module]
    norm: Callable[..., nn.Module]

    @nn.compact
    def __call__(self, x: Float[Array, "b d h w c"], *, train: bool) -> Float[Array, "b d h w c"]:
        features = x.shape[-1]
        y = self.conv(features, name="conv1")(x)
        y = nn.relu(self.norm(name="norm1")(y, train=train))
        y = self.conv(features, name="conv2")(y)
        return nn.relu(x + self.norm(name="norm2")(y, train=train))
