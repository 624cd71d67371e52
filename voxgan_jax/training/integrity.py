"""Whether the numbers of a state are sound: finite, and the same as when they were saved."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, UInt32

from voxgan_jax.training.curves import NotFiniteError
from voxgan_jax.training.state import TrainState, Tree


def require_finite(state: TrainState) -> list[int]:
    """The digest of every array of a state.

    Raises:
        NotFiniteError: an array, which is named, holds NaN or infinity.
    """
    finite, digests = jax.device_get(summary(state))
    if not finite.all():
        raise NotFiniteError(
            f"{_names(state)[int(np.argmin(finite))]} holds NaN or infinity after step"
            f" {int(state.step)}; the last checkpoint before it is kept. Lower"
            " config.optim.*_learning_rate in a new --workdir"
        )
    return digests.tolist()


def changed(state: TrainState, digests: Sequence[int]) -> list[str]:
    """The names of the arrays that have other digests than these, from `require_finite`.

    Raises:
        ValueError: as many digests as arrays are needed.
    """
    now = jax.device_get(summary(state)[1]).tolist()
    return [
        name for name, *pair in zip(_names(state), now, digests, strict=True) if len({*pair}) > 1
    ]


@jax.jit
def summary(state: Tree) -> tuple[Bool[Array, " n"], UInt32[Array, " n"]]:
    """Whether each array is finite, and its digest. Costs about as much as reading the state.

    A digest is the sum over the elements of (bits × an odd number drawn from the place), modulo
    2³². Sums of integers are the same in any order, so it is that of any number of devices. An
    odd factor has an inverse: a change of one element always shows, one of more but for 2⁻³².
    """
    leaves = [
        jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf
        for leaf in jax.tree.leaves(state)
    ]
    finite = [jnp.isfinite(leaf).all() for leaf in leaves]
    return jnp.stack(finite), jnp.stack([_digest(leaf) for leaf in leaves])


@jax.jit  # So traced once for all arrays of a shape.
def _digest(leaf: jax.Array) -> jax.Array:
    unsigned = jnp.dtype(f"uint{8 * leaf.dtype.itemsize}")
    bits = leaf if leaf.dtype == jnp.bool_ else jax.lax.bitcast_convert_type(leaf, unsigned)
    bits = bits.astype(jnp.uint32).reshape(-1)
    # The place, mixed: multiply, shift, multiply, shift.
    factor = jax.lax.iota(jnp.uint32, bits.size) * jnp.uint32(0x9E3779B9)
    factor = (factor ^ (factor >> jnp.uint32(16))) * jnp.uint32(0x85EBCA6B)
    factor = (factor ^ (factor >> jnp.uint32(13))) | jnp.uint32(1)
    return jnp.sum(bits * factor, dtype=jnp.uint32)


def _names(state: TrainState) -> list[str]:
    return [
        jax.tree_util.keystr(path, simple=True, separator="/")
        for path, _ in jax.tree_util.tree_leaves_with_path(state)
    ]
