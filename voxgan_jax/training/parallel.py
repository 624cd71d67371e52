"""Compiling a step for all devices of a run: the batch is divided, the state is on each of them."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

DATA_AXIS = "data"


def make_mesh(devices: list[Any] | None = None) -> Mesh:
    """All devices (or the given ones) in one row, along which batches are divided."""
    return Mesh(np.asarray(devices or jax.devices()), (DATA_AXIS,))


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Rows of a batch divided among the devices."""
    return NamedSharding(mesh, PartitionSpec(DATA_AXIS))


def replicated(mesh: Mesh) -> NamedSharding:
    """The whole array on every device."""
    return NamedSharding(mesh, PartitionSpec())


def compile_step(step: Callable[..., Any], mesh: Mesh) -> Any:
    """`step(state, batch) -> (state, scalars)` compiled; the old state's memory is given up.

    The function sees the whole batch, so batch statistics and losses are those of one device.
    """
    whole, rows = replicated(mesh), batch_sharding(mesh)
    return jax.jit(step, in_shardings=(whole, rows), out_shardings=(whole, whole), donate_argnums=0)
