"""The axis found from a fragment: a heat map that is learned, and agreement, which is not."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from voxgan_jax.models import axis

SIDE = 32


def sector(middle, start=0.0, width=1.2, height=(6, 26)):
    """A wall 3 voxels thick of a bulging pot about `middle`, `width` radians of it."""
    d, h, w = np.indices((SIDE, SIDE, SIDE))
    radius = np.hypot(d - middle[0], h - middle[1])
    angle = (np.arctan2(h - middle[1], d - middle[0]) - start) % (2 * np.pi)
    wall = np.abs(radius - 8 - 3 * np.sin(w / 8)) <= 1.5
    inside = (w >= height[0]) & (w < height[1])
    return (wall & (angle < width) & inside).astype(np.float32)[..., None]


def columns(*places):
    """Full columns at these places."""
    partial = np.zeros((1, SIDE, SIDE, SIDE, 1), np.float32)
    for d, h in places:
        partial[0, d, h] = 1
    return jnp.asarray(partial)


def positions_around(middle, reach):
    """Those of the heat map."""
    step = np.arange(-reach, reach + 0.1, 1 / axis.FINENESS)
    grid = np.stack(np.meshgrid(step, step, indexing="ij"), axis=-1).reshape(-1, 2)
    return jnp.asarray(np.asarray(middle) + grid, jnp.float32)


def agreeing(partial, candidates):
    """The candidate axis that each fragment agrees with best: nothing learned."""
    each = jnp.broadcast_to(candidates, (len(partial), *candidates.shape))
    best = axis.agreement(partial, each).argmax(axis=1)
    return candidates[best]


SIZE = axis.FINENESS * (SIDE - 1) + 1


def peak(*indices, size=SIZE):
    """A flat heat map with peaks, the first the highest."""
    logits = np.zeros((1, size, size), np.float32)
    for n, (i, j) in enumerate(indices):
        logits[0, i, j] = 1e6 / (n + 1)
    return jnp.asarray(logits)


def test_moments_of_one_column():
    """Three voxels of one column, seen from the place (9.875, 13.875), which has 9.875 of room."""
    partial = np.zeros((1, SIDE, SIDE, SIDE, 1), np.float32)
    partial[0, 12, 17, 4:7] = 1
    maps = np.asarray(jax.jit(axis.distance_moments)(partial))
    assert maps.shape == (1, 8, 8, 3 * axis.SLABS + 2)
    count, mean, deviation = np.split(maps[0, 2, 3, :-2], 3)
    distance = math.hypot(12 - 9.875, 17 - 13.875)
    # Slabs are two voxels high: heights 4 and 5 lie in the third, 6 in the fourth.
    np.testing.assert_allclose(count[:5], [0, 0, math.log(3) / 4, math.log(2) / 4, 0], rtol=1e-6)
    np.testing.assert_allclose(mean[2:4] * 16, distance, rtol=1e-6)
    np.testing.assert_allclose(deviation[2:4], 0.01, atol=5e-3)
    np.testing.assert_array_equal(mean[4:], 0)
    np.testing.assert_array_equal(deviation[4:], 0)
    np.testing.assert_allclose(maps[0, 2, 3, -2:] * 16, [distance, 9.875 - distance], rtol=1e-5)


def test_agreement_is_the_entropy_over_rings():
    """Two columns share a ring about the middle between them, and do not half a voxel aside."""
    score = axis.agreement(columns((5, 16), (27, 16)), jnp.array([[[16.0, 16.0], [16.5, 16.0]]]))
    shared = axis.ENTROPY * SIDE * 2 * math.log(2)
    np.testing.assert_allclose(score, [[shared, 0.0]], rtol=1e-4, atol=1e-4)


def test_a_pot_must_stand_in_the_cube():
    """About (20, 16) a column at 5 is 15 away, with 11 to the face and one more allowed."""
    score = axis.agreement(columns((5, 16)), jnp.array([[[20.0, 16.0], [18.0, 16.0]]]))
    np.testing.assert_allclose(score, [[-3 * axis.BEYOND, 0.0]], atol=1e-3)


@pytest.mark.parametrize(("middle", "start"), [((15.5, 15.5), 0.3), ((14.0, 17.5), 2.0)])
def test_agreement_finds_the_axis_of_a_sector(middle, start):
    partial = jnp.asarray(sector(middle, start))[None]
    found = agreeing(partial, positions_around((15.5, 16.0), 4))
    assert np.abs(np.asarray(found)[0] - middle).max() <= 0.5


def test_agreement_of_a_fragment_with_very_many_columns():
    """More than are looked at: a flat ring of 475 columns, of which 256 stand for it."""
    d, h = np.indices((SIDE, SIDE))
    radius = np.hypot(d - 15.5, h - 15.0)
    flat = ((radius > 6) & (radius < 13.5)).astype(np.float32)
    assert flat.sum() > SIDE * SIDE / 4
    partial = np.zeros((1, SIDE, SIDE, SIDE, 1), np.float32)
    partial[0, :, :, 3, 0] = flat
    partial = jnp.asarray(partial)
    found = agreeing(partial, positions_around((15.5, 15.0), 2))
    assert np.abs(np.asarray(found)[0] - (15.5, 15.0)).max() <= 1.0
    few, all_of_it = (
        axis.agreement(p, jnp.array([[[15.5, 15.0]]]))
        for p in (partial.at[:, ::2].set(0.0), partial)
    )
    # Scaled up to the whole fragment, not to the 256 that were looked at.
    assert all_of_it[0, 0] > 1.6 * few[0, 0] > 0


def test_the_heat_map_decides_where_it_is_sure():
    partial = jnp.asarray(sector((15.5, 15.5)))[None]
    np.testing.assert_array_equal(axis.find_axis(peak((66, 57)), partial), [[16.5, 14.25]])


def test_agreement_decides_where_the_heat_map_is_flat():
    partial = jnp.asarray(np.stack([sector((15.5, 15.5), 0.3), sector((16.5, 15.0), 4.0)]))
    found = axis.find_axis(jnp.zeros((2, SIZE, SIZE)), partial, within=1.0)
    candidates = positions_around((15.5, 15.5), 1)
    np.testing.assert_array_equal(found, agreeing(partial, candidates))
    assert np.abs(np.asarray(found) - [(15.5, 15.5), (16.5, 15.0)]).max() <= 0.5


def test_within_leaves_out_what_lies_further_from_the_middle():
    partial = jnp.asarray(sector((15.5, 15.5)))[None]
    logits = peak((80, 62), (66, 60))
    np.testing.assert_array_equal(axis.find_axis(logits, partial), [[20.0, 15.5]])
    np.testing.assert_array_equal(axis.find_axis(logits, partial, within=1.0), [[16.5, 15.0]])


def test_only_the_highest_positions_are_tried():
    partial = jnp.asarray(sector((15.5, 15.5)))[None]
    found = axis.find_axis(peak((40, 40), (62, 62)), partial, num_candidates=1)
    np.testing.assert_array_equal(found, [[10.0, 10.0]])


def test_loss_of_a_flat_heat_map_is_the_logarithm_of_its_size():
    truth = jnp.array([[15.5, 15.5], [3.0, 28.5]])
    loss = axis.axis_loss(jnp.zeros((2, SIZE, SIZE)), truth)
    np.testing.assert_allclose(loss, 2 * math.log(SIZE), rtol=1e-5)


def test_loss_is_least_for_the_gaussian_itself():
    """Then it is its entropy; its neighbours are 2.5 standard deviations away."""
    step = 2.5 * (np.arange(SIZE) - 62.0)
    share = np.exp(-0.5 * step**2) / np.exp(-0.5 * step**2).sum()
    entropy = -2 * np.sum(share * np.log(np.maximum(share, 1e-300)))
    assert entropy == pytest.approx(0.673, abs=1e-3)
    logits = jnp.asarray(-0.5 * (step[:, None] ** 2 + step[None] ** 2), jnp.float32)[None]
    truth = jnp.array([[15.5, 15.5]])
    loss, gradient = jax.value_and_grad(lambda x: axis.axis_loss(x, truth)[0])(logits)
    np.testing.assert_allclose(loss, entropy, rtol=1e-4)
    np.testing.assert_allclose(gradient, 0, atol=1e-6)
    aside = axis.axis_loss(logits, jnp.array([[15.75, 15.5]]))
    np.testing.assert_allclose(aside[0] - loss, 0.5 * 2.5**2, rtol=1e-3)


def test_axis_net_learns_where_sectors_point(loose_promotion):
    middles = [(12.5, 13.0), (18.0, 15.5), (15.5, 19.0), (13.5, 17.5)]
    partial = jnp.asarray(np.stack([sector(m, 1.5 * n) for n, m in enumerate(middles)]))
    truth = jnp.array(middles, jnp.float32)
    net = axis.AxisNet(features=8, num_blocks=1)
    params = jax.jit(net.init)(jax.random.key(0), partial)
    tx = optax.adam(1e-2)

    @jax.jit
    def step(params, opt_state, partial):
        def mean_loss(params):
            return axis.axis_loss(jnp.asarray(net.apply(params, partial)), truth).mean()

        loss, grads = jax.value_and_grad(mean_loss)(params)
        updates, opt_state = tx.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss

    losses, opt_state = [], tx.init(params)
    for _ in range(80):
        params, opt_state, loss = step(params, opt_state, partial)
        losses.append(float(loss))
    # A flat map costs 9.7 nats, a perfect one 0.7.
    assert losses[0] > 9.0 and losses[-1] < 5.0
    logits = jnp.asarray(net.apply(params, partial))
    assert logits.shape == (4, SIZE, SIZE) and logits.dtype == jnp.float32
    found = np.asarray(axis.find_axis(logits, partial, num_candidates=8))
    assert np.abs(found - np.array(middles)).max() <= 0.5


def test_axis_net_in_bfloat16_gives_float32_and_its_size_is_known():
    net = axis.AxisNet(dtype=jnp.bfloat16)
    partial = jnp.zeros((1, 64, 64, 64, 1))
    logits, variables = jax.eval_shape(net.init_with_output, jax.random.key(0), partial)
    assert logits.shape == (1, 253, 253) and logits.dtype == jnp.float32
    leaves = jax.tree.leaves(variables)
    assert sum(math.prod(leaf.shape) for leaf in leaves) == 83_152
    known = jax.eval_shape(net.clone(prior=True).init, jax.random.key(0), partial)
    assert sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(known)) == 83_152 + 253**2


@pytest.mark.parametrize("shape", [(32, 16, 32), (28, 28, 32), (32, 32, 24)])
def test_axis_net_refuses_other_sides(shape):
    with pytest.raises(ValueError, match="multiples of 16"):
        axis.AxisNet().init(jax.random.key(0), jnp.zeros((1, *shape, 1)))


def test_likely_axes_by_hand():
    """Two positions e times as likely as each other, and far less likely ones."""
    logits = np.full((1, SIZE, SIZE), -50.0, np.float32)
    logits[0, 60, 64], logits[0, 61, 64] = 3.0, 4.0
    partial = jnp.asarray(sector((15.5, 15.5)))[None]
    axes, shares = axis.likely_axes(jnp.asarray(logits), partial, count=2, trust=0.0)
    np.testing.assert_array_equal(axes, [[[15.25, 16.0], [15.0, 16.0]]])
    np.testing.assert_allclose(shares, [[math.e / (1 + math.e), 1 / (1 + math.e)]], rtol=1e-5)
    axes, shares = axis.likely_axes(jnp.asarray(logits), partial, count=99, within=0.25)
    assert axes.shape == (1, 9, 2) and shares.sum() == pytest.approx(1.0, rel=1e-5)


def test_drawn_axes_come_as_often_as_they_are_likely():
    logits = np.full((400, SIZE, SIZE), -50.0, np.float32)
    logits[:, 60, 64], logits[:, 61, 64] = 0.0, math.log(3)
    partial = jnp.zeros((400, SIDE, SIDE, SIDE, 1)).at[:, 3, 3, 3].set(1.0)
    keys = jax.random.split(jax.random.key(0), 400)
    found = axis.find_axis(jnp.asarray(logits), partial, keys=keys, trust=0.0, num_candidates=4)
    share = np.mean(np.asarray(found)[:, 0] == 15.25)
    # Four standard deviations.
    assert share == pytest.approx(0.75, abs=0.09)


def test_the_prior_learns_where_axes_stand_at_all(loose_promotion):
    """Nothing is given, and three of four axes stand in the middle: so says the map at the end."""
    partial = jnp.zeros((4, SIDE, SIDE, SIDE, 1))
    truth = jnp.array([[15.5, 15.5]] * 3 + [[15.25, 14.75]], jnp.float32)
    net = axis.AxisNet(features=4, num_blocks=1, prior=True)
    params = jax.jit(net.init)(jax.random.key(0), partial)
    tx = optax.adam(2e-2)

    @jax.jit
    def step(params, opt_state):
        def mean_loss(params):
            return axis.axis_loss(jnp.asarray(net.apply(params, partial)), truth).mean()

        grads = jax.grad(mean_loss)(params)
        updates, opt_state = tx.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state

    opt_state = tx.init(params)
    for _ in range(60):
        params, opt_state = step(params, opt_state)
    heat = jax.nn.softmax(jnp.asarray(net.apply(params, partial))[0].ravel()).reshape(SIZE, SIZE)
    share = float(heat[62, 62]) / float(heat[62, 62] + heat[61, 59])
    assert share == pytest.approx(0.75, abs=0.1)
    assert float(heat[62, 62] + heat[61, 59]) > 0.5
