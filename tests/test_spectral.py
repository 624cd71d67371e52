# pyright: reportMissingImports=false
"""Spectral normalisation, against the SVD, closed forms and PyTorch's hook."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs import smoke
from voxgan_jax import models
from voxgan_jax.models import discriminator
from voxgan_jax.models.conv import conv_full, conv_k4s2
from voxgan_jax.models.layers import Conv, SpectralConv, power_iteration, spectral_norm, unit
from voxgan_jax.training import build, objectives

FORM = functools.partial(conv_k4s2, form="lax")
# Channels in and out of a first, a middle and a last layer.
SIZES = [(1, 8), (8, 16), (16, 1)]


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def kernel_and_vectors(ci, co):
    """A kernel, and two unit vectors that have nothing to do with it."""
    return normal(0, 4, 4, 4, ci, co), unit(normal(1, co)), unit(normal(2, 4, 4, 4, ci))


def matrix(kernel):
    """The kernel in float64 as PyTorch's hook lays it out: (Co, Ci·k³)."""
    kernel = np.asarray(kernel, np.float64)
    return kernel.transpose(4, 3, 0, 1, 2).reshape(kernel.shape[-1], -1)


def row(v):
    """The right vector in the same layout: PyTorch's `weight_v`."""
    return np.asarray(v).transpose(3, 0, 1, 2).reshape(-1)


def start(conv, x) -> Any:
    """The layer's variables."""
    return conv.init(jax.random.key(0), x, train=False)


def run(conv, variables, x, *, train) -> Any:
    """The layer's output and the spectral statistics that it left."""
    y, moved = conv.apply(variables, x, train=train, mutable=["spectral_stats"])
    return y, moved["spectral_stats"]


# σ and the power iteration.


@pytest.mark.parametrize(("ci", "co"), SIZES)
def test_sigma_becomes_the_largest_singular_value(ci, co):
    kernel, u, v = kernel_and_vectors(ci, co)
    largest = np.linalg.svd(matrix(kernel), compute_uv=False)[0]
    first = float(spectral_norm(kernel, u, v))
    assert abs(first) < 0.5 * largest
    many = jax.jit(lambda u, v: jax.lax.fori_loop(0, 500, lambda _, at: iterate(*at), (u, v)))
    iterate = functools.partial(power_iteration, kernel, iterations=1)
    u, v = many(u, v)
    assert float(spectral_norm(kernel, u, v)) == pytest.approx(largest, rel=1e-5)


def test_power_iteration_by_hand():
    """W has singular values 3 and 2, u starts between their vectors: it turns by 9/4 each time."""
    kernel = jnp.zeros((2, 2, 2, 1, 2)).at[0, 0, 1, 0, 0].set(3.0).at[1, 0, 0, 0, 1].set(2.0)
    u, v = unit(jnp.ones(2)), jnp.zeros((2, 2, 2, 1))
    for n in (1, 2):
        moved_u, moved_v = power_iteration(kernel, u, v, n)
        np.testing.assert_allclose(moved_u[0] / moved_u[1], (9 / 4) ** n, rtol=1e-6)
        assert float(moved_v[0, 0, 1, 0] / moved_v[1, 0, 0, 0]) == pytest.approx(1.5 ** (2 * n - 1))
    # The length of (27, 8) over that of (9, 4): σ after one step, from below.
    sigma = float(spectral_norm(kernel, *power_iteration(kernel, u, v, 1)))
    assert sigma == pytest.approx(np.sqrt(97 / 13))


def test_zero_kernel_gives_zero_vectors():
    _, u, v = kernel_and_vectors(1, 2)
    u, v = power_iteration(jnp.zeros((4, 4, 4, 1, 2)), u, v, 1)
    np.testing.assert_array_equal(u, [0, 0])
    assert not np.any(v)


def test_gradient_holds_the_vectors_constant():
    """Of sum(c · W/σ): c/σ − (sum(c · W)/σ²) u vᵀ, with the vectors after the iteration."""
    conv = SpectralConv(3, convolve=lambda _, kernel: kernel.reshape(1, 4, 4, 8, 3), iterations=2)
    x = jnp.zeros((1, 4, 4, 4, 2))
    variables = start(conv, x)
    cotangent = normal(4, 4, 4, 4, 2, 3)
    bias = variables["params"]["bias"].reshape(1, 1, 1, 1, 3)

    def loss(kernel):
        params = variables["params"] | {"kernel": kernel}
        y, stats = run(conv, variables | {"params": params}, x, train=True)
        # The output is the kernel, and a bias of its own.
        return jnp.sum(cotangent.reshape(y.shape) * (y - bias)), stats

    kernel = variables["params"]["kernel"]
    grad, stats = jax.grad(loss, has_aux=True)(kernel)
    w, c = matrix(kernel), matrix(cotangent)
    u, v = np.asarray(stats["u"], np.float64), row(stats["v"]).astype(np.float64)
    sigma = u @ w @ v
    expected = c / sigma - np.sum(c * w) / sigma**2 * np.outer(u, v)
    np.testing.assert_allclose(matrix(grad), expected, rtol=1e-4, atol=1e-4)


# The layer.


@pytest.mark.parametrize("iterations", [1, 3])
def test_training_iterates_so_many_times_and_evaluation_never(iterations):
    conv = SpectralConv(8, convolve=FORM, iterations=iterations)
    x = normal(5, 2, 8, 8, 8, 2)
    variables = start(conv, x)
    kernel, bias = variables["params"]["kernel"], variables["params"]["bias"]
    before = variables["spectral_stats"]
    assert before["u"].shape == (8,) and before["v"].shape == (4, 4, 4, 2)
    for vector in before.values():
        assert float(jnp.sum(vector**2)) == pytest.approx(1, rel=1e-5)

    def normalised(u, v):
        return FORM(x, kernel / spectral_norm(kernel, u, v)) + bias.reshape(1, 1, 1, 1, 8)

    y, after = run(conv, variables, x, train=False)
    jax.tree.map(np.testing.assert_array_equal, after, before)
    np.testing.assert_allclose(y, normalised(before["u"], before["v"]), rtol=1e-4, atol=1e-5)
    # The collection need not even be mutable.
    evaluated: Any = conv.apply(variables, x, train=False)
    np.testing.assert_array_equal(evaluated, y)

    u, v = power_iteration(kernel, before["u"], before["v"], iterations)
    y, after = run(conv, variables, x, train=True)
    np.testing.assert_allclose(after["u"], u, atol=1e-6)
    np.testing.assert_allclose(after["v"], v, atol=1e-6)
    np.testing.assert_allclose(y, normalised(u, v), rtol=1e-4, atol=1e-5)
    assert np.abs(power_iteration(kernel, u, v, 1)[0] - u).max() > 1e-3


def test_starts_from_the_parameters_of_the_plain_layer():
    x = normal(6, 1, 8, 8, 8, 2)
    plain, normed = (start(conv(4, convolve=FORM), x) for conv in (Conv, SpectralConv))
    jax.tree.map(np.testing.assert_array_equal, plain["params"], normed["params"])
    # The vectors are not those of another seed, nor of each other.
    u = normed["spectral_stats"]["u"]
    other = SpectralConv(4, convolve=FORM).init(jax.random.key(1), x, train=True)
    assert np.abs(other["spectral_stats"]["u"] - u).max() > 1e-3


def test_bfloat16_iterates_in_float32():
    x = normal(7, 2, 8, 8, 8, 2)
    conv = SpectralConv(4, convolve=FORM)
    variables = start(conv, x)
    y, stats = run(conv, variables, x, train=True)
    rough, rough_stats = run(conv.clone(dtype=jnp.bfloat16), variables, x, train=True)
    jax.tree.map(np.testing.assert_array_equal, rough_stats, stats)
    assert rough.dtype == jnp.bfloat16
    difference = np.abs(rough.astype(jnp.float32) - y).max() / np.abs(y).max()
    assert 1e-4 < difference < 0.03


@pytest.mark.torch
@pytest.mark.parametrize(("ci", "co"), SIZES)
@pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])
def test_equals_the_hook_of_torch(ci, co, train):
    """Output, gradients and vectors of three forward passes, from vectors that have moved once."""
    torch = pytest.importorskip("torch")
    last = co == 1
    side, convolve = (4, conv_full) if last else (8, FORM)
    conv = SpectralConv(co, convolve=convolve)
    x = normal(8, 2, side, side, side, ci)
    variables = start(conv, x)
    _, stats = run(conv, variables, x, train=True)
    variables = variables | {"spectral_stats": stats}

    stride, padding = (1, 0) if last else (2, 1)
    with torch.random.fork_rng():
        layer = torch.nn.Conv3d(ci, co, 4, stride, padding)
        hooked = torch.nn.utils.spectral_norm(layer)
    kernel = np.asarray(variables["params"]["kernel"])
    hooked.load_state_dict(
        {
            "weight_orig": torch.tensor(kernel.transpose(4, 3, 0, 1, 2).copy()),
            "weight_u": torch.tensor(np.array(stats["u"])),
            "weight_v": torch.tensor(row(stats["v"]).copy()),
            "bias": torch.tensor(np.array(variables["params"]["bias"])),
        }
    )
    hooked.train(train)
    x_torch = torch.tensor(np.asarray(x).transpose(0, 4, 1, 2, 3).copy(), requires_grad=True)

    for turn in range(3):
        y, pull, stats = jax.vjp(
            lambda params, x, stats=variables["spectral_stats"]: run(
                conv, {"params": params, "spectral_stats": stats}, x, train=train
            ),
            variables["params"],
            x,
            has_aux=True,
        )
        cotangent = normal(9 + turn, *y.shape)
        grads, grad_x = pull(cotangent)
        hooked.zero_grad()
        x_torch.grad = None
        y_torch = hooked(x_torch)
        y_torch.backward(torch.tensor(np.asarray(cotangent).transpose(0, 4, 1, 2, 3).copy()))

        same: Any = functools.partial(np.testing.assert_allclose, rtol=1e-5)
        variables = variables | {"spectral_stats": stats}
        same(stats["u"], hooked.weight_u, atol=1e-6)
        same(row(stats["v"]), hooked.weight_v, atol=1e-6)
        scale = float(jnp.abs(y).max())
        same(np.asarray(y).transpose(0, 4, 1, 2, 3), y_torch.detach(), atol=1e-5 * scale)
        for got, want in (
            (np.asarray(grads["kernel"]).transpose(4, 3, 0, 1, 2), hooked.weight_orig.grad),
            (np.asarray(grads["bias"]), hooked.bias.grad),
            (np.asarray(grad_x).transpose(0, 4, 1, 2, 3), x_torch.grad),
        ):
            same(got, want, atol=1e-5 * float(np.abs(got).max()))


# The discriminator and the training step.


def test_discriminator_normalises_all_five_and_keeps_its_parameters():
    x = jax.ShapeDtypeStruct((2, 64, 64, 64, 1), jnp.float32)
    plain, normed = (
        jax.eval_shape(
            functools.partial(discriminator.Model(conv=conv).init, train=True), jax.random.key(0), x
        )
        for conv in (Conv, SpectralConv)
    )
    assert normed["params"] == plain["params"]
    assert sum(leaf.size for leaf in jax.tree.leaves(normed["params"])) == 2_772_321
    shapes = {name: (s["u"].shape, s["v"].shape) for name, s in normed["spectral_stats"].items()}
    assert shapes == {
        "conv1": ((32,), (4, 4, 4, 1)),
        "conv2": ((64,), (4, 4, 4, 32)),
        "conv3": ((128,), (4, 4, 4, 64)),
        "conv4": ((256,), (4, 4, 4, 128)),
        "final": ((1,), (4, 4, 4, 256)),
    }


def test_a_step_moves_the_vectors_three_times():
    """Twice with the discriminator's parameters before the step, once with those after it."""
    config = smoke.get_config()
    config.data.resolution = 16
    config.generator.features = config.discriminator.features = 2
    config.discriminator.spectral_norm_iterations = 1
    nets = dict(objectives.build(config, axis_name=None).nets)
    nets["generator"] = nets["generator"]._replace(module=models.find("tiny").Model(2))
    sgd = {name: net._replace(tx=optax.sgd(0.5)) for name, net in nets.items()}
    objective = objectives.build(config, sgd, axis_name=None)
    rng = np.random.default_rng(0)
    batch = {
        "labels": jnp.asarray(rng.integers(0, 4, (2, 16, 16, 16)), jnp.uint8),
        "given": jnp.asarray(np.eye(256, dtype=bool)[[2, 3]]),
    }
    state = jax.jit(functools.partial(build.initial_state, config, objective))()
    after = jax.jit(objective.step)(state, batch)[0]
    before_d, after_d = (one.nets["discriminator"] for one in (state, after))
    for name in ("conv1", "conv2", "conv3", "conv4", "final"):
        old, new = (net.params[name]["kernel"] for net in (before_d, after_d))
        stats = before_d.spectral_stats[name]
        twice = power_iteration(old, stats["u"], stats["v"], 2)
        u, v = power_iteration(new, *twice, 1)
        got = after_d.spectral_stats[name]
        np.testing.assert_allclose(got["u"], u, atol=1e-5)
        np.testing.assert_allclose(got["v"], v, atol=1e-5)
        assert np.abs(twice[1] - v).max() > 1e-3, name
