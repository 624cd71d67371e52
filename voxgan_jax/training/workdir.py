"""The config that a run was started with, kept in its folder."""

import json
import os
import pathlib
from typing import Any

from ml_collections import ConfigDict

CONFIG_FILE = "config.json"

# What may change between two starts of one run: everything else would make it another run.
_FREE = (
    "data.dir",
    "data.cache",
    "parallel.",
    "train.num_",
    "train.log_every_steps",
    "train.steps_per_dispatch",
    # Not its split and threshold: the best IoU is kept over restarts.
    "eval.every_",
    "eval.batch_size",
    "checkpoint.",
)


class ConfigMismatchError(ValueError):
    """A run was started again with a config that does not continue it."""


def save_config(
    config: Any, workdir: str | pathlib.Path, *, started: bool, write: bool = True
) -> None:
    """Write the resolved config; where a run has `started` there, check that it goes on with it.

    Args:
        write: False only checks, as all but one of several processes do.

    Raises:
        ConfigMismatchError: the run there was started with other values; they are listed.
    """
    path = pathlib.Path(workdir) / CONFIG_FILE
    if started and path.is_file():
        before, now = flatten(load_config(workdir).to_dict()), flatten(config.to_dict())
        changed = [
            f"  config.{name}: {before.get(name)!r} there, {now.get(name)!r} now"
            for name in sorted(before.keys() | now.keys())
            if before.get(name) != now.get(name) and not name.startswith(_FREE)
        ]
        if changed:
            raise ConfigMismatchError(
                f"{workdir} holds a run with another config; use another --workdir or set these"
                " back:\n" + "\n".join(changed)
            )
    if not write:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(config.to_dict(), indent=2) + "\n")
    os.replace(temporary, path)


def load_config(workdir: str | pathlib.Path) -> Any:
    """The config that a run was started with.

    Raises:
        FileNotFoundError: the folder holds no run.
        ValueError: the file is damaged.
    """
    path = pathlib.Path(workdir) / CONFIG_FILE
    if not path.is_file():
        raise FileNotFoundError(f"{workdir}: no run there ({CONFIG_FILE} is missing); train first")
    try:
        return ConfigDict(json.loads(path.read_text()))
    except ValueError as error:
        raise ValueError(f"{path}: not a config ({error}); restore it or delete it") from error


def flatten(tree: dict, prefix: str = "") -> dict[str, Any]:
    """A nested config as one dict with dotted names."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
