"""Generator and discriminator: sizes, values, forms, and building them from a config."""

import functools
import importlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import ROOT
from flax import linen as nn
from flax.traverse_util import flatten_dict

from voxgan_jax.models import discriminator, unet
from voxgan_jax.models.layers import Conv
from voxgan_jax.training import objectives


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def pot(batch, side):
    """A hollow half-ellipsoid in each row, wider from row to row."""
    d, h, w = (np.arange(side) + 0.5 - side / 2 for _ in range(3))
    radius = np.sqrt(d[:, None, None] ** 2 + h[None, :, None] ** 2 + w[None, None, :] ** 2)
    widths = side * (0.3 + 0.1 * np.arange(batch) / max(batch - 1, 1))
    shell = np.abs(radius[None] - widths[:, None, None, None]) < 2
    shell[..., side // 2 :] = False
    return jnp.asarray(shell[..., None], jnp.float32)


def init(module: nn.Module, x, **fields) -> Any:
    """The variables of a module that has seen x, with the type that Flax leaves open."""
    return module.init(jax.random.key(0), x, **fields)


def apply(module: nn.Module, variables, x, **fields) -> Any:
    return module.apply(variables, x, **fields)


def shapes(module, side, batch=2):
    """The output and the variables of a model, as shapes only."""
    x = jax.ShapeDtypeStruct((batch, side, side, side, 1), jnp.float32)
    return jax.eval_shape(
        functools.partial(module.init_with_output, train=True), jax.random.key(0), x
    )


def parameter_count(module, side):
    return sum(leaf.size for leaf in jax.tree.leaves(shapes(module, side)[1]["params"]))


# Sizes.


@pytest.mark.parametrize("side", [32, 64])
@pytest.mark.parametrize(
    ("generator", "count"),
    [
        (unet.Model(features=32), 6_168_641),
        (unet.Model(features=64), 24_658_049),
        (unet.Model(features=64, num_res_blocks=3), 67_134_593),
        (unet.Model(features=32, skips=False), 5_511_233),
        (unet.Model(features=64, skips=False), 22_032_513),
    ],
)
def test_generator_parameter_count(generator, count, side):
    assert parameter_count(generator, side) == count


@pytest.mark.parametrize(("side", "count"), [(32, 2_757_985), (64, 2_772_321)])
def test_discriminator_parameter_count(side, count):
    assert parameter_count(discriminator.Model(), side) == count


# The networks that every config trains, at its resolution.
CONFIG_COUNTS = {
    "baseline": (6_168_641, 2_772_321),
    "default": (6_168_641, 2_772_321),
    "locator": (555_704,),
    "profile_flow": (3_086_611,),
    "plain_autoencoder": (5_511_233, 2_772_321),
    "resnet_sn": (67_134_593, 2_772_321),
    "revolve": (3_464_272,),
    "revolve_free": (3_400_263,),
    "revolve_hypotheses": (4_757_776,),
    "revolve_residual": (3_585_730,),
    "smoke": (1_544_225, 690_865),
    "spectral_norm": (24_658_049, 2_772_321),
    "wide_generator": (24_658_049, 2_772_321),
    "wide_generator_code": (67_134_593, 2_772_321),
    "hinge": (6_168_641, 2_772_321),
    "wgan": (6_168_641, 2_771_425),
    "wgan_gp": (6_168_641, 2_771_425),
    "gan3d": (17_570_625, 11_049_665),
    "sdf": (6_168_641,),
    "ddpm": (3_586_497,),
    "bricks128": (6_189_561,),
}
CONFIG_FILES = sorted((ROOT / "configs").glob("*.py"))


@pytest.mark.parametrize("path", CONFIG_FILES, ids=lambda path: path.stem)
def test_parameter_counts_of_a_config(path):
    assert path.stem in CONFIG_COUNTS, "a new config needs its parameter counts here"
    config = importlib.import_module(f"configs.{path.stem}").get_config()
    nets = jax.eval_shape(objectives.build(config).init, jax.random.key(0))
    counts = [
        sum(leaf.size for leaf in jax.tree.leaves(nets[name].params))
        for name in ("generator", "discriminator", "critic")
        if name in nets
    ]
    assert tuple(counts) == CONFIG_COUNTS[path.stem]


def test_configs_of_the_paper_differ_by_what_it_adds():
    """Table 1: each row's changes, beside those of the rows above it."""

    def flat(name):
        config = importlib.import_module(f"configs.{name}").get_config().to_dict()
        return flatten_dict(config, sep=".")

    baseline = flat("baseline")

    def changes(name):
        return {field: value for field, value in flat(name).items() if value != baseline[field]}

    wide = {"generator.features": 64}
    normed = wide | {"discriminator.spectral_norm_iterations": 1}
    assert changes("default") == {}
    assert changes("wide_generator") == wide
    assert changes("spectral_norm") == normed
    assert changes("wide_generator_code") == wide | {"generator.num_res_blocks": 3}
    assert changes("resnet_sn") == normed | {
        "generator.num_res_blocks": 3,
        "loss.recon_weight": 50.0,
    }


@pytest.mark.parametrize("side", [32, 64])
def test_shapes(side):
    completed, variables = shapes(unet.Model(num_res_blocks=1), side)
    assert completed.shape == (2, side, side, side, 1) and completed.dtype == jnp.float32
    params, stats = variables["params"], variables["batch_stats"]
    kernels = {name: layer["kernel"].shape[3:] for name, layer in params.items() if "conv" in name}
    assert kernels == {
        "enc1_conv": (1, 32),
        "enc2_conv": (32, 64),
        "enc3_conv": (64, 128),
        "bottleneck_conv": (128, 256),
        "dec1_conv": (256, 128),
        "dec2_conv": (256, 64),
        "dec3_conv": (128, 32),
        "final_conv": (64, 1),
    }
    assert params["res_block0"]["conv2"]["kernel"].shape == (3, 3, 3, 256, 256)
    assert stats["bottleneck_norm"]["var"].shape == (256,)
    # No layer is normalised but those followed by one.
    assert set(stats) == {f"enc{n}_norm" for n in (1, 2, 3)} | {
        f"dec{n}_norm" for n in (1, 2, 3)
    } | {
        "bottleneck_norm",
        "res_block0",
    }

    logits, variables = shapes(discriminator.Model(), side)
    assert logits.shape == (2,) and logits.dtype == jnp.float32
    assert variables["params"]["final"]["kernel"].shape == (side // 16,) * 3 + (256, 1)
    assert set(variables["batch_stats"]) == {"norm2", "norm3", "norm4"}


def test_plain_autoencoder_has_no_wider_decoder():
    params = shapes(unet.Model(skips=False), 32)[1]["params"]
    widths = [params[name]["kernel"].shape[3] for name in ("dec2_conv", "dec3_conv", "final_conv")]
    assert widths == [128, 64, 32]


# Values. Small models, 32³; one of each kind.


@pytest.mark.parametrize(
    ("generator", "mean", "spread"),
    [
        (unet.Model(features=4), 0.458962, 0.079425),
        (unet.Model(features=4, num_res_blocks=2), 0.459029, 0.079472),
        (unet.Model(features=4, skips=False), 0.451010, 0.073205),
    ],
    ids=["baseline", "res_blocks", "plain"],
)
def test_generator_value(generator, mean, spread):
    x = pot(2, 32)
    variables = jax.jit(functools.partial(generator.init, train=True))(jax.random.key(0), x)
    completed, new = jax.jit(
        functools.partial(generator.apply, train=True, mutable=["batch_stats"])
    )(variables, x)
    assert 0 < completed.min() < completed.max() < 1
    assert (float(completed.mean()), float(completed.std())) == pytest.approx(
        (mean, spread), abs=2e-5
    )
    # A second look at the same pots, by the running statistics, differs.
    evaluated = jax.jit(functools.partial(generator.apply, train=False))(variables | new, x)
    assert np.abs(evaluated - completed).max() > 0.01


def test_discriminator_value():
    module = discriminator.Model(features=4)
    x = pot(3, 32)
    variables = jax.jit(functools.partial(module.init, train=True))(jax.random.key(0), x)
    logits, new = jax.jit(functools.partial(module.apply, train=True, mutable=["batch_stats"]))(
        variables, x
    )
    np.testing.assert_allclose(logits, [0.244949, 0.413526, 0.617191], atol=1e-4)
    evaluated = jax.jit(functools.partial(module.apply, train=False))(variables | new, x)
    assert np.abs(evaluated - logits).max() > 0.01


def gradients(module, variables, x, cotangent):
    """Output and gradients, for the parameters and the input, of one training pass."""

    def forward(params, x):
        return module.apply(
            {"params": params, "batch_stats": variables["batch_stats"]},
            x,
            train=True,
            mutable=["batch_stats"],
        )

    y, pull, new = jax.vjp(forward, variables["params"], x, has_aux=True)
    return y, pull(cotangent), new


@pytest.mark.parametrize(
    ("module", "side"),
    [
        # At 16³ batch norm would see two numbers at the bottleneck, and magnify rounding.
        (unet.Model(features=2, num_res_blocks=1, conv_form="lax"), 32),
        (discriminator.Model(features=2, conv_form="lax"), 16),
    ],
    ids=["generator", "discriminator"],
)
def test_forms_give_the_same_model_and_gradients(module, side):
    x = pot(2, side) + 0.1 * normal(5, 2, side, side, side, 1)
    init = functools.partial(module.clone(conv_form="auto").init_with_output, train=True)
    y, variables = jax.jit(init)(jax.random.key(1), x)
    cotangent = normal(6, *y.shape)
    expected, *others = (
        jax.jit(functools.partial(gradients, module.clone(conv_form=form)))(variables, x, cotangent)
        for form in ("lax", "s2d", "auto")
    )
    largest = max(np.abs(leaf).max() for leaf in jax.tree.leaves(expected[1][0]))
    assert largest > 1e-3
    for got in others:
        np.testing.assert_allclose(got[0], expected[0], atol=1e-5)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4 * largest, rtol=1e-4),
            got[1:],
            expected[1:],
        )


@pytest.mark.parametrize(
    "module",
    [unet.Model(features=4), discriminator.Model(features=4)],
    ids=["generator", "discriminator"],
)
def test_bfloat16_computes_near_float32_and_hands_out_float32(module):
    x = pot(2, 16)
    y, variables = jax.jit(functools.partial(module.init_with_output, train=True))(
        jax.random.key(2), x
    )
    rough, new = jax.jit(
        functools.partial(
            module.clone(dtype=jnp.bfloat16).apply, train=True, mutable=["batch_stats"]
        )
    )(variables, x.astype(jnp.bfloat16))
    assert {leaf.dtype for leaf in jax.tree.leaves((rough, variables, new))} == {
        jnp.dtype("float32")
    }
    difference = np.abs(rough - y).max()
    assert 1e-5 < difference < 0.1


def test_discriminator_takes_its_convolutions_from_a_factory():
    made = []

    def factory(features, **fields):
        made.append((fields["name"], features, fields["kernel_size"]))
        return Conv(features, **fields)

    count = parameter_count(discriminator.Model(conv=factory), 64)
    assert count == 2_772_321
    assert made == [
        ("conv1", 32, 4),
        ("conv2", 64, 4),
        ("conv3", 128, 4),
        ("conv4", 256, 4),
        ("final", 1, 4),
    ]


def test_odd_sides_are_refused():
    with pytest.raises(ValueError, match="multiples of 16"):
        shapes(unet.Model(), 40)
    with pytest.raises(ValueError, match="multiple of 16: 24"):
        shapes(discriminator.Model(), 24)
