"""What a pot's axis is worth: how round pots are about it, and how well a model finds it."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from voxgan_jax.data import fragments
from voxgan_jax.evaluation import metrics
from voxgan_jax.evaluation.protocol import Sample, batches
from voxgan_jax.geometry import rings
from voxgan_jax.models import OUTPUTS, revolve

Volume = Float[Array, "b d h w 1"]
PerExample = Float[Array, " b"]

NEAR = 0.25
"""An axis this near to the true one (voxels, along either side) counts as found."""


def box_axis(complete: Volume) -> Float[Array, "b 2"]:
    """The middle of each pot's box in the first two axes of the grid, which is not quite its axis.

    Of an empty grid it is the middle of the grid.
    """
    occupied = complete[..., 0] > 0
    middles = []
    for across in ((2, 3), (1, 3)):
        line = occupied.any(axis=across)
        first = jnp.argmax(line, axis=1)
        last = line.shape[1] - 1 - jnp.argmax(line[:, ::-1], axis=1)
        middles.append((first + last).astype(jnp.float32) / 2)
    return jnp.stack(middles, axis=1)


def revolved_iou(complete: Volume, axis: Float[Array, "b 2"]) -> Float[Array, " b"]:
    """IoU of each pot with its own mean profile turned about an axis: the most a profile can do."""
    weights = rings.ring_weights(complete.shape[1], axis)
    mean = rings.ring_sums(complete, weights) / jnp.maximum(rings.ring_sizes(weights), 1e-6)
    return metrics.iou(rings.revolve(mean, weights), complete)


@jax.jit
def roundness(complete: Volume) -> dict[str, PerExample]:
    """`revolved_iou` about several axes: what it costs not to know the axis exactly."""
    axis = rings.round_axis(complete)
    return {
        "about its axis": revolved_iou(complete, axis),
        "about the nearest quarter voxel": revolved_iou(complete, jnp.round(axis * 4) / 4),
        "about the nearest half voxel": revolved_iou(complete, jnp.round(axis * 2) / 2),
        "about the middle of its box": revolved_iou(complete, box_axis(complete)),
    }


def finder(
    generator: revolve.Model, variables: Mapping[str, Any], threshold: float
) -> Callable[[Volume, Volume], dict[str, PerExample]]:
    """`scores(partial, complete)`: how far off the axis is that a model finds, and what that costs.

    `threshold` is the one above which a voxel counts as filled.
    """
    alone = generator.clone(axis_average=1)

    @jax.jit
    def scores(partial: Volume, complete: Volume) -> dict[str, PerExample]:
        true = rings.round_axis(complete)
        single, left = alone.apply(variables, partial, train=False, mutable=[OUTPUTS])
        away = jnp.abs(jnp.asarray(left[OUTPUTS]["axis"]) - true).max(axis=1)

        def iou(**options: Any) -> Float[Array, " b"]:
            answer = generator.apply(variables, partial, train=False, **options)
            return metrics.iou(jnp.asarray(answer), complete, threshold)

        return {
            "axis off, voxels": away,
            f"axis within {NEAR} voxels": jnp.where(away <= NEAR, 1.0, 0.0),
            "IoU, the likeliest axis": metrics.iou(jnp.asarray(single), complete, threshold),
            f"IoU, mean of {generator.axis_average} axes": iou(),
            "IoU, true axis": iou(axis=true),
        }

    return scores


def means(
    samples: Iterable[Sample],
    scores: Callable[[Volume, Volume], dict[str, PerExample]],
    *,
    batch_size: int = 16,
) -> dict[str, float]:
    """The mean of each score over all samples. Raises ValueError where there are none."""
    found: dict[str, list[np.ndarray]] = {}
    for batch in batches(samples, batch_size):
        partial, complete = (
            jnp.asarray(part, jnp.float32) for part in fragments.select(batch.labels, batch.given)
        )
        for name, values in jax.device_get(scores(partial, complete)).items():
            found.setdefault(name, []).append(np.asarray(values)[batch.mask])
    if not found:
        raise ValueError("no file was scored")
    return {name: float(np.concatenate(values).mean()) for name, values in found.items()}
