"""Batch normalisation with PyTorch's semantics, the residual block, the leaky rectifier."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from voxgan_jax.models.conv import conv_k3s1
from voxgan_jax.models.layers import BatchNorm, Conv, ResBlock, leaky_relu


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def init(module: nn.Module, x, **fields) -> Any:
    """The variables of a module that has seen x, with the type that Flax leaves open."""
    return module.init(jax.random.key(0), x, **fields)


def apply(module: nn.Module, variables, x, **fields) -> Any:
    return module.apply(variables, x, **fields)


# Batch normalisation.


def test_batch_norm_keeps_the_unbiased_variance_and_applies_the_biased_one():
    x = jnp.array([[1.0, 10.0], [2.0, 10.0], [3.0, 10.0], [6.0, 10.0]])
    norm = BatchNorm()
    variables = init(norm, x, train=True)
    np.testing.assert_array_equal(variables["batch_stats"]["mean"], [0, 0])
    np.testing.assert_array_equal(variables["batch_stats"]["var"], [1, 1])
    y, new = apply(norm, variables, x, train=True, mutable=["batch_stats"])
    # Mean 3, biased variance 14/4, unbiased 14/3.
    np.testing.assert_allclose(
        y[:, 0], (np.array([1, 2, 3, 6]) - 3) / np.sqrt(3.5 + 1e-5), rtol=1e-5
    )
    np.testing.assert_allclose(y[:, 1], 0, atol=1e-3)
    np.testing.assert_allclose(new["batch_stats"]["mean"], [0.3, 1.0], rtol=1e-6)
    np.testing.assert_allclose(new["batch_stats"]["var"], [0.9 + 1.4 / 3, 0.9], rtol=1e-5)


def test_batch_norm_uses_the_running_statistics_outside_training():
    x = normal(0, 3, 2, 2, 2, 2)
    stats = {"mean": jnp.array([1.0, -1.0]), "var": jnp.array([4.0, 0.25])}
    params = {"scale": jnp.array([3.0, 1.0]), "bias": jnp.array([0.5, 0.0])}
    y = apply(BatchNorm(), {"params": params, "batch_stats": stats}, x, train=False)
    np.testing.assert_allclose(y[..., 0], (x[..., 0] - 1) / 2 * 3 + 0.5, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(y[..., 1], (x[..., 1] + 1) / 0.5, rtol=1e-4, atol=1e-5)


def test_batch_norm_is_exact_far_from_zero():
    """From the first step on; the mean of x² would leave nothing of a variance of 1."""
    x = 1000 + normal(1, 4, 8, 8, 8, 1)
    exact = np.asarray(x, np.float64)
    y, new = apply(
        BatchNorm(), init(BatchNorm(), x, train=True), x, train=True, mutable=["batch_stats"]
    )
    np.testing.assert_allclose(y, (exact - exact.mean()) / exact.std(), atol=2e-4)
    np.testing.assert_allclose(new["batch_stats"]["var"], 0.9 + 0.1 * exact.var(ddof=1), rtol=1e-5)


def test_batch_norm_of_bfloat16_is_float32_inside():
    x = (100 + normal(2, 64, 3)).astype(jnp.bfloat16)
    norm = BatchNorm(dtype=jnp.bfloat16)
    variables = init(norm, x, train=True)
    y, new = apply(norm, variables, x, train=True, mutable=["batch_stats"])
    assert y.dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves((variables, new))} == {jnp.dtype("float32")}
    expected = np.asarray(x, np.float64).mean(0) / 10
    np.testing.assert_allclose(new["batch_stats"]["mean"], expected, rtol=1e-5)


def test_batch_norm_over_an_axis_equals_one_big_batch():
    x = normal(3, 8, 2, 2, 2, 3) * 2 + 1
    variables = init(BatchNorm(), x, train=True)

    def loss(x, norm):
        y, new = apply(norm, variables, x, train=True, mutable=["batch_stats"])
        return jnp.sum(jnp.sin(y)), (y, new)

    whole = functools.partial(loss, norm=BatchNorm())
    part = functools.partial(loss, norm=BatchNorm(axis_name="devices"))
    one, (y_one, new_one) = jax.vmap(whole)(x[None])[0], whole(x)[1]
    split = x.reshape(4, 2, 2, 2, 2, 3)
    many, (y_many, new_many) = jax.vmap(part, axis_name="devices")(split)
    np.testing.assert_allclose(many.sum(), one[0], rtol=1e-5)
    np.testing.assert_allclose(y_many.reshape(y_one.shape), y_one, atol=1e-5)
    for name in ("mean", "var"):
        merged = new_many["batch_stats"][name]
        np.testing.assert_allclose(merged[0], merged[3], rtol=1e-6)
        np.testing.assert_allclose(merged[0], new_one["batch_stats"][name], rtol=1e-5)


# The residual block.


def test_res_block_is_what_its_factories_make():
    x = normal(4, 2, 2, 2, 2, 3)
    block = ResBlock(
        conv=functools.partial(Conv, kernel_size=3, convolve=conv_k3s1), norm=BatchNorm
    )
    variables = init(block, x, train=True)
    assert set(variables["params"]) == {"conv1", "norm1", "conv2", "norm2"}
    assert variables["params"]["conv1"]["kernel"].shape == (3, 3, 3, 3, 3)
    evaluate = functools.partial(apply, block, train=False)
    # With the last scale at 0 only the shortcut is left, and the bias on it.
    params = variables["params"] | {
        "norm2": {"scale": jnp.zeros((3,)), "bias": jnp.full((3,), 0.5)}
    }
    np.testing.assert_allclose(
        evaluate({**variables, "params": params}, x), np.maximum(np.asarray(x) + 0.5, 0), rtol=1e-6
    )
    # By hand, out of training: the norm divides by √(1 + 1e-5).
    p = variables["params"]
    y = x
    for n in ("1", "2"):
        y = conv_k3s1(y, p[f"conv{n}"]["kernel"], form="lax")
        y = (y + p[f"conv{n}"]["bias"].reshape(1, 1, 1, 1, 3)) / np.float32(np.sqrt(1 + 1e-5))
        y = jnp.maximum(y, 0.0) if n == "1" else jnp.maximum(x + y, 0.0)
    np.testing.assert_allclose(evaluate(variables, x), y, atol=1e-5)


def test_leaky_relu_leaks_a_fifth():
    np.testing.assert_allclose(leaky_relu(jnp.array([-2.0, 0.0, 3.0])), [-0.4, 0.0, 3.0], rtol=1e-6)
