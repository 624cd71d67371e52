"""A trained generator ready for use: its average, its weights."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_symmetry import turned

from configs import smoke
from voxgan_jax import models
from voxgan_jax.data import folder, grid, vox
from voxgan_jax.inference import completer as model
from voxgan_jax.inference.answer import GIVEN, INFERRED
from voxgan_jax.models import weights
from voxgan_jax.report import meshes
from voxgan_jax.restore import batch


def test_the_average_is_the_mean_over_eight_symmetries_and_compiled_once():
    rng = np.random.default_rng(1)
    weight, partial = rng.random((1, 4, 4, 3, 1)), rng.random((3, 4, 4, 3, 1))
    weight, partial = weight.astype(np.float32), partial.astype(np.float32)
    traced = []

    def apply(variables, partial):
        traced.append(partial.shape[0])
        return variables * partial * partial

    devices = jax.local_devices()[:1]
    predict = model.divided(apply, jnp.asarray(weight), devices, average=8)
    # Seen from the input, which is where it was in the end, the weight is turned back.
    mean = np.mean([turned(turned(weight, way & 3), way & 4) for way in range(8)], axis=0)
    np.testing.assert_allclose(predict(jnp.asarray(partial)), mean * partial**2, rtol=1e-5)
    assert traced == [3]
    single = model.divided(apply, jnp.asarray(weight), devices)
    np.testing.assert_allclose(single(jnp.asarray(partial)), weight * partial**2, rtol=1e-6)


@pytest.fixture
def saved(small_config, tmp_path):
    small_config.data.resolution, small_config.data.pool = 32, 1
    generator = models.build(small_config.generator)
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
    # All that is above 0 is one piece, so none is joined.
    options = {"ids": [2], "formats": ["vox"], "threshold": 0.0}
    made = model.load(workdir=path)
    ((_, result),) = batch.complete_files(made, [item.path], path / "out", **options)
    assert isinstance(result, batch.Result)
    (target,), done = result.written.paths, result.completion
    assert target.name == f"{item.path.stem}_fragment2_completed.vox"
    labels = vox.read(item.path)
    placed = grid.place(labels, 32)
    partial = jnp.asarray(placed == 2, jnp.float32)[None, ..., None]
    apply = jax.jit(functools.partial(generator.apply, train=False))
    expected = np.asarray(apply(variables, partial))
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
    with pytest.raises(ValueError, match="average 3: choose 1 or 8"):
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
            lambda params: params.update(
                enc1_conv={"kernel": np.zeros((4, 4, 4, 1, 3), np.float32)}
            ),
            "enc1_conv/bias has shape none there",
        ),
    ],
)
def test_weights_of_another_version_are_refused(tmp_path, change, said):
    config = smoke.get_config()
    config.generator.features = 4
    generator = models.build(config.generator)
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
