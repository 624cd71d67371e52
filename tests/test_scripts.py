"""The command lines, run as a user runs them."""

import importlib
import json
import os
import pathlib
import subprocess
import sys

import in_process
import numpy as np
import pytest
from conftest import ROOT

from scripts.lib import completions_figure
from voxgan_jax.data import folder, fragments, vox


def run(*command, code=0):
    """Run a script in this process, where starting Python with JAX takes no seconds."""
    return ended(in_process.run(*command), code)


def start(*command, code=0):
    """Run a command as a user does, in a process of its own."""
    # Without the tests' compilation cache, of which JAX warns on the console.
    env = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    command = [sys.executable, *map(str, command)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=env)
    return ended(done, code)


def ended(done, code):
    assert done.returncode == code, done.stdout[-2000:] + done.stderr[-2000:]
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def trained(untrained_file):
    """The folder of a run at 32³, as yet untrained."""
    return untrained_file.parent


def test_prepare_evaluate_and_complete(trained, vox_dir, tmp_path):
    run("scripts/prepare_data.py", "--vox_dir", vox_dir, "--out_dir", tmp_path, "--resolution", 32)
    scores = {}
    for name, data_dir in (("folder", vox_dir), ("prepared", tmp_path)):
        out = tmp_path / name
        options = ("--data_dir", data_dir, "--split", "test", "--out", out, "--workdir", trained)
        done = run("scripts/evaluate.py", *options, "--num_examples", 2)
        assert "IoU" in done.stdout
        scores[name] = json.loads((out / "metrics.json").read_text())
        for metric in ("iou", "dice", "mse"):
            assert set(scores[name][metric]) == {"mean", "low", "high"}
        assert (out / "examples.png").stat().st_size > 10_000
    assert scores["folder"]["iou"]["mean"] == pytest.approx(scores["prepared"]["iou"]["mean"])
    assert scores["folder"]["files"] == 6

    files = [item.path for item in folder.scan(vox_dir) if item.split == "test"][:2]
    where = ("--workdir", trained, "--out", tmp_path / "done")
    done = start("-m", "voxgan_jax.cli", "complete", *files, *where, "--dtype", "bfloat16")
    assert done.stdout.count("voxels given") == 2
    for path in files:
        completed = vox.read(tmp_path / "done" / f"{path.stem}_completed.vox")
        assert (completed == 1).sum() == (vox.read(path) > 0).sum()


@pytest.mark.parametrize("method", ["fragment", "mean", "revolve", "retrieval"])
def test_evaluate_methods(vox_dir, tmp_path, method):
    from scripts import evaluate

    options = ["--data_dir", str(vox_dir), "--out", str(tmp_path), "--method", method]
    assert evaluate.main([*options, "--resolution", "32", "--num_examples", "0"]) == 0
    summary = json.loads((tmp_path / "metrics.json").read_text())
    assert 0.05 < summary["iou"]["mean"] < 0.9
    assert summary["iou"]["low"] <= summary["iou"]["mean"] <= summary["iou"]["high"]


def test_complete_reports_a_bad_file_and_does_the_others(trained, vox_dir, tmp_path, capsys):
    from voxgan_jax.cli import main

    good = folder.scan(vox_dir)[0].path
    (tmp_path / "bad.vox").write_bytes(good.read_bytes()[:77])
    options = ["--workdir", str(trained), "--out", str(tmp_path)]
    assert main.main(["complete", str(tmp_path / "bad.vox"), str(good), *options]) == 1
    said = capsys.readouterr().err
    assert "bad.vox" in said
    assert len([line for line in said.splitlines() if "sherd/s" not in line]) == 1
    assert (tmp_path / f"{good.stem}_completed.vox").is_file()


def test_complete_writes_two_files_of_one_name_apart(trained, vox_dir, tmp_path):
    from voxgan_jax.cli import main

    good = folder.scan(vox_dir)[0].path
    files = [tmp_path / side / "a.vox" for side in "xy"]
    for file in files:
        file.parent.mkdir()
        file.write_bytes(good.read_bytes())
    job = ["complete", *map(str, files), "--workdir", str(trained), "--out", str(tmp_path / "out")]
    assert main.main([*job, "--formats", "vox"]) == 0
    first, second = (vox.read(tmp_path / "out" / side / "a_completed.vox") for side in "xy")
    np.testing.assert_array_equal(first, second)


def test_complete_scales_down_a_pot_that_is_too_big(trained, tmp_path, capsys):
    from voxgan_jax.cli import main

    labels = np.zeros((40, 64, 64), np.uint8)
    labels[10:14, 20:44, 20:44] = 2
    vox.write(tmp_path / "big.vox", labels)
    options = ["complete", str(tmp_path / "big.vox"), "--workdir", str(trained)]
    assert main.main([*options, "--out", str(tmp_path)]) == 1
    assert "give --pool 2" in capsys.readouterr().err
    assert main.main([*options, "--out", str(tmp_path), "--pool", "2"]) == 0
    completed = vox.read(tmp_path / "big_completed.vox")
    assert completed.shape == labels.shape
    np.testing.assert_array_equal(completed == 1, labels == 2)


def test_the_fixed_fragment_is_that_of_evaluation(trained, vox_dir, tmp_path):
    from voxgan_jax.cli import main

    path = next(item.path for item in folder.scan(vox_dir) if item.split == "test")
    options = ["--workdir", str(trained), "--out", str(tmp_path), "--fixed_fragment"]
    assert main.main(["complete", str(path), *options]) == 0
    fragment = fragments.fixed_fragment(path.name, fragments.fragment_ids(vox.read(path)))
    completed = vox.read(tmp_path / f"{path.stem}_fragment{fragment}_completed.vox")
    np.testing.assert_array_equal(completed == 1, vox.read(path) == fragment)


def test_complete_as_json(trained, vox_dir, tmp_path, capsys):
    from voxgan_jax.cli import main

    path = folder.scan(vox_dir)[0].path
    options = ["--workdir", str(trained), "--out", str(tmp_path), "--json"]
    assert main.main(["complete", str(path), *options]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["given"] == (vox.read(path) > 0).sum()
    assert said["file"] == str(tmp_path / f"{path.stem}_completed.vox")
    assert said["confidence"] is None


def test_package_weights_and_calibrate_their_confidence(trained, vox_dir, tmp_path, capsys):
    from scripts import calibrate_confidence, package_weights
    from voxgan_jax.cli import main

    target = tmp_path / "tiny.safetensors"
    options = ["--workdir", str(trained), "--train_pots", "8", "--train_files", "16"]
    assert package_weights.main([*options, "--out", str(target), "--commit", "c0ffee"]) == 0
    assert "not calibrated yet" in capsys.readouterr().out
    assert json.loads(target.with_suffix(".json").read_text())["training_data"]["pots"] == 8
    every = "train+validation+test"  # ten files at least in either half of the pots
    options = ["--data_dir", str(vox_dir), "--split", every, "--weights", str(target)]
    if calibrate_confidence.main([*options, "--batch_size", "4"]):
        pytest.fail(capsys.readouterr().err)
    assert "other pots: mean error of the expected IoU 0." in capsys.readouterr().out
    assert json.loads(target.with_suffix(".json").read_text())["confidence"]["files"] == 24
    path = folder.scan(vox_dir)[0].path
    options = ["--weights", str(target), "--out", str(tmp_path)]
    assert main.main(["complete", str(path), *options]) == 0
    assert "\n  confidence low: " in capsys.readouterr().out


def test_demo_refuses_what_it_does_not_know():
    for option, data, code, said in (
        ("--fast", "", 2, "usage: [VOXGAN_DATA=DIR] scripts/demo [--train]"),
        ("--train", "/no/such/folder", 1, "VOXGAN_DATA names no folder"),
    ):
        done = subprocess.run(
            [ROOT / "scripts" / "demo", option],
            env=os.environ | {"VOXGAN_DATA": data},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code
        assert said in done.stderr


def test_errors_are_one_line(tmp_path, vox_dir):
    done = run("scripts/prepare_data.py", "--vox_dir", tmp_path, "--out_dir", "x", code=1)
    assert "no .vox file below it" in done.stderr
    options = ("--data_dir", vox_dir, "--out", tmp_path)
    done = run("scripts/evaluate.py", *options, "--workdir", tmp_path, code=1)
    assert "train that run first" in done.stderr
    done = run("scripts/evaluate.py", *options, "--batch_size", 0, "--method", "mean", code=2)
    assert "0 is below 1" in done.stderr
    (tmp_path / "file").write_text("")
    options = ("--data_dir", vox_dir, "--out", tmp_path / "file")
    done = run("scripts/evaluate.py", *options, "--method", "fragment", code=1)
    assert "File exists" in done.stderr
    options = ("--data_dir", vox_dir, "--out", tmp_path)
    done = run("scripts/evaluate.py", *options, "--method", "mean", "--split", "dev", code=1)
    assert "no split named 'dev'" in done.stderr


@pytest.mark.parametrize(
    ("script", "options"),
    [
        ("evaluate", ["--data_dir", "DIR", "--out", ""]),
        ("evaluate", ["--data_dir", "", "--out", "OUT"]),
        ("evaluate", ["--data_dir", "DIR", "--out", "OUT", "--workdir", ""]),
        ("prepare_data", ["--vox_dir", "DIR", "--out_dir", ""]),
        ("prepare_data", ["--vox_dir", "DIR", "--cache", ""]),
        ("prepare_data", ["--vox_dir", "", "--cache", "FILE"]),
        ("package_weights", ["--workdir", "", "--train_pots", "1", "--train_files", "1"]),
        ("cut_sherds", ["--data_dir", "DIR", "--out", ""]),
        ("score_locator", ["--held_out", "FILE", "--out", ""]),
    ],
)
def test_an_empty_path_is_refused(script, options, capsys):
    """It would be the folder that one stands in."""
    with pytest.raises(SystemExit) as end:
        importlib.import_module(f"scripts.{script}").main(options)
    assert end.value.code == 2
    assert "the path is empty" in capsys.readouterr().err


def test_synth_writes_a_data_set_and_a_sheet(tmp_path):
    from voxgan_jax.cli import main

    out, sheet = tmp_path / "pots", tmp_path / "sheet.png"
    options = ["--pots", "5", "--resolution", "32", "--fragments", "3", "5", "--sheet", str(sheet)]
    assert main.main(["synth", "--out", str(out), *options]) == 0
    items = folder.scan(out)
    assert len(items) == 10
    assert len({item.pot for item in items}) == 5
    assert sheet.read_bytes().startswith(b"\x89PNG")


def test_benchmark_of_the_input_counts_every_sample(prepared_dir, tmp_path):
    report = tmp_path / "report.json"
    run(
        "scripts/benchmark.py", "--what", "input", "--data_dir", prepared_dir, "--resolution", 32,
        "--batch_size", 4, "--repeats", 2, "--json", report,
    )  # fmt: skip
    rows = json.loads(report.read_text())["rows"]
    assert [row["runs"] for row in rows] == [1, 2]
    assert all(row["median"] > 0 for row in rows)


def test_package_is_light_to_import():
    code = "import sys, voxgan_jax, voxgan_jax.cli; print([m for m in sys.modules if m in HEAVY])"
    heavy = "HEAVY = ('tensorflow', 'jax', 'flax', 'matplotlib'); "
    assert start("-c", heavy + code).stdout.strip() == "[]"
    # Completing needs neither TensorFlow nor TFDS.
    code = "import sys, voxgan_jax.inference.predict; print('tensorflow' in sys.modules)"
    assert start("-c", code).stdout.strip() == "False"


def test_example_figure_survives_an_answer_of_single_voxels(tmp_path: pathlib.Path):
    lonely = np.zeros((16, 16, 16), bool)
    lonely[4, 4, 4] = lonely[10, 10, 10] = True
    given = np.zeros_like(lonely)
    completions_figure.comparison(
        [[completions_figure.roles(given, lonely), completions_figure.roles(given, given)]],
        ["a", "b"],
        tmp_path / "a.png",
    )
    assert (tmp_path / "a.png").is_file()
