"""Weights of a trained generator as one safetensors file that also holds its config."""

import json
import os
import pathlib
from typing import Any

import flax.traverse_util
import numpy as np
import safetensors
import safetensors.numpy
from ml_collections import ConfigDict

RUN_FILE = "generator.safetensors"
"""The name of a run's weights in its folder."""

METADATA = "voxgan_jax_config"

Variables = dict[str, Any]


class WeightsError(ValueError):
    """A file that holds no weights of ours."""


def save(path: str | pathlib.Path, variables: Variables, config: Any) -> None:
    """Write a generator's collections, and the config that builds it, to a safetensors file.

    A file of that name is replaced whole or, on OSError (a full disk, say), left as it was.
    """
    flat = flax.traverse_util.flatten_dict(variables, sep="/")
    arrays = {name: np.ascontiguousarray(value) for name, value in flat.items()}
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
    """Read what `save` wrote.

    Raises:
        FileNotFoundError: no such file.
        WeightsError: not a safetensors file, or not one written by `save`.
    """
    if not pathlib.Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such weights file")
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            flat = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except safetensors.SafetensorError as error:
        raise WeightsError(f"{path}: not a safetensors file ({error})") from error
    if METADATA not in metadata:
        raise WeightsError(
            f"{path}: its metadata is not voxgan_jax's; make it with scripts/train.py"
        )
    config = ConfigDict(json.loads(metadata[METADATA]))
    return flax.traverse_util.unflatten_dict(flat, sep="/"), config
