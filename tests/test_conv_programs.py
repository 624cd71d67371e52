"""What the forms of convolutions become: what is dilated, and the form that each platform takes."""

import functools
import os
import platform
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import baseline, wgan
from voxgan_jax import models
from voxgan_jax.devices import accelerator
from voxgan_jax.models import conv
from voxgan_jax.models.conv import conv_k3s1, conv_k4s2, conv_transpose_k4s2
from voxgan_jax.training import build, objectives


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def name(value):
    """A test id that is the same in every process, as running tests side by side demands."""
    return getattr(value, "__name__", None) or str(value)


def convolutions(jaxpr):
    """Every convolution in a jaxpr, whatever it is nested in."""
    for equation in jaxpr.eqns:
        if equation.primitive.name == "conv_general_dilated":
            yield equation
        for value in equation.params.values():
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                yield from convolutions(inner)


@pytest.mark.parametrize(
    ("layer", "form", "count"),
    [
        (conv_k4s2, "s2d", 3),
        (conv_transpose_k4s2, "s2d", 3),
        (conv_k4s2, "matmul", 0),
        (conv_transpose_k4s2, "matmul", 0),
    ],
)
def test_fast_forms_never_dilate_nor_stride(layer, form, count):
    x, kernel = normal(13, 1, 8, 8, 8, 2), normal(14, 4, 4, 4, 2, 3)

    def loss(x, kernel):
        return jnp.sum(layer(x, kernel, form=form) ** 2)

    found = list(convolutions(jax.make_jaxpr(jax.grad(loss, argnums=(0, 1)))(x, kernel).jaxpr))
    assert len(found) == count  # forward, dx and dkernel
    for equation in found:
        for name in ("window_strides", "lhs_dilation", "rhs_dilation"):
            assert equation.params[name] == (1, 1, 1)


@pytest.mark.parametrize("layer", [conv_k4s2, conv_transpose_k4s2], ids=name)
def test_the_form_for_onednn_dilates_kernels_alone(layer):
    """XLA gives oneDNN no convolution of an input that is dilated."""
    x, kernel = normal(13, 1, 8, 8, 8, 2), normal(14, 4, 4, 4, 2, 3)

    def loss(x, kernel):
        return jnp.sum(layer(x, kernel, form="onednn") ** 2)

    found = list(convolutions(jax.make_jaxpr(jax.grad(loss, argnums=(0, 1)))(x, kernel).jaxpr))
    assert len(found) == 3
    assert {equation.params["lhs_dilation"] for equation in found} == {(1, 1, 1)}
    assert [equation.params["rhs_dilation"] for equation in found].count((2, 2, 2)) == 1


BY_ONEDNN = """
from voxgan_jax.devices import accelerator
accelerator.prepare()
import functools, sys
import jax, jax.numpy as jnp, numpy as np
from voxgan_jax.models import conv
draw = np.random.default_rng(0).normal
for layer, size in ((conv.conv_k4s2, 4), (conv.conv_transpose_k4s2, 4), (conv.conv_k3s1, 3)):
    x, kernel = draw(size=(2, 8, 8, 8, 16)), draw(size=(size, size, size, 16, 32))
    g = draw(size=jax.eval_shape(layer, jnp.asarray(x, jnp.float32), kernel).shape)
    for dtype, bound in (("float32", 1e-5), ("bfloat16", 2e-2)):
        given = [jnp.asarray(array, dtype) for array in (x, kernel, g)]
        def passes(form, x, kernel, g):
            y, pull = jax.vjp(functools.partial(layer, form=form), x, kernel)
            return y, *pull(g)
        exact = passes("matmul", *(array.astype("float32") for array in given))
        program = jax.jit(functools.partial(passes, "auto")).lower(*given).compile()
        found = program.as_text().count('target="__onednn$convolution"')
        assert dtype != "float32" or found == (3 if accelerator.has_onednn() else 0), found
        for got, expected in zip(program(*given), exact):
            assert got.dtype == dtype
            error = jnp.abs(got.astype("float32") - expected).max() / jnp.abs(expected).max()
            assert error < bound, (layer.__name__, dtype, error)
print(accelerator.has_onednn())
"""


def test_layers_equal_products_where_onednn_does_them():
    """In a process that is told of it, as `voxgan` and the scripts are: all passes, both types."""
    on = not jax.__version__.startswith("0.10.") and platform.machine() == "x86_64"
    # Where it is not, nothing is lost by the quick compiler of tests.
    ours = {"JAX_COMPILATION_CACHE_DIR", *(["XLA_FLAGS"] if on else [])}
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    command = [sys.executable, "-c", BY_ONEDNN]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"{on}\n"), done.stderr[-900:]


@pytest.mark.parametrize(
    ("platform", "with_onednn", "expected"),
    [
        ("cpu", False, ["matmul", "matmul", "matmul"]),
        ("cpu", True, ["onednn", "onednn", "onednn"]),
        ("gpu", False, ["s2d", "s2d", "lax"]),
        ("gpu", True, ["s2d", "s2d", "lax"]),
        ("tpu", True, ["s2d", "s2d", "lax"]),
    ],
)
def test_auto_follows_the_table_of_the_platform(monkeypatch, platform, with_onednn, expected):
    monkeypatch.setattr(conv.accelerator, "has_onednn", lambda: with_onednn)
    kinds = ("down", "up", "same")
    assert [conv.choose_form("auto", kind, platform) for kind in kinds] == expected
    assert conv.choose_form("lax", "down", platform) == "lax"
    double = conv.choose_form("auto", "down", platform, np.float64)
    assert double == ("matmul" if platform == "cpu" else "s2d")  # oneDNN has none of these


@pytest.mark.parametrize(
    ("platform", "with_onednn", "count"),
    [("cpu", False, 0), ("cpu", True, 3), ("cuda", False, 3), ("cuda", True, 3)],
)
@pytest.mark.parametrize(
    ("layer", "size"), [(conv_k4s2, 4), (conv_transpose_k4s2, 4), (conv_k3s1, 3)]
)
def test_a_program_for_another_platform_has_the_forms_of_that(
    monkeypatch, platform, with_onednn, count, layer, size
):
    """Compiled here, where there is no GPU: forward and both gradients are convolutions there."""
    monkeypatch.setattr(conv.accelerator, "has_onednn", lambda: with_onednn)
    x, kernel = normal(16, 1, 4, 4, 4, 2), normal(17, size, size, size, 2, 3)
    step = jax.jit(jax.grad(lambda x, kernel: (layer(x, kernel) ** 2).sum(), argnums=(0, 1)))
    program = jax.export.export(step, platforms=[platform])(x, kernel).mlir_module()
    assert program.count("stablehlo.convolution") == count


@pytest.mark.parametrize(
    ("layer", "kind", "size"),
    [(conv_k4s2, "down", 4), (conv_transpose_k4s2, "up", 4), (conv_k3s1, "same", 3)],
)
def test_each_layer_takes_the_form_of_its_kind(monkeypatch, layer, kind, size):
    """The one kind set to "lax" has a convolution of XLA, the others have products."""
    monkeypatch.setattr(conv.accelerator, "has_onednn", lambda: False)
    x, kernel = normal(16, 1, 4, 4, 4, 2), normal(17, size, size, size, 2, 3)
    for changed in ("down", "up", "same"):
        forms = dict.fromkeys(("down", "up", "same"), "matmul") | {changed: "lax"}
        monkeypatch.setitem(conv.AUTO, "cpu", forms)
        program = jax.export.export(jax.jit(lambda x, kernel: layer(x, kernel)))(x, kernel)
        assert program.mlir_module().count("stablehlo.convolution") == (changed == kind)


def test_grids_smaller_than_the_kernel_are_left_to_products():
    """oneDNN takes none of these, and XLA's own need 25 times as long (docs/results.md)."""
    kernel = normal(17, 3, 3, 3, 2, 3)
    for side, count in ((2, 0), (3, 1)):
        same = jax.jit(functools.partial(conv_k3s1, form="onednn"))
        program = jax.export.export(same)(normal(16, 1, 4, side, 4, 2), kernel)
        assert program.mlir_module().count("stablehlo.convolution") == count


def in_bodies(lowered):
    """How many convolutions of a program are in the body of a loop or in a branch."""
    module = lowered.compiler_ir()
    functions = {str(f.name).strip('"'): f for f in module.body.operations}

    def count(op, inside):
        kind = op.operation.name
        if kind == "func.call":
            return count(functions[op.attributes["callee"].value], inside)
        regions = list(op.operation.regions)
        # What hangs on the platform is a case of one branch here.
        branches = kind in ("stablehlo.case", "stablehlo.if") and len(regions) > 1
        nested = inside or branches or kind == "stablehlo.while"
        inner = (each for region in regions for block in region for each in block)
        return int(inside and kind == "stablehlo.convolution") + sum(
            count(each, nested) for each in inner
        )

    return count(functions["main"], False)


def by_turns(layer, x, kernel):
    """A layer with its gradients in the branch of a condition, as `wgan` updates a generator."""

    def learn(kernel):
        return jax.grad(lambda kernel: jnp.sum(layer(x, kernel) ** 2))(kernel)

    return jax.lax.cond(x.sum() > 0, learn, lambda kernel: kernel, kernel)


def wasserstein(_):
    config = wgan.get_config()
    config.generator.features = config.discriminator.features = 2
    return _step(config)


def in_parts(_):
    config = baseline.get_config()
    config.generator.features = config.discriminator.features = 2
    config.train.accumulate_steps = 2
    return _step(config)


def _step(config):
    config.data.resolution, config.train.batch_size = 16, 2
    objective = objectives.build(config, axis_name=None)
    batch = {"labels": jnp.zeros((2, 16, 16, 16), jnp.uint8), "given": jnp.zeros((2, 256), bool)}
    state = jax.eval_shape(functools.partial(build.initial_state, config, objective))
    return jax.jit(objective.step).lower(state, batch)


def sherd_in_a_pot_from_noise(empty):
    model = models.find("gan3d").Model(features=2, code_size=2, doublings=2)
    return _fit(model, empty)


def drawn_by_a_flow(empty):
    model = models.find("voxel_flow").Model(features=2, draws=1, steps=2)
    return _fit(model, empty)


def _fit(model, empty):
    variables = jax.eval_shape(functools.partial(model.init, train=False), jax.random.key(0), empty)
    return jax.jit(model.fit).lower(variables, empty)


@pytest.mark.usefixtures("loose_promotion")
@pytest.mark.parametrize(
    "program", [wasserstein, in_parts, sherd_in_a_pot_from_noise, drawn_by_a_flow], ids=name
)
def test_bodies_of_loops_have_no_convolutions_that_onednn_would_do(monkeypatch, program):
    """XLA has it do none there, and they then take thirty times as long as products (jax 0.11)."""
    monkeypatch.setenv("XLA_FLAGS", " ".join(f"--{flag}=true" for flag in accelerator.ONEDNN))
    monkeypatch.setattr(accelerator, "_jaxlib_version", lambda: (0, 11))
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    x, kernel = normal(16, 1, 4, 4, 4, 2), normal(17, 4, 4, 4, 2, 3)
    assert in_bodies(jax.jit(functools.partial(by_turns, conv_k4s2)).lower(x, kernel)) > 0
    plain = accelerator.without_onednn()(conv_k4s2)
    assert in_bodies(jax.jit(functools.partial(by_turns, plain)).lower(x, kernel)) == 0
    assert accelerator.has_onednn()
    assert in_bodies(program(jnp.zeros((1, 16, 16, 16, 1)))) == 0
