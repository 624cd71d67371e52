"""Steps compiled for H100s that are not here: what a GPU would run is as it should be.

Skipped where the extra `gpu-check` is not installed, but not in CI.
"""

import os

import jax
import jax.numpy as jnp
import pytest

from scripts.lib.benchmarks import gpu_program, hlo
from voxgan_jax.models.conv import conv_transpose_k4s2


@pytest.fixture(scope="module")
def compiler():
    """What compiles for a GPU."""
    if reason := gpu_program.missing():
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


# Each takes 30 seconds: the others are in the table of scripts/benchmark.py --what gpu_program.
PROGRAMS = [
    gpu_program.Program("baseline", "step", "jit", "bfloat16", 8),
    gpu_program.Program("revolve", "step", "pmap", "bfloat16", 8),
    gpu_program.Program("revolve", "step", "jit", "float32", 1),
]


@pytest.mark.usefixtures("loose_promotion")  # Optax relies on it
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: "-".join(map(str, program)))
def test_a_step_is_all_that_it_should_be_on_a_gpu(compiler, program):
    """At batch 64: fast convolutions, sums in float32, the old state's memory used again.

    At that size jaxlib 0.10 does not compile `revolve` with Triton's products, nor where 8 rows are
    on a device with a sum over the logarithm of a softmax (`axis_loss`).
    """
    row = gpu_program.examine(program, batch_size=64)
    assert row["of faults"] == []
    kept, _, all_of_it = row["donated"].partition(" of ")
    assert int(kept) >= int(all_of_it) - 1 > 50  # The key of chance is only read.
    if program.config == "baseline":
        kinds = ("Forward", "BackwardInput", "BackwardFilter")
        assert [row[kind] for kind in kinds] == [24, 13, 16]
        # The form s2d counts the padding, too.
        assert 1.0 < row["TFLOP"] / row["roofline TFLOP"] < 1.3
        assert 0.1 < row["GiB"] < 5
        # Most gradients are under way before the last one is there.
        assert row["MB overlapped"] > 0.5 * row["MB float32"]
    if program.devices > 1:
        assert row["MB bfloat16"] == 0 and row["MB float32"] > 10


@pytest.mark.parametrize(("form", "faulty"), [("auto", False), ("lax", True)])
def test_a_wrong_form_of_convolution_is_found(compiler, form, faulty):
    """The gradient of one layer of `baseline`, at its true size."""

    def loss(kernel, x):
        return (conv_transpose_k4s2(x, kernel, form=form).astype(jnp.float32) ** 2).sum()

    shapes = [
        jax.ShapeDtypeStruct(shape, jnp.bfloat16)
        for shape in ((4, 4, 4, 128, 32), (64, 16, 16, 16, 128))
    ]
    whole = jax.sharding.NamedSharding(gpu_program.mesh(1), jax.sharding.PartitionSpec())
    step = jax.jit(jax.grad(loss, argnums=(0, 1)), in_shardings=whole)
    text = gpu_program.compile_for_gpu(step.lower(*shapes)).as_text()
    found = hlo.check(text, weight_gradients=1)
    assert bool(found.faults) == faulty, found
