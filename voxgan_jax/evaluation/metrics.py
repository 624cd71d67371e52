"""How good a completed pot is, one number per example; the caller averages under its mask.

Every function takes `completed` in [0, 1] and `complete` in {0, 1} and may be compiled by jit with
`threshold` static.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

Volume = Float[Array, "b d h w 1"]

_VOXELS = (1, 2, 3, 4)


def _count(voxels: Bool[Array, "b d h w 1"]) -> Float[Array, " b"]:
    return jnp.sum(voxels, axis=_VOXELS, dtype=jnp.float32)


def _iou(answer: Bool[Array, "b d h w 1"], truth: Bool[Array, "b d h w 1"]) -> Float[Array, " b"]:
    return _ratio(_count(answer & truth), _count(answer | truth))


def _ratio(part: Float[Array, " b"], whole: Float[Array, " b"]) -> Float[Array, " b"]:
    """part / whole, and 1 where the whole is empty: two empty grids agree."""
    return jnp.where(whole > 0, part / jnp.maximum(whole, 1), 1.0)


def iou(completed: Volume, complete: Volume, threshold: float = 0.5) -> Float[Array, " b"]:
    """Intersection over union of the voxels above `threshold` with the whole pot (paper, eq. 4).

    In [0, 1]; 1 where both are empty.
    """
    return _iou(completed > threshold, complete > 0)


def dice(completed: Volume, complete: Volume, threshold: float = 0.5) -> Float[Array, " b"]:
    """Twice the intersection over the sum of both volumes, after `threshold`.

    In [0, 1]; 1 where both are empty.
    """
    answer, truth = completed > threshold, complete > 0
    return _ratio(2 * _count(answer & truth), _count(answer) + _count(truth))


def mse(completed: Volume, complete: Volume) -> Float[Array, " b"]:
    """Mean over all voxels of the squared difference; on the probabilities, so no threshold."""
    return jnp.mean(jnp.square(completed - complete), axis=_VOXELS)


def missing_iou(
    partial: Volume, completed: Volume, complete: Volume, threshold: float = 0.5
) -> Float[Array, " b"]:
    """`iou` over the voxels that `partial` (in {0, 1}) does not give: what had to be restored.

    In [0, 1]; 1 where nothing is missing and nothing was added.
    """
    unknown = partial <= 0
    return _iou((completed > threshold) & unknown, (complete > 0) & unknown)
