"""What a worker that only shows is given: a sherd of a cone, and a bowl as its pot."""

import contextlib
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import app_work
import numpy as np
from browser import Opened, launched
from restored_bowl import restored
from turned_sherds import cone

from voxgan_jax.app import views
from voxgan_jax.app.bench import Bench
from voxgan_jax.geometry import surface
from voxgan_jax.report import page

ENDS = ("_completed.vox", "_completed.stl", "_missing.stl", "_section.svg", "_section.pdf", ".html")


def lay(folder: pathlib.Path, **said: Any) -> pathlib.Path:
    """Fill a folder with what `app_seen.show` shows, and with `rim sherd.stl`, whose rim is 160 mm
    wide; `said` stands in the report."""
    scan, pot = cone(), restored()
    told = page.scene_of(pot)
    reach = 0.6 * told["height"] * np.array(told["up"])
    told["axis"] = [(told["centre"] + sign * reach).tolist() for sign in (-1, 1)]
    look = {"mesh": True, "bodies": [], "notes": [], "unit_mm": 1.0}
    look |= {"size": scan.extents.tolist(), "middle": scan.centroid.tolist()}
    report = pot.report.to_json() | {"rim": {"percent": 12.3, "eve": 0.123}} | said
    made = {"report": report, "files": [f"rim sherd{end}" for end in ENDS]}
    shown = {"look_view": views.of_scan(scan, (0.0, 0.0, 1.0)), "restore_view": told}
    for name, value in (shown | {"look": look, "restore": made}).items():
        (folder / f"{name}.json").write_text(json.dumps(value))
    surface.write_stl(folder / "rim sherd.stl", scan)
    return folder


@contextlib.contextmanager
def opened(bench: Bench, patience_ms: int) -> Iterator[Opened]:
    """The workbench on a small laptop's screen."""
    size = {"width": 1366, "height": 768}
    with launched() as browser, app_work.live(bench) as address:
        shown = Opened(browser, None, address=address, viewport=size, locale="en-GB")
        shown.page.set_default_timeout(patience_ms)
        yield shown
