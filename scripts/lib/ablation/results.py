"""What both ablations leave: times, the machine, and results.json beside a table."""

import json
import os
import pathlib
import platform
from collections.abc import Mapping
from typing import Any

import jax

from scripts.lib.ablation.runs import TIMES
from voxgan_jax.files import write_whole

RESULTS, TABLE = "results.json", "table.md"


def seconds(run_dir: pathlib.Path) -> dict[str, float]:
    """How long each stage of a run took, all its starts together; empty where nobody noted it."""
    times = run_dir / TIMES
    return json.loads(times.read_text()) if times.is_file() else {}


def hardware() -> dict[str, Any]:
    """What it ran on. Takes hold of JAX's devices."""
    devices = jax.devices()
    return {
        "platform": devices[0].platform,
        "devices": [device.device_kind for device in devices],
        "machine": platform.machine(),
        "cores": os.cpu_count(),
    }


def write(results: Mapping[str, Any], out: pathlib.Path) -> None:
    """Write `results.json`: the last file of an ablation."""
    text = json.dumps(results, indent=2, ensure_ascii=False, allow_nan=False)
    write_whole(out / RESULTS, text + "\n")
