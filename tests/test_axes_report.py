"""What an axis is worth, on pots whose axis is known."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known_objectives import with_fewer_levels

from scripts import axis_report
from scripts.lib import axes
from voxgan_jax.evaluation.protocol import Sample
from voxgan_jax.models import revolve

SIDE = 32


def wall(middle):
    """A pot that widens upwards, about an axis between the voxels."""
    d, h, w = np.indices((SIDE,) * 3)
    radius = np.hypot(d - middle[0], h - middle[1])
    return (np.abs(radius - 6 - w / 6) < 1.6) & (w >= 4) & (w < 28)


def test_box_axis():
    complete = np.zeros((4, 16, 16, 16), np.float32)
    complete[0, 3:11, 4:14, 2] = 1  # both sides even: between two voxels
    complete[1, 3:10, 5:6, 2] = 1  # both odd: on a voxel
    complete[2, 0, 15, 7] = complete[2, 1, 2, 9] = 1
    axis = axes.box_axis(jnp.asarray(complete[..., None]))
    np.testing.assert_array_equal(axis, [[6.5, 8.5], [6.0, 5.0], [0.5, 8.5], [7.5, 7.5]])


def test_a_pot_is_roundest_about_its_own_axis():
    """A quarter of a voxel off both ways, half a voxel costs a quarter of the overlap."""
    complete = jnp.asarray(wall((15.25, 14.75)), jnp.float32)[None, ..., None]
    iou = {name: float(value[0]) for name, value in axes.roundness(complete).items()}
    assert iou["about its axis"] == pytest.approx(iou["about the nearest quarter voxel"], abs=0.01)
    assert iou["about its axis"] > 0.95
    assert iou["about the nearest half voxel"] < iou["about its axis"] - 0.03


def test_a_model_is_scored_about_the_axis_that_it_finds_and_about_the_true_one(monkeypatch):
    with_fewer_levels(monkeypatch)
    generator = revolve.Model(
        features=2, bottleneck=4, axis="found", axis_within=1.0, axis_trust=5.0, axis_average=2
    )
    complete = wall((15.25, 14.75)).astype(np.uint8) * 2
    complete[:16][complete[:16] > 0] = 3
    sample = Sample(complete, "pot-n002.vox", "pot", "1", 3, 0.5)
    init = jax.jit(functools.partial(generator.init, train=False))
    variables = init(jax.random.key(0), jnp.zeros((1, SIDE, SIDE, SIDE, 1)))
    means = axes.means([sample] * 3, axes.finder(generator, variables, 0.3), batch_size=2)
    assert means["axis off, voxels"] <= axes.NEAR and means["axis within 0.25 voxels"] == 1.0
    # Untrained, it gives back the sherd, whatever the axis.
    for name in ("IoU, the likeliest axis", "IoU, mean of 2 axes", "IoU, true axis"):
        assert means[name] == pytest.approx((complete == 3).sum() / (complete > 0).sum(), abs=1e-6)
    with pytest.raises(ValueError, match="no file"):
        axes.means([], axes.finder(generator, variables, 0.3))


def test_the_report_needs_a_model_that_looks_for_the_axis(tmp_path, capsys):
    argv = ["--data_dir", str(tmp_path), "--weights", str(tmp_path / "none.safetensors")]
    assert axis_report.main(argv) == 1
    assert "none.safetensors" in capsys.readouterr().err
