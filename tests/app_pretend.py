"""A worker of `voxgan app` that only pretends; it imports little, as each test starts one."""

import json
import time
from typing import Any

STUCK_MM, BROKEN_MM, DEADLY_MM = 111.0, 222.0, 333.0
"""Heights of pots at which the worker hangs, fails and dies."""

PLACE = {"axis_direction": [0.6, -0.8, 0.0], "height_mm": 151.6, "diameter_mm": 98.2}


def pretend(pipe: Any) -> None:
    """As `work.serve`: what it looks at is 40 × 30 × 20, what it restores has one other place."""
    while True:
        job = pipe.recv()
        if job is None:
            continue
        pipe.send(("step", "step_reading"))
        height = job.choices.get("height_mm")
        if height == STUCK_MM:
            while not pipe.poll():
                time.sleep(0.01)
            pipe.send(("dropped", None))
            continue
        if height == DEADLY_MM:
            return
        if height == BROKEN_MM:
            pipe.send(("failed", "no such pot"))
            continue
        job.view.write_text(json.dumps({"view of": job.kind}))
        if job.kind == "look":
            seen = {"size": [40, 30, 20], "middle": [0.0, 0.0, -5.0], "unit_mm": 1.0, "mesh": True}
            pipe.send(("done", seen | {"bodies": [], "notes": []}))
            continue
        job.out.mkdir(parents=True, exist_ok=True)
        (job.out / f"{job.path.stem}.html").write_text("<script>1</script>")
        (job.out / f"{job.path.stem}_section.svg").write_text("<svg/>")
        report = {"placement": PLACE | {"runner_ups": [PLACE]}, "measures": {"height_mm": 150.0}}
        report["hypotheses"] = []
        names = [f"{job.path.stem}.html", f"{job.path.stem}_section.svg"]
        pipe.send(("done", {"choices": job.choices, "report": report, "files": names}))
