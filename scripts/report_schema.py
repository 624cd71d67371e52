#!/usr/bin/env python3
"""Write docs/report.schema.json, the JSON schema of the reports of restored pots, anew.

    scripts/report_schema.py

It follows from voxgan_jax/report/record.py; tests/test_record.py knows a stale one.
"""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from scripts.lib.start import leave

from scripts.lib import report_schema
from voxgan_jax.cli import commands
from voxgan_jax.files import write_whole

TARGET = pathlib.Path(__file__).resolve().parent.parent / "docs" / "report.schema.json"


def main() -> None:
    text = json.dumps(report_schema.schema(), indent=2, ensure_ascii=False)
    write_whole(TARGET, text + "\n")
    print(f"Written: {TARGET}")


if __name__ == "__main__":
    leave(commands.exit_code("report_schema.py", main))
