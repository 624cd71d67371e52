"""On 1, 2 and 4 devices the same: answers, batches, a run that goes on with more of them."""

import json
import pathlib
import subprocess
import sys
from typing import Any

import pytest
from conftest import ROOT, on_cpu_devices


@pytest.fixture(scope="module")
def found(vox_dir: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one process with four devices found."""
    folder = tmp_path_factory.mktemp("devices")
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "four_devices.py"), str(vox_dir), str(folder)],
        env=on_cpu_devices(4),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / "results.json").read_text())


def test_any_number_of_rows_is_divided_among_devices(found):
    """Equal answers, and each device computes its own rows."""
    # Compiled once for each size: 1 (and 1, 3, 4), then 2 and 4, then 4 alone.
    assert found["rows"] == [1, 3, 4, 2, 4, 4], found["rows"]


def test_the_same_batches_on_1_2_and_4_devices(found):
    same = {"rows": 24, "of first epoch": 18, "fingerprints": 1}
    assert found["batches"] == same, found["batches"]


def test_resumed_on_two_devices_it_sees_the_same_data(found):
    """3 steps on one device and 3 on two give what 6 on one do, but for rounding (under SGD)."""
    assert isinstance(found["resumed"], dict), found["resumed"]
    assert found["resumed"]["moved"] > 1e-3
