"""A worker of `voxgan app` that restores nothing, but shows what a test laid ready, at once."""

import json
import pathlib
import time
from typing import Any

from app_pretend import BROKEN_MM, STUCK_MM

from voxgan_jax.files import write_whole

EARLY_MM = 144.0
"""A height of pots at which the worker hangs when it has told of the pot."""


def show(ready: str, pipe: Any) -> None:
    """As `work.serve`; `ready` is a folder with what a look and a restored pot give and show:
    `look.json`, `look_view.json`, `restore.json`, `restore_view.json`."""
    folder = pathlib.Path(ready)
    while True:
        job = pipe.recv()
        if job is None:
            continue
        pipe.send(("step", "step_placing"))
        if job.choices.get("height_mm") == STUCK_MM and job.kind == "restore":
            while not pipe.poll():
                time.sleep(0.01)
            pipe.send(("dropped", None))
            continue
        if job.choices.get("height_mm") == BROKEN_MM and job.kind == "restore":
            pipe.send(("failed", "no such pot"))
            continue
        told = json.loads((folder / f"{job.kind}.json").read_text())
        if job.kind == "restore":
            told["choices"] = job.choices
            told["report"]["options"]["lang"] = job.lang
            told["report"]["sherds"] = _sherds([job.path, *job.others]) if job.others else None
            first = told | {"files": []}, (folder / "restore_view.json").read_text()
            pipe.send(("first", first))
            if job.choices.get("height_mm") == EARLY_MM:
                while not pipe.poll():
                    time.sleep(0.01)
                pipe.send(("dropped", None))
                continue
            job.out.mkdir(parents=True, exist_ok=True)
            for name in told["files"]:
                (job.out / name).write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
        write_whole(job.view, (folder / f"{job.kind}_view.json").read_text())
        pipe.send(("done", told))


def _sherds(paths: list[pathlib.Path]) -> list[dict[str, Any]]:
    """Of three sherds or more the last one is set aside."""
    placed = paths if len(paths) < 3 else paths[:-1]
    row = [1.0, 0.0, 0.0, 0.0]
    return [
        {"file": path.name, "sha256": "5", "frame": path == paths[0], "notes": []}
        | {"move": [row] * 4 if path in placed else None}
        for path in paths
    ]
