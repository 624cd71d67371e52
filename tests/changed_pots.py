"""Small pots, and how tests change them."""

import jax
import jax.numpy as jnp
import numpy as np

from voxgan_jax.data import augment, grid

OPTIONS = ("turn", "scale_radius", "scale_height", "keep_longest", "warp", "shift", "placement")
REBOX = jax.jit(augment.rebox)
AUGMENT = jax.jit(augment.augment_batch, static_argnames=OPTIONS)


def apply(labels, ids):
    """The symmetries alone."""
    labels, ids = jnp.asarray(labels), jnp.asarray(ids)
    starts, sizes = augment.boxes(labels)
    exchange = (ids >= 4)[:, None]
    starts, sizes = (jnp.where(exchange, x[:, [1, 0, 2]], x) for x in (starts, sizes))
    return np.asarray(REBOX(labels, ids, starts, sizes))


def augmented(labels, step=0, **options):
    batch = {"labels": jnp.asarray(labels)}
    return np.asarray(AUGMENT(batch, jax.random.key(1), jnp.int32(step), **options)["labels"])


def box_of(labels):
    """Starts and sizes of one pot's box, in NumPy."""
    cells = np.argwhere(labels)
    return cells.min(0).tolist(), (np.ptp(cells, axis=0) + 1).tolist()


def solid(shape, resolution=16, placement="center"):
    return grid.place(np.full(shape, 2, np.uint8), resolution, placement=placement)


def pot(shape, seed=0):
    """A lump without symmetry that touches all six sides of its box."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(shape) < 0.4) * rng.integers(1, 20, shape)
    labels[0, 0, 0], labels[-1, -1, -1] = 2, 3
    return labels.astype(np.uint8)
