"""What the benchmark counts and concludes; how long things take here is nobody's business."""

import json
import re
import sys
from typing import Any

import app_work
import jax
import jax.numpy as jnp
import pytest
from app_pretend import BROKEN_MM

from scripts.lib.benchmarks import (
    app_speed,
    conv_speed,
    jax_speed,
    roofline,
    scaling,
    scanned,
    sherd_speed,
    step_speed,
    timing,
)
from voxgan_jax import models
from voxgan_jax.inference import completer
from voxgan_jax.models import discriminator


class Clock:
    """A clock that stands still unless told to go on."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def runs(self, seconds):
        """A run of that many seconds a time, and the counts that it was called with."""
        counts = []

        def run(times):
            counts.append(times)
            self.now += times * seconds

        return run, counts


def test_runs_take_turns_and_fill_the_time():
    clock = Clock()
    quick, quick_counts = clock.runs(0.1)
    slow, slow_counts = clock.runs(2.0)
    seconds = timing.interleaved({"q": quick, "s": slow}, 3, min_seconds=0.45, clock=clock)
    assert quick_counts == [1, 1, 5, 5, 5] and slow_counts == [1, 1, 1, 1, 1]
    assert seconds == {"q": pytest.approx([0.1] * 3), "s": pytest.approx([2.0] * 3)}


def test_a_hopeless_run_is_given_up_after_its_first_time():
    clock = Clock()
    quick, quick_counts = clock.runs(0.1)
    slow, slow_counts = clock.runs(2.0)
    seconds = timing.interleaved({"q": quick, "s": slow}, 4, give_up=10.0, clock=clock)
    assert (len(quick_counts), len(slow_counts)) == (6, 2)
    assert seconds["s"] == pytest.approx([2.0])


def test_row_and_table():
    row = timing.row("a", "ms", [3.0, 1.0, 8.0], more=None)
    assert (row["median"], row["min"], row["max"], row["runs"]) == (3.0, 1.0, 8.0, 3)
    lines = timing.table([row, {"name": "b", "why": "broken"}], ["name", "median", "more", "why"])
    assert lines.splitlines() == [
        "| name | median | why    |",
        "|------|--------|--------|",
        "| a    | 3      |        |",
        "| b    |        | broken |",
    ]


# Operations and bytes.


def small_config(name="baseline", features=8, resolution=32):
    config = jax_speed.with_options(step_speed.load_config(name), resolution, 2, "float32")
    config.generator.features = config.discriminator.features = features
    return config


@pytest.mark.parametrize("make", [jax_speed.step_from_host, jax_speed.step_from_device])
def test_a_step_can_be_timed_wherever_its_batch_comes_from(make):
    with jax.numpy_dtype_promotion("standard"):  # Optax relies on it
        config = small_config("smoke", features=2, resolution=16)
        config.generator.kind = "tiny"
        candidate = make(config)
        candidate.run(2)
    assert candidate.steps == 1 and candidate.dtype == "float32"


@pytest.mark.parametrize("skips", [True, False])
def test_layers_are_those_of_the_models(skips):
    """Every kernel of both networks, by its shape."""
    config = small_config("resnet_sn")
    config.generator.skips = skips
    counted = sorted(
        (layer.kernel_size, layer.inputs, layer.outputs) for layer in roofline.layers(config)
    )
    volume = jnp.zeros((1, 32, 32, 32, 1))
    found = []
    for net in (
        models.build(config.generator),
        discriminator.from_config(config.discriminator),
    ):
        shapes = jax.eval_shape(lambda net=net: net.init(jax.random.key(0), volume, train=False))
        leaves = jax.tree.leaves_with_path(shapes["params"])
        found += [leaf.shape[2:] for path, leaf in leaves if path[-1].key == "kernel"]
    assert counted == sorted(found)


def test_a_layer_counted_by_hand():
    layer = roofline.Layer("generator", "enc2", "down", 4, 3, 5)
    # In each dimension 4 outputs have 4 taps each, of which 2 fall on the padding.
    assert layer.flops(batch_size=2) == 2 * 2 * 3 * 5 * 14**3
    assert layer.values(batch_size=2) == 2 * (8**3 * 3 + 4**3 * 5) + 4**3 * 3 * 5
    assert layer.sides == (8, 4)
    assert roofline.Layer("generator", "dec1", "up", 4, 3, 5).sides == (4, 8)
    assert roofline.Layer("generator", "res", "same", 4, 1, 1).flops(1) == 2 * 10**3
    assert roofline.Layer("discriminator", "final", "full", 4, 7, 1).flops(1) == 2 * 7 * 4**3


@pytest.mark.parametrize("what", ["generator", "discriminator"])
def test_operations_are_those_that_xla_counts(what):
    """Of the forward pass with XLA's own convolutions; the rest of the pass is a few per cent."""
    config = small_config(features=16)
    config[what].conv_form = "lax"
    build = models.build if what == "generator" else discriminator.from_config
    net: Any = build(config[what])
    volume = jnp.zeros((2, 32, 32, 32, 1))
    variables = jax.eval_shape(lambda: net.init(jax.random.key(0), volume, train=False))
    lowered = jax.jit(lambda v, x: net.apply(v, x, train=False)).lower(variables, volume)
    counted = sum(layer.flops(2) for layer in roofline.layers(config) if layer.net == what)
    analysis = lowered.cost_analysis()
    assert analysis is not None
    assert analysis["flops"] == pytest.approx(counted, rel=0.05)


def test_the_floor_of_the_baseline_on_an_h200():
    """790 TFLOP/s and 4.3 TB/s, batch 64 at 64³: 2.7 ms."""
    config = jax_speed.with_options(step_speed.load_config("baseline"), 64, 64, "bfloat16")
    ceilings = roofline.Ceilings({"bfloat16": 790e12}, 4.3e12)
    step = roofline.floor_seconds(config, "step", 64, "bfloat16", ceilings)
    assert step == pytest.approx(2.74e-3, rel=0.01)
    flops, moved = roofline.count(config, "step", 64, "bfloat16")
    assert flops == pytest.approx(1.819e12, rel=1e-3) and moved == pytest.approx(5.805e9, rel=1e-3)
    # Neither all computing nor all moving; each pass is bound by one of them.
    assert max(flops / 790e12, moved / 4.3e12) < step < flops / 790e12 + moved / 4.3e12
    complete = roofline.floor_seconds(config, "complete", 64, "bfloat16", ceilings)
    assert 0.1 * step < complete < 0.25 * step


def test_ceilings_are_measured():
    ceilings = roofline.measure_ceilings(["float32"], rounds=1)
    assert 1e8 < ceilings.flops["float32"] < 1e15 and 1e7 < ceilings.bandwidth < 1e14


# Convolutions.


def test_every_layer_pass_and_form_is_timed():
    config = small_config(features=2)
    rows = conv_speed.measure([config, config], batch_size=1, rounds=1, forms=("s2d", "matmul"))
    assert len(rows) == len({row["layer"] for row in rows}) == 8
    assert rows[0]["layer"] == "down 16³ 1→2"
    for row in rows:
        assert row["auto"] == "matmul" and row["fastest"] in ("s2d", "matmul")
        named = ("forward", "dx", "dw") if "1→" not in row["layer"] else ("forward", "dw")
        sums = {form: sum(row[f"{form} {way}"] for way in named) for form in ("s2d", "matmul")}
        assert sums[row["fastest"]] == min(sums.values())
        assert row["auto/fastest"] == pytest.approx(sums["matmul"] / min(sums.values()))


# Rows of the tables.


def test_the_peer_is_the_fastest_pytorch():
    rows = [
        {"name": "JAX float32", "median": 2.0},
        {"name": "PyTorch float32, eager", "median": 6.0},
        {"name": "PyTorch bfloat16, compiled", "median": 3.0},
    ]
    assert [row["vs PyTorch"] for row in step_speed.with_peer(rows)] == [1.5, 0.5, 1.0]
    assert step_speed.with_peer(rows[:1]) == rows[:1]


def test_speed_up_is_over_one_device():
    rows = [
        {"name": "a", "devices": 1, "samples/s": 10.0},
        {"name": "b", "devices": 1, "samples/s": 4.0},
        {"name": "a", "devices": 4, "samples/s": 35.0},
        {"name": "b", "devices": 4, "samples/s": 8.0},
        {"name": "c", "devices": 1, "failed": "no room"},
        {"name": "c", "devices": 4, "samples/s": 2.0},
    ]
    expected = [1.0, 1.0, 3.5, 2.0, None, None]
    assert [row.get("speed-up") for row in scaling.with_speed_up(rows)] == expected


def test_processes_see_so_many_devices():
    fake = scaling.environment({"XLA_FLAGS": "--a=b"}, "cpu", 2)
    assert fake["XLA_FLAGS"] == "--a=b --xla_force_host_platform_device_count=2"
    assert scaling.environment({}, "gpu", 2)["CUDA_VISIBLE_DEVICES"] == "0,1"
    chosen = scaling.environment({"CUDA_VISIBLE_DEVICES": "5,3,1"}, "gpu", 2)
    assert chosen["CUDA_VISIBLE_DEVICES"] == "5,3"


STUB = """
import json, os, sys
options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
count = int(os.environ["XLA_FLAGS"].rsplit("=", 1)[1])
assert options["--what"] == "step" and options["--dtypes"] == "float32"
row = {"config": "a", "name": "JAX", "samples/s": 10.0 + count, "batch": options["--batch_size"]}
broken = {"config": "a", "name": "no way", "failed": "no room"}
ceiling = {"config": "ceiling", "name": "1 GB/s"}
open(options["--json"], "w").write(json.dumps({"rows": [row, broken, ceiling]}))
sys.exit("no room" if count == 4 and "--fail" in options else 0)
"""


def test_each_number_of_devices_has_a_process(tmp_path):
    script = tmp_path / "stub.py"
    script.write_text(STUB)
    options = ["--dtypes", "float32"]
    rows = scaling.measure(script, options, batch_size=3, platform="cpu", available=1)
    assert [row["failed"] for row in rows[1::2]] == ["no room"] * 3
    rows = rows[::2]
    assert [(row["devices"], row["batch size"], row["batch"]) for row in rows] == [
        (1, 3, "3"),
        (2, 6, "6"),
        (4, 12, "12"),
    ]
    assert [row["speed-up"] for row in rows] == pytest.approx([1, 12 / 11, 14 / 11])
    with pytest.raises(ValueError, match="4 devices: no room"):
        scaling.measure(
            script, [*options, "--fail", "1"], batch_size=3, platform="cpu", available=1
        )


def test_an_unknown_config_is_an_error():
    with pytest.raises(ValueError, match="no config named 'basline' in configs/"):
        step_speed.load_config("basline")


# Sherds.


@pytest.fixture
def echoing(monkeypatch):
    """A model that answers with what it was given, and how many pots each call had."""
    calls = []

    def predict(partial):
        calls.append(len(partial))
        return partial

    monkeypatch.setattr(
        completer, "load", lambda: completer.Completer(predict, 64, 1, "center", 0.5)
    )
    return calls


def test_commands_and_stages_of_sherds(echoing, monkeypatch, tmp_path, capsys):
    from scripts import benchmark

    commands = []

    def spent(command):
        commands.append(list(command))
        return 6.0, 3.0

    monkeypatch.setattr(sherd_speed, "_spent", spent)
    report = tmp_path / "report.json"
    options = ["--sherds", "2", "--repeats", "1", "--formats", "vox", "--json", str(report)]
    assert benchmark.main(["--what", "sherds", *options]) == 0
    rows = {row["name"].strip(): row for row in json.loads(report.read_text())["rows"]}
    stages = ["reading", "model", "meshes", "missing piece", "files"]
    names = ["import voxgan_jax", "command, one sherd", "command, each of 2", *stages]
    assert list(rows) == names
    assert (rows["command, one sherd"]["median"], rows["command, one sherd"]["CPU"]) == (6, 3)
    assert (rows["command, each of 2"]["median"], rows["command, each of 2"]["CPU"]) == (3, 1.5)
    assert all(row["median"] > 0 and row["CPU"] >= 0 for row in rows.values())
    assert echoing == [1, 1, 1]  # once to compile
    files = [[word for word in line if word.endswith(".vox")] for line in commands]
    assert [len(part) for part in files] == [0, 1, 2]
    assert all(line[-2:] == ["--formats", "vox"] for line in commands[1:])
    assert "| command, each of 2" in capsys.readouterr().out


def test_a_batch_of_scans(vox_dir, monkeypatch, tmp_path):
    from scripts import benchmark

    asked = []
    monkeypatch.setattr(sherd_speed, "_spent", lambda line: asked.append(line) or (6.0, 3.0))
    report = tmp_path / "report.json"
    options = ["--sherds", "2", "--formats", "vox", "--json", str(report)]
    assert benchmark.main(["--what", "scans", *options]) == 0
    (row,) = json.loads(report.read_text())["rows"]
    assert re.fullmatch(r"command, each of 2 scans of [1-9]\d*,\d{3} faces", row["name"])
    assert (row["median"], row["CPU"]) == (3, 1.5)
    assert [word.endswith(".stl") for word in asked[0]].count(True) == 2
    assert asked[0][-5:] == ["--unit", "mm", "--largest", "--formats", "vox"]
    assert "--fixed_fragment" not in asked[0]
    with pytest.raises(ValueError, match=r"scans of 12 pots; give --sherds 11"):
        scanned.write(str(vox_dir), tmp_path, 13)


def test_a_command_that_fails_ends_the_measurement(capsys):
    wall, cpu = sherd_speed._spent([sys.executable, "-c", "sum(range(10**6))"])
    assert wall > 0 and cpu > 0
    with pytest.raises(ValueError, match="no such pot"):
        sherd_speed._spent([sys.executable, "-c", "raise SystemExit('no such pot')"])


def test_real_sherds_are_one_of_each_validation_pot(vox_dir):
    with pytest.raises(ValueError, match=r"validation pots; give --sherds \d"):
        sherd_speed._sherds(str(vox_dir), vox_dir, 12)
    paths = sherd_speed._sherds(str(vox_dir), vox_dir, 1)
    assert len(paths) == 1 and paths[0].suffix == ".vox"


def test_waiting_in_the_workbench(tmp_path):
    """With the real server, asked over HTTP, and a worker that pretends."""
    sherd = tmp_path / "a sherd.stl"
    sherd.write_bytes(b"solid a\nendsolid a\n")
    with app_work.bench(tmp_path / "finds") as bench, app_work.live(bench) as address:
        asking = app_speed.Workbench(address)
        spent = app_speed._one(asking, sherd)
        assert spent.pop("drop to sherd") <= spent.pop("drop to pot")
        assert spent.pop("drop to pot with files") > 0
        assert list(spent) == [
            f"click to {what}: {told}"
            for told in ("height told", "undone", "other end up")
            for what in ("pot", "pot with files")
        ]
        assert all(0 < seconds < 60 for seconds in spent.values())
        scan = bench.project.scans[1]
        assert scan.restored and scan.restored["choices"] == scan.choices
        assert scan.before == [{}] and scan.choices.keys() == {"axis"}
        broken = {"choices": {"height_mm": BROKEN_MM}}
        with pytest.raises(ValueError, match="no such pot"):
            asking.pot(1, "choices", broken)


# The command.


def test_steps_and_completions_side_by_side(monkeypatch, tmp_path, capsys, loose_promotion):
    """On a network of 2 features; what fails is named, and the others are measured."""
    from scripts import benchmark

    config = small_config(features=2, resolution=16)
    monkeypatch.setattr(step_speed, "load_config", lambda name: config)
    monkeypatch.setattr(step_speed, "MIN_SECONDS", 0.0)

    def broken(config):
        raise RuntimeError("no room")

    monkeypatch.setattr(jax_speed, "step_from_device", broken)
    torch = ["eager"] if step_speed.has_torch() else ["none"]
    options = ["--dtypes", "float32", "--batch_size", "2", "--repeats", "2", "--torch", *torch]
    for what in ("step", "complete"):
        report = tmp_path / f"{what}.json"
        assert benchmark.main(["--what", what, *options, "--json", str(report)]) == 0
        rows = json.loads(report.read_text())["rows"]
        measured = [row for row in rows if "median" in row]
        assert [row["name"].split()[0] for row in measured] == ["JAX"] + 2 * len(torch) * (
            ["PyTorch"] if torch == ["eager"] else []
        )
        for row in measured:
            assert row["of floor"] > 0 and row["min"] <= row["median"] <= row["max"]
            assert row["samples/s"] == pytest.approx(2000 / row["ms"])
        failed = [row for row in rows if "failed" in row]
        assert [row["failed"] for row in failed] == ["RuntimeError: no room"] * (what == "step")
        shown = capsys.readouterr().out
        assert "| JAX float32" in shown and "TFLOP/s" in shown
