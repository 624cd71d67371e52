# pyright: reportMissingImports=false
"""The PyTorch twin: its sizes, weights both ways, and the same numbers as ours in the same step."""

import functools
import json
import pathlib
import random
import sys
from typing import Any

import jax
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch
# ruff: noqa: E402

from scripts import compare_torch
from scripts.lib.torch_parity import differences, traces, twin_traces
from voxgan_jax.cli import main
from voxgan_jax.inference import completer as model
from voxgan_jax.models import weights as our_weights
from voxgan_jax.models.weights import WeightsError
from voxgan_jax.torch_twin import weights
from voxgan_jax.training import objectives

SMALL = {"resolution": 32, "features": 4, "dtype": "float32"}


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


@functools.cache
def variables(variant, net):
    """Of a network, drawn here: to compile how it begins takes long."""
    config = compare_torch.make_config(variant, **SMALL)
    made = jax.eval_shape(objectives.build(config).init, jax.random.key(0))[net].variables()
    rng = np.random.default_rng(0)
    # Above 0, as variances are.
    return jax.tree.map(lambda leaf: rng.uniform(0.1, 1, leaf.shape).astype(leaf.dtype), made)


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        ("generator", {"features": 32}, 6_168_641),
        ("generator", {"features": 64}, 24_658_049),
        ("generator", {"features": 64, "num_res_blocks": 3}, 67_134_593),
        ("generator", {"features": 32, "skips": False}, 5_511_233),
        ("discriminator", {}, 2_772_321),
        ("discriminator", {"spectral_norm_iterations": 1}, 2_772_321),
        ("discriminator", {"resolution": 32}, 2_757_985),
    ],
)
def test_parameter_counts(kind, fields, expected):
    assert count(weights.build(kind, fields, "meta")) == expected


def test_names_are_the_originals():
    generator = set(weights.build("generator", {"num_res_blocks": 1}, "meta").state_dict())
    assert {"enc1.0.weight", "enc1.1.running_mean", "bottleneck_conv.0.weight"} <= generator
    assert {"res_blocks.0.block.0.weight", "res_blocks.0.block.4.bias"} <= generator
    assert {"dec1.0.weight", "final.0.bias"} <= generator
    assert "bottleneck.0.weight" in weights.build("generator", {}, "meta").state_dict()
    fields = {"spectral_norm_iterations": 1}
    discriminator = weights.build("discriminator", fields, "meta").state_dict()
    assert {f"blocks.0.{name}" for name in ("weight_orig", "weight_u", "weight_v", "bias")} <= set(
        discriminator
    )
    assert discriminator["blocks.11.weight_orig"].shape == (1, 256, 4, 4, 4)


@pytest.mark.parametrize("net", traces.NETS)
@pytest.mark.parametrize("variant", compare_torch.VARIANTS)
def test_weights_survive_both_ways_bit_for_bit(variant, net):
    ours = variables(variant, net)
    module = traces.twin(ours)
    back = weights.from_torch(module.state_dict())
    assert {name for name, tree in ours.items() if tree} == set(back)
    jax.tree.map(np.testing.assert_array_equal, {name: ours[name] for name in back}, back)
    # And from theirs, after something has moved all statistics.
    volume = torch.rand((2, 1, 32, 32, 32), generator=torch.Generator().manual_seed(0))
    module(volume)
    state = module.state_dict()
    again = weights.to_torch(weights.from_torch(state))
    assert set(again) == set(state)
    for name in state:
        assert name.endswith("num_batches_tracked") or torch.equal(again[name], state[name]), name
    module.load_state_dict(again)


def test_kernels_are_turned_as_the_layers_need():
    """An asymmetric kernel entry lands where PyTorch has it."""
    state = weights.to_torch(variables("baseline", "generator"))
    ours = weights.from_torch(state)["params"]
    conv, transposed = ours["enc2_conv"]["kernel"], ours["dec1_conv"]["kernel"]
    assert conv.shape == (4, 4, 4, 4, 8) and transposed.shape == (4, 4, 4, 32, 16)
    assert conv[0, 1, 2, 3, 7] == state["enc2.0.weight"][7, 3, 0, 1, 2]
    assert transposed[0, 1, 2, 31, 5] == state["dec1.0.weight"][31, 5, 0, 1, 2]


def test_either_name_of_the_bottleneck_and_a_wrapper_are_taken():
    state = weights.to_torch(variables("baseline", "generator"))
    renamed = {
        "module." + name.replace("bottleneck.", "bottleneck_conv."): value
        for name, value in state.items()
        if not name.endswith("num_batches_tracked")
    }
    jax.tree.map(
        np.testing.assert_array_equal, weights.from_torch(renamed), weights.from_torch(state)
    )


def test_wrong_keys_are_all_named():
    state = weights.to_torch(variables("resnet_sn", "generator"))
    state["enc1.0.gain"] = state.pop("enc1.0.bias")
    state["dec1.1.weight"] = torch.zeros(3)
    del state["res_blocks.1.block.4.running_var"]
    with pytest.raises(WeightsError) as error:
        weights.from_torch(state)
    text = str(error.value)
    assert "missing: enc1.0.bias, res_blocks.1.block.4.running_var" in text
    assert "unknown: enc1.0.gain" in text
    assert "dec1.1.weight (3,) for (32,)" in text
    with pytest.raises(WeightsError, match=r"neither a generator nor a discriminator: .* model"):
        weights.from_torch({"model": torch.zeros(1)})


def test_step_equals_the_twins():
    """Outputs, activations, losses, gradients, statistics and updates, free of rounding."""
    config = compare_torch.make_config("resnet_sn", **SMALL)
    # One block is as good as three, and compiles faster.
    config.generator.num_res_blocks, config.generator.features = 1, 4
    both = traces.make_start(config)
    rng = np.random.default_rng(0)
    batches = [compare_torch.pot_batch(rng, 2, 32)]
    with traces.float64():
        ours = traces.jax_runner(both.refined())(batches)
        theirs = twin_traces.run_torch(both, batches, device="cpu", dtype=torch.float64)
    rows = differences.compare(ours, theirs)
    sections = {row.section for row in rows}
    assert set(differences.TOLERANCES["float64"]) - sections == {
        "Parameters after 2 SGD steps",
        "Parameters after 5 SGD steps",
    }
    assert differences.over_tolerance(rows, differences.TOLERANCES["float64"]) == []
    names = {row.name for row in rows if row.section == "Gradients"}
    assert "generator dec3.0.weight" in names and "generator final.0.bias" in names
    spectral = {row.name for row in rows if row.name.endswith(("weight_u", "weight_v"))}
    assert len(spectral) == 10


def test_differences_are_seen():
    ours = {("Outputs", "a"): np.ones(4), ("Gradients", "g blocks.2.bias"): np.zeros(1)}
    ours[("Gradients", "g blocks.2.weight")] = np.full(4, 2.0)
    ours[("Gradients", "g blocks.3.bias")] = np.ones(1)
    theirs = ours | {("Outputs", "a"): np.array([1, 1, 1, 1.5])}
    theirs["Gradients", "g blocks.2.bias"] = np.full(1, 1e-3)
    rows = {row.name: row for row in differences.compare(ours, theirs, theirs)}
    assert rows["a"].largest == 0.5
    assert rows["a"].relative == pytest.approx(0.5 / np.sqrt(3 + 2.25))
    # A bias before batch norm is measured by its kernel, of length 4.
    assert rows["g blocks.2.bias"].relative == pytest.approx(1e-3 / 4)
    over = differences.over_tolerance(rows.values(), {"Outputs": 0.1, "Gradients": 1e-3})
    assert [row.name for row in over] == ["a"]
    nan = differences.compare(
        {("Outputs", "a"): np.full(1, np.nan)}, {("Outputs", "a"): np.ones(1)}
    )
    assert differences.over_tolerance(nan, {"Outputs": 0.1}) == nan
    with pytest.raises(ValueError, match="only one of the two frameworks has Outputs: b"):
        differences.compare({}, {("Outputs", "b"): np.ones(1)})
    assert "| Outputs | 5.0e-01 | 2.2e-01 | 1e-01 | a | 0.0e+00 |" in differences.summary(
        rows.values(), {"Outputs": 0.1}
    )


def test_convert_both_ways(tmp_path, capsys):
    pth, ours, back = (str(tmp_path / name) for name in ("g.pth", "g.safetensors", "back.pth"))
    state = weights.to_torch(variables("resnet_sn", "generator"))
    torch.save(state, pth)
    assert main.main(["convert", pth, ours, "--resolution", "32"]) == 0
    assert capsys.readouterr().out == (
        f"{ours}: generator, features 8, num_res_blocks 3, skips True\n"
    )
    completer = model.load(weights_file=ours)
    assert (completer.resolution, completer.placement) == (32, "center")
    assert main.main(["convert", ours, back]) == 0
    again = torch.load(back, weights_only=True)
    assert all(torch.equal(again[name], state[name]) for name in state)

    torch.save(weights.to_torch(variables("resnet_sn", "discriminator")), pth)
    assert main.main(["convert", pth, ours]) == 0
    assert "spectral_norm_iterations 1, resolution 32" in capsys.readouterr().out
    assert set(our_weights.load(ours)[0]) == {"params", "batch_stats", "spectral_stats"}


def _wrong_values(draw):
    return draw.choice(
        (
            *(torch.ones(8, dtype=torch.int8), torch.ones(8, dtype=torch.bool)),
            *(torch.ones(8, dtype=torch.complex64), torch.full((8,), float("nan"))),
            *(torch.ones(()), torch.ones(0), torch.ones(1).expand(10**6, 10**6), torch.ones(2, 3)),
            *(torch.ones(8).to_sparse(), torch.ones(8, device="meta"), torch.ones(8).half()),
            *(5, None, "x", [1]),
        )
    )


def test_altered_state_dicts_give_our_own_error_alone(tmp_path):
    """Names, numbers and bytes of a small generator's and discriminator's, changed at random."""
    draw, source, target = random.Random(0), tmp_path / "s.pth", tmp_path / "t.safetensors"
    states = [weights.to_torch(variables("resnet_sn", n)) for n in ("generator", "discriminator")]
    refused = 0
    for number in range(60):
        state: dict[Any, Any] = dict(states[number % 2])
        name = draw.choice(list(state))
        if number % 3 == 0:
            state[name] = _wrong_values(draw)
        elif number % 3 == 1:
            names = (5, "", "a.b", "res_blocks.9.block.0.weight", "res_blocks.", "enc1", "blocks.x")
            state[draw.choice((*names, f"module.{name}", f"{name}\n"))] = state.pop(name)
        torch.save(state, source)
        if number % 3 == 2:
            data = bytearray(source.read_bytes())
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
            source.write_bytes(data[: draw.choice((None, draw.randrange(len(data))))])
        try:
            weights.convert(source, target, resolution=32, placement="center")
        except WeightsError as error:
            assert str(error).startswith(f"{source}: ") and "\n" not in str(error)
            refused += 1
        else:
            our_weights.load(target)
    assert 35 < refused < 60


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (torch.ones(8, dtype=torch.int8), "holds torch.int8, where the original has torch.float32"),
        (torch.ones(8, dtype=torch.complex64), "holds torch.complex64"),
        (torch.full((8,), float("inf")), "holds NaN or infinity"),
    ],
)
def test_numbers_that_no_network_has_are_named(tmp_path, value, said):
    state = weights.to_torch(variables("resnet_sn", "generator")) | {"enc1.0.bias": value}
    torch.save(state, tmp_path / "s.pth")
    with pytest.raises(WeightsError) as caught:
        weights.load(tmp_path / "s.pth")
    assert str(caught.value).startswith(f"{tmp_path / 's.pth'}: 'enc1.0.bias' {said}")


@pytest.mark.parametrize(
    "tree",
    [
        {"params": {"enc1_conv": {"odd": np.ones(4, "f")}}},
        {"params": {"enc1_conv": {"kernel": np.ones(4, "f")}}},
        {"params": np.ones(4, "f")},
        {"params": {"other": {"kernel": np.ones(4, "f")}}},
    ],
)
def test_what_the_original_cannot_hold_is_refused_by_name(tmp_path, tree):
    source, target = tmp_path / "s.safetensors", tmp_path / "t.pth"
    our_weights.save(source, tree, compare_torch.make_config("resnet_sn", **SMALL))
    with pytest.raises(WeightsError) as caught:
        weights.convert(source, target, resolution=32, placement="center")
    assert str(caught.value).startswith(f"{source}: ") and not target.exists()


class _Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return pathlib.Path.touch, (self.path,)


def test_nothing_in_a_file_is_executed(tmp_path):
    torch.save({"enc1.0.bias": _Evil(tmp_path / "made")}, tmp_path / "evil.pth")
    with pytest.raises(WeightsError, match=r"evil\.pth: no PyTorch file of tensors only"):
        weights.load(tmp_path / "evil.pth")
    assert not (tmp_path / "made").exists()


def test_convert_says_what_is_wrong(tmp_path, capsys, monkeypatch):
    def error(*names):
        assert main.main(["convert", *(str(tmp_path / name) for name in names)]) == 1
        return capsys.readouterr().err

    assert "no such weights file" in error("none.pth", "a.safetensors")
    assert "convert between .pth and .safetensors" in error("a.pth", "b.pth")
    (tmp_path / "text.pth").write_text(json.dumps([1]))
    assert "text.pth: no PyTorch file of tensors only" in error("text.pth", "a.safetensors")
    torch.save({"epoch": 3, "generator": {}}, tmp_path / "nested.pth")
    assert "it holds epoch, generator" in error("nested.pth", "a.safetensors")
    torch.save({"enc1.0.weight": torch.zeros(1)}, tmp_path / "short.pth")
    assert "short.pth: not the state dict of a generator" in error("short.pth", "a.safetensors")
    assert not (tmp_path / "a.safetensors").exists()
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in [name for name in sys.modules if name.startswith("voxgan_jax.torch_twin")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("voxgan_jax.torch_twin")
    assert "pip install 'voxgan_jax[torch]'" in error("a.pth", "a.safetensors")
