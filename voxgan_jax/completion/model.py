"""A trained generator, ready to complete pots on all of this machine's devices."""

import functools
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from voxgan_jax import models
from voxgan_jax.models import weights
from voxgan_jax.training import parallel


class Completer(NamedTuple):
    """A generator ready for use and how it wants its pots placed.

    `predict` maps the given voxels in {0, 1} to probabilities, both float32 (b, d, h, w, 1), for
    any number of pots at once.
    """

    predict: Callable[[Float[Array, "b d h w 1"]], Float[Array, "b d h w 1"]]
    resolution: int
    pool: int
    placement: str
    threshold: float


def load(
    *,
    weights_file: str | pathlib.Path | None = None,
    workdir: str | pathlib.Path | None = None,
    dtype: str | None = None,
) -> Completer:
    """A completer from a weights file, or from the run in a folder, on all local devices.

    `dtype` is that of the computation, "float32" or "bfloat16"; None takes that of training.

    Raises:
        FileNotFoundError: no weights there.
        WeightsError: not a weights file.
        ValueError: an unknown dtype.
    """
    if (weights_file is None) == (workdir is None):
        raise ValueError("name either a weights file or the folder of a run")
    if weights_file is None:
        weights_file = pathlib.Path(workdir or "") / weights.RUN_FILE
        if not weights_file.is_file():
            raise FileNotFoundError(f"{workdir}: no {weights.RUN_FILE} there; train that run first")
    variables, config = weights.load(weights_file)
    if dtype is not None:
        config.generator.dtype = dtype
    generator = models.build_generator(config.generator)
    return Completer(
        divided(functools.partial(generator.apply, train=False), variables, jax.local_devices()),
        config.data.resolution,
        config.data.pool,
        config.data.placement,
        config.eval.threshold,
    )


def divided(
    apply: Callable[..., Any], variables: Any, devices: Sequence[Any]
) -> Callable[[Float[Array, "b d h w 1"]], Float[Array, "b d h w 1"]]:
    """`apply(variables, ·)` compiled, the rows of its argument divided among devices.

    Any number of rows will do: empty pots are added to make them come out even.
    """
    mesh = parallel.make_mesh(list(devices))
    whole, rows = parallel.replicated(mesh), parallel.batch_sharding(mesh)
    # The variables are an argument, not constants that XLA would fold at great length.
    variables = jax.device_put(variables, whole)
    compiled = jax.jit(apply, in_shardings=(whole, rows), out_shardings=rows)

    def predict(partial: Float[Array, "b d h w 1"]) -> Float[Array, "b d h w 1"]:
        count = len(partial)
        spare = -count % mesh.size
        if spare:
            partial = jnp.pad(partial, ((0, spare), *[(0, 0)] * 4))
        return compiled(variables, partial)[:count]

    return predict
