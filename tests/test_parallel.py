"""The step on one device and on several, under jit and pmap, in parts and repeated: same numbers.

Small networks stand in for the real ones, with their kinds of statistics, as compiling takes most
of the time. Run as a program, this file writes the numbers of every case on four CPU devices.
"""

import functools
import itertools
import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import on_cpu_devices
from flax import linen as nn
from known_objectives import with_fewer_levels

from configs import profile_flow, revolve, smoke, wgan
from voxgan_jax.data import fragments
from voxgan_jax.devices import parallel
from voxgan_jax.models.conv import conv_full
from voxgan_jax.models.layers import BatchNorm, SpectralConv
from voxgan_jax.training import build, loop, objectives
from voxgan_jax.training.state import Net

SIDE, ROWS = 4, 8


class Completer(nn.Module):
    """Two dense layers and, where wanted, batch norm between; smooth, so rounding stays small.

    Its grid is probabilities or logits.
    """

    axis_name: str | None = None
    hidden: int = 8
    normed: bool = True
    output: str = "probability"

    @nn.compact
    def __call__(self, partial, *, train: bool, complete=None, keys=None):
        x = nn.Dense(self.hidden, name="first")(partial.reshape(partial.shape[0], -1))
        if self.normed:
            x = BatchNorm(axis_name=self.axis_name, name="norm")(x, train=train)
        x = nn.Dense(partial[0].size, name="last")(nn.tanh(x))
        return (x if self.output == "logits" else nn.sigmoid(x)).reshape(partial.shape)


class Judge(nn.Module):
    """A spectrally normalised layer, batch norm, a dense layer."""

    axis_name: str | None = None
    normed: bool = True

    @nn.compact
    def __call__(self, grid, *, train: bool):
        if not self.normed:
            return nn.Dense(1, name="last")(nn.tanh(grid.reshape(grid.shape[0], -1)))[:, 0]
        x = SpectralConv(4, kernel_size=grid.shape[1], convolve=conv_full, name="conv")(
            grid, train=train
        )
        x = BatchNorm(axis_name=self.axis_name, name="norm")(x, train=train)
        return nn.Dense(1, name="last")(nn.tanh(x).reshape(grid.shape[0], -1))[:, 0]


def make(
    mode="jit",
    accumulate_steps=1,
    steps_per_dispatch=1,
    objective="gan",
    recon="bce",
    recon_weight=10.0,
    keep_crumbs=True,
    axis_name: str | None = parallel.DATA_AXIS,
    **options,
):
    """A config and small networks under SGD."""
    config = smoke.get_config()
    config.loss.recon, config.loss.recon_weight = recon, recon_weight
    config.fragments.keep_crumbs = keep_crumbs
    config.objective = objective
    config.data.resolution = SIDE
    config.train.batch_size = ROWS
    config.parallel.mode = mode
    config.train.accumulate_steps = accumulate_steps
    config.train.steps_per_dispatch = steps_per_dispatch
    sgd = optax.sgd(0.1)
    nets = {
        "generator": Net(
            Completer(axis_name, **options), sgd, options.get("output", "probability")
        ),
        "discriminator": Net(Judge(axis_name, options.get("normed", True)), sgd),
    }
    return config, objectives.build(config, nets, axis_name=axis_name)


def make_axis_aware(mode="jit"):
    """A small axis-aware generator that learns by regression, with noise for every row."""
    config = revolve.get_config()
    config.data.resolution, config.parallel.mode = 16, mode
    config.generator.features, config.generator.bottleneck = 2, 4
    config.loss.recon, config.loss.recon_weight = "bce_dice", 1.0
    nets = objectives.build(config).nets
    sgd = {name: net._replace(tx=optax.sgd(0.3)) for name, net in nets.items()}
    return config, objectives.build(config, sgd)


def make_flow(mode="jit"):
    """A small generator of half sections, which draws noise and times for every row."""
    config = profile_flow.get_config()
    config.data.resolution, config.parallel.mode = 16, mode
    # The other one looks for the axis.
    config.generator.axis, config.loss.axis_weight = "centre", 0.0
    config.generator.features = 4
    nets = objectives.build(config).nets
    sgd = {name: net._replace(tx=optax.sgd(0.03)) for name, net in nets.items()}
    return config, objectives.build(config, sgd)


def make_critic(mode="jit"):
    """A critic that is trained twice as often as its generator, which moves in the second step."""
    config = wgan.get_config()
    config.data.resolution, config.parallel.mode = SIDE, mode
    config.critic.steps = config.critic.first_steps = 2
    config.critic.clip = 0.3
    axis, sgd = parallel.DATA_AXIS, optax.sgd(0.1)
    nets = {"generator": Net(Completer(axis), sgd), "critic": Net(Judge(axis), sgd)}
    return config, objectives.build(config, nets)


def make_batch(rows=ROWS, side=SIDE):
    rng = np.random.default_rng(0)
    return {
        "labels": rng.integers(0, 4, (rows, side, side, side)).astype(np.uint8),
        "given": np.eye(256, dtype=bool)[rng.integers(2, 4, rows)],
    }


@functools.cache
def first_state(make, **options):
    config, objective = make(**options)
    return jax.jit(functools.partial(build.initial_state, config, objective))()


def start(mesh, make=make, **options):
    """The initial state on a mesh, to be given up."""
    copied = jax.tree.map(lambda leaf: leaf.copy(), first_state(make, **options))
    return jax.device_put(copied, parallel.replicated(mesh))


def draw_rows(item, rng, step):
    """A stand-in for the resident data: all samples moved on by one a step, with other fragments.

    Each device has its own rows of the item; the fragments are drawn for all rows.
    """
    axis = parallel.DATA_AXIS
    labels = jax.lax.all_gather(item["labels"], axis, tiled=True)
    counts = jax.vmap(lambda pot: jnp.bincount(pot.reshape(-1), length=256))(labels)
    noise = jax.random.uniform(jax.random.fold_in(rng, step), (ROWS, 256), jnp.float32)
    given: Any = fragments.choose(jnp.roll(counts, step, 0), noise)
    batch = {"labels": jnp.roll(labels, step, 0), "given": given}
    return {name: parallel.own_rows(rows, axis) for name, rows in batch.items()}


def run(devices, *, make=make, batch=make_batch, draw=None, dispatches=(None,) * 3, **options):
    """Three steps: parameters and statistics after them, the last scalars, some flags."""
    config, objective = make(**options)
    mesh = parallel.make_mesh(jax.devices()[:devices])
    step = loop.compile_step(config, objective, mesh, draw)
    first = state = start(mesh, make, **{k: v for k, v in options.items() if k == "normed"})
    item = jax.device_put(batch(), parallel.batch_sharding(mesh))
    scalars = {}
    for count in dispatches:
        state, scalars = step(state, item, *(() if count is None else (count,)))
    flags = {
        "old_params_deleted": all(
            leaf.is_deleted() for leaf in jax.tree.leaves(first.nets["generator"])
        ),
        "replicated": all(
            leaf.sharding.is_equivalent_to(parallel.replicated(mesh), leaf.ndim)
            for leaf in jax.tree.leaves((state, scalars))
        ),
        "step": int(state.step),
    }
    nets = {
        name: (net.params, net.batch_stats, net.spectral_stats) for name, net in state.nets.items()
    }
    averages = {"averages": state.ema_params} if state.ema_params else {}
    return {"flags": flags, "numbers": {"scalars": scalars} | nets | averages}


def axis_aware_batch():
    rng = np.random.default_rng(0)
    return {
        "labels": rng.choice(np.asarray([0, 0, 2, 3], np.uint8), (4, 16, 16, 16)),
        "given": np.eye(256, dtype=bool)[[2, 3, 3, 2]],
    }


def flow_batch():
    rng = np.random.default_rng(1)
    return axis_aware_batch() | {"profiles": rng.normal(size=(4, 32, 24)).astype(np.float16)}


OPTIONS: dict[str, dict[str, Any]] = {
    "whole": {},
    "axis-aware": {"make": make_axis_aware, "batch": axis_aware_batch},
    "flow": {"make": make_flow, "batch": flow_batch},
    "critic": {"make": make_critic},
    "in parts": {"accumulate_steps": 2},
    "drawn": {"draw": draw_rows},
    "repeated": {"draw": draw_rows, "steps_per_dispatch": 5, "dispatches": (1, 2)},
}
# The first of a kind is what the others must equal; "repeated" must equal "drawn". What holds on
# four devices is not asked of two, and of the two that draw noise each is divided in one way.
CASES = [
    ("whole", "jit", 1),
    ("whole", "jit", 4),
    ("whole", "pmap", 1),
    ("whole", "pmap", 4),
    ("in parts", "jit", 1),
    ("in parts", "jit", 4),
    ("in parts", "pmap", 4),
    ("drawn", "jit", 1),
    ("drawn", "jit", 4),
    ("drawn", "pmap", 2),
    ("repeated", "jit", 2),
    ("repeated", "pmap", 4),
    ("axis-aware", "jit", 1),
    ("axis-aware", "pmap", 2),
    ("flow", "jit", 1),
    ("flow", "jit", 2),
    ("critic", "jit", 1),
    ("critic", "jit", 2),
    ("critic", "pmap", 4),
]


MOVING = ("axis-aware", "flow")


def flat(tree):
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def main(path: str) -> None:
    assert len(jax.devices()) == 4
    with_fewer_levels(pytest.MonkeyPatch())
    found = {
        "-".join(map(str, case)): run(case[2], mode=case[1], **OPTIONS[case[0]]) for case in CASES
    }
    for what in (*MOVING, "critic"):
        params = first_state(OPTIONS[what]["make"]).nets["generator"].params
        found[f"{what}-first"] = {"numbers": {"generator": (params,)}}
    arrays: dict[str, Any] = flat(found)
    np.savez(path, **arrays)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, np.ndarray]]:
    """The numbers of every case, from one process with four devices."""
    path = tmp_path_factory.mktemp("parallel") / "numbers.npz"
    done = subprocess.run(
        [sys.executable, __file__, str(path)],
        env=on_cpu_devices(4),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, dict[str, np.ndarray]] = {}
    for key, value in np.load(path).items():
        name, _, leaf = key.partition("/")
        found.setdefault(name, {})[leaf] = value
    return found


def compare(got, want, rtol=1e-5):
    assert got.keys() == want.keys()
    for name, value in want.items():
        if name.startswith("numbers/"):
            np.testing.assert_allclose(got[name], value, rtol=rtol, atol=1e-6, err_msg=name)


@pytest.mark.parametrize(("what", "mode", "devices"), CASES)
def test_equal_to_one_device(results, what, mode, devices):
    got = results[f"{what}-{mode}-{devices}"]
    rtol = 1e-4 if what in ("axis-aware", "flow") else 1e-5
    compare(got, results[f"{'drawn' if what == 'repeated' else what}-jit-1"], rtol)
    flags = {key: value for key, value in got.items() if key.startswith("flags/")}
    assert flags == {"flags/old_params_deleted": True, "flags/replicated": True, "flags/step": 3}


def test_the_ways_to_run_are_not_all_the_same(results):
    """Batch norm sees micro-batches, and what is drawn on the devices is not the batch."""
    kernels = [
        results[f"{what}-jit-1"]["numbers/generator/0/first/kernel"]
        for what in ("whole", "in parts", "drawn")
    ]
    for one, other in itertools.pairwise(kernels):
        assert np.abs(one - other).max() > 1e-4


@pytest.mark.parametrize("what", MOVING)
def test_the_axis_aware_generators_move(results, what):
    """By more than what the comparison allows for."""
    moved, first = results[f"{what}-jit-1"], results[f"{what}-first"]
    assert max(np.abs(moved[key] - value).max() for key, value in first.items()) > 1e-2
    assert any(key.startswith("numbers/averages/") for key in moved)


def test_the_generator_of_a_critic_moves(results):
    moved, first = results["critic-jit-1"], results["critic-first"]
    assert max(np.abs(moved[key] - value).max() for key, value in first.items()) > 1e-3


def test_a_grid_of_logits_gives_the_step_of_one_of_probabilities():
    compare(flat(run(1, output="logits")), flat(run(1)))


def test_errors_name_the_field():
    mesh = parallel.make_mesh(jax.devices()[:1])
    config, objective = make(mode="shard")
    with pytest.raises(ValueError, match=r"config.parallel.mode 'shard'; known: jit, pmap"):
        loop.compile_step(config, objective, mesh)
    config, objective = make(steps_per_dispatch=2)
    with pytest.raises(ValueError, match=r"set config\.data\.source to 'resident'"):
        loop.compile_step(config, objective, mesh)
    config, objective = make(accumulate_steps=3)
    step = loop.compile_step(config, objective, mesh)
    abstract = jax.eval_shape(functools.partial(build.initial_state, config, objective))
    with pytest.raises(ValueError, match=r"8 rows a device .* nearest that do are 6 and 9"):
        step.lower(abstract, make_batch())


if __name__ == "__main__":
    main(sys.argv[1])
