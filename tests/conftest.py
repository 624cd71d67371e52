"""What every test runs under: the CPU, strict shapes and types, and data made once a session."""

import os
from importlib import metadata

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
# As the package has it. JAX, which is imported first here, would set 1 for the programs that tests
# start, and XLA then prints a line about each of its own kept programs ("prefer-no-gather").
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# Most of the time goes into compiling the same few steps, in this process and in those it starts.
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", os.path.join(os.path.dirname(__file__), "../.pytest_cache/xla")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
# Without LLVM's optimisations and the newer code of fusions, steps compile in a third of the time;
# in one piece, where the other tests have the other core, in a fifth less. XLA_FLAGS= compiles as
# users do.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_cpu_parallel_codegen_split_count=1"
    # Later ones know no others.
    + " --xla_cpu_use_fusion_emitters=false" * metadata.version("jaxlib").startswith("0.10."),
)

import functools
import gc
import pathlib
import shutil
import signal
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import pytest
from known_objectives import sharing_objectives, with_fewer_levels

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # So a shell starts what runs in the background, and tests of Ctrl-C would wait for ever.
    signal.signal(signal.SIGINT, signal.default_int_handler)
# Tracing makes many small objects, and JAX does work of its own at each look for dead ones.
gc.set_threshold(20_000, 10, 10)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

ROOT = pathlib.Path(__file__).resolve().parent.parent


def on_cpu_devices(count: int) -> dict[str, str]:
    """The environment of a process that is to see so many CPU devices."""
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={count}"
    return os.environ | {"XLA_FLAGS": flags, "PYTHONPATH": str(ROOT)}


LONGEST = (
    *(
        "multihost",
        "chaos",
        "parallel",
        "accumulate",
        "recovery",
        "ablation",
        "placement",
        "batch",
        "train",
    ),
    *(
        "family",
        "revolve",
        "switches",
        "torch_parity",
        "scripts",
        "devices",
        "models",
        "steps",
        "axis_fit",
    ),
    *(
        "app_browser",
        "benchmark",
        "alternatives",
        "api",
        "ways",
        "resident",
        "augment",
        "conv",
        "spectral",
    ),
)
"""Files of tests that begin first, so that none is still at work when all else is done."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    names = [f"test_{name}" for name in LONGEST]
    places = {name: place for place, name in enumerate(names)}
    items.sort(key=lambda item: places.get(item.path.stem, len(names)))


@pytest.fixture(scope="session", autouse=True)
def objectives_once() -> Iterator[None]:
    """All tests of one process do."""
    with sharing_objectives():
        yield


@pytest.fixture(scope="module", autouse=True)
def light_memory() -> Iterator[None]:
    """What one file of tests leaves in memory is not looked through while the next ones run."""
    yield
    jax.clear_caches()
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def vox_dir(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A small synthetic data set: 12 pots at 32³, each broken in 3 and in 6."""
    from voxgan_jax.data.synthetic import pots

    path = tmp_path_factory.mktemp("vox")
    pots.write_dataset(path, pots=12, seed=1, resolution=32, fragments=(3, 6), test_share=0.25)
    return path


@pytest.fixture(scope="session")
def prepared_dir(vox_dir: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The same, prepared at 32³ in the centre of the cube."""
    from voxgan_jax.data import builder

    path = tmp_path_factory.mktemp("prepared")
    builder.prepare(vox_dir, path, resolution=32)
    return path


@pytest.fixture(scope="session")
def prepared_small(vox_dir: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The same, scaled down by two to 16³."""
    from voxgan_jax.data import builder

    path = tmp_path_factory.mktemp("prepared_small")
    builder.prepare(vox_dir, path, resolution=16, pool=2)
    return path


@pytest.fixture
def loose_promotion():
    """For tests that use optax.adam: its bias correction raises a float to an integer array."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture
def short_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sherd's axis is looked for by fewer of its points, along fewer lines: in a third of the
    time. test_placement.py and test_axis_fit.py look as users do."""
    from voxgan_jax.placement import axis_fit, axis_lines, axis_search, place, propose
    from voxgan_jax.scan import walls

    rounds = [(max(kept // 3, 4), *widths) for kept, *widths in axis_search._ROUNDS]
    for module, name, value in (
        (walls, "POINTS", 1000),
        (axis_fit, "_KEPT", 3),
        (axis_lines, "_STARTS", 8),
        (axis_search, "_DIRECTIONS", 100),
        (axis_search, "_ROUNDS", rounds),
        (axis_search, "_KEPT", 3),
        (propose, "MAX_AXES", 3),
        (place, "LOOKED_AT", 6),
    ):
        monkeypatch.setattr(module, name, value)


def small(data_dir: pathlib.Path, source: str) -> Any:
    """A config that trains in seconds on the small data set, scaled down to 16³."""
    from configs import smoke

    config = smoke.get_config()
    config.data.dir, config.data.source = str(data_dir), source
    config.data.resolution, config.data.pool = 16, 2
    config.generator.kind = "tiny"
    config.generator.features = config.discriminator.features = 4
    config.train.batch_size = config.eval.batch_size = 4
    config.train.num_train_steps = 6
    config.train.log_every_steps = 2
    config.checkpoint.every_steps = 2
    return config


@pytest.fixture
def small_config(prepared_small: pathlib.Path):
    """A small config on prepared data."""
    return small(prepared_small, "tfdata")


@pytest.fixture
def resident_config(vox_dir: pathlib.Path):
    """The same on data that needs no TensorFlow."""
    return small(vox_dir, "resident")


def trained(config: Any, path: pathlib.Path) -> pathlib.Path:
    """Train a config in a folder, which is returned."""
    from voxgan_jax.training import loop

    with jax.numpy_dtype_promotion("standard"):
        loop.train(config, path)
    return path


@pytest.fixture(scope="session")
def small_run(
    prepared_small: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> pathlib.Path:
    """A whole run of the small config, to be read or copied."""
    return trained(small(prepared_small, "tfdata"), tmp_path_factory.mktemp("small_run"))


@pytest.fixture(scope="session")
def resident_run(vox_dir: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A whole run of the same config on data that needs no TensorFlow, to be read or copied."""
    return trained(small(vox_dir, "resident"), tmp_path_factory.mktemp("resident_run"))


@pytest.fixture(scope="session")
def untrained_file(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The weights of an untrained run that knows where it was made."""
    import jax.numpy as jnp

    from configs import smoke
    from voxgan_jax import models
    from voxgan_jax.models import weights

    config = smoke.get_config()
    config.data.dir = "/home/someone/pots"
    config.generator.features = 4
    generator = models.build(config.generator)
    init = jax.jit(lambda key: generator.init(key, jnp.zeros((1, 32, 32, 32, 1)), train=False))
    path = tmp_path_factory.mktemp("untrained") / weights.RUN_FILE
    weights.save(path, init(jax.random.key(0)), config)
    return path


@pytest.fixture
def run_file(untrained_file: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    """A copy of it that a test may change."""
    return pathlib.Path(shutil.copy(untrained_file, tmp_path))


@pytest.fixture(scope="module")
def shallow() -> Iterator[None]:
    """In this file networks over half sections have one level."""
    with pytest.MonkeyPatch.context() as patch:
        with_fewer_levels(patch)
        yield


@pytest.fixture(scope="module")
def vae(shallow: None) -> Any:
    """A small conditional variational auto-encoder, for cubes of side 16."""
    from voxgan_jax.models import hypotheses

    return hypotheses.Model(features=4, bottleneck=8, code_size=3)


@pytest.fixture(scope="session")
def wall() -> jax.Array:
    """A quarter of a cylinder's wall, and nothing."""
    side = 16
    cell = np.arange(side) - (side - 1) / 2
    radius = np.hypot(cell[:, None], cell[None, :])
    quarter = (abs(radius - 4.5) < 1) & (cell[:, None] > 0) & (cell[None, :] > 0)
    volume = np.zeros((2, side, side, side, 1), np.float32)
    volume[0, :, :, 5:10, 0] = quarter[:, :, None]
    return jax.numpy.asarray(volume)


@pytest.fixture(scope="module")
def vae_variables(vae: Any, wall: jax.Array) -> Any:
    """Its variables before training."""
    init = jax.jit(functools.partial(vae.init, train=False))
    return init(jax.random.key(0), wall)


@pytest.fixture(scope="session")
def toy_weights(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, Any]:
    """The file of a small model that was not trained, and a loader that compiles it once."""
    import jax.numpy as jnp

    from configs import smoke
    from voxgan_jax import models
    from voxgan_jax.inference import completer
    from voxgan_jax.models import weights

    config = smoke.get_config()
    # One that other processes know, too.
    config.generator.features, config.data.resolution = 2, 32
    generator = models.build(config.generator)
    example = jnp.zeros((1, 32, 32, 32, 1))
    shapes = jax.eval_shape(lambda: generator.init(jax.random.key(0), example, train=False))
    rng = np.random.default_rng(0)
    made = jax.tree.map(lambda leaf: rng.uniform(0, 1, leaf.shape).astype(leaf.dtype), shapes)
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    weights.save(path, made, config)
    return path, functools.cache(completer.load)


@pytest.fixture
def weights_file(toy_weights: tuple[pathlib.Path, Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """The file of a small model, for tests that are not about what it answers."""
    from voxgan_jax.inference import completer

    path, load = toy_weights
    monkeypatch.setattr(completer, "load", load)
    return path
