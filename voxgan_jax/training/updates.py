"""What the steps of all objectives share: random rows, micro-batches, updates, averages."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Shaped

from voxgan_jax.devices import accelerator, parallel
from voxgan_jax.training.state import Net, NetState, TrainState, Tree

Scalars = dict[str, Float[Array, ""]]

Examples = Mapping[str, Any]
"""A batch with what is drawn for each of its rows: all that a step needs of its rows."""

Pass = tuple[NetState, tuple[Tree, Scalars]]
"""A network after a pass, and what is averaged: the gradient and the scalars."""


def with_chance(
    state: TrainState,
    batch: Examples,
    axis_name: str | None,
    **draws: Callable[[jax.Array, int], Shaped[Array, "..."]],
) -> dict[str, Any]:
    """A batch with what is drawn for its rows in this step: `keys`, the data of a random key for
    each, and by its name whatever else `draws` give, of the step's key and a count.

    It is drawn for the whole batch, so that chance is the same whatever the number of devices.
    """
    rng = jax.random.fold_in(state.rng, state.step)
    count = _rows(batch) * (1 if axis_name is None else jax.lax.axis_size(axis_name))
    keys = jax.random.key_data(jax.random.split(jax.random.fold_in(rng, 1), count))
    drawn = {"keys": keys} | {name: draw(rng, count) for name, draw in draws.items()}
    own = {name: parallel.own_rows(rows, axis_name) for name, rows in drawn.items()}
    return {**batch, **own}


def accumulate(
    run: Callable[[Any, Examples], tuple[Any, Any]], carry: Any, examples: Examples, count: int
) -> tuple[Any, Any]:
    """`run` on each of `count` micro-batches: the last carry and the mean of what else it gives.

    Every `count`-th row is in one micro-batch. So each device has as many rows of each, and a
    micro-batch has the same rows whatever the number of devices.

    Raises:
        ValueError: the rows do not divide into so many micro-batches.
    """
    if count == 1:
        return run(carry, examples)
    rows = _rows(examples)
    if rows % count:
        lower = max(rows // count, 1) * count
        raise ValueError(
            f"{rows} rows a device do not divide into config.train.accumulate_steps = {count}"
            f" micro-batches; the nearest that do are {lower} and {lower + count}"
        )
    micro_batches = jax.tree.map(
        lambda leaf: jnp.moveaxis(leaf.reshape(-1, count, *leaf.shape[1:]), 1, 0), dict(examples)
    )
    shapes = jax.eval_shape(run, carry, jax.tree.map(lambda leaf: leaf[0], micro_batches))[1]
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)

    @accelerator.without_onednn()
    def body(carry: Any, examples: Examples) -> tuple[Any, None]:
        carry, total = carry
        carry, values = run(carry, examples)
        return (carry, jax.tree.map(jnp.add, total, values)), None

    (carry, total), _ = jax.lax.scan(body, (carry, zeros), micro_batches)
    return carry, jax.tree.map(lambda leaf: leaf / count, total)


def update(
    net: Net, state: NetState, means: tuple[Tree, Scalars], axis_name: str | None
) -> tuple[NetState, Scalars, Float[Array, ""]]:
    """The network after its optimiser's update, the scalars, the norm of the gradient.

    Args:
        means: this device's gradient and scalars; they are averaged over the devices first.
    """
    grads, scalars = means if axis_name is None else jax.lax.pmean(means, axis_name)
    updates, opt_state = net.tx.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    state = dataclasses.replace(state, params=params, opt_state=opt_state)
    return state, scalars, optax.tree.norm(grads)


def generator_step(
    state: TrainState,
    batch: Examples,
    *,
    net: Net,
    learn: Callable[[NetState, Examples], Pass],
    ema_decay: float,
    accumulate_steps: int,
    axis_name: str | None,
) -> tuple[TrainState, Scalars]:
    """The step of an objective that trains the generator alone.

    Args:
        learn: of a micro-batch, each example of which has one of `keys`, the network with its
            statistics moved, gradients and scalars: `g_loss` and its parts.
        ema_decay, accumulate_steps, axis_name: as for every objective's step.

    Returns:
        The next state, and the mean scalars with the gradient's norm, `grad_norm_g`.
    """
    examples = with_chance(state, batch, axis_name)
    after, means = accumulate(learn, state.nets["generator"], examples, accumulate_steps)
    after, scalars, norm = update(net, after, means, axis_name)
    return next_state(state, {"generator": after}, ema_decay), scalars | {"grad_norm_g": norm}


def next_state(state: TrainState, nets: dict[str, NetState], ema_decay: float) -> TrainState:
    """The state after a step that left these networks; the average follows the generator."""
    return TrainState(
        step=state.step + 1,
        rng=state.rng,
        nets=nets,
        ema_params=_follow(state.ema_params, nets["generator"].params, ema_decay, state.step),
    )


def _rows(batch: Examples) -> int:
    return len(jax.tree.leaves(dict(batch))[0])


def _follow(ema_params: Tree, params: Tree, decay: float, step: Int[Array, ""]) -> Tree:
    """The moving average; over few steps at first, else it would remember the untrained start."""
    if not ema_params:
        return ema_params
    count = step.astype(jnp.float32)
    decay_now = jnp.minimum(decay, (1.0 + count) / (10.0 + count))
    return jax.tree.map(
        lambda ema, new: decay_now * ema + (1.0 - decay_now) * new, ema_params, params
    )
