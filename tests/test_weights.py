"""Weights files that are damaged, altered or none: refused in one line that names the file."""

import copy
import functools
import json
import random
import struct

import jax
import numpy as np
import pytest
import safetensors.numpy

from configs import smoke
from voxgan_jax import fields
from voxgan_jax.inference import completer, model_card
from voxgan_jax.models import weights
from voxgan_jax.placement import locator


@pytest.fixture(scope="module")
def config():
    made = smoke.get_config()
    made.data.resolution, made.generator.features = 16, 2
    return made


@pytest.fixture(scope="module")
def variables(config):
    module, shape, options = weights._generator(config)
    init = functools.partial(module.init, **options)
    made = jax.eval_shape(init, jax.random.key(0), jax.ShapeDtypeStruct(shape, np.float32))
    return jax.tree.map(lambda leaf: np.ones(leaf.shape, leaf.dtype), made)


@pytest.fixture
def file(config, variables, tmp_path):
    path = tmp_path / "mine.safetensors"
    weights.save(path, variables, config)
    return path


def _parts(path):
    """A file's header, its config with what stands beside it, and its numbers."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    return header, json.loads(header["__metadata__"][weights.METADATA]), data[8 + length :]


def _write(path, header, held, numbers):
    header = header | {"__metadata__": {weights.METADATA: json.dumps(held)}}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + numbers)


def _refused(path, opener=completer._open):
    """Whether it is, in one line; anything but our own error is this test's."""
    try:
        opener(path)
    except weights.WeightsError as error:
        assert str(error).startswith(f"{path}: ") and "\n" not in str(error), error
        return True
    return False


def test_equal_weights_are_equal_files_and_an_older_one_loads(file, config, variables, tmp_path):
    again = tmp_path / "again.safetensors"
    weights.save(again, variables, config)
    assert again.read_bytes() == file.read_bytes()
    header, held, numbers = _parts(file)
    assert len(held.pop(weights.DIGEST)) == 64
    _write(again, header, held, numbers)
    assert weights.load(again)[1].to_dict() == weights.load(file)[1].to_dict() == config.to_dict()


@pytest.mark.parametrize("half", [False, True])
def test_a_flipped_bit_or_another_config_is_found(file, config, variables, half):
    weights.save(file, variables, config, half=half)
    weights.load(file)
    header, held, numbers = _parts(file)
    for place in (0, len(numbers) // 2, len(numbers) - 1):
        damaged = bytearray(numbers)
        damaged[place] ^= 1
        _write(file, header, held, bytes(damaged))
        with pytest.raises(
            weights.WeightsError, match=r"mine.*: damaged: its numbers are not .*put"
        ):
            weights.load(file)
    held["eval"]["threshold"] = 0.25
    _write(file, header, held, numbers)
    assert _refused(file, weights.load)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (np.full(2, np.nan, "f"), "holds NaN or infinity"),
        (np.array([1, np.inf], "f"), "holds NaN or infinity"),
        (np.ones(2, np.int8), "holds int8, where a model has float32"),
        (np.ones(2, bool), "holds bool"),
        (np.ones(2, np.complex64), "holds complex64"),
        (np.ones(2, np.float64), "holds float64"),
    ],
)
def test_numbers_that_no_model_has_are_named(file, config, variables, value, said):
    params = variables["params"]
    bias = {"bias": value, "scale": params["enc2_norm"]["scale"]}
    weights.save(file, variables | {"params": params | {"enc2_norm": bias}}, config)
    with pytest.raises(weights.WeightsError) as caught:
        weights.load(file)
    assert str(caught.value).startswith(f"{file}: params/enc2_norm/bias {said}")


WRONG = (None, True, "x", "", -1, 0, 1, 10**9, 10**400, 1e308, float("nan"), [], [1], {}, {"a": 1})


def _mutated_config(draw, header, held, numbers):
    held = copy.deepcopy(held)
    names = [name for name in fields.flatten(held) if name.split(".")[0] in weights._PARTS]
    name = draw.choice([*names, *sorted(weights._PARTS & held.keys())])
    *way, last = name.split(".")
    place = held
    for part in way:
        place = place[part]
    if draw.random() < 0.15:
        del place[last]
    else:
        place[last] = draw.choice(WRONG)
    return header, held, numbers


def _mutated_header(draw, header, held, numbers):
    header = copy.deepcopy(header)
    name = draw.choice([name for name in header if name != "__metadata__"])
    change = draw.randrange(5)
    if change == 0:
        types = ["I8", "BF16", "F16", "F64", "C64", "BOOL", "F8_E4M3", "U64", "X", 5, None]
        header[name]["dtype"] = draw.choice(types)
    elif change == 1:
        shapes = ([], [10**12], [-1], [0], "x", [2, 2], None, [1.5], header[name]["shape"][::-1])
        header[name]["shape"] = draw.choice(shapes)
    elif change == 2:
        header[name]["data_offsets"] = draw.choice(([0, 0], [5, 1], [0, 10**15], "x", [1]))
    elif change == 3:
        names = (
            "",
            "/",
            "params",
            "params/enc1_conv/bias/x",
            "batch_stats/enc1_conv",
            "../x",
            "\n",
        )
        header[draw.choice(names)] = header.pop(name)
    else:
        held = draw.choice(([], 5, None, "x", [[]], {}))
    return header, held, numbers


def test_altered_configs_and_headers_give_our_own_error_alone(file, tmp_path):
    """The digest is left out, as it would find every one of them."""
    header, held, numbers = _parts(file)
    del held[weights.DIGEST]
    draw, other, refused = random.Random(0), tmp_path / "other.safetensors", 0
    for number in range(90):
        mutate = (_mutated_config, _mutated_header)[number % 2]
        _write(other, *mutate(draw, header, held, numbers))
        refused += _refused(other)
    assert 66 < refused < 90


def test_damaged_bytes_give_our_own_error_alone(file, tmp_path):
    data, draw, other = file.read_bytes(), random.Random(1), tmp_path / "other.safetensors"
    for number in range(150):
        damaged = bytearray(data)
        if number % 3 == 0:
            del damaged[draw.randrange(len(data)) :]
        elif number % 3 == 1:
            damaged[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        else:
            start = draw.randrange(4000)
            damaged[start : start + 9] = draw.randbytes(draw.randrange(20))
        other.write_bytes(damaged)
        # Of a JSON text some changes are none, as between two kinds of space.
        assert _refused(other, weights.load) or weights.load(other)[0]


@pytest.mark.parametrize("name", [model_card.NAME, model_card.HYPOTHESES, model_card.LOCATOR])
def test_shipped_weights_are_those_of_their_cards(name, tmp_path):
    opener = locator.open_network if name == model_card.LOCATOR else completer._open
    opener(model_card.path(name))
    data = bytearray(model_card.path(name).read_bytes())
    data[-1000] ^= 1
    path = tmp_path / name
    path.write_bytes(data)
    model_card.card_path(path).write_bytes(model_card.card_path(model_card.path(name)).read_bytes())
    said = rf"{path}: not the file that {path.stem}\.json beside it tells of; put back .* delete"
    with pytest.raises(weights.WeightsError, match=said):
        opener(path)
    model_card.card_path(path).unlink()
    if name == model_card.NAME:  # It is young enough to know its own numbers.
        with pytest.raises(weights.WeightsError, match="damaged: its numbers are not those"):
            opener(path)
    else:
        opener(path)


CARDS = (
    *([1], 5, "x", None, {"weights": 5}, {"weights": {"sha256": 5}}, {"weights": None}),
    *(
        {"training_data": "x"},
        {"training_data": {"pots": "many"}},
        {"limits": "x"},
        {"limits": [5]},
    ),
    *({"commit": []}, {"confidence": 1}, {"confidence": {"intercept": "x"}}),
    *({"confidence": {"intercept": float("nan")}}, {"confidence": {"bounds": {"support": [1]}}}),
    *({"confidence": {"coefficients": []}}, {"confidence": {"bounds": {"filled": [1, None]}}}),
)


@pytest.mark.parametrize("card", CARDS, ids=json.dumps)
def test_cards_of_another_shape_are_refused(file, card):
    model_card.card_path(file).write_text(json.dumps(card))
    with pytest.raises(weights.WeightsError, match=r"mine\.json: .*; put back the card"):
        model_card.verified(file)


def test_a_file_of_others_is_none_of_ours(tmp_path):
    safetensors.numpy.save_file({"a": np.ones(2, "f")}, tmp_path / "a.safetensors")
    with pytest.raises(
        weights.WeightsError, match=r"a\.safetensors: its metadata is not voxgan_jax"
    ):
        weights.load(tmp_path / "a.safetensors")
