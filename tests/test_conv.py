"""Every form of every convolution against `jax.lax`, and against values known by hand."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from voxgan_jax.models import conv
from voxgan_jax.models.conv import conv_full, conv_k3s1, conv_k4s2, conv_transpose_k4s2
from voxgan_jax.models.layers import Conv, ConvTranspose

FAST_FORMS = ("s2d", "matmul", "onednn")  # "auto" is one of them
# (batch, grid, in, out); the grids of at least 16 reach the second branch of the matmul form.
STRIDED = [
    (2, (8, 8, 8), 1, 3), (1, (4, 6, 8), 3, 1), (2, (2, 2, 2), 5, 4),
    (2, (16, 16, 16), 3, 5), (1, (16, 18, 20), 1, 1), (1, (16, 16, 16), 1, 9),
    (18, (16, 16, 16), 2, 3),  # more examples than "onednn" takes at a time
]  # fmt: skip
TRANSPOSED = [
    (2, (4, 4, 4), 6, 3), (1, (2, 3, 4), 1, 2), (2, (1, 1, 1), 3, 1),
    (2, (8, 8, 8), 3, 5), (1, (8, 9, 10), 1, 1), (1, (8, 8, 8), 9, 1),
]  # fmt: skip
RESIDUAL = [(2, (4, 4, 4), 3, 5), (1, (2, 3, 5), 1, 1), (2, (1, 1, 1), 4, 2)]


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def arguments(case, size):
    batch, grid, features_in, features_out = case
    return normal(1, batch, *grid, features_in), normal(2, *[size] * 3, features_in, features_out)


def value_and_gradients(layer, x, kernel, bias, cotangent):
    """The output, and the gradients for x, kernel and bias."""
    y, pull = jax.vjp(lambda x, k, b: layer(x, k) + b.reshape(1, 1, 1, 1, -1), x, kernel, bias)
    return y, *pull(cotangent)


def assert_same_layer(layers, reference, x, kernel):
    bias = normal(3, kernel.shape[-1])
    cotangent = normal(4, *jax.eval_shape(reference, x, kernel).shape)
    expected, *others = (
        jax.jit(functools.partial(value_and_gradients, f))(x, kernel, bias, cotangent)
        for f in (reference, *layers)
    )
    for got in others:
        for name, a, b in zip(("value", "dx", "dkernel", "dbias"), got, expected, strict=True):
            assert a.shape == b.shape and a.dtype == b.dtype == jnp.float32
            scale = np.abs(b).max()
            assert scale > 0.1
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * scale, err_msg=name)


def name(value):
    """A test id that is the same in every process, as running tests side by side demands."""
    return getattr(value, "__name__", None) or str(value)


@pytest.mark.parametrize(
    ("layer", "size", "case"),
    [(conv_k4s2, 4, case) for case in STRIDED]
    + [(conv_transpose_k4s2, 4, case) for case in TRANSPOSED]
    + [(conv_k3s1, 3, case) for case in RESIDUAL],
    ids=name,
)
def test_forms_equal_lax(layer, size, case):
    forms = [functools.partial(layer, form=form) for form in FAST_FORMS]
    assert_same_layer(forms, functools.partial(layer, form="lax"), *arguments(case, size))


@pytest.mark.parametrize(("size", "features_in", "features_out"), [(4, 3, 1), (2, 5, 2), (1, 1, 1)])
def test_full_convolution_equals_lax(size, features_in, features_out):
    def reference(x, kernel):
        return lax.conv_general_dilated(
            x, kernel, (1, 1, 1), "VALID", dimension_numbers=("NDHWC", "DHWIO", "NDHWC")
        )

    case = (2, (size,) * 3, features_in, features_out)
    assert_same_layer([conv_full], reference, *arguments(case, size))


def test_matmul_form_chooses_by_shape_as_measured():
    # The layers of the reference model at 64³: (coarse side, coarse channels, fine channels).
    layers = [(32, 32, 1), (16, 64, 32), (8, 128, 64), (4, 256, 128)]  # encoder, discriminator
    layers += [(4, 256, 128), (8, 256, 64), (16, 128, 32), (32, 64, 1)]  # decoder
    chosen = [conv._few_columns((side,) * 3, coarse, fine) for side, coarse, fine in layers]
    assert chosen == [False, True, True, False, False, True, True, False]


@pytest.mark.parametrize("form", ("lax", *FAST_FORMS))
def test_strided_sums_the_voxels_under_the_kernel(form):
    y = conv_k4s2(jnp.ones((1, 8, 8, 8, 1)), jnp.ones((4, 4, 4, 1, 1)), form=form)[0, ..., 0]
    # 4 voxels a dimension, 3 where the kernel hangs over the edge.
    side = np.array([3, 4, 4, 3])
    expected = side[:, None, None] * side[None, :, None] * side[None, None, :]
    np.testing.assert_allclose(y, expected, atol=1e-5)


@pytest.mark.parametrize("form", ("lax", *FAST_FORMS))
@pytest.mark.parametrize("side", [4, 8])
def test_transposed_puts_the_kernel_at_2i_minus_1(form, side):
    kernel = np.arange(1.0, 65.0, dtype=np.float32).reshape(4, 4, 4, 1, 1)
    x = np.zeros((1, side, side, side, 1), np.float32)
    x[0, 1, 2, 0, 0] = 10
    y = conv_transpose_k4s2(jnp.asarray(x), jnp.asarray(kernel), form=form)[0, ..., 0]
    expected = np.zeros((2 * side,) * 3, np.float32)
    # i = (1, 2, 0) begins at (1, 3, −1): the kernel's first plane is cut in the last dimension.
    expected[1:5, 3:7, 0:3] = 10 * kernel[:, :, 1:, 0, 0]
    np.testing.assert_allclose(y, expected, atol=1e-3)


@pytest.mark.parametrize("form", ("lax", *FAST_FORMS))
def test_strided_cross_correlates_as_torch_does(form):
    # out[o] = Σ_k x[2o − 1 + k] · w[k], written out for one output voxel and channel.
    x, kernel = normal(5, 1, 6, 6, 6, 2), normal(6, 4, 4, 4, 2, 3)
    y = conv_k4s2(x, kernel, form=form)
    window = np.asarray(x, np.float64)[0, 1:5, 3:6, 0:3]  # o = (1, 2, 0); two sides hang over
    expected = (window * np.asarray(kernel, np.float64)[:, :3, 1:, :, 2]).sum()
    np.testing.assert_allclose(y[0, 1, 2, 0, 2], expected, rtol=1e-5)


@pytest.mark.parametrize("form", ("lax", *FAST_FORMS))
def test_kernel_3_sums_the_neighbours(form):
    y = conv_k3s1(jnp.ones((1, 3, 3, 3, 1)), jnp.ones((3, 3, 3, 1, 1)), form=form)
    assert y[0, 1, 1, 1, 0] == pytest.approx(27) and y[0, 0, 0, 0, 0] == pytest.approx(8)


@pytest.mark.parametrize("form", FAST_FORMS)
def test_transposed_is_the_transpose_of_strided(form):
    kernel, y = normal(7, 4, 4, 4, 3, 5), normal(8, 1, 8, 8, 8, 5)
    x = jnp.zeros((1, 16, 16, 16, 3))
    _, pull = jax.vjp(lambda x: conv_k4s2(x, kernel, form=form), x)
    got = conv_transpose_k4s2(y, kernel.swapaxes(3, 4), form=form)
    np.testing.assert_allclose(got, pull(y)[0], atol=1e-4)


@pytest.mark.parametrize("layer", [conv_k4s2, conv_transpose_k4s2], ids=name)
def test_second_derivatives_equal_lax(layer):
    # What a gradient penalty needs: the gradient of the norm of a gradient.
    x, kernel = normal(9, 1, 8, 8, 8, 2), 0.1 * normal(10, 4, 4, 4, 2, 3)

    def penalty(kernel, form):
        return jnp.sum(jax.grad(lambda x: jnp.sum(jnp.tanh(layer(x, kernel, form=form))))(x) ** 2)

    expected = jax.jit(jax.grad(functools.partial(penalty, form="lax")))(kernel)
    for form in FAST_FORMS:
        got = jax.jit(jax.grad(functools.partial(penalty, form=form)))(kernel)
        np.testing.assert_allclose(got, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("size", [2, 3])
def test_overlap_add_is_the_transpose_of_windows(size):
    x = normal(11, 2, 4, 5, 6, 3)
    seen: Any = conv.windows(x, size)
    assert seen.shape == (2, 5 - size, 6 - size, 7 - size, 3 * size**3)
    # The second voxel of the window at (0, 1, 2) is its neighbour along the last axis.
    np.testing.assert_array_equal(seen[1, 0, 1, 2, 3:6], x[1, 0, 1, 3])
    weights = normal(12, *seen.shape)
    added: Any = conv.overlap_add(weights, size)
    assert added.shape == x.shape
    assert float(jnp.vdot(seen, weights)) == pytest.approx(float(jnp.vdot(x, added)), rel=1e-4)
    # And the gradients, which are stated rather than derived, are just that.
    np.testing.assert_array_equal(jax.vjp(lambda x: conv.windows(x, size), x)[1](weights)[0], added)
    np.testing.assert_array_equal(
        jax.vjp(lambda w: conv.overlap_add(w, size), weights)[1](x)[0], seen
    )


def test_space_to_depth_and_back():
    x = jnp.arange(2 * 4 * 2 * 6 * 3, dtype=jnp.float32).reshape(2, 4, 2, 6, 3)
    blocks = conv.space_to_depth(x)
    assert blocks.shape == (2, 2, 1, 3, 24)
    # Voxel (1, 0, 1) of block (1, 0, 2) is number 5 of 8.
    np.testing.assert_array_equal(blocks[1, 1, 0, 2, 15:18], x[1, 3, 0, 5])
    np.testing.assert_array_equal(conv.depth_to_space(blocks), x)


def test_errors_say_what_is_wrong():
    kernel = jnp.ones((4, 4, 4, 1, 1))
    with pytest.raises(ValueError, match=r"even, got \(4, 5, 4\)"):
        conv_k4s2(jnp.ones((1, 4, 5, 4, 1)), kernel)
    for layer in (conv_k4s2, conv_transpose_k4s2):
        with pytest.raises(ValueError, match=r"'fft'; known: auto, lax, s2d, matmul, onednn"):
            layer(jnp.ones((1, 4, 4, 4, 1)), kernel, form="fft")


@pytest.mark.parametrize(
    ("module", "shape", "fan_in"),
    [
        (Conv(40), (4, 4, 4, 8, 40), 8 * 64),
        (
            Conv(40, kernel_size=3, convolve=conv_k3s1),
            (3, 3, 3, 8, 40),
            8 * 27,
        ),
        # PyTorch counts the outputs here.
        (ConvTranspose(40), (4, 4, 4, 8, 40), 40 * 64),
    ],
)
def test_initialisation_is_torchs_uniform(module, shape, fan_in):
    params = module.init(jax.random.key(0), jnp.zeros((1, 4, 4, 4, 8)))["params"]
    assert params["kernel"].shape == shape and params["bias"].shape == (40,)
    bound = fan_in**-0.5
    for values in (params["kernel"], params["bias"]):
        assert values.dtype == jnp.float32
        assert 0.85 * bound < np.abs(values).max() <= bound
    assert np.std(params["kernel"]) == pytest.approx(bound / 3**0.5, rel=0.03)


@pytest.mark.parametrize("module", [Conv(3), ConvTranspose(3)])
def test_layers_add_the_bias_and_compute_in_dtype(module):
    x = normal(15, 1, 4, 4, 4, 2)
    variables = module.init(jax.random.key(1), x)
    raised = jax.tree.map(lambda leaf: leaf, variables)
    raised["params"]["bias"] = variables["params"]["bias"] + jnp.array([1.0, 2.0, 3.0])
    difference = module.apply(raised, x) - module.apply(variables, x)
    np.testing.assert_allclose(difference.mean((0, 1, 2, 3)), [1, 2, 3], atol=1e-5)

    exact = module.apply(variables, x)
    rough = module.clone(dtype=jnp.bfloat16).apply(variables, x)
    assert exact.dtype == jnp.float32 and rough.dtype == jnp.bfloat16
    np.testing.assert_allclose(rough.astype(jnp.float32), exact, atol=0.05 * np.abs(exact).max())


def test_the_gradient_of_a_bias_is_summed_in_float32():
    """Over 131,072 voxels, of which a sum in bfloat16 would see the first few hundred."""
    layer = Conv(1, dtype=jnp.bfloat16)
    x = jnp.zeros((4, 64, 64, 64, 1), jnp.float32)
    params = layer.init(jax.random.key(0), x[:, :2, :2, :2])["params"]
    weight = jnp.asarray(np.random.default_rng(0).random((4, 32, 32, 32, 1)), jnp.float32)

    def total(params, weight):
        y: Any = layer.apply({"params": params}, x)
        return (y.astype(jnp.float32) * weight).sum()

    gradient = jax.jit(jax.grad(total))(params, weight)["bias"]
    np.testing.assert_allclose(gradient, [weight.sum()], rtol=1e-3)
