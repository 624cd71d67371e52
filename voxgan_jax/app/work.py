"""What the worker process does: looks at scans, restores pots.

It is started afresh, keeps the model, and ends with the process that started it. Whatever it is at
can be broken off by killing it: files are written whole.
"""

import contextlib
import functools
import json
import multiprocessing
import multiprocessing.connection
import os
import pathlib
import signal
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from voxgan_jax import ledger
from voxgan_jax.devices import accelerator
from voxgan_jax.files import write_whole

Tell = Callable[[str, Any], None]
"""Is told of a job "step", with the key in the texts of what is begun, or "first", with what can be
shown before it is done; raises `Dropped` where it is no longer wanted."""

_SAID = {
    ledger.INSTEAD: "move it elsewhere or give it another name, and restore the pot again",
    "--unit": "the unit",
    "--axis, --up": "the axis",
    "--axis": "the axis",
    "--up": "the axis",
    "--height-mm": "the height",
    "--diameter-mm": "the greatest diameter",
    "--voxel-mm": "the side of a voxel",
}
"""What the page says where a command would name these options."""

_KEPT = 4
"""So many sherds stay in memory with the places that were found for them."""


class Job(NamedTuple):
    """What is to be done with a scan: the name of a function of JOBS, and what it needs."""

    kind: str
    scan: int
    path: pathlib.Path
    view: pathlib.Path
    out: pathlib.Path
    choices: dict[str, Any]
    others: tuple[pathlib.Path, ...] = ()  # of the same pot
    lang: str = "en"


class Dropped(Exception):
    """What is done is no longer wanted, as something else is."""


def serve(pipe: multiprocessing.connection.Connection) -> None:
    """Be the worker: answer each job that comes by ("done", what it gives) or ("failed", why), with
    what `Tell` is told before; ("dropped", None) where another message came meanwhile."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent.sentinel,), daemon=True).start()
    accelerator.before_imports()
    accelerator.keep_compiled()
    # Before there are two threads, which would import the same and stand in each other's way.
    from voxgan_jax.app import views  # noqa: F401
    from voxgan_jax.restore import batch
    from voxgan_jax.scan import worker

    worker.start()
    threading.Thread(target=_warm_up, args=(batch,), daemon=True).start()

    def tell(how: str, what: Any) -> None:
        if pipe.poll():
            raise Dropped
        pipe.send((how, what))

    while True:
        job = pipe.recv()
        if job is None:  # A job was dropped that had ended by itself.
            continue
        pipe.send(answered(job, tell))


def answered(job: Job, tell: Tell) -> tuple[str, Any]:
    """How a job ended."""
    try:
        return "done", JOBS[job.kind](job, tell)
    except Dropped:
        return "dropped", None
    except Exception as error:
        from voxgan_jax.restore import faults

        why = str(faults.of_file(job.path, error)).removeprefix(f"{job.path}: ")
        for typed, said in _SAID.items():
            why = why.replace(typed, said)
        return "failed", why


def _follow(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)


def _warm_up(batch: Any) -> None:
    """Load and compile what the first sherd needs; what is wrong is told by that sherd."""
    with contextlib.suppress(Exception):
        batch.compile_ahead(model(0), placed=True)


_loading = threading.Lock()


def model(hypotheses: int) -> Any:
    """The model that comes with the package, loaded once for each number of other pots."""
    with _loading:
        return _load(hypotheses)


@functools.lru_cache(maxsize=2)
def _load(hypotheses: int) -> Any:
    accelerator.prepare()
    from voxgan_jax.inference import completer

    return completer.load(num_hypotheses=hypotheses)


def look(job: Job, tell: Tell) -> dict[str, Any]:
    """Read a scan and make its view, in the file's own unit.

    Returns:
        `size` along x, y and z and `middle`, in that unit; `unit_mm`: what one is taken for;
        `mesh`: whether it is one; `bodies`: their sizes where it holds several; `notes` on it.
    """
    from voxgan_jax.app import views
    from voxgan_jax.scan import formats

    tell("step", "step_reading")
    told: dict[str, Any] = {"mesh": formats.is_mesh(job.path), "bodies": [], "notes": []}
    if told["mesh"]:
        (mesh, _, contents), _ = _see(job.path, None, job.choices.get("body"))
        mesh, unit = mesh.copy(), mesh.metadata["unit_mm"]
        told["notes"] = list(contents._replace(bodies=contents.bodies[:1]).notes)
        if len(contents.bodies) > 1:
            told["bodies"] = [list(body.size) for body in contents.scaled(1 / unit).bodies]
        mesh.apply_scale(1 / unit)
        up, scaled = views.UPRIGHT[formats.FORMATS[job.path.suffix].up], True
    else:
        sherd = formats.read(job.path)
        mesh, unit = views.of_voxels(sherd), 1.0
        up, scaled = (-sherd.to_mm[:3, 2]).tolist(), sherd.scaled
    write_whole(job.view, json.dumps(views.of_scan(mesh, up, scaled)))
    size, middle = mesh.extents, mesh.area_faces @ mesh.triangles_center / mesh.area
    return told | {"size": size.tolist(), "middle": middle.tolist(), "unit_mm": unit}


def _see(path: pathlib.Path, unit: str | None, which: Any) -> Any:
    """As `request.see`, which sees each of the last scans but once."""
    return _seen(_mark(path), path, unit, which)


def _mark(path: pathlib.Path) -> tuple[int, ...]:
    """What tells a file from a later one of its name."""
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


@functools.lru_cache(maxsize=_KEPT)
def _seen(mark: tuple[int, ...], path: pathlib.Path, unit: str | None, which: Any) -> Any:
    from voxgan_jax.restore import request

    del mark
    return request.see(path, unit, which)


_requests: dict[str, Any] = {}
"""The last sherds with their places, by what decides these."""


def restore(job: Job, tell: Tell) -> dict[str, Any]:
    """Restore the pot of a scan and write its files and its view.

    The scan is read but once, and placed only where that was not done before with the same choices.
    First the pot is told of as what is returned, without files, and with its view.

    Returns:
        `choices`; `report`: as the file has it; `files`: their names.
    """
    from voxgan_jax.app import choices, views
    from voxgan_jax.inference import predict
    from voxgan_jax.restore import naming, pot, request

    tell("step", "step_loading")
    completer = model(job.choices.get("hypotheses", 0))
    facts = choices.facts(job.choices, job.path)
    paths = [job.path, *job.others]
    known = json.dumps([[str(path), *_mark(path)] for path in paths] + [facts])
    if known in _requests:
        asked = _requests.pop(known)
    else:
        placed = job.others or request.is_placed(job.path, facts)
        tell("step", "step_placing" if placed else "step_reading")
        asked = request.read_request(completer, job.path, facts, others=job.others, see=_see)
    _requests[known] = asked
    for old in list(_requests)[:-_KEPT]:
        del _requests[old]
    tell("step", "step_completing")
    (answer,) = predict.complete_batch(completer, [asked])
    about = {
        "model": dict(completer.about),
        "options": choices.options(job.choices, job.path, job.others, job.lang),
        "input": asked.sherds[0].input,
    }
    name = naming.of_body(naming.of_file(job.path), job.choices.get("body"))
    name = naming.of_one_pot(name) if job.others else name
    how: Any = {"about": about, "inputs": ledger.marks_of(paths), "lang": job.lang}
    made = pot.restore(asked, answer, name=name, **how)
    told = {"choices": job.choices, "report": made.report.to_json(), "files": []}
    tell("first", (told, json.dumps(views.of_pot(made, first=True))))
    # First what takes long, so that files, view and report are changed together; between its parts
    # it may be dropped.
    for part in ("surfaces", "piece", "printing"):
        tell("step", "step_writing")
        getattr(made, part)
    seen = json.dumps(views.of_pot(made))
    written = made.write(job.out, choices.FORMATS)
    write_whole(job.view, seen)
    return {
        "choices": job.choices,
        "report": written.report.to_json(),
        "files": [path.name for path in written.paths],
    }


JOBS: dict[str, Callable[[Job, Tell], dict[str, Any]]] = {"look": look, "restore": restore}
