"""Training steps and completions compiled for NVIDIA GPUs that are not there, and what came of it.

XLA compiles for a card by its description, without a driver, where the packages of the extra
`gpu-check` are installed. Nothing is run and no algorithm is chosen by trial: times are unknown,
and memory lacks the working space of cuDNN.
"""

import functools
import importlib.util
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import topologies
from jax.sharding import Mesh

from scripts.lib.benchmarks import hlo, hlo_cost, jax_speed, roofline, step_speed, timing
from voxgan_jax.devices import accelerator, parallel
from voxgan_jax.geometry import wheel
from voxgan_jax.inference import alternatives
from voxgan_jax.models import hypotheses
from voxgan_jax.placement import axis_maps, locator
from voxgan_jax.training import build, objectives

# As its maker and the XLA project publish them.
H100 = """
gpu_device_info {
  threads_per_block_limit: 1024 threads_per_warp: 32 shared_memory_per_block: 49152
  shared_memory_per_core: 233472 shared_memory_per_block_optin: 232448 threads_per_core_limit: 2048
  core_count: 132 fpus_per_core: 128 registers_per_core_limit: 65536
  registers_per_block_limit: 65536 block_dim_limit_x: 2147483647 block_dim_limit_y: 65535
  block_dim_limit_z: 65535 memory_bandwidth: 3352320000000 l2_cache_size: 52428800
  clock_rate_ghz: 1.98 device_memory_size: 84942979072 cuda_compute_capability { major: 9 }
}
platform_name: "CUDA" dnn_version_info { major: 9 minor: 10 }
runtime_version { major: 12 minor: 8 } device_description_str: "NVIDIA H100 80GB HBM3"
"""

CONFIGS = (
    *("baseline", "plain_autoencoder", "resnet_sn", "spectral_norm"),
    *("wide_generator", "wide_generator_code"),
    *("revolve", "revolve_free", "revolve_hypotheses", "revolve_residual"),
    *("profile_flow", "locator"),
    *("hinge", "wgan", "wgan_gp", "gan3d", "sdf", "ddpm", "bricks128"),
)
COLUMNS = (
    *("config", "what", "way", "dtype", "devices"),
    *("Forward", "BackwardInput", "BackwardFilter", "faults", "GiB", "TFLOP", "roofline TFLOP"),
    *("all-reduces", "MB float32", "MB bfloat16", "MB overlapped", "donated", "failed"),
)
_NEEDED = ("jax_cuda13_plugin", "jax_plugins.xla_cuda13", "nvidia.cu13")


class Program(NamedTuple):
    """What is compiled: `what` of a config, by `way` ("jit" or "pmap"), for so many devices.

    "step" is a training step, "complete" a batch of completions in evaluation mode, "alternatives"
    ten pots for each of a batch.
    """

    config: str
    what: str
    way: str
    dtype: str
    devices: int


def missing() -> str:
    """What keeps this machine from compiling for a GPU; "" where nothing does."""
    try:
        lacking = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    except ModuleNotFoundError as error:
        lacking = [str(error.name)]
    if lacking:
        return f"no {', '.join(lacking)} here: pip install -c constraints.txt -e '.[gpu-check]'"
    return ""


def programs(
    configs: Sequence[str], ways: Sequence[str], dtypes: Sequence[str], devices: Sequence[int]
) -> Iterator[Program]:
    """Every step, and what its model is used for: that by jit alone, as it is in use."""
    for count, dtype, name in itertools.product(devices, dtypes, configs):
        config = step_speed.load_config(name)
        if config.objective == "locator" and dtype != "float32":
            continue  # It computes in that alone.
        yield from (Program(name, "step", way, dtype, count) for way in ways)
        yield Program(name, "complete", "jit", dtype, count)
        if config.generator.kind == "revolve_hypotheses" and count == 1:
            yield Program(name, "alternatives", "jit", dtype, count)


def measure(
    wanted: Sequence[Program],
    rows: list[timing.Row],
    keep: Callable[[], None],
) -> None:
    """Add a row for each program that `rows` does not hold yet, calling `keep` after each.

    A program that XLA does not compile has the reason under `failed`.
    """
    known = {tuple(row[name] for name in Program._fields) for row in rows}
    for program in wanted:
        if program in known:
            continue
        row: timing.Row = dict(program._asdict())
        try:
            row |= examine(program)
        # Whatever is wrong with one, the others are still worth knowing.
        except Exception as error:
            row["failed"] = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:120]}"
        rows.append(row)
        print("; ".join(f"{name}: {row[name]}" for name in COLUMNS if name in row), flush=True)
        keep()


def examine(program: Program, batch_size: int = 0) -> timing.Row:
    """What there is in a program, as XLA compiled it for H100s.

    `batch_size` is that of training; 0: the config's.
    """
    config = step_speed.load_config(program.config)
    config = jax_speed.with_options(
        config, config.data.resolution, batch_size or config.train.batch_size, program.dtype
    )
    lowered, leaves = lower(config, program.what, program.way, mesh(program.devices))
    compiled = compile_for_gpu(lowered)
    text = compiled.as_text()
    is_unet, is_step = config.generator.kind == "unet", program.what == "step"
    found = hlo.check(
        text,
        weight_gradients=roofline.weight_gradients(config) if is_unet and is_step else None,
    )
    sent = hlo_cost.reductions(text)
    memory = jax_speed.planned_memory(compiled)
    row: timing.Row = {
        **_by_kind(found.counts),
        "faults": len(found.faults),
        "of faults": found.faults,
        "GiB": None if memory is None else memory / 2**30,
        "TFLOP": hlo_cost.flops(text) / 1e12,
    }
    if is_unet:
        rows = config.train.batch_size if is_step else config.eval.batch_size
        each = rows // program.devices
        row["roofline TFLOP"] = roofline.count(config, program.what, each, program.dtype)[0] / 1e12
    if program.devices > 1:
        row |= {
            "all-reduces": sent.number,
            "MB float32": sent.bytes.get("f32", 0) / 1e6,
            "MB bfloat16": sent.bytes.get("bf16", 0) / 1e6,
            "MB overlapped": sent.overlapped / 1e6,
        }
    if is_step:
        row["donated"] = f"{hlo_cost.donated(text)} of {leaves}"
    return row


def _by_kind(counts: Mapping[str, int]) -> dict[str, int]:
    """Convolutions by what they compute; some take a bias or a rectifier with them."""
    kinds: dict[str, int] = {"Forward": 0, "BackwardInput": 0, "BackwardFilter": 0}
    for kind, count in counts.items():
        into = "Forward" if "Forward" in kind else kind
        kinds[into] = kinds.get(into, 0) + count
    return kinds


def compile_for_gpu(lowered: Any) -> Any:
    """A lowered program compiled with the flags that a run on a GPU has."""
    options = {name: json.loads(value) for name, value in accelerator.flags().items()}
    least = "jax_persistent_cache_min_compile_time_secs"
    before = getattr(jax.config, least)
    # Nothing is kept on the disk: without a GPU it could not be loaded again.
    jax.config.update(least, 1e9)
    try:
        return lowered.compile(compiler_options=options)
    finally:
        jax.config.update(least, before)


def mesh(devices: int) -> Mesh:
    """So many H100s of one machine, in a row.

    Raises:
        ValueError: the packages for that are not here.
    """
    if reason := missing():
        raise ValueError(reason)
    topology = topologies.get_topology_desc(
        "", "cuda", target_config=H100, topology=f"1x1x{devices}"
    )
    return parallel.make_mesh(list(topology.devices))


def lower(config: Any, what: str, way: str, mesh: Mesh) -> tuple[Any, int]:
    """A program of a config, ready to be compiled, and how many arrays its state has."""
    objective = objectives.build(config)
    state = jax.eval_shape(functools.partial(build.initial_state, config, objective))
    if what == "step":
        step = parallel.compile_step(objective.step, mesh, mode=way)
        return step.lower(state, _batch(config)), len(jax.tree.leaves(state))
    whole, rows = parallel.replicated(mesh), parallel.batch_sharding(mesh)
    net, variables = objective.nets["generator"].module, state.nets["generator"].variables()
    given: Any = jax.ShapeDtypeStruct(_input(config), jnp.float32)
    function: Callable[..., Any] = objective.complete
    arguments, shardings = (variables, given), (whole, rows)
    if what == "alternatives":
        assert isinstance(net, hypotheses.Model)
        function = functools.partial(alternatives.complete, net, count=10)
        key = jax.eval_shape(lambda: jax.random.key(0))
        arguments, shardings = (variables, given, key), (whole, rows, whole)
    return jax.jit(function, in_shardings=shardings).lower(*arguments), 0


def _input(config: Any) -> tuple[int, ...]:
    """The shape of a batch that is to be completed, or of what the locator is given."""
    if config.objective == "locator":
        return (locator.AT_ONCE, 2, axis_maps.HEIGHTS, axis_maps.RINGS, 2)
    return (config.eval.batch_size, *(config.data.resolution,) * 3, 1)


def _batch(config: Any) -> dict[str, jax.ShapeDtypeStruct]:
    """The shapes of a training batch."""
    count, side = config.train.batch_size, config.data.resolution
    if config.objective == "locator":
        lines = (count, config.data.lines)
        maps = (*lines, axis_maps.HEIGHTS, axis_maps.RINGS, 2)
        targets = (*lines, len(locator.SCALES), len(locator.PLACES))
        return {
            "maps": jax.ShapeDtypeStruct(maps, jnp.float32),
            "targets": jax.ShapeDtypeStruct(targets, jnp.float32),
        }
    rows = {
        "labels": jax.ShapeDtypeStruct((count, side, side, side), jnp.uint8),
        "given": jax.ShapeDtypeStruct((count, 256), jnp.bool_),
    }
    if config.data.profiles:
        half = (count, 2 * side, wheel.num_rings(side))
        rows["profiles"] = jax.ShapeDtypeStruct(half, jnp.float16)
    return rows
