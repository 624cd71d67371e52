"""Compiling a step for all devices of a run: the batch is divided, the state is on each of them.

Each device runs the step on its own rows and exchanges what it must under the axis name
`DATA_AXIS`, by jit and shard_map or by pmap. Both take and give the same state, one logical copy of
it, and the same numbers. Left to itself the compiler would divide a step as well, but sum
gradients that were computed in bfloat16 over devices in bfloat16.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Shaped

DATA_AXIS = "data"
MODES = ("jit", "pmap")
_ROWS, _WHOLE = PartitionSpec(DATA_AXIS), PartitionSpec()


def make_mesh(devices: list[Any] | None = None) -> Mesh:
    """All devices (or the given ones) in one row, along which batches are divided."""
    return Mesh(np.asarray(devices or jax.devices()), (DATA_AXIS,))


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Rows of a batch divided among the devices."""
    return NamedSharding(mesh, _ROWS)


def replicated(mesh: Mesh) -> NamedSharding:
    """The whole array on every device."""
    return NamedSharding(mesh, _WHOLE)


def divide(
    batch: Mapping[str, Any], sharding: jax.sharding.Sharding | None
) -> dict[str, jax.Array]:
    """This process's rows sent to its devices, as a part of the batch of all processes."""
    if sharding is None or sharding.is_fully_addressable:
        return jax.device_put(dict(batch), sharding)
    make = jax.make_array_from_process_local_data
    return {name: make(sharding, rows) for name, rows in batch.items()}


def own_copy(tree: Any, mesh: Mesh) -> Any:
    """Replicated arrays of all processes as arrays of this process's devices, to use them alone."""
    return _rename(tree, replicated(mesh.local_mesh))


def own_rows(
    values: Shaped[Array, "global_b *rest"], axis_name: str | None
) -> Shaped[Array, "b *rest"]:
    """This device's rows of what was drawn for the whole batch; all of them where it has no name.

    Drawing for the whole batch makes chance the same whatever the number of devices.
    """
    if axis_name is None:
        return values
    rows = values.shape[0] // jax.lax.axis_size(axis_name)
    return jax.lax.dynamic_slice_in_dim(values, jax.lax.axis_index(axis_name) * rows, rows)


def compile_rows(prepare: Callable[..., Any], mesh: Mesh) -> Any:
    """`prepare(item, rng, step) -> batch`, on each device for its own rows, compiled."""
    return jax.jit(_by_device(prepare, mesh, (_ROWS, _WHOLE, _WHOLE), _ROWS))


def _by_device(function: Callable[..., Any], mesh: Mesh, inputs: Any, outputs: Any) -> Any:
    # What is replicated is so because it was averaged; JAX cannot see that through all of a step.
    return jax.shard_map(function, mesh=mesh, in_specs=inputs, out_specs=outputs, check_vma=False)


def compile_step(
    run: Callable[..., Any], mesh: Mesh, *, mode: str = "jit", static: tuple[int, ...] = ()
) -> Any:
    """`run(state, item) -> (state, scalars)` compiled; the old state's memory is given up.

    Args:
        run: it sees a device's rows, and averages over the devices under `DATA_AXIS`.
        mode: "jit" or "pmap".
        static: places of further arguments, plain numbers, for each of which it is compiled anew.

    Returns:
        A function of the same arguments. Items come divided by `batch_sharding`; state and scalars
        are `replicated`, going in and coming out.

    Raises:
        ValueError: no such mode.
    """
    if mode not in MODES:
        raise ValueError(f"unknown config.parallel.mode {mode!r}; known: {', '.join(MODES)}")
    if mode == "pmap":
        return _Mapped(run, mesh, static)

    def bound(state: Any, item: Any, *numbers: Any) -> tuple[Any, Any]:
        step = lambda state, item: run(state, item, *numbers)  # noqa: E731
        return _by_device(step, mesh, (_WHOLE, _ROWS), _WHOLE)(state, item)

    whole, rows = replicated(mesh), batch_sharding(mesh)
    return jax.jit(
        bound if static else _by_device(run, mesh, (_WHOLE, _ROWS), _WHOLE),
        in_shardings=(whole, rows),
        out_shardings=(whole, whole),
        donate_argnums=0,
        static_argnums=static,
    )


class _Mapped:
    """`run` under pmap, with the arguments and the method `lower` of a function under jit."""

    def __init__(self, run: Callable[..., Any], mesh: Mesh, static: tuple[int, ...]) -> None:
        self._mesh = mesh
        self._mapped: Any = jax.pmap(
            run,
            axis_name=DATA_AXIS,
            in_axes=(None, 0, *(None for _ in static)),
            static_broadcasted_argnums=static,
            out_axes=(None, None),
            donate_argnums=0,
            devices=list(mesh.devices.flat),
        )
        self._item = self._parts = None

    def __call__(self, state: Any, item: Any, *numbers: Any) -> tuple[Any, Any]:
        # Once where it comes again and again, as a resident split does.
        if self._item is not item:
            self._item, self._parts = item, _own_parts(item, self._mesh)
        # Of several processes, pmap in each takes and gives arrays of its own devices alone.
        own = _rename(state, replicated(self._mesh.local_mesh))
        return _rename(self._mapped(own, self._parts, *numbers), replicated(self._mesh))

    def lower(self, state: Any, item: Any, *numbers: Any) -> Any:
        """Arguments are arrays or shapes."""
        count = self._mesh.size
        parts = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(
                (count, leaf.shape[0] // count, *leaf.shape[1:]), leaf.dtype
            ),
            item,
        )
        return self._mapped.lower(state, parts, *numbers)


def _own_parts(item: Any, mesh: Mesh) -> Any:
    """The rows of this process's devices, with an axis over these devices in front."""
    sharding = batch_sharding(mesh.local_mesh)
    if jax.process_count() == 1:
        item = jax.device_put(item, sharding)

    def divide(leaf: jax.Array) -> jax.Array:
        parts = [shard.data[None] for shard in leaf.addressable_shards]
        shape = (len(parts), *parts[0].shape[1:])
        return jax.make_array_from_single_device_arrays(shape, sharding, parts)

    return jax.tree.map(divide, item)


def _rename(tree: Any, sharding: NamedSharding) -> Any:
    """The same memory as arrays of a sharding that puts the same on this process's devices."""

    def rename(leaf: jax.Array) -> jax.Array:
        if sharding.is_fully_addressable and leaf.is_fully_addressable:
            return leaf  # There is one process.
        parts = [shard.data for shard in leaf.addressable_shards]
        return jax.make_array_from_single_device_arrays(leaf.shape, sharding, parts)

    return jax.tree.map(rename, tree)
