"""Compiling a step for all devices of a run: the batch is divided, the state is on each of them.

Under jit the compiler divides the step, which sees the whole batch. Under pmap each device runs the
step on its own rows and exchanges what it must under the axis name `DATA_AXIS`. Both take and give
the same state, one logical copy of it, and the same numbers but for rounding.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Shaped

DATA_AXIS = "data"
MODES = ("jit", "pmap")


def make_mesh(devices: list[Any] | None = None) -> Mesh:
    """All devices (or the given ones) in one row, along which batches are divided."""
    return Mesh(np.asarray(devices or jax.devices()), (DATA_AXIS,))


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Rows of a batch divided among the devices."""
    return NamedSharding(mesh, PartitionSpec(DATA_AXIS))


def replicated(mesh: Mesh) -> NamedSharding:
    """The whole array on every device."""
    return NamedSharding(mesh, PartitionSpec())


def own_copy(tree: Any, mesh: Mesh) -> Any:
    """Replicated arrays of all processes as arrays of this process's devices, to use them alone."""
    return _rename(tree, replicated(mesh.local_mesh))


def step_axis(mode: str) -> str | None:
    """The axis name that modules and step of a mode must average over; None: they see it all.

    Raises:
        ValueError: no such mode.
    """
    if mode not in MODES:
        raise ValueError(f"unknown config.parallel.mode {mode!r}; known: {', '.join(MODES)}")
    return DATA_AXIS if mode == "pmap" else None


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


def compile_step(
    step: Callable[..., Any],
    mesh: Mesh,
    *,
    mode: str = "jit",
    prepare: Callable[..., Any] | None = None,
    several: bool = False,
) -> Any:
    """`step(state, batch) -> (state, scalars)` compiled; the old state's memory is given up.

    Args:
        step: in the mode "pmap" it must average under `DATA_AXIS`.
        mode: "jit" or "pmap".
        prepare: `prepare(item, rng, step) -> batch`, run before the step with the state's `rng` and
            `step`, on each device for its own rows, under the axis name `DATA_AXIS`.
        several: the result is `run(state, item, count)`: so many steps, at least one, in one call,
            with the scalars of the last. It is compiled for each count: a GPU waits for the host
            in every turn of a loop whose length it does not know.

    Returns:
        `run(state, item) -> (state, scalars)`. Items come divided by `batch_sharding`; state and
        scalars are `replicated`, going in and coming out.

    Raises:
        ValueError: no such mode.
    """
    step_axis(mode)
    if prepare is not None and mode == "jit":
        rows, whole = PartitionSpec(DATA_AXIS), PartitionSpec()
        prepare = jax.shard_map(
            prepare, mesh=mesh, in_specs=(rows, whole, whole), out_specs=rows, check_vma=False
        )

    def run(state: Any, item: Any) -> tuple[Any, Any]:
        return step(state, item if prepare is None else prepare(item, state.rng, state.step))

    static = (2,) if several else ()
    if mode == "pmap":
        return _compile_pmap(_repeated(run) if several else run, mesh, static)
    whole, rows = replicated(mesh), batch_sharding(mesh)
    compile_one = functools.partial(
        jax.jit,
        in_shardings=(whole, rows),
        out_shardings=(whole, whole),
        donate_argnums=0,
        static_argnums=static,
    )
    if several:
        return compile_one(_repeated(run))
    if prepare is None:
        return compile_one(step)
    # Two programs: in one, XLA takes half as long again on a CPU.
    compiled = compile_one(step)
    prepared = jax.jit(prepare, in_shardings=(rows, whole, whole), out_shardings=rows)
    return lambda state, item: compiled(state, prepared(item, state.rng, state.step))


def _repeated(run: Callable[..., Any]) -> Callable[..., Any]:
    """`run` so many times in a loop on the device: only the last scalars come out."""

    def repeat(state: Any, item: Any, count: int) -> tuple[Any, Any]:
        scalars = jax.tree.map(
            lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(run, state, item)[1]
        )
        return jax.lax.fori_loop(0, count, lambda _, last: run(last[0], item), (state, scalars))

    return repeat


def _compile_pmap(run: Callable[..., Any], mesh: Mesh, static: tuple[int, ...]) -> Any:
    mapped = jax.pmap(
        run,
        axis_name=DATA_AXIS,
        in_axes=(None, 0, *(None for _ in static)),
        static_broadcasted_argnums=static,
        out_axes=(None, None),
        donate_argnums=0,
        devices=list(mesh.devices.flat),
    )
    divide = _keep_last(functools.partial(_own_parts, mesh=mesh))
    own, everywhere = replicated(mesh.local_mesh), replicated(mesh)

    def call(state: Any, item: Any, *count: Any) -> tuple[Any, Any]:
        # Of several processes, pmap in each takes and gives arrays of its own devices alone.
        out = mapped(_rename(state, own), divide(item), *count)
        return _rename(out, everywhere)

    return call


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


def _keep_last(divide: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Divide an item once where it comes again and again, as a resident split does."""
    last: list[Any] = [None, None]

    def call(item: Any) -> Any:
        if last[0] is not item:
            last[:] = item, divide(item)
        return last[1]

    return call
