"""Steps compiled for H100s that are not here: what a GPU would run is as it should be.

Skipped where the extra `gpu-check` is not installed, but not in CI.
"""

import itertools
import json
import os

import jax
import jax.numpy as jnp
import pytest
from conftest import ROOT

from scripts import benchmark
from scripts.lib.benchmarks import gpu_program, hlo
from voxgan_jax.devices import accelerator
from voxgan_jax.models.conv import conv_transpose_k4s2


@pytest.fixture
def compiler(monkeypatch):
    """What compiles for a GPU; of the machine code, which nobody looks at, the hasty kind."""
    flags = accelerator.flags() | {"xla_gpu_disable_gpuasm_optimizations": "true"}
    monkeypatch.setattr(accelerator, "flags", lambda: flags)
    if reason := gpu_program.missing():
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


# Each takes 20 seconds: the others are in the table of scripts/benchmark.py --what gpu_program.
PROGRAMS = [
    gpu_program.Program("baseline", "step", "jit", "bfloat16", 8),
    gpu_program.Program("revolve", "step", "pmap", "float32", 1),
]


@pytest.mark.usefixtures("compiler", "loose_promotion")  # Optax relies on the latter
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: "-".join(map(str, program)))
def test_a_step_is_all_that_it_should_be_on_a_gpu(program):
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


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize(("form", "faulty"), [("auto", False), ("lax", True)])
def test_a_wrong_form_of_convolution_is_found(form, faulty):
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


# The table; nothing is compiled for these.


def test_every_config_of_the_repository_is_in_the_table():
    names = {path.stem for path in (ROOT / "configs").glob("*.py")}
    assert set(gpu_program.CONFIGS) == names - {"default", "smoke"}
    ways = [("jit", "pmap"), ("float32", "bfloat16"), (1, 8)]
    programs = list(gpu_program.programs(gpu_program.CONFIGS, *ways))
    assert len(programs) == len(set(programs))
    steps = {program[1:] for program in programs if program.config == "baseline"}
    assert {step for step in steps if step[0] == "step"} == set(itertools.product(["step"], *ways))
    assert {program.config for program in programs if program.what == "complete"} == names - {
        "default",
        "smoke",
    }


def test_a_table_goes_on_and_what_fails_is_told(monkeypatch, tmp_path, capsys):
    asked = []

    def examine(program):
        asked.append(program)
        if program.what == "complete":
            raise RuntimeError("no tiles\nand more")
        return {"faults": 0, "Forward": 24, "GiB": 2.0}

    monkeypatch.setattr(gpu_program, "missing", lambda: "")
    monkeypatch.setattr(gpu_program, "examine", examine)
    report = tmp_path / "report.json"
    words = ["--what", "gpu_program", "--configs", "baseline", "--dtypes", "bfloat16"]
    words += ["--json", str(report)]
    assert benchmark.main([*words, "--ways", "jit", "--devices", "1"]) == 1
    assert [program.what for program in asked] == ["step", "complete"]
    rows = json.loads(report.read_text())["rows"]
    assert rows[1]["failed"] == "RuntimeError: no tiles"
    assert benchmark.main([*words, "--devices", "1", "8"]) == 1
    assert [program[1:] for program in asked[2:]] == [
        ("step", "pmap", "bfloat16", 1),
        ("step", "jit", "bfloat16", 8),
        ("step", "pmap", "bfloat16", 8),
        ("complete", "jit", "bfloat16", 8),
    ]
    assert len(json.loads(report.read_text())["rows"]) == 6
    report.write_text(report.read_text().replace('"gpu_program"', '"step"', 1))
    assert benchmark.main(words) == 1
    assert "holds something else" in capsys.readouterr().err
    monkeypatch.setattr(gpu_program, "missing", lambda: "no compiler here: install it")
    assert benchmark.main(words) == 1
    assert capsys.readouterr().err == "benchmark.py: no compiler here: install it\n"


def test_what_is_missing_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(gpu_program.importlib.util, "find_spec", lambda name: None)
    assert "pip install -c constraints.txt -e '.[gpu-check]'" in gpu_program.missing()
