"""Which process of how many this is, and what one process makes of the exchange with others."""

import os
import socket
import subprocess
import sys

import pytest
from conftest import ROOT
from ml_collections import ConfigDict

from voxgan_jax.devices import processes

SLURM = {
    "SLURM_JOB_ID": "77",
    "SLURM_STEP_NODELIST": "gpu[03-04]",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_NTASKS": "16",
    "SLURM_PROCID": "9",
    "SLURM_LOCALID": "1",
}
OMPI = {
    "OMPI_COMM_WORLD_SIZE": "4",
    "OMPI_COMM_WORLD_RANK": "3",
    "OMPI_COMM_WORLD_LOCAL_RANK": "1",
}
URI = {"OMPI_MCA_orte_hnp_uri": "1531576320.0;tcp://10.96.0.1:34911"}
JAX = {
    "JAX_COORDINATOR_ADDRESS": "gpu03:1234",
    "JAX_NUM_PROCESSES": "2",
    "JAX_PROCESS_ID": "1",
}


def _parallel(address="", num_processes=0, process_id=-1):
    return ConfigDict(
        dict(zip(processes.FIELDS, (address, num_processes, process_id), strict=True))
    )


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        (JAX, ("gpu03:1234", 2, 1, None)),
        (SLURM, (None, 16, 9, None)),
        # One task that sees one device; one task a node that sees all of the node's.
        (SLURM | {"CUDA_VISIBLE_DEVICES": "5"}, (None, 16, 9, [0])),
        (SLURM | {"CUDA_VISIBLE_DEVICES": "0,1,2,3"}, (None, 16, 9, None)),
        (
            SLURM | {"SLURM_NTASKS": "2", "SLURM_PROCID": "1", "CUDA_VISIBLE_DEVICES": "0,1,2"},
            (None, 2, 1, [0, 1, 2]),
        ),
        (SLURM | {"SLURM_NTASKS": "1", "SLURM_PROCID": "0"}, None),
        # A batch script outside srun: there is no step.
        ({name: SLURM[name] for name in ("SLURM_JOB_ID", "SLURM_NTASKS", "SLURM_PROCID")}, None),
        (SLURM | JAX, ("gpu03:1234", 2, 1, None)),
        (SLURM | {"JAX_COORDINATOR_ADDRESS": "gpu03:1"}, ("gpu03:1", 16, 9, None)),
        (OMPI | URI, (None, 4, 3, None)),
        # Version 5, of which JAX cannot tell the local rank.
        (OMPI | {"JAX_COORDINATOR_ADDRESS": "gpu03:1"}, ("gpu03:1", 4, 3, [1])),
    ],
)
def test_the_environment_tells_the_place(environ, expected):
    place = processes.find_place(_parallel(), environ)
    assert (place and tuple(place)[:4]) == expected


def test_the_config_goes_before_the_environment():
    place = processes.find_place(_parallel("[::1]:99", 3, 0), SLURM | JAX)
    # All devices are its own, though JAX would take SLURM's local rank for the number of one.
    assert place == processes.Place("[::1]:99", 3, 0, None, "deactivate")


@pytest.mark.parametrize(
    ("parallel", "environ", "message"),
    [
        (
            _parallel("gpu03:1234"),
            {},
            r"config\.parallel\.num_processes and config\.parallel\.process_id must be set too",
        ),
        (_parallel(process_id=0), {}, r"config\.parallel\.coordinator_address and"),
        (_parallel("gpu03:1234", 2, 2), {}, "process 2 of 2: expected .* 0 … number - 1"),
        (_parallel("gpu03", 2, 0), {}, "'gpu03' is not HOST:PORT"),
        (_parallel(), {"JAX_PROCESS_ID": "1"}, "JAX_COORDINATOR_ADDRESS and JAX_NUM_PROCESSES"),
        (_parallel(), JAX | {"JAX_NUM_PROCESSES": "two"}, "process 1 of two"),
        (_parallel(), OMPI, "mpirun -x JAX_COORDINATOR_ADDRESS=HOST:PORT"),
        (_parallel(), SLURM | {"SLURM_NTASKS": "many"}, "launcher's environment: process 9 of m"),
    ],
)
def test_half_set_or_wrong_places_are_refused(parallel, environ, message):
    with pytest.raises(processes.DistributedError, match=message):
        processes.find_place(parallel, environ)


def test_one_process_needs_nobody():
    processes.initialize(_parallel(), environ={})
    rows = [["a", 0.1, 2]]
    assert processes.gather(rows) == [rows]
    assert [processes.stop_together(lambda step: step > 7)(step) for step in (7, 8)] == [
        False,
        True,
    ]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7])
def test_merged_shares_are_the_whole_in_its_order(count):
    items = list(range(count))
    assert processes.merge([items[i::3] for i in range(3)]) == items


@pytest.mark.parametrize("process_id", [0, 1])
def test_missing_processes_end_the_wait_with_one_line(process_id):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    code = (
        "import sys; from ml_collections import ConfigDict\n"
        "from voxgan_jax.devices import processes\n"
        f"parallel = ConfigDict(dict(zip(processes.FIELDS, ({address!r}, 2, {process_id}))))\n"
        "try: processes.initialize(parallel, environ={}, timeout_s=1)\n"
        "except ValueError as error: sys.exit(f'train.py: {error}')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith(
        f"train.py: process {process_id} of 2, coordinator {address}: not all processes came"
        " within 1 s"
    )
    # The coordinator that process 0 hosts logs its own end.
    assert process_id == 0 or len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_the_slurm_script_names_the_config_before_its_fields(tmp_path):
    """A field of the config means nothing before `--config`, and tasks need their cores by name."""
    srun = tmp_path / "srun"
    srun.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    srun.chmod(0o755)
    slurm = {"SLURM_SUBMIT_DIR": str(ROOT), "SLURM_NTASKS": "8", "SLURM_CPUS_PER_TASK": "4"}
    done = subprocess.run(
        ["bash", str(ROOT / "scripts" / "slurm.sh"), "--config", "configs/smoke.py"],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"} | slurm,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    words = done.stdout.split()
    assert words[-3:] == ["--config", "configs/smoke.py", "--config.data.num_shards=8"]
    assert "--cpus-per-task=4" in words
