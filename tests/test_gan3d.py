"""3D-GAN: its layers, pots from noise, and the pot from noise that holds a sherd."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import baseline, gan3d
from voxgan_jax import models
from voxgan_jax.training import objectives

SIDE = 16


@functools.cache
def small():
    """A model of 16³ and untrained variables, but with the statistics of batches: so a pot hangs on
    its code."""
    model = models.find("gan3d").Model(features=8, code_size=4, doublings=2)
    empty = jnp.zeros((32, SIDE, SIDE, SIDE, 1))
    variables = model.init(jax.random.key(0), empty, train=False)
    run = jax.jit(functools.partial(model.apply, train=True, mutable=["batch_stats"]))
    for n in range(30):
        keys = jax.random.split(jax.random.key(n), 32)
        variables |= run(variables, empty, keys=keys)[1]
    params = variables["params"]
    steep = {"kernel": 30 * params["final"]["kernel"], "bias": params["final"]["bias"]}
    return model, variables | {"params": params | {"final": steep}}


def test_the_published_layers():
    """Codes of 200; 512, 256, 128 and 64 channels; a discriminator that mirrors them."""
    objective = objectives.build(gan3d.get_config())
    with jax.numpy_dtype_promotion("standard"):
        state = jax.eval_shape(functools.partial(objective.init, jax.random.key(0)))
    channels = (512, 256, 128, 64, 1)
    weights = 64 * (200 * 512 + sum(a * b for a, b in itertools.pairwise(channels)))
    count = {name: sum(x.size for x in jax.tree.leaves(net.params)) for name, net in state.items()}
    assert count["generator"] == weights + sum(channels) + 2 * sum(channels[:4])
    judged = 64 * sum(
        a * b for a, b in zip((1, 64, 128, 256, 512), (64, 128, 256, 512, 1), strict=True)
    )
    assert count["discriminator"] == judged + 64 + 3 * (128 + 256 + 512) + 1


def test_the_first_grid_is_a_transposed_convolution_of_one_voxel():
    module = models.find("gan3d").Unfold(3)
    code = jnp.asarray([[0.5, 2.0]])
    variables = module.init(jax.random.key(1), code)
    grid = module.apply(variables, code)
    kernel, bias = (np.asarray(variables["params"][name]) for name in ("kernel", "bias"))
    np.testing.assert_allclose(
        grid[0], 0.5 * kernel[..., 0, :] + 2.0 * kernel[..., 1, :] + bias, rtol=1e-5
    )
    assert np.abs(kernel).max() <= (4**3 * 3) ** -0.5


def test_what_tells_codes_apart_is_not_drowned_by_what_they_share():
    """Of codes that were not centred, whose mean outweighs them, the ratio was 2.1."""
    model = models.find("gan3d").Model(features=64, doublings=2)
    empty = jnp.zeros((64, SIDE, SIDE, SIDE, 1))
    variables = model.init(jax.random.key(0), empty[:1], train=False)
    keys = jax.random.split(jax.random.key(1), 64)
    run = jax.jit(functools.partial(model.apply, train=True, mutable=["batch_stats"]))
    pots = np.asarray(run(variables, empty, keys=keys)[0])
    assert pots.mean(axis=0).std() < 1.5 * pots.std(axis=0).mean()


def test_pots_from_noise_hang_on_the_key_alone():
    model, variables = small()
    draw = jax.jit(functools.partial(models.sample, model, "probability"), static_argnums=2)
    one, again, other = (np.asarray(draw(variables, jax.random.key(k), 3)) for k in (0, 0, 1))
    assert one.shape == (3, SIDE, SIDE, SIDE, 1) and 0 <= one.min() <= one.max() <= 1
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 0.1 and np.abs(one[0] - one[1]).max() > 0.1
    codes = np.asarray(model.codes(jax.random.split(jax.random.key(0), 1000)))
    assert codes.min() >= 0 and codes.max() <= 1
    assert codes.mean() == pytest.approx(0.5, abs=0.02) and codes.var() == pytest.approx(
        1 / 12, 0.05
    )


def test_the_pot_that_holds_a_sherd_is_looked_for():
    """No code of 200 drawn ones gives the sherds' voxels as much as the one that is found."""
    model, variables = small()
    pot = np.asarray(models.sample(model, "probability", variables, jax.random.key(3), 2))
    given = (pot > np.quantile(pot, 0.8)) & (np.arange(SIDE) < 9)[None, :, None, None, None]
    partial = jnp.asarray(given, jnp.float32)
    codes = jax.jit(model.nearest)(variables, partial, jax.random.key(0))
    assert 0 <= float(codes.min()) <= float(codes.max()) <= 1

    def likely(pots):
        return np.array([np.log(p[g]).mean() for p, g in zip(pots, given, strict=True)])

    found = np.asarray(model.pots(variables, codes))
    drawn = np.asarray(models.sample(model, "probability", variables, jax.random.key(8), 200))
    best = np.max([likely(drawn[n : n + 2]) for n in range(0, 200, 2)], axis=0)
    assert (likely(found) > best).all()
    complete = jax.jit(functools.partial(models.complete, model, "probability"))
    np.testing.assert_allclose(complete(variables, partial), np.maximum(found, given), atol=1e-4)


def test_other_cubes_and_other_models_are_refused():
    model, variables = small()
    with pytest.raises(ValueError, match="4 for 64³, 3 for 32³"):
        model.apply(variables, jnp.zeros((1, 32, 32, 32, 1)), train=False)
    other = models.build(baseline.get_config().generator)
    with pytest.raises(ValueError, match="kind=gan3d"):
        models.sample(other, "probability", {}, jax.random.key(0), 1)
