"""The folder of a run: who trains there, and the config that the run was started with."""

import contextlib
import errno
import fcntl
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

from absl import logging
from ml_collections import ConfigDict

from voxgan_jax.devices import processes
from voxgan_jax.fields import flatten
from voxgan_jax.files import write_whole

CONFIG_FILE = "config.json"
LOCK_FILE = ".training"

# What may change between two starts of one run: everything else would make it another run.
_FREE = (
    "data.dir",
    "data.cache",
    "parallel.",
    "train.num_",
    "train.log_every_steps",
    "train.steps_per_dispatch",
    "train.deterministic",
    # Not its split and threshold: the best IoU is kept over restarts.
    "eval.every_",
    "eval.batch_size",
    "checkpoint.",
)


class ConfigMismatchError(ValueError):
    """A run was started again with a config that does not continue it."""


class OccupiedError(ValueError):
    """Another run is being trained in this folder."""


@contextlib.contextmanager
def alone(workdir: str | pathlib.Path) -> Iterator[None]:
    """Keep other runs from training in a folder, which is made if not there.

    The system lets go of it when the process dies. Of a run's processes the first holds it.

    Raises:
        OccupiedError: a run is being trained there.
    """
    with contextlib.ExitStack() as held:
        free = not processes.is_primary() or _lock(pathlib.Path(workdir), held)
        if not all(row[0] for row in processes.gather([free])):
            raise OccupiedError(
                f"{workdir}: another run is being trained there; wait for its end, or use another"
                " --workdir"
            )
        yield


def _lock(folder: pathlib.Path, held: contextlib.ExitStack) -> bool:
    """Whether the folder is free; it is locked until `held` ends, which leaves nothing behind."""
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        held.callback(_remove_if_empty, folder)
    path = folder / LOCK_FILE
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    held.callback(os.close, file)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        logging.warning(
            "%s: its file system knows no locks (%s): take care that no other run is trained there",
            folder,
            error.strerror,
        )
    # Another run may have ended, and removed the file, between its opening and its locking here.
    if os.fstat(file).st_nlink == 0:
        return False
    held.callback(path.unlink, missing_ok=True)
    return True


def _remove_if_empty(folder: pathlib.Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()


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
    write_whole(path, json.dumps(config.to_dict(), indent=2) + "\n")


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
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"{path}: not a config ({error}); restore it or delete it") from error
