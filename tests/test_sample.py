"""Pots from noise as a user makes them: by `voxgan sample`, and scored by scripts/sample.py."""

import json
from typing import Any

import in_process
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import trimesh
from conftest import small

from configs import gan3d
from voxgan_jax import models
from voxgan_jax.cli import main
from voxgan_jax.data import vox
from voxgan_jax.models import weights
from voxgan_jax.training import events


@pytest.fixture(scope="module")
def run_dir(vox_dir, tmp_path_factory):
    """The weights of a 3D-GAN of 16³ that is not trained, whose pots fill half their cubes."""
    config = gan3d.get_config()
    config.data.update(small(vox_dir, "resident").data)
    config.generator.features, config.generator.doublings, config.generator.code_size = 8, 2, 4
    empty = jnp.zeros((1, 16, 16, 16, 1))
    variables: Any = models.build(config.generator).init(jax.random.key(0), empty, train=False)
    path = tmp_path_factory.mktemp("gan3d")
    weights.save(path / weights.RUN_FILE, variables, config)
    return path


def test_the_command_writes_pots_and_pictures(run_dir, tmp_path, capsys):
    command = ["sample", "--workdir", str(run_dir), "--n", "2", "--between", "3"]
    assert main.main([*command, "--out", str(tmp_path)]) == 0
    assert "2 pots" in capsys.readouterr().out
    for stem in ("pot_001", "pot_002"):
        grid = vox.read(tmp_path / f"{stem}.vox")
        mesh = trimesh.load_mesh(tmp_path / f"{stem}.stl")
        assert mesh.is_watertight
        assert mesh.volume == pytest.approx((grid > 0).sum(), rel=0.05)
    first = (tmp_path / "pot_001.vox").read_bytes()
    assert first != (tmp_path / "pot_002.vox").read_bytes()
    for picture in ("pots.png", "between.png"):
        assert (tmp_path / picture).read_bytes()[1:4] == b"PNG"
    # More of them begin with the same ones, and what was written before may be replaced.
    more = [*command[:4], "3", "--between", "1", "--out", str(tmp_path)]
    assert main.main(more) == 0 and (tmp_path / "pot_001.vox").read_bytes() == first
    assert main.main([*more, "--seed", "1"]) == 0
    assert (tmp_path / "pot_001.vox").read_bytes() != first


def test_what_makes_no_pots_is_said(run_dir, untrained_file, tmp_path, capsys):
    out = ["--n", "2", "--out", str(tmp_path / "out")]
    assert main.main(["sample", "--weights", str(untrained_file), *out]) == 1
    assert "makes no pots from noise" in capsys.readouterr().err
    assert main.main(["sample", "--workdir", str(run_dir), *out, "--threshold", "1"]) == 1
    assert "2 of 2 are empty" in capsys.readouterr().out
    assert not list((tmp_path / "out").glob("*.*l"))


def test_a_set_is_scored_beside_real_pots(run_dir, vox_dir, tmp_path):
    with events.open_events(run_dir) as write:
        for step in (1, 2):
            write(step, dict.fromkeys(("d_accuracy", "d_real_prob", "d_fake_prob"), 0.5))
    done = in_process.run(
        *("scripts/sample.py", "--workdir", run_dir, "--data_dir", vox_dir),
        *("--split", "test", "--out", tmp_path / "scores"),
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "scores" / "scores.json").read_text())
    noise, floor = found["scores"]["from noise"], found["scores"]["training pots"]
    assert found["pots"] == 3 and set(noise) == set(floor)
    # The file's parameters are those that such a network begins with.
    assert found["scores"]["untrained"] == noise
    assert (tmp_path / "scores" / "curves.png").read_bytes()[1:4] == b"PNG"
    for name in ("mmd_iou", "mmd_chamfer", "occupancy_distance", "copying"):
        assert noise[name] > floor[name] + 0.02, name
        assert f"| {name} |" in done.stdout
    assert floor["share_whole"] == floor["share_round"] == 1
    assert np.isfinite(list(noise.values())).all()
    assert len(list((tmp_path / "scores").glob("pot_*.stl"))) == 3
