"""Weights of a trained generator as one safetensors file that also holds its config."""

import functools
import json
import os
import pathlib
from typing import Any

import flax.traverse_util
import jax
import numpy as np
import safetensors
import safetensors.numpy
from flax import linen as nn
from ml_collections import ConfigDict

RUN_FILE = "generator.safetensors"
"""The name of a run's weights in its folder."""

METADATA = "voxgan_jax_config"

Variables = dict[str, Any]


class WeightsError(ValueError):
    """A file that holds no weights of ours."""


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
    target = pathlib.Path(path)
    temporary = target.with_name(f".{target.name}.tmp")
    # One entry: the format does not keep the order of several, and equal runs write equal files.
    metadata = {METADATA: json.dumps(config.to_dict())}
    data = safetensors.numpy.save(arrays, metadata=metadata)
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def load(path: str | pathlib.Path) -> tuple[Variables, Any]:
    """Read what `save` wrote; numbers stored as float16 come back as float32.

    Raises:
        FileNotFoundError: no such file.
        WeightsError: not a safetensors file, or not one written by `save`.
    """
    if not pathlib.Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such weights file")
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            flat = {name: _whole(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
    except safetensors.SafetensorError as error:
        raise WeightsError(f"{path}: not a safetensors file ({error})") from error
    if METADATA not in metadata:
        raise WeightsError(
            f"{path}: its metadata is not voxgan_jax's; make it with scripts/train.py"
        )
    config = ConfigDict(json.loads(metadata[METADATA]))
    return flax.traverse_util.unflatten_dict(flat, sep="/"), config


def require_fit(
    path: str | pathlib.Path, variables: Variables, generator: nn.Module, resolution: int
) -> None:
    """Raise WeightsError where `variables`, read from `path`, are not those of this generator.

    So it is with files from before a model was changed.
    """
    example = jax.ShapeDtypeStruct((1, *[resolution] * 3, 1), np.float32)
    init = functools.partial(generator.init, train=False)
    made: Any = jax.eval_shape(init, jax.random.key(0), example)
    shapes = [
        {
            jax.tree_util.keystr(place, simple=True, separator="/"): leaf.shape
            for place, leaf in jax.tree_util.tree_leaves_with_path(tree)
        }
        for tree in (made, variables)
    ]
    for name in sorted(shapes[0].keys() | shapes[1].keys()):
        wanted, found = (part.get(name, "none") for part in shapes)
        if wanted != found:
            raise WeightsError(
                f"{path}: {name} has shape {found} there and {wanted} in this version of the model;"
                " train again, or use the version that made the file"
            )


def _halved(name: str, value: np.ndarray) -> np.ndarray:
    if not np.issubdtype(value.dtype, np.floating):
        return value
    if not np.all(np.abs(value) <= np.finfo(np.float16).max):
        raise WeightsError(f"{name}: a number there does not fit float16; store the file whole")
    return value.astype(np.float16)


def _whole(value: np.ndarray) -> np.ndarray:
    return value.astype(np.float32) if value.dtype == np.float16 else value
