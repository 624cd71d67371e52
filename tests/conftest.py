"""What every test runs under: the CPU, strict shapes and types, and data made once a session."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

# Most of the time goes into compiling the same few steps, in this process and in those it starts.
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", os.path.join(os.path.dirname(__file__), "../.pytest_cache/xla")
)

import pathlib
import shutil
import signal

import jax
import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # So a shell starts what runs in the background, and tests of Ctrl-C would wait for ever.
    signal.signal(signal.SIGINT, signal.default_int_handler)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

ROOT = pathlib.Path(__file__).resolve().parent.parent


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


@pytest.fixture
def loose_promotion():
    """For tests that use optax.adam: its bias correction raises a float to an integer array."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture
def small_config(prepared_dir: pathlib.Path):
    """A config that trains in seconds on the small data set."""
    from configs import smoke

    config = smoke.get_config()
    config.data.dir = str(prepared_dir)
    config.generator.features = 4
    config.discriminator.features = 4
    config.train.batch_size = 4
    config.train.num_train_steps = 6
    config.train.log_every_steps = 2
    config.eval.batch_size = 4
    config.checkpoint.every_steps = 2
    return config


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
