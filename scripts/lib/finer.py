"""A model's answers in finer voxels than its own, to compare with those of a finer model."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from voxgan_jax.evaluation.protocol import Predict


def enlarged(predict: Predict, own: int, wanted: int) -> Predict:
    """The answers of a model of `own` voxels a side in a cube of `wanted` ones.

    It sees a voxel where any of the finer ones is given; each of its voxels stands for all finer
    ones in it. As with every model's own pots, the given voxels are not put in.

    Raises:
        ValueError: `wanted` is no multiple of `own`.
    """
    factor = wanted // own
    if factor * own != wanted:
        raise ValueError(f"--resolution {wanted}: no multiple of the model's {own}")

    def finer(partial: Float[Array, "b d h w 1"]) -> Float[Array, "b d h w 1"]:
        parts = jnp.reshape(partial, (len(partial), *3 * (own, factor), 1))
        answer = jnp.asarray(predict(parts.max(axis=(2, 4, 6))))
        for axis in (1, 2, 3):
            answer = jnp.repeat(answer, factor, axis=axis)
        return answer

    return finer
