"""Bricks of cubes: cut, chosen, with halos, put back; and the model that refines them."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import bricks128
from voxgan_jax import models
from voxgan_jax.geometry import bricks
from voxgan_jax.models import bricks as model_of_bricks
from voxgan_jax.models import unet
from voxgan_jax.models.conv import conv_k3s1
from voxgan_jax.models.rearrange import depth_to_space, space_to_depth
from voxgan_jax.training import build, objectives


def cubes(channels=2, side=24):
    return jax.random.normal(jax.random.key(0), (2, side, side, side, channels))


def test_cut_and_joined_it_is_the_same():
    grid = cubes()
    parts = bricks.cut(grid)
    assert parts.shape == (2, 27, 8, 8, 8, 2)
    np.testing.assert_array_equal(parts[:, 9 + 2], grid[:, 8:16, :8, 16:])
    np.testing.assert_array_equal(bricks.join(parts), grid)
    cells = space_to_depth(parts.reshape(-1, 8, 8, 8, 2))
    assert cells.shape == (2 * 27, 4, 4, 4, 16)
    np.testing.assert_array_equal(cells[3::27, 1, 2, 3, -2:], parts[:, 3, 3, 5, 7])
    np.testing.assert_array_equal(depth_to_space(cells).reshape(parts.shape), parts)


def test_where_all_bricks_are_kept_a_convolution_is_that_of_the_whole_cube():
    grid = cubes()
    chosen = bricks.choose(jax.random.uniform(jax.random.key(1), (2, 27)), 27)
    around = bricks.with_halo(bricks.take(grid, chosen), chosen)
    kernel = jax.random.normal(jax.random.key(2), (3, 3, 3, 2, 3))
    each = conv_k3s1(around.reshape(-1, 10, 10, 10, 2), kernel)[:, 1:-1, 1:-1, 1:-1]
    found = bricks.put(jnp.zeros((*grid.shape[:4], 3)), each.reshape(2, 27, 8, 8, 8, 3), chosen)
    np.testing.assert_allclose(found, conv_k3s1(grid, kernel), atol=1e-4)


def test_the_best_bricks_are_kept_and_only_they_change():
    score = jnp.arange(54.0).reshape(2, 27).at[0, 3].set(99.0)
    chosen = bricks.choose(score, 3)
    assert sorted(np.asarray(chosen.places[0])) == [3, 25, 26]
    assert sorted(np.asarray(chosen.places[1])) == [24, 25, 26]
    # The second cube's last three lie in a row along w, the first's only in part.
    order = {int(place): n for n, place in enumerate(np.asarray(chosen.places[1]))}
    before, after = np.asarray(chosen.beside[1])[:, 4], np.asarray(chosen.beside[1])[:, 5]
    assert before[order[25]] == order[24] and after[order[25]] == order[26]
    assert before[order[24]] == 3 and after[order[26]] == 3
    grid = cubes()
    ones = jnp.ones((2, 3, 8, 8, 8, 2))
    moved = bricks.cut(bricks.put(grid, ones, chosen) - grid)
    changed = np.asarray(jnp.abs(moved).max(axis=(2, 3, 4, 5)) > 0.5)
    assert [set(np.flatnonzero(row)) for row in changed] == [{3, 25, 26}, {24, 25, 26}]
    # Beyond the kept ones there is nothing.
    around = np.asarray(bricks.with_halo(bricks.take(grid, chosen), chosen))
    alone = list(np.asarray(chosen.places[0])).index(3)
    assert not around[0, alone, 0].any() and not around[0, alone, :, :, -1].any()


@functools.cache
def small():
    model = model_of_bricks.Model(unet.Model(features=1), count=6, brick_features=3)
    partial = jnp.zeros((1, 32, 32, 32, 1)).at[0, 4:20, 4:20, 4:8].set(1.0)
    return (
        model,
        jax.jit(functools.partial(model.init, train=False))(jax.random.key(0), partial),
        partial,
    )


def test_at_first_it_is_the_coarse_answer_and_then_bricks_are_corrected():
    model, variables, partial = small()
    run = jax.jit(functools.partial(model.apply, train=False, mutable=["outputs"]))
    grid, left = run(variables, partial)
    complete = functools.partial(unet.Model(features=1).apply, train=False)
    inside = {name: tree["coarse"] for name, tree in variables.items()}
    half = jax.jit(complete)(inside, bricks.halved(partial))
    coarse = bricks.doubled(jnp.log(half) - jnp.log1p(-half))
    np.testing.assert_allclose(grid, np.where(partial > 0, grid, coarse), atol=1e-4)
    assert float(jnp.where(partial > 0, grid, 9.3).min()) > 9.2
    assert 0 <= float(left["outputs"]["overflow"][0]) < 1
    params = variables["params"]
    bias = {"kernel": params["correction"]["kernel"], "bias": jnp.ones(8)}
    moved, _ = run(variables | {"params": params | {"correction": bias}}, partial)
    changed = bricks.cut(moved - grid)[0]
    assert int((jnp.abs(changed).max(axis=(1, 2, 3, 4)) > 0.5).sum()) == 6
    with pytest.raises(ValueError, match="multiples of 32"):
        model.apply(variables, jnp.zeros((1, 48, 48, 48, 1)), train=False)


def test_a_coarse_answer_that_is_sure_of_nothing_can_still_learn():
    """Probabilities that were cut off below had no slope: such a run never came back."""
    model, variables, partial = small()
    final = variables["params"]["coarse"]["final_conv"]
    empty = final | {"bias": jnp.full_like(final["bias"], -12.0)}
    coarse = variables["params"]["coarse"] | {"final_conv": empty}

    def voids(coarse):
        params = variables["params"] | {"coarse": coarse}
        answer: Any = model.apply(variables | {"params": params}, partial, train=False)
        return -answer.mean()

    slope = jax.jit(jax.grad(voids))(coarse)["final_conv"]["bias"]
    assert float(jnp.abs(slope).max()) > 0.01


def test_a_thin_sherd_stays_and_surfaces_are_where_answers_change():
    thin = jnp.zeros((1, 8, 8, 8, 1)).at[0, 3].set(1.0)
    assert float(bricks.halved(thin).sum()) == 16
    near = model_of_bricks.near_surface(
        jnp.where(jnp.arange(8)[None, :, None, None, None] < 4, 0.99, 0.01)
    )
    np.testing.assert_allclose(
        near[0, :, 0, 0, 0], [0.0396, 0.0396, 0.0396, 1, 1, 0.0396, 0.0396, 0.0396], rtol=0.01
    )


def test_bricks_alone_are_trained_beside_a_coarse_answer_that_stays():
    model, variables, partial = small()
    alone = model.clone(only_bricks=True)
    begun = variables["params"]
    kernel = jnp.full_like(begun["correction"]["kernel"], 0.1)
    params = begun | {"correction": begun["correction"] | {"kernel": kernel}}

    def loss(params, model):
        run = functools.partial(model.apply, train=True, mutable=["batch_stats"])
        answer, left = run(variables | {"params": params}, partial)
        return jnp.square(answer).sum(), left["batch_stats"]

    slopes = jax.jit(jax.grad(loss, has_aux=True), static_argnums=1)
    slope, stats = slopes(params, alone)
    assert not any(leaf.any() for leaf in jax.tree.leaves(slope["coarse"]))
    assert float(jnp.abs(slope["brick0"]["kernel"]).max()) > 1e-4
    jax.tree.map(np.testing.assert_array_equal, stats, variables["batch_stats"])
    slope, stats = slopes(params, model)
    assert float(jnp.abs(slope["coarse"]["final_conv"]["bias"]).max()) > 1e-4
    moved = jax.tree.map(lambda a, b: jnp.abs(a - b).max(), stats, variables["batch_stats"])
    assert float(max(jax.tree.leaves(moved))) > 1e-4


def test_any_completer_may_answer_first_and_where_it_stays_nothing_is_drawn():
    config = bricks128.get_config()
    named = {"coarse": "revolve", "features": 2, "bottleneck": 3, "bricks": 4, "axis": "found"}
    config.generator.update(named | {"only_bricks": True, "axis_within": 1.0})
    model: Any = models.build(config.generator)
    _, _, partial = small()
    variables = jax.jit(functools.partial(model.init, train=False))(jax.random.key(0), partial)
    run = jax.jit(functools.partial(model.apply, train=True, mutable=["outputs"]))
    grid, _ = run(variables, partial, keys=jax.random.split(jax.random.key(1), 1))
    alone = {"params": variables["params"]["coarse"]}
    half = jax.jit(functools.partial(model.coarse.apply, train=False))(
        alone, bricks.halved(partial)
    )
    half = 1e-4 + (1 - 2e-4) * half
    want = bricks.doubled(jnp.log(half) - jnp.log1p(-half))
    np.testing.assert_allclose(grid, np.where(partial > 0, grid, want), atol=1e-3)
    with pytest.raises(ValueError, match=r"only_bricks needs config\.train\.init_weights"):
        build.initial_state(config, objectives.build(config, axis_name=None))
