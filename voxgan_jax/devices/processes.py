"""Several processes that train one model: how they find each other and exchange small things.

Each process drives its own devices; JAX's coordinator, which process 0 hosts, introduces them. The
order of what is tried: `config.parallel`, the environment variables of the same meaning, SLURM,
Open MPI; where none of them speaks of several processes, the run has one.
"""

import itertools
import json
import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils

# The environment's names for config.parallel.{coordinator_address, num_processes, process_id}.
VARIABLES = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
FIELDS = ("coordinator_address", "num_processes", "process_id")
UNSET = ("", 0, -1)
# What JAX itself reads in a SLURM step; a batch script outside srun lacks some of them.
_SLURM = ("SLURM_JOB_ID", "SLURM_STEP_NODELIST", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID")
_OMPI = ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK")
_OMPI_ADDRESS = "OMPI_MCA_orte_hnp_uri"


class DistributedError(ValueError):
    """The processes of a run are described wrongly, or do not find each other."""


class Place(NamedTuple):
    """This process among all; what is None JAX asks of the launcher."""

    coordinator_address: str | None
    num_processes: int
    process_id: int
    local_device_ids: list[int] | None = None
    cluster_detection_method: str | None = None


def find_place(parallel: Any, environ: Mapping[str, str]) -> Place | None:
    """Which process this is, from the config or the environment; None: the run has only this one.

    Args:
        parallel: `config.parallel`. Its three fields go together: "HOST:PORT" of process 0, how
            many processes there are, and which of them, counted from 0, this one is.
        environ: the process's environment.

    Raises:
        DistributedError: some of the three are missing, or are no such values.
    """
    given = tuple(parallel[name] for name in FIELDS)
    if given != UNSET:
        missing = [
            f"config.parallel.{name}"
            for name, value, unset in zip(FIELDS, given, UNSET, strict=True)
            if value == unset
        ]
        return _checked(given, missing, "config.parallel")
    if all(name in environ for name in VARIABLES):
        return _checked(tuple(environ[name] for name in VARIABLES), [], "JAX_*")
    if all(name in environ for name in _SLURM):
        num_processes, process_id = environ["SLURM_NTASKS"], environ["SLURM_PROCID"]
        one_a_node = environ.get("SLURM_STEP_NUM_NODES") == num_processes
        return _launched(num_processes, process_id, environ, one_a_node)
    if all(name in environ for name in _OMPI):
        num_processes, process_id, local_rank = (environ[name] for name in _OMPI)
        place = _launched(num_processes, process_id, environ, False)
        if place is None or _OMPI_ADDRESS in environ:
            return place
        # Version 5, which JAX does not know: it would give every rank all devices of its node.
        if not place.coordinator_address:
            raise DistributedError(
                "this Open MPI does not tell where process 0 is; start with"
                f" mpirun -x {VARIABLES[0]}=HOST:PORT, the host being that of rank 0"
            )
        return place._replace(local_device_ids=place.local_device_ids or [int(local_rank)])
    if any(name in environ for name in VARIABLES):
        missing = [name for name in VARIABLES if name not in environ]
        return _checked((), missing, "JAX_*")
    return None


def _checked(values: Sequence[Any], missing: list[str], where: str) -> Place:
    if missing:
        raise DistributedError(
            f"{where} describes several processes only in part: {' and '.join(missing)} must be set"
            " too; or set none of them to train in one process"
        )
    address, num_processes, process_id = values
    num_processes, process_id = _integers(num_processes, process_id, where)
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise DistributedError(f"{where}: coordinator address {address!r} is not HOST:PORT")
    # By hand it takes all devices, also in an interactive SLURM step, of which JAX would take one.
    return Place(address, num_processes, process_id, None, "deactivate")


def _launched(
    num_processes: str, process_id: str, environ: Mapping[str, str], one_a_node: bool
) -> Place | None:
    """A task of a launcher, which gives each task the device of its local rank.

    But JAX's numbers count what CUDA_VISIBLE_DEVICES leaves, so a task that sees one device must
    take the first, and one that is alone on its node should take all.
    """
    num, which = _integers(num_processes, process_id, "the launcher's environment")
    if num == 1:
        return None
    visible = environ.get("CUDA_VISIBLE_DEVICES", "")
    count = len(visible.split(",")) if visible else 0
    devices = list(range(count)) if count == 1 or (count and one_a_node) else None
    return Place(environ.get(VARIABLES[0]), num, which, devices)


def _integers(num_processes: Any, process_id: Any, where: str) -> tuple[int, int]:
    try:
        num, which = int(num_processes), int(process_id)
    except ValueError:
        num, which = 0, 0
    if not 0 <= which < num:
        raise DistributedError(
            f"{where}: process {process_id} of {num_processes}: expected a number of processes and"
            " one of 0 … number - 1"
        )
    return num, which


def initialize(
    parallel: Any, *, environ: Mapping[str, str] = os.environ, timeout_s: int = 300
) -> None:
    """Join the other processes of the run, where there are any; before JAX touches a device.

    Args:
        parallel: `config.parallel`, see `find_place`.
        timeout_s: how long to wait for the others.

    Raises:
        DistributedError: wrong or missing values, or not all processes came in time.
    """
    place = find_place(parallel, environ)
    if place is None:
        return
    failures: list[Exception] = []

    def join() -> None:
        try:
            jax.distributed.initialize(
                **place._asdict(),
                # JAX aborts the process when its own time is over; ours is over before.
                initialization_timeout=timeout_s + 600,
                # A process that failed alone would hold up the end of the others for so long.
                shutdown_timeout_seconds=60,
            )
        except Exception as error:
            failures.append(error)

    # In a thread, as the wait cannot be interrupted.
    thread = threading.Thread(target=join, daemon=True)
    thread.start()
    thread.join(timeout_s)
    address = place.coordinator_address or "the launcher's first host"
    here = f"process {place.process_id} of {place.num_processes}, coordinator {address}"
    if thread.is_alive():
        raise DistributedError(
            f"{here}: not all processes came within {timeout_s} s; are all of them started, with"
            " the same address, and can they reach it?"
        )
    if failures:
        reason = str(failures[0]).splitlines()[0]
        hint = "; is the address this host's, and its port free?" if place.process_id == 0 else ""
        raise DistributedError(f"{here}: {reason}{hint}") from failures[0]


def is_primary() -> bool:
    """Whether this process is the one that writes logs and files; JAX's devices are started."""
    return jax.process_index() == 0


def gather(rows: Sequence[Any]) -> list[list[Any]]:
    """The rows of every process, in the order of the processes, on each of them.

    Args:
        rows: numbers (floats come back exactly), strings, and lists of these.
    """
    if jax.process_count() == 1:
        return [list(rows)]
    text = np.frombuffer(json.dumps(rows, default=lambda number: number.item()).encode(), np.uint8)
    # Arrays of one shape are exchanged: the longest text's.
    sizes = multihost_utils.process_allgather(np.int32(text.size)).ravel()
    padded = np.zeros(sizes.max(), np.uint8)
    padded[: text.size] = text
    texts = multihost_utils.process_allgather(padded)
    return [
        json.loads(row[:size].tobytes().decode()) for row, size in zip(texts, sizes, strict=True)
    ]


def merge(shares: Sequence[Sequence[Any]]) -> list[Any]:
    """What was dealt out to the processes one by one, in its order: the rows of each, gathered."""
    return [item for items in itertools.zip_longest(*shares) for item in items if item is not None]


def stop_together(stop: Callable[[int], bool]) -> Callable[[int], bool]:
    """A `stop(step)` that answers alike in all processes, and yes soon after it is yes in one.

    The others are told by JAX's own service, which listens for SIGTERM instead of the run's own
    handler: one to any process stops all of them, at the next question that none has passed yet.

    Args:
        stop: whether this process alone would stop; asked after `initialize`, as often and in the
            same order in all processes.
    """
    if jax.process_count() == 1:
        return stop
    questions, told = itertools.count(), []

    def stop_all(step: int) -> bool:
        if stop(step) and not told:
            told.append(step)
            signal.raise_signal(signal.SIGTERM)
        return multihost_utils.reached_preemption_sync_point(next(questions))

    return stop_all
