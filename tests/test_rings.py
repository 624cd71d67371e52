"""Rings about an axis: the linear map, its adjoint, and what a pot loses when it is revolved."""

import jax.numpy as jnp
import numpy as np
import pytest

from voxgan_jax.data import grid
from voxgan_jax.data.synthetic import pots
from voxgan_jax.geometry import rings, wheel


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def as_volume(cube):
    return jnp.asarray(cube > 0, jnp.float32)[None, ..., None]


def synthetic_pot(seed):
    """A pot without handles in the cube of side 32, and its axis."""
    pot = pots.make_pot(seed, None, 32, handled=0.0).astype(np.uint8)
    complete = as_volume(grid.place(pot, 32))
    return complete, rings.round_axis(complete)


def revolved_iou(complete, axis, width=0.5):
    """IoU of a pot with its own mean profile, turned about an axis and cut at 1/2."""
    weights = rings.ring_weights(complete.shape[1], axis, width=width)
    profile, _ = rings.missing_means(complete, jnp.zeros_like(complete), weights)
    answer, truth = (np.asarray(v > 0.5) for v in (rings.revolve(profile, weights), complete))
    return (answer & truth).sum() / (answer | truth).sum()


@pytest.mark.parametrize(
    ("resolution", "width", "count"),
    [(64, 0.5, 72), (64, 1.0, 40), (32, 0.5, 40), (32, 1.0, 24), (8, 0.5, 16)],
)
def test_num_rings(resolution, width, count):
    assert wheel.num_rings(resolution, width) == count
    weights = rings.ring_weights(resolution, rings.centre_axis(resolution), width=width)
    assert weights.shape == (1, resolution**2, count)


def test_weights_of_one_column():
    """Axis (1, 1); the voxel at (4, 5) is 5 voxels away: ring 10. That at (2, 2) is 2·√2 rings."""
    weights = rings.ring_weights(8, jnp.asarray([[1.0, 1.0]]))[0].reshape(8, 8, 16)
    assert weights[4, 5, 10] == 1.0 and weights[4, 5].sum() == 1.0
    assert weights[1, 1, 0] == 1.0
    root = 2 * np.sqrt(2)
    np.testing.assert_allclose(weights[2, 2, 2:4], [3 - root, root - 2], atol=1e-6)


@pytest.mark.parametrize("width", [0.5, 1.0])
def test_weights_of_a_column_sum_to_1_up_to_the_last_ring(width):
    weights = rings.ring_weights(32, rings.centre_axis(32), width=width)[0]
    cell = np.arange(32) - 15.5
    radius = np.sqrt(cell[:, None] ** 2 + cell[None, :] ** 2).ravel()
    last = (wheel.num_rings(32, width) - 1) * width
    sums = np.asarray(weights.sum(axis=1))
    np.testing.assert_allclose(sums[radius <= last], 1.0, atol=1e-5)
    np.testing.assert_allclose(
        sums[radius > last], np.maximum(1 - (radius[radius > last] - last) / width, 0), atol=1e-5
    )
    # No pot reaches the corners of its cube.
    assert (radius > last).sum() == {0.5: 40, 1.0: 0}[width]


@pytest.mark.parametrize("axes", [1, 3])
def test_revolve_is_the_adjoint_of_ring_sums(axes):
    axis = jnp.asarray([[7.5, 7.5], [7.0, 8.5], [3.25, 11.0]])[:axes]
    weights = rings.ring_weights(16, axis)
    volume, profile = normal(1, 3, 16, 16, 16, 1), normal(2, 3, 16, weights.shape[2])
    sums = np.asarray(rings.ring_sums(volume, weights), np.float64)
    turned = np.asarray(rings.revolve(profile, weights), np.float64)
    one = (sums * np.asarray(profile, np.float64)).sum()
    other = (turned * np.asarray(volume, np.float64)).sum()
    assert abs(one - other) < 1e-6 * np.sqrt((sums**2).sum() * 3 * 16 * weights.shape[2])
    assert abs(one) > 1


def test_nothing_is_lost_in_the_sums():
    volume = jnp.abs(normal(3, 2, 8, 8, 8, 1))
    sums = rings.ring_sums(volume, rings.ring_weights(8, rings.centre_axis(8)))
    np.testing.assert_allclose(sums.sum(axis=2), volume.sum(axis=(1, 2, 4)), rtol=1e-5)


def test_one_axis_each_is_one_for_all():
    volume, profile = normal(4, 3, 16, 16, 8, 1), normal(5, 3, 8, 24)
    one = rings.ring_weights(16, rings.centre_axis(16))
    each = rings.ring_weights(16, jnp.broadcast_to(rings.centre_axis(16), (3, 2)))
    assert one.shape == (1, 256, 24) and each.shape == (3, 256, 24)
    np.testing.assert_allclose(
        rings.ring_sums(volume, each), rings.ring_sums(volume, one), atol=1e-5
    )
    np.testing.assert_allclose(rings.revolve(profile, each), rings.revolve(profile, one), atol=1e-6)


def test_round_axis_of_boxes():
    complete = np.zeros((4, 16, 16, 16), np.float32)
    complete[0, 3:11, 4:14, 2] = 1  # both sides even: between two voxels
    complete[1, 3:10, 5:6, 2] = 1  # both odd: on a voxel
    # Of two heights the one with more voxels counts, the other is too far aside.
    complete[2, 0:2, 15, 7] = complete[2, 1, 2, 9] = 1
    axis = rings.round_axis(jnp.asarray(complete[..., None]))
    np.testing.assert_allclose(axis, [[6.5, 8.5], [6.0, 5.0], [0.5, 15.0], [7.5, 7.5]], rtol=1e-6)
    np.testing.assert_array_equal(rings.centre_axis(16), [[7.5, 7.5]])


@pytest.mark.parametrize("middle", [(15.5, 15.5), (15.25, 14.75), (15.9, 15.1)])
def test_round_axis_is_that_of_the_wheel_and_not_the_middle_of_the_box(middle):
    """To a twentieth of a voxel, and with a handle, which takes the box aside by three voxels."""
    d, h, w = np.indices((32, 32, 32))
    radius = np.hypot(d - middle[0], h - middle[1])
    pot = (np.abs(radius - 7 - w / 8) < 1.5) & (w >= 4) & (w < 28)
    handle = (np.abs(d - middle[0]) < 1.5) & (h < middle[1]) & (radius < 16) & (radius > 6)
    handled = pot | (handle & (w >= 16) & (w < 20))
    for complete in (pot, handled):
        np.testing.assert_allclose(rings.round_axis(as_volume(complete)), [middle], atol=0.05)
    low, high = np.flatnonzero(handled.any(axis=(0, 2)))[[0, -1]]
    assert abs((low + high) / 2 - middle[1]) > 1.0


def test_centring_leaves_an_odd_pot_half_a_voxel_off():
    """`grid.place` puts the odd remainder at the end, so its axis is on a voxel, not between."""
    for side, middle in ((10, 15.5), (11, 15.0)):
        cube = grid.place(np.ones((side, side, 20), np.uint8), 32)
        np.testing.assert_array_equal(rings.round_axis(as_volume(cube)), [[middle, middle]])


def test_a_turned_shell_comes_back_whole():
    cell = np.arange(32) - 15.5
    radius = np.sqrt(cell[:, None] ** 2 + cell[None, :] ** 2)
    cube = np.zeros((32, 32, 32), np.uint8)
    cube[..., 4:26] = ((radius > 8.2) & (radius < 11.1))[..., None]
    cube[..., 26:28] = (radius < 11.1)[..., None]
    for width in (0.5, 1.0):
        assert revolved_iou(as_volume(cube), rings.centre_axis(32), width) == 1.0


@pytest.mark.parametrize(
    ("seed", "half", "whole"), [(0, 0.9745, 0.9700), (1, 0.9689, 0.9602), (2, 0.9796, 0.9173)]
)
def test_half_voxel_rings_lose_less(seed, half, whole):
    complete, axis = synthetic_pot(seed)
    assert revolved_iou(complete, axis, 0.5) == pytest.approx(half, abs=2e-3)
    assert revolved_iou(complete, axis, 1.0) == pytest.approx(whole, abs=2e-3)


def test_half_a_voxel_beside_the_axis_costs_much():
    """Pot 2 is odd and thin-walled; about the middle of the cube half of it is lost."""
    complete, axis = synthetic_pot(2)
    np.testing.assert_allclose(axis, [[15.0, 15.0]], atol=0.01)
    assert revolved_iou(complete, rings.centre_axis(32)) == pytest.approx(0.485, abs=5e-3)


def test_missing_means_against_a_loop():
    """With the axis on a voxel, in whole rings, column by column."""
    rng = np.random.default_rng(6)
    complete = (rng.random((2, 8, 8, 8, 1)) < 0.5).astype(np.float32)
    partial = complete * (rng.random(complete.shape) < 0.4)
    axis = np.asarray([[3.0, 3.0], [3.5, 4.0]], np.float32)
    weights = rings.ring_weights(8, jnp.asarray(axis), width=1.0)
    mean, size = rings.missing_means(jnp.asarray(complete), jnp.asarray(partial), weights)
    num_rings = wheel.num_rings(8, 1.0)
    sums, sizes = np.zeros((2, 2, 8, num_rings))
    for n, d, h in np.ndindex(2, 8, 8):
        radius = np.hypot(d - axis[n, 0], h - axis[n, 1])
        for ring in range(num_rings):
            weight = max(1 - abs(radius - ring), 0)
            missing = partial[n, d, h, :, 0] == 0
            sums[n, :, ring] += weight * missing * complete[n, d, h, :, 0]
            sizes[n, :, ring] += weight * missing
    np.testing.assert_allclose(size, sizes, atol=1e-4)
    seen = sizes > 0.05
    assert seen.mean() > 0.8
    np.testing.assert_allclose(mean[seen], (sums / np.maximum(sizes, 1e-6))[seen], atol=1e-4)


def test_nothing_missing_is_no_ring():
    whole = jnp.ones((1, 8, 8, 8, 1))
    mean, size = rings.missing_means(whole, whole, rings.ring_weights(8, rings.centre_axis(8)))
    np.testing.assert_allclose(size, 0.0, atol=1e-5)
    assert size.min() >= 0.0
    np.testing.assert_array_equal(mean, 0.0)
