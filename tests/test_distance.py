"""Signed distances on the device, against SciPy's; slopes; and the losses on them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from voxgan_jax.geometry import distance
from voxgan_jax.models import unet_sdf
from voxgan_jax.training import losses


def by_scipy(occupied, bound):
    """With nothing around the cube."""
    inside = np.pad(occupied > 0, 1)
    edt = ndimage.distance_transform_edt
    from_air = np.asarray(edt(inside))[1:-1, 1:-1, 1:-1]
    from_clay = np.asarray(edt(occupied == 0)) if occupied.any() else np.full(occupied.shape, 99)
    return np.clip(np.where(occupied > 0, 0.5 - from_air, from_clay - 0.5), -bound, bound)


@pytest.mark.parametrize("share", [0.0, 0.002, 0.05, 0.5, 0.97, 1.0])
def test_distances_are_exact(share):
    rng = np.random.default_rng(3)
    occupied = (rng.random((2, 12, 10, 14, 1)) < share).astype(np.float32)
    found = jax.jit(functools.partial(distance.signed, bound=3))(jnp.asarray(occupied))
    want = np.stack([by_scipy(pot[..., 0], 3) for pot in occupied])[..., None]
    np.testing.assert_allclose(found, want, atol=1e-6)


def test_the_slope_of_a_plane_and_of_nothing():
    d, h, w = np.meshgrid(*[np.arange(6.0)] * 3, indexing="ij")
    plane = jnp.asarray((2 * d - h + 2 * w)[None, ..., None] / 3, jnp.float32)
    np.testing.assert_allclose(distance.slope(plane), 1.0, rtol=1e-5)
    slopes = jax.grad(lambda x: distance.slope(x).sum())(jnp.zeros_like(plane))
    assert bool(jnp.isfinite(slopes).all())


def test_losses_are_nothing_for_the_truth_and_what_is_missing_else():
    side = 16
    pot = np.zeros((2, side, side, side, 1), np.float32)
    pot[0, 4:12], pot[1, :, :, 6:] = 1, 1
    complete = jnp.asarray(pot)
    truth = distance.signed(complete, 3)
    np.testing.assert_allclose(losses.distance_loss(truth, complete), 0, atol=1e-6)
    np.testing.assert_allclose(losses.distance_loss(truth + 0.25, complete), 0.25, atol=0.1)
    far = jnp.full_like(truth, 5.0)
    assert (losses.distance_loss(far, complete) > losses.distance_loss(far - 2, complete)).all()
    assert float(losses.eikonal_loss(truth, complete)[0]) < 0.1
    np.testing.assert_allclose(losses.eikonal_loss(far, complete), 1.0, rtol=1e-4)
    # What is beyond the bound still learns to come back.
    slopes = jax.grad(lambda x: losses.distance_loss(x, complete).sum())(far)
    assert float(slopes[0, 8, 8, 8, 0]) > 0


def test_the_grid_is_left_for_the_losses_and_nearly_all_is_far_from_clay_at_first():
    model = unet_sdf.Model(features=1)
    partial = jnp.zeros((1, 16, 16, 16, 1))
    variables = jax.jit(functools.partial(model.init, train=False))(jax.random.key(0), partial)
    assert "outputs" not in variables
    run = functools.partial(model.apply, train=True, mutable=["outputs", "batch_stats"])
    grid, left = jax.jit(run)(variables, partial)
    np.testing.assert_array_equal(left["outputs"]["distance"], grid)
    assert float(jnp.mean(grid)) > 2
