"""Wasserstein critics: when the generator's turn is, bounds, slopes; and the hinge loss."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import test_parallel
from flax import linen as nn

from configs import hinge, wgan, wgan_gp
from voxgan_jax.models import discriminator
from voxgan_jax.training import build, losses, objectives
from voxgan_jax.training.objectives import wgan as steps


def turns_as_published(count, often, slow):
    """The loop of the published code: for each update of the generator so many of the critic."""
    turns, done = [], 0
    while len(turns) < count:
        critics = slow if done < 25 or done % 500 == 0 else often
        turns += [False] * (critics - 1) + [True]
        done += 1
    return turns[:count]


@pytest.mark.parametrize(("often", "slow"), [(5, 100), (5, 5), (1, 3), (2, 1)])
def test_the_generators_turns_are_those_of_the_published_loop(often, slow):
    count = 25 * slow + 2 * 500 * often + 2 * slow + 7
    found = jax.vmap(lambda step: steps.is_due(step, often, slow))(jnp.arange(count))
    assert np.asarray(found).tolist() == turns_as_published(count, often, slow)


def small(config, turns=2):
    """The objective of a config with the small networks of test_parallel."""
    config.data.resolution, config.train.batch_size = test_parallel.SIDE, test_parallel.ROWS
    config.critic.steps = config.critic.first_steps = turns
    made = objectives.build(config, axis_name=None)
    networks = {
        "generator": test_parallel.Completer(),
        "critic": test_parallel.Judge(normed=config.discriminator.norm == "batch"),
    }
    nets = {name: net._replace(module=networks[name]) for name, net in made.nets.items()}
    return objectives.build(config, nets, axis_name=None)


@pytest.fixture(scope="module")
def batch():
    labels = np.random.default_rng(0).integers(0, 3, (8, *[test_parallel.SIDE] * 3))
    given = np.zeros((8, 256), bool)
    given[:, 2] = True
    return {"labels": labels.astype(np.uint8), "given": given}


def start(config, objective):
    return jax.jit(functools.partial(build.initial_state, config, objective))()


@pytest.mark.usefixtures("loose_promotion")
@pytest.mark.parametrize("clipped", [True, False], ids=["clipped", "penalised"])
def test_the_generator_moves_where_its_turn_has_come_and_the_critic_always(batch, clipped):
    config = (wgan if clipped else wgan_gp).get_config()
    config.optim.generator_learning_rate = config.optim.critic_learning_rate = 1e-3
    objective = small(config)
    state, step = start(config, objective), jax.jit(objective.step)

    def moved(before, after, name):
        kept = jax.tree.map(
            lambda one, other: bool((one == other).all()),
            *(state.nets[name].params for state in (before, after)),
        )
        return not all(jax.tree.leaves(kept))

    for due in (False, True, False, True):
        after, scalars = step(state, batch)
        assert moved(state, after, "critic") and moved(state, after, "generator") == due
        adversarial = config.loss.adversarial_weight * scalars["adversarial_loss"]
        paid = adversarial + 100 * scalars["recon_loss"]
        np.testing.assert_allclose(scalars["g_loss"], paid, rtol=1e-5)
        distance = -scalars["c_loss"]
        if clipped:
            assert "penalty" not in scalars
        else:
            distance += 10 * scalars["penalty"]
        np.testing.assert_allclose(scalars["wasserstein"], distance, rtol=1e-5, atol=1e-6)
        state = after
    bounds = [float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(state.nets["critic"].params)]
    assert (max(bounds) <= 0.01) == clipped


@pytest.mark.usefixtures("loose_promotion")
def test_the_critic_learns_to_tell_pots_apart(batch):
    """Its estimate grows while the generator stands still."""
    config = wgan_gp.get_config()
    config.optim.critic_learning_rate = 3e-3
    objective = small(config, turns=10**6)
    state, step, found = start(config, objective), jax.jit(objective.step), []
    for _ in range(60):
        state, scalars = step(state, batch)
        found.append({name: float(scalars[name]) for name in ("wasserstein", "penalty")})
    assert found[-1]["wasserstein"] > found[0]["wasserstein"] + 0.5
    assert found[-1]["penalty"] < 1.0


class Linear(nn.Module):
    """Its slope is the length of its weights, wherever."""

    @nn.compact
    def __call__(self, grid, *, train):
        return nn.Dense(1, name="last")(grid.reshape(len(grid), -1))[:, 0]


def test_the_penalty_is_on_the_slope_over_all_voxels():
    rng = np.random.default_rng(1)
    kernel = rng.normal(size=(64, 1)).astype(np.float32)
    variables = {"params": {"last": {"kernel": kernel, "bias": np.zeros(1, np.float32)}}}
    between = jnp.asarray(rng.random((3, 4, 4, 4, 1)), jnp.float32)
    found = steps.slope_penalty(Linear(), variables, between)
    np.testing.assert_allclose(found, (np.linalg.norm(kernel) - 1) ** 2, rtol=1e-5)
    flat = {"params": jax.tree.map(jnp.zeros_like, variables["params"])}
    slopes = jax.grad(lambda params: steps.slope_penalty(Linear(), params, between).sum())(flat)
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(slopes))


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("critic.clip", 0.0, "grow for ever"),
        ("critic.penalty", 10.0, "norm=none"),
        ("train.accumulate_steps", 2, "micro-batches"),
        ("loss.adversarial", "hing", "known: bce, hinge"),
        ("discriminator.norm", "layer", "known: batch, none"),
        ("optim.kind", "sgd", "known are adam"),
        ("optim.weight_decay", 0.1, "without weight_decay"),
    ],
)
def test_what_does_not_go_together_is_said(field, value, said):
    config = wgan.get_config()
    config.discriminator.norm = "batch"
    config.update_from_flattened_dict({field: value})
    with pytest.raises(ValueError, match=said):
        objectives.build(config)


def test_hinge_by_hand():
    real, fake = jnp.asarray([2.0, -0.5]), jnp.asarray([-3.0, 0.25])
    adversary = losses.ADVERSARIES[hinge.get_config().loss.adversarial]
    np.testing.assert_allclose(adversary.judge(real, fake, real), [0.0, 1.5 + 1.25])
    np.testing.assert_allclose(adversary.fool(fake), [3.0, -0.25])


@pytest.mark.usefixtures("loose_promotion")
@pytest.mark.parametrize(("limit", "taught"), [(1.0, True), (0.0, False)])
def test_a_discriminator_that_is_too_good_is_held_back(batch, limit, taught):
    config = hinge.get_config()
    config.discriminator.accuracy_limit = limit
    config.data.resolution = test_parallel.SIDE
    made = objectives.build(config, axis_name=None)
    networks = {"generator": test_parallel.Completer(), "discriminator": test_parallel.Judge()}
    nets = {name: net._replace(module=networks[name]) for name, net in made.nets.items()}
    objective = objectives.build(config, nets, axis_name=None)
    state = start(config, objective)
    after, scalars = jax.jit(objective.step)(state, batch)
    assert 0.0 < float(scalars["d_accuracy"]) <= 1.0
    one, other = (made.nets["discriminator"].params["last"]["kernel"] for made in (state, after))
    assert bool((one != other).any()) == taught
    assert int(after.nets["discriminator"].opt_state[0].count) == int(taught)


def test_without_batch_norm_a_score_hangs_on_its_own_pot_alone():
    critic = discriminator.from_config(wgan_gp.get_config().discriminator).clone(features=2)
    pots = jax.random.uniform(jax.random.key(0), (3, 16, 16, 16, 1))
    variables = critic.init(jax.random.key(1), pots, train=True)
    assert set(variables) == {"params"}
    all_three, first = (
        np.asarray(critic.apply(variables, x, train=True)) for x in (pots, pots[:1])
    )
    np.testing.assert_allclose(all_three[:1], first, rtol=1e-5)
    assert len(set(all_three.tolist())) == 3
