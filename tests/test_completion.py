"""Completing: what is given stays, where it was, and the rest is the model's."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import smoke
from voxgan_jax import models
from voxgan_jax.data import folder, grid, vox
from voxgan_jax.inference import completer as model
from voxgan_jax.inference import predict as predictor
from voxgan_jax.inference.answer import GIVEN, INFERRED, Request, UnknownFragmentError
from voxgan_jax.models import weights
from voxgan_jax.report import meshes
from voxgan_jax.restore import files


def completer(answer, resolution=16, pool=1, placement="center"):
    """A completer that answers with the given grid."""
    volume = jnp.asarray(answer, jnp.float32)[None, ..., None]
    return model.Completer(lambda partial: volume, resolution, pool, placement, 0.5)


def sherd():
    labels = np.zeros((8, 6, 10), np.uint8)
    labels[2:4, 1:3, 5:9], labels[4, 1, 5] = 3, 4
    return labels


@pytest.mark.parametrize("placement", ["center", "corner"])
def test_given_voxels_keep_their_coordinates(placement):
    """The answer fills the pot's own box, so the file keeps its frame."""
    labels = sherd()
    region = grid.region(labels.shape, 16, placement=placement)
    answer = np.zeros((16, 16, 16))
    answer[region] = 0.9
    done = predictor.complete(completer(answer, placement=placement), labels, ids=[3])
    assert (done.shift, done.left_out) == ((0, 0, 0), 0)
    assert done.labels.shape == labels.shape
    np.testing.assert_array_equal(done.labels == GIVEN, labels == 3)
    np.testing.assert_array_equal(done.labels == INFERRED, labels != 3)
    np.testing.assert_allclose(done.probabilities, answer, rtol=1e-6)


def test_given_voxels_stay_though_the_model_denies_them():
    done = predictor.complete(completer(np.zeros((16, 16, 16))), sherd())
    np.testing.assert_array_equal(done.labels == GIVEN, sherd() > 0)
    assert not (done.labels == INFERRED).any()


def test_voxels_outside_the_box_are_counted_or_kept_in_the_cube(tmp_path):
    labels = sherd()
    answer = np.zeros((16, 16, 16))
    # The box of 8 × 6 × 10 stands at (4, 5, 3): two voxels lie outside it.
    answer[1, 5, 3] = answer[4, 12, 3] = answer[5, 6, 4] = 1.0
    done = predictor.complete(completer(answer), labels, join=False)
    assert (done.labels.shape, done.left_out, done.shift) == ((8, 6, 10), 2, (0, 0, 0))
    assert (done.labels == INFERRED).sum() == 1
    cube = predictor.complete(completer(answer), labels, whole_cube=True, join=False)
    assert cube.labels.shape == (16, 16, 16)
    assert (cube.labels == INFERRED).sum() == 3
    vox.write(tmp_path / "before.vox", (labels > 0).astype(np.uint8))
    vox.write(tmp_path / "after.vox", (cube.labels == GIVEN).astype(np.uint8))

    def file_coordinates(path):
        y, flipped_z, x = np.nonzero(grid_of := vox.read(path))
        return np.stack([x, y, grid_of.shape[1] - 1 - flipped_z], 1)

    moved = file_coordinates(tmp_path / "after.vox") - file_coordinates(tmp_path / "before.vox")
    assert np.unique(moved, axis=0).tolist() == [list(cube.shift)] == [[3, 4, 5]]


def test_pooled_model_adds_blocks_and_keeps_single_voxels():
    labels = np.zeros((16, 16, 16), np.uint8)
    labels[3, 3, 3] = 2
    answer = np.zeros((8, 8, 8))
    answer[4, 4, 4] = 0.8
    done = predictor.complete(completer(answer, resolution=8, pool=2), labels, join=False)
    assert (done.labels == GIVEN).sum() == 1
    assert done.labels[3, 3, 3] == GIVEN
    assert (done.labels[8:10, 8:10, 8:10] == INFERRED).all()
    assert (done.labels > 0).sum() == 9


def echo(resolution=16):
    """A completer whose answer is what it was given; it counts the rows of every call."""
    calls = []

    def predict(partial):
        calls.append(len(partial))
        return partial

    return model.Completer(predict, resolution, 1, "center", 0.5), calls


def test_a_batch_answers_each_pot_as_it_would_alone():
    model, calls = echo()
    thick = np.zeros((6, 6, 6), np.uint8)
    thick[1:5, 1:5, 1:5] = 2
    requests = [Request(sherd(), [3]), Request(thick)]
    together = predictor.complete_batch(model, requests, rows=5)
    alone = [predictor.complete(model, sherd(), ids=[3]), predictor.complete(model, thick)]
    assert calls == [5, 1, 1]
    for got, expected in zip(together, alone, strict=True):
        np.testing.assert_array_equal(got.labels, expected.labels)
        np.testing.assert_array_equal(got.probabilities, expected.probabilities)
    assert [(done.labels == GIVEN).sum() for done in together] == [16, 64]


def test_files_go_in_batches_and_a_bad_one_stops_no_other(tmp_path):
    model, calls = echo()
    names = [tmp_path / f"{letter}.vox" for letter in "abcde"]
    for path in names:
        vox.write(path, sherd())
    names[1].write_bytes(names[1].read_bytes()[:50])
    vox.write(names[3], np.ones((17, 4, 4), np.uint8))
    options = {"batch_size": 2, "ids": [4], "formats": meshes.FORMATS}
    done = list(files.complete_files(model, names, tmp_path / "out", **options))
    assert calls == [2, 2, 2]
    for n in (0, 2, 4):
        result = done[n]
        assert not isinstance(result, Exception)
        written, completion = result
        stem = f"{names[n].stem}_fragment4_completed"
        assert written.paths == [tmp_path / "out" / f"{stem}.{form}" for form in meshes.FORMATS]
        assert all(path.is_file() for path in written.paths)
        assert (completion.labels == GIVEN).sum() == 1
    assert isinstance(done[1], vox.VoxError) and "b.vox" in str(done[1])
    assert isinstance(done[3], ValueError) and "d.vox: no fragment 4" in str(done[3])


def test_any_number_of_rows_is_divided_among_devices(tmp_path):
    """On 1, 2 and 4 fake devices: equal answers, and each device computes its own rows."""
    code = """
import jax, jax.numpy as jnp
from voxgan_jax.inference import completer
seen = []
def apply(variables, partial):
    seen.append(partial.shape[0])
    return variables["scale"] * partial
for count in (1, 2, 4):
    predict = completer.divided(apply, {"scale": jnp.float32(3)}, jax.devices()[:count])
    for rows in (1, 3, 4):
        partial = jnp.arange(rows * 8, dtype=jnp.float32).reshape(rows, 2, 2, 2, 1)
        answer = predict(partial)
        assert answer.shape == partial.shape and (answer == 3 * partial).all()
        assert len(predict(jnp.zeros((count, 2, 2, 2, 1))).sharding.device_set) == count
print(seen)
"""
    flags = "--xla_force_host_platform_device_count=4"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-1000:]
    # Compiled once for each size: 1 (and 1, 3, 4), then 2 and 4, then 4 alone.
    assert done.stdout.strip() == "[1, 3, 4, 2, 4, 4]"


def turned(volume, symmetry):
    """`model.turn` by NumPy, for a volume (b, d, h, w, 1)."""
    volume = np.swapaxes(volume, 1, 2) if symmetry & 4 else volume
    return volume[:, :: -1 if symmetry & 1 else 1, :: -1 if symmetry & 2 else 1]


def test_turning_is_undone():
    volume = np.random.default_rng(0).random((2, 5, 5, 3, 1)).astype(np.float32)
    seen = set()
    for symmetry in range(8):
        out = model.turn(jnp.asarray(volume), jnp.int32(symmetry))
        np.testing.assert_array_equal(out, turned(volume, symmetry))
        np.testing.assert_array_equal(model.turn_back(out, jnp.int32(symmetry)), volume)
        seen.add(np.asarray(out).tobytes())
    assert len(seen) == 8


def test_the_average_is_the_mean_over_eight_symmetries_and_compiled_once():
    rng = np.random.default_rng(1)
    weight, partial = rng.random((1, 4, 4, 3, 1)), rng.random((3, 4, 4, 3, 1))
    weight, partial = weight.astype(np.float32), partial.astype(np.float32)
    traced = []

    def apply(variables, partial):
        traced.append(partial.shape[0])
        return variables * partial * partial

    devices = jax.local_devices()[:1]
    predict = completer.divided(apply, jnp.asarray(weight), devices, average=8)
    # Seen from the input, which is where it was in the end, the weight is turned back.
    mean = np.mean([turned(turned(weight, way & 3), way & 4) for way in range(8)], axis=0)
    np.testing.assert_allclose(predict(jnp.asarray(partial)), mean * partial**2, rtol=1e-5)
    assert traced == [3]
    single = model.divided(apply, jnp.asarray(weight), devices)
    np.testing.assert_allclose(single(jnp.asarray(partial)), weight * partial**2, rtol=1e-6)


def test_threshold():
    answer = np.full((16, 16, 16), 0.4)
    assert (predictor.complete(completer(answer), sherd()).labels == 2).sum() == 0
    assert (predictor.complete(completer(answer), sherd(), threshold=0.3).labels == 2).sum() > 0


def test_errors_name_the_file_and_what_it_has():
    blank = completer(np.zeros((16, 16, 16)))
    with pytest.raises(UnknownFragmentError, match=r"a\.vox: no fragment 7; it has 3, 4"):
        predictor.complete(blank, sherd(), ids=[3, 7], source="a.vox")
    with pytest.raises(ValueError, match=r"a\.vox: it holds no voxel"):
        predictor.complete(blank, np.zeros((4, 4, 4), np.uint8), source="a.vox")
    with pytest.raises(grid.FitError, match=r"a\.vox.*--pool 2"):
        predictor.complete(blank, np.ones((20, 4, 4), np.uint8), source="a.vox")


@pytest.fixture
def saved(small_config, tmp_path):
    generator = models.build_generator(small_config.generator)
    variables = jax.jit(
        lambda key: generator.init(key, jnp.zeros((1, 32, 32, 32, 1)), train=False)
    )(jax.random.key(0))
    weights.save(tmp_path / weights.RUN_FILE, variables, small_config)
    return generator, variables, tmp_path


def test_weights_round_trip_and_complete_a_file(saved, vox_dir):
    generator, variables, path = saved
    loaded, _ = weights.load(path / weights.RUN_FILE)
    jax.tree.map(np.testing.assert_array_equal, loaded, jax.device_get(variables))
    item = next(item for item in folder.scan(vox_dir) if item.split == "test")
    written, done = files.complete_file(
        model.load(workdir=path), item.path, path / "out", ids=[2], formats=["vox"], join=False
    )
    (target,) = written.paths
    assert target.name == f"{item.path.stem}_fragment2_completed.vox"
    labels = vox.read(item.path)
    placed = grid.place(labels, 32)
    partial = jnp.asarray(placed == 2, jnp.float32)[None, ..., None]
    expected = generator.apply(variables, partial, train=False)
    assert done.probabilities is not None
    np.testing.assert_allclose(done.probabilities, expected[0, ..., 0], atol=1e-5)
    scene = vox.read_scene(target)
    np.testing.assert_array_equal(scene.labels, done.labels)
    assert scene.palette is not None
    assert scene.palette[GIVEN].tolist() == list(meshes.COLOURS[GIVEN])
    assert scene.palette[INFERRED].tolist() == list(meshes.COLOURS[INFERRED])


def test_reduced_precision_is_near_and_other_dtypes_are_refused(saved):
    *_, path = saved
    partial = jnp.asarray(np.random.default_rng(0).random((1, 32, 32, 32, 1)) < 0.1, jnp.float32)
    exact, rough = (
        model.load(workdir=path, dtype=dtype).predict(partial) for dtype in (None, "bfloat16")
    )
    assert rough.dtype == jnp.float32
    assert 0 < np.abs(np.asarray(rough - exact)).max() < 0.02
    with pytest.raises(ValueError, match=r"unknown dtype 'float16'; known: float32, bfloat16"):
        model.load(workdir=path, dtype="float16")


def test_an_averaged_answer_turns_with_the_sherd(saved):
    *_, path = saved
    partial = (np.random.default_rng(0).random((2, 32, 32, 32, 1)) < 0.1).astype(np.float32)
    predict = model.load(workdir=path, average=8).predict
    straight = np.asarray(predict(jnp.asarray(partial)))
    once = np.asarray(model.load(workdir=path).predict(jnp.asarray(partial)))
    assert np.abs(straight - once).max() > 1e-4
    for symmetry in (1, 4):
        answer = predict(jnp.asarray(turned(partial, symmetry)))
        np.testing.assert_allclose(answer, turned(straight, symmetry), atol=1e-5)
    with pytest.raises(ValueError, match=r"average 3 \(config\.eval\.average\): choose 1 or 8"):
        model.load(workdir=path, average=3)


def test_weights_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such weights file"):
        weights.load(tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(weights.WeightsError, match=r"bad\.safetensors: not a safetensors file"):
        weights.load(tmp_path / "bad.safetensors")
    with pytest.raises(FileNotFoundError, match="train that run first"):
        model.load(workdir=tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda params: params.pop("enc2_norm"), "enc2_norm/bias has shape none there and"),
        (
            lambda params: params.update(enc1_conv={"kernel": np.zeros((4, 4, 4, 1, 3))}),
            "enc1_conv/bias has shape none there",
        ),
    ],
)
def test_weights_of_another_version_are_refused(tmp_path, change, said):
    config = smoke.get_config()
    config.generator.features = 4
    generator = models.build_generator(config.generator)
    example = jnp.zeros((1, 32, 32, 32, 1))
    made = jax.eval_shape(lambda: generator.init(jax.random.key(0), example, train=False))
    variables = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), made)
    weights.save(tmp_path / "new.safetensors", variables, config)
    model.load(weights_file=tmp_path / "new.safetensors")
    change(variables["params"])
    weights.save(tmp_path / "old.safetensors", variables, config)
    with pytest.raises(weights.WeightsError, match=said) as caught:
        model.load(weights_file=tmp_path / "old.safetensors")
    assert "old.safetensors" in str(caught.value) and "version" in str(caught.value)
