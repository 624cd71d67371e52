"""The evidence of a fragment and the network that completes a profile from it."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known_objectives import with_fewer_levels

from voxgan_jax.geometry import rings
from voxgan_jax.models.profile import ProfileNet, evidence


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def parameter_count(net, *args):
    shapes: Any = jax.eval_shape(net.init, jax.random.key(0), *args)
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


def maps_of(height, num_rings, channels=8):
    return jax.ShapeDtypeStruct((1, height, num_rings, channels), jnp.float32)


def test_evidence_of_half_a_wall():
    """Half of a wall at radius 5, in the lower heights; about the axis of an odd pot."""
    cell = np.arange(16) - 7.0
    radius = np.sqrt(cell[:, None] ** 2 + cell[None, :] ** 2)
    wall = (np.abs(radius - 5) < 0.8) & (cell > 0)[:, None]
    partial = np.zeros((1, 16, 16, 16, 1), np.float32)
    partial[0, :, :, 2:6, 0] = wall[..., None]
    weights = rings.ring_weights(16, jnp.asarray([[7.0, 7.0]]))
    maps = np.asarray(evidence(jnp.asarray(partial), weights))
    assert maps.shape == (1, 16, 24, 8)
    share, relative, count, hit, widest, total, height, ring = np.moveaxis(maps[0], -1, 0)
    # Ring 10 is the radius 5; of the half circle the column on the diameter is left out.
    assert share[3, 10] == pytest.approx(0.4506, abs=1e-3)
    assert share[3].max() == pytest.approx(widest[3, 0]) and np.ptp(widest[3]) == 0
    assert relative[3].max() == 1.0 and relative[3, 16] == 0.0
    assert hit[3, 10] == 1.0 and hit[:2].max() == hit[6:].max() == 0.0
    assert share[:2].max() == relative[6:].max() == widest[8].max() == 0.0
    np.testing.assert_allclose(
        np.expm1(4 * count).sum(axis=1)[2:6], np.full(4, wall.sum()), rtol=1e-4
    )
    np.testing.assert_allclose(total, np.log1p(4 * wall.sum()) / 10, rtol=1e-5)
    np.testing.assert_allclose(height[:, 5], np.linspace(-1, 1, 16), atol=1e-6)
    np.testing.assert_allclose(ring[5], np.linspace(0, 1, 24), atol=1e-6)


def test_evidence_of_nothing_is_0_but_for_the_coordinates():
    maps = evidence(jnp.zeros((2, 8, 8, 8, 1)), rings.ring_weights(8, rings.centre_axis(8)))
    np.testing.assert_array_equal(maps[..., :6], 0.0)
    assert np.all(np.isfinite(maps))


def test_evidence_about_an_axis_each():
    """A fragment moved by a voxel says the same about an axis that moved with it."""
    partial = (normal(1, 1, 16, 16, 16, 1) > 1.0).astype(jnp.float32)
    partial = partial.at[:, :5].set(0.0).at[:, 12:].set(0.0).at[:, :, 12:].set(0.0)
    both = jnp.concatenate([partial, jnp.roll(partial, (1, 2), (1, 2))])
    axes = jnp.asarray([[7.5, 7.5], [8.5, 9.5]])
    one, other = evidence(both, rings.ring_weights(16, axes))
    # All but the shares: near the cube's edge a ring has fewer voxels.
    np.testing.assert_allclose(one[..., [2, 3, 5]], other[..., [2, 3, 5]], atol=1e-5)
    np.testing.assert_allclose(one[:, :12], other[:, :12], atol=1e-5)


def test_parameter_count():
    assert parameter_count(ProfileNet(32, 256), maps_of(64, 72)) == 3_317_111
    assert parameter_count(ProfileNet(16, 256), maps_of(64, 72)) == 1_471_223
    # A code of 10 numbers makes the second dense layer of 256 wider.
    code = jax.ShapeDtypeStruct((1, 10), jnp.float32)
    assert parameter_count(ProfileNet(32, 256), maps_of(64, 72), code) == 3_317_111 + 10 * 256


def test_shape():
    net = ProfileNet(4, 8, jnp.bfloat16)
    make = functools.partial(net.init_with_output, jax.random.key(0))
    logits, _ = jax.eval_shape(make, jax.ShapeDtypeStruct((3, 32, 40, 8), jnp.float32))
    assert logits.shape == (3, 32, 40) and logits.dtype == jnp.float32


@pytest.mark.parametrize(("height", "num_rings"), [(60, 72), (64, 68)])
def test_sizes_that_are_no_multiples_of_8_are_refused(height, num_rings):
    with pytest.raises(ValueError, match=rf"multiples of 8: \({height}, {num_rings}\)"):
        parameter_count(ProfileNet(4, 8), maps_of(height, num_rings))


def test_at_first_little_is_clay_and_every_parameter_learns():
    net = ProfileNet(2, 4)
    maps, target = normal(2, 2, 16, 8, 8), normal(3, 2, 16, 8)
    variables: Any = jax.jit(net.init)(jax.random.key(0), maps)
    logits = jax.jit(net.apply)(variables, maps)
    assert -3 < float(jnp.mean(jnp.asarray(logits))) < -1
    grads = jax.jit(
        jax.grad(lambda v: jnp.square(jnp.asarray(net.apply(v, maps)) - target).mean())
    )(variables)
    largest = {
        jax.tree_util.keystr(path, simple=True, separator="/"): float(np.abs(leaf).max())
        for path, leaf in jax.tree_util.tree_leaves_with_path(grads["params"])
    }
    assert len(largest) == 60
    assert min(largest.values()) > 1e-7, min(largest, key=lambda name: largest[name])


def test_the_dense_code_joins_the_lowest_height_to_the_highest(monkeypatch):
    """64 heights are more than the convolutions reach over; the code is told of all."""
    with_fewer_levels(monkeypatch)
    net = ProfileNet(2, 8)
    maps = normal(4, 1, 64, 8, 8)
    changed = maps.at[:, 0].add(3.0)
    variables: Any = jax.jit(net.init)(jax.random.key(1), maps)
    run = jax.jit(net.apply)

    def difference(variables):
        return np.abs(np.asarray(run(variables, changed)) - np.asarray(run(variables, maps)))[0]

    assert difference(variables)[-1].max() > 1e-5
    params = variables["params"]
    cut = params | {"gather": jax.tree.map(jnp.zeros_like, params["gather"])}
    without = difference({"params": cut})
    assert without[-1].max() == 0.0 and without[0].max() > 0.01


def test_a_code_changes_the_answer(monkeypatch):
    with_fewer_levels(monkeypatch)
    net = ProfileNet(2, 8)
    maps, code = normal(5, 2, 16, 8, 8), normal(6, 2, 3)
    variables = jax.jit(net.init)(jax.random.key(2), maps, code)
    run = jax.jit(net.apply)
    one, other = (np.asarray(run(variables, maps, c)) for c in (code, code.at[1].add(1.0)))
    np.testing.assert_allclose(one[0], other[0], atol=1e-6)
    assert np.abs(one[1] - other[1]).max() > 1e-4
