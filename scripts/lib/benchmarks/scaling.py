"""A training step on 1, 2 and 4 devices: fake ones of a CPU, or the first of real ones."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence

from scripts.lib.benchmarks import timing

COUNTS = (1, 2, 4)
COLUMNS = (
    "name",
    "devices",
    "batch size",
    "ms",
    "ms min",
    "ms max",
    "samples/s",
    "speed-up",
    "failed",
)


def measure(
    script: str | pathlib.Path,
    arguments: Sequence[str],
    *,
    batch_size: int,
    platform: str,
    available: int,
) -> list[timing.Row]:
    """Rows of `script --what step` on each number of devices, a process each.

    Args:
        arguments: further ones for the script.
        batch_size: rows of a batch on each device.
        platform: "cpu" for fake devices, which share the machine's cores: their speed-up shows
            what dividing the work costs, and cannot be much over 1.
        available: how many real devices there are.

    Raises:
        ValueError: a process failed; with the end of what it wrote.
    """
    counts = [count for count in COUNTS if platform == "cpu" or count <= available]
    rows = []
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            report = pathlib.Path(folder) / "rows.json"
            whole = ["--batch_size", str(batch_size * count), "--json", str(report)]
            command = [sys.executable, str(script), "--what", "step", *arguments, *whole]
            done = subprocess.run(
                command,
                env=environment(os.environ, platform, count),
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise ValueError(f"{count} devices: {done.stderr.strip()[-500:]}")
            found = json.loads(report.read_text())["rows"]
        rows += [
            row | {"devices": count, "batch size": batch_size * count}
            for row in found
            if row["config"] != "ceiling"
        ]
    return with_speed_up(rows)


def environment(base: Mapping[str, str], platform: str, count: int) -> dict[str, str]:
    """The environment of a process that sees `count` devices."""
    if platform != "cpu":
        visible = base.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(count)))
        return {**base, "CUDA_VISIBLE_DEVICES": ",".join(visible.split(",")[:count])}
    flags = f"{base.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={count}"
    return {**base, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags.strip()}


def with_speed_up(rows: Sequence[timing.Row]) -> list[timing.Row]:
    """The rows with `speed-up`: samples a second over those of one device of equal name."""
    measured = [row for row in rows if "samples/s" in row]
    alone = {row["name"]: row["samples/s"] for row in measured if row["devices"] == 1}
    return [
        row | {"speed-up": row["samples/s"] / alone[row["name"]]}
        if row in measured and row["name"] in alone
        else row
        for row in rows
    ]
