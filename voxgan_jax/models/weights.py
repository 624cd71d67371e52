"""Weights of a trained generator as one safetensors file that also holds its config."""

import functools
import hashlib
import json
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import flax.traverse_util
import jax
import numpy as np
import safetensors
import safetensors.numpy
from flax import linen as nn
from ml_collections import ConfigDict

from voxgan_jax import fields, models
from voxgan_jax.files import write_whole

RUN_FILE = "generator.safetensors"
"""The name of a run's weights in its folder."""

METADATA = "voxgan_jax_config"
DIGEST = "sha256"
"""Beside the config's own fields: the digest of config and arrays. Older files have none."""

Variables = dict[str, Any]

Make = Callable[[Any], tuple[nn.Module, tuple[int, ...], Mapping[str, Any]]]
"""From a config a network, the shape of what it is given, and the options of its `init`."""

_PARTS = {"data", "eval", "generator", "discriminator", "locator"}

_AGAIN = "put back the file that its run left, or train again"


class WeightsError(ValueError):
    """A file that holds no weights of ours, or damaged ones."""


def save(
    path: str | pathlib.Path, variables: Variables, config: Any, *, half: bool = False
) -> None:
    """Write a generator's collections, and the config that builds it, to a safetensors file.

    A file of that name is replaced whole or, on OSError (a full disk, say), left as it was.

    Args:
        half: store floating numbers as float16, in half the space. Of the two formats of 16 bits
            it is the finer one for weights, which are far from its bounds: 11 bits of precision,
            where bfloat16 has 8.

    Raises:
        WeightsError: a number too big for float16, or one that is not finite.
    """
    flat = flax.traverse_util.flatten_dict(variables, sep="/")
    # Not `ascontiguousarray`, which gives a scalar one axis.
    arrays = {name: np.asarray(value, order="C") for name, value in flat.items()}
    if half:
        arrays = {name: _halved(name, value) for name, value in arrays.items()}
    # One entry: the format does not keep the order of several, and equal runs write equal files.
    held = config.to_dict()
    metadata = {METADATA: json.dumps(held | {DIGEST: _digest(held, arrays)})}
    write_whole(path, safetensors.numpy.save(arrays, metadata=metadata))


def load(path: str | pathlib.Path) -> tuple[Variables, Any]:
    """Read what `save` wrote; numbers stored as float16 come back as float32.

    Raises:
        FileNotFoundError: no such file.
        WeightsError: not a safetensors file, not one written by `save`, or a damaged one.
    """
    if not pathlib.Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such weights file")
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except Exception as error:  # NumPy's for types that it does not know, too.
        _refuse(path, f"not a safetensors file that can be read ({_line(error)})", error)
    if METADATA not in metadata:
        raise WeightsError(
            f"{path}: its metadata is not voxgan_jax's; make it with scripts/train.py"
        )
    try:
        held = json.loads(metadata[METADATA])
        if not isinstance(held, dict):
            raise ValueError("its config is no JSON object")
        digest = held.pop(DIGEST, None)
        # Of what else stands there, nothing but the run made use.
        fields.check({part: held[part] for part in _PARTS & held.keys()})
        intact = digest in (None, _digest(held, arrays))
        config = ConfigDict(held)
        whole = {name: _whole(name, array) for name, array in arrays.items()}
        variables = flax.traverse_util.unflatten_dict(whole, sep="/")
    except Exception as error:  # JSON of any shape may stand there, and arrays of any name.
        _refuse(path, _line(error), error)
    if not intact:
        _refuse(path, "damaged: its numbers are not those that were saved")
    return variables, config


def open_model(
    path: str | pathlib.Path, make: Make | None = None, *, known: bool = False
) -> tuple[Any, Variables, Any]:
    """The network of a weights file, a generator unless `make` says otherwise, with its variables
    and its config.

    Args:
        known: that its arrays are the network's, which takes half a second to find out.

    Raises:
        FileNotFoundError: no such file.
        WeightsError: see `load`; or a config that makes no network, or one of other arrays, as with
            files from before a model was changed.
    """
    variables, config = load(path)
    try:
        module, shape, options = (make or _generator)(config)
        if known:
            return module, variables, config
        init = functools.partial(module.init, **options)
        made = jax.eval_shape(init, jax.random.key(0), jax.ShapeDtypeStruct(shape, np.float32))
    except Exception as error:  # Models raise whatever values of a wrong kind lead them to.
        _refuse(path, f"its config makes no model ({_line(error)})", error)
    both = [flax.traverse_util.flatten_dict(tree, sep="/") for tree in (made, variables)]
    for name in sorted(both[0].keys() | both[1].keys()):
        wanted, found = (getattr(part.get(name), "shape", "none") for part in both)
        if wanted != found:
            raise WeightsError(
                f"{path}: {name} has shape {found} there and {wanted} in this version of the model;"
                " train again, or use the version that made the file"
            )
    return module, variables, config


def _generator(config: Any) -> tuple[nn.Module, tuple[int, ...], Mapping[str, Any]]:
    return models.build(config.generator), (1, *[config.data.resolution] * 3, 1), {"train": False}


def _digest(config: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    """A sha256 of a config and arrays, the same in whatever order they come."""
    digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _refuse(path: str | pathlib.Path, why: str, error: Exception | None = None) -> NoReturn:
    raise WeightsError(f"{path}: {why}; {_AGAIN}") from error


def _line(error: Exception) -> str:
    said = " ".join(f"{error or type(error).__name__}".split())[:200]
    return "".join(letter if letter.isprintable() else "?" for letter in said)


def _halved(name: str, value: np.ndarray) -> np.ndarray:
    if not np.issubdtype(value.dtype, np.floating):
        return value
    if not np.all(np.abs(value) <= np.finfo(np.float16).max):
        raise WeightsError(f"{name}: a number there does not fit float16; store the file whole")
    return value.astype(np.float16)


def _whole(name: str, value: np.ndarray) -> np.ndarray:
    if not name.isprintable():
        raise WeightsError(f"{name!r} is no name of an array")
    if value.dtype not in (np.float16, np.float32):
        raise WeightsError(f"{name} holds {value.dtype}, where a model has float32")
    if not np.isfinite(value).all():
        raise WeightsError(f"{name} holds NaN or infinity")
    return value.astype(np.float32)
