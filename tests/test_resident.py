"""A resident split: each pot once an epoch, the same batches on any devices, without TensorFlow."""

import collections
import functools
import json
import os
import subprocess
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import ROOT

from voxgan_jax.data import cache, fragments, resident, source
from voxgan_jax.devices import parallel

ONE = parallel.make_mesh(jax.devices()[:1])


def drawn(item, steps, **options):
    """The batches of these steps on one device."""
    rows, whole = jax.P(parallel.DATA_AXIS), jax.P()
    draw = functools.partial(resident.draw, **options)
    run = jax.jit(jax.shard_map(draw, mesh=ONE, in_specs=(rows, whole, whole), out_specs=rows))
    return [jax.device_get(run(item, jax.random.key(5), jnp.int32(step))) for step in steps]


def fake_item(num_pots, counts=None):
    """Grids of one cell that tell their pot's number."""
    labels = np.arange(num_pots, dtype=np.uint8).reshape(-1, 1, 1, 1)
    if counts is None:
        counts = np.tile(np.eye(256, dtype=np.int32)[2], (num_pots, 1))
    return {"labels": jnp.asarray(labels), "counts": jnp.asarray(counts)}


@pytest.mark.parametrize(("num_pots", "batch_size"), [(18, 4), (16, 4), (7, 5), (3, 8), (1, 2)])
def test_every_pot_once_an_epoch_and_no_short_batch(num_pots, batch_size):
    steps = range(-(-4 * num_pots // batch_size))
    batches = drawn(fake_item(num_pots), steps, num_pots=num_pots, batch_size=batch_size)
    assert {len(batch["labels"]) for batch in batches} == {batch_size}
    stream = np.concatenate([batch["labels"].ravel() for batch in batches])
    epochs = [
        stream[start : start + num_pots].tolist() for start in range(0, 4 * num_pots, num_pots)
    ]
    assert all(sorted(epoch) == list(range(num_pots)) for epoch in epochs)
    if num_pots > 3:
        assert len({tuple(epoch) for epoch in epochs}) == 4


def test_any_step_can_be_drawn_alone():
    options = {"num_pots": 18, "batch_size": 4}
    whole = drawn(fake_item(18), range(12), **options)
    for step in (11, 4, 9, 5):
        (again,) = drawn(fake_item(18), [step], **options)
        np.testing.assert_array_equal(again["labels"], whole[step]["labels"])
        np.testing.assert_array_equal(again["given"], whole[step]["given"])


def test_the_order_far_into_a_run():
    # The last step of 100 epochs of the whole train split, and one beyond 2^24.
    for step in (17_599, 30_000_000):
        index = np.asarray(resident.sample_indices(jax.random.key(0), jnp.int32(step), 64, 11_264))
        assert index.min() >= 0 and index.max() < 11_264 and len(set(index.tolist())) == 64


FRACTURES = np.zeros((3, 256), np.int32)
FRACTURES[0, [1, 2, 3, 4]] = 50, 100, 200, 300
FRACTURES[1, 2:12] = 10 * np.arange(1, 11)
FRACTURES[2, [5, 9]] = 400, 20


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"k": 2},
        {"mode": "all_but_k", "k": 1},
        {"min_share": 0.1, "max_share": 0.4},
    ],
    ids=str,
)
def test_fragments_are_drawn_as_on_the_host(options):
    choose = functools.partial(fragments.choose, **options)
    repeats = 2000
    (batch,) = drawn(
        fake_item(3, FRACTURES), [0], num_pots=3, batch_size=3 * repeats, choose=choose
    )
    pot = batch["labels"].ravel()
    assert np.bincount(pot).tolist() == [repeats] * 3
    noise = np.random.default_rng(0).random((3 * repeats, 256), dtype=np.float32)
    expected = np.asarray(choose(FRACTURES[pot], noise))
    chi_square, cells = 0.0, 0
    for number in range(3):
        # How often each set of fragments was given: its members are not independent.
        ours, theirs = (
            collections.Counter(row.tobytes() for row in given[pot == number])
            for given in (batch["given"], expected)
        )
        assert ours.keys() == theirs.keys()
        chi_square += sum((ours[g] - theirs[g]) ** 2 / (ours[g] + theirs[g]) for g in ours)
        cells += len(ours) - 1
    # Two samples of equal size; mean `cells`, variance 2 * cells: four deviations.
    assert chi_square <= cells + 4 * (2 * cells) ** 0.5


@pytest.fixture
def config(resident_config):
    resident_config.data.resolution, resident_config.data.pool = 32, 1
    return resident_config


def test_a_feed_holds_the_split_and_draws_its_batches(config, vox_dir):
    config.data.train_split = "train+validation"
    opened = resident.open_feed(config, ONE)
    assert tuple(opened.plan) == (5, 18)
    pots = list(source.open_split(vox_dir, "train+validation", resolution=32).pots)
    item = next(opened.items(7))
    assert next(opened.items(0)) is item
    np.testing.assert_array_equal(item["labels"], np.stack([pot.labels for pot in pots]))
    counts = np.stack([fragments.voxel_counts(pot.labels) for pot in pots])
    np.testing.assert_array_equal(item["counts"][:, 1:], counts[:, 1:])
    rows = jax.P(parallel.DATA_AXIS)
    assert opened.draw is not None
    run = jax.shard_map(opened.draw, mesh=ONE, in_specs=(rows, jax.P(), jax.P()), out_specs=rows)
    batch = jax.device_get(jax.jit(run)(item, jax.random.key(0), jnp.int32(0)))
    assert batch["given"].sum(axis=1).tolist() == [1] * 4
    known = {pot.labels.tobytes(): pot for pot in pots}
    for labels, given in zip(batch["labels"], batch["given"], strict=True):
        assert int(given.argmax()) in fragments.fragment_ids(known[labels.tobytes()].labels)


def test_the_fingerprint_tells_other_data_but_not_other_storage(config, vox_dir, tmp_path):
    opened = resident.open_feed(config, ONE)
    assert opened.fingerprint.startswith("train:16:")
    cache.write(tmp_path / "pots.npz", vox_dir, resolution=32)
    config.data.dir = str(tmp_path / "pots.npz")
    assert resident.open_feed(config, ONE).fingerprint == opened.fingerprint
    config.data.train_split = "train+validation"
    assert resident.open_feed(config, ONE).fingerprint.split(":")[2] != opened.fingerprint[9:]
    counts = next(opened.items(0))["counts"]
    first = resident._checksum(counts)
    assert resident._checksum(counts[::-1]) != first
    assert resident._checksum(jnp.pad(counts, ((0, 4), (0, 0)))) == first


def test_what_does_not_suit_is_refused(config, tmp_path):
    config.train.batch_size = 6
    config.train.accumulate_steps = 4
    with pytest.raises(ValueError, match="nearest that do are 4 and 8"):
        resident.open_feed(config, ONE)
    config.train.batch_size, config.train.accumulate_steps = 4, 1
    config.data.train_split = "tset"
    with pytest.raises(ValueError, match="no split named 'tset', only test, train, validation"):
        resident.open_feed(config, ONE)
    config.data.dir = str(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no \.vox file below it"):
        resident.open_feed(config, ONE)


def test_a_split_that_does_not_fit_says_so():
    device = types.SimpleNamespace(
        memory_stats=lambda: {"bytes_limit": 2_000_000_000, "bytes_in_use": 500_000_000}
    )
    resident.require_room(5_000, 64, [device])
    with pytest.raises(ValueError, match=r"takes 2\.96 GB, .* has 1\.50 GB left; use more devices"):
        resident.require_room(11_264, 64, [device])
    device.memory_stats = lambda: None  # a CPU
    resident.require_room(10**9, 64, [device, *jax.devices()])


def test_a_pot_without_voxels_is_named(vox_dir):
    pots = list(source.open_split(vox_dir, "test", resolution=32).pots)
    pots[3] = pots[3]._replace(labels=np.zeros((32, 32, 32), np.uint8))
    with pytest.raises(ValueError, match=rf"{pots[3].name}: it holds no voxel"):
        resident.load(lambda rows: iter(pots[rows]), 6, 32, ONE)


BLOCKED = """
import json, sys
for name in ("tensorflow", "tensorflow_datasets", "pyvox", "clu"):
    sys.modules[name] = None  # an import of it fails from here on
import in_process
from conftest import sharing_objectives
with sharing_objectives():
    print(json.dumps([in_process.run(*command) for command in json.loads(sys.argv[1])]))
"""


def test_training_and_scoring_without_tensorflow_and_pyvox(vox_dir, tmp_path):
    cache.write(tmp_path / "pots.npz", vox_dir, resolution=16, pool=2)
    run, out = tmp_path / "run", tmp_path / "scores"
    train = ["scripts/train.py", f"--config={ROOT}/configs/smoke.py", f"--workdir={run}"]
    train += ["--config.data.source=resident", "--config.data.resolution=16"]
    train += ["--config.data.pool=2", "--config.data.augment=True"]
    train += ["--config.generator.kind=tiny"]
    train += ["--config.train.batch_size=4", "--config.eval.batch_size=4"]
    train += ["--config.train.log_every_steps=1"]
    commands = [
        [*train, f"--config.data.dir={vox_dir}", "--config.train.num_train_steps=2"],
        # The cache file holds the same pots in the same order, so the run goes on from it.
        [*train, f"--config.data.dir={tmp_path}/pots.npz", "--config.train.num_train_steps=4"],
        [
            *("scripts/evaluate.py", "--data_dir", f"{tmp_path}/pots.npz", "--split", "test"),
            *("--out", str(out), "--workdir", str(run), "--num_examples", "0"),
        ],
    ]
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, json.dumps(commands)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT / "tests",
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    ended = json.loads(done.stdout)
    assert [code for code, *_ in ended] == [0, 0, 0], ended
    from_folder, from_cache, scored = (said + complained for _, said, complained in ended)
    assert "eval_iou" in from_folder and "16 pots of train on 1 device(s)" in from_folder
    assert "Resuming from step 2" in from_cache and "[4]" in from_cache
    assert "IoU" in scored and (out / "metrics.json").is_file()
