"""`voxgan app` with a worker that only pretends, and who asks it."""

import contextlib
import pathlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from app_pretend import pretend
from starlette.testclient import TestClient

from voxgan_jax.app import server
from voxgan_jax.app.bench import Bench
from voxgan_jax.app.project import Project, Scan

PORT, TOKEN = 8123, "only-the-user-knows-it"
HOST = f"http://127.0.0.1:{PORT}"

SCAN = b"solid a\nendsolid a\n"
"""What a worker that pretends takes for a scan."""


def until(truth: Callable[[], Any]) -> Any:
    """What it gives once that is true; a failure where it does not come to that."""
    for _ in range(6000):
        if found := truth():
            return found
        time.sleep(0.01)
    raise AssertionError("it did not come to that")


@contextlib.contextmanager
def bench(folder: pathlib.Path, work: Callable[[Any], None] = pretend) -> Iterator[Bench]:
    """A workbench with a worker that pretends."""
    made = Bench(Project(folder), work)
    try:
        yield made
    finally:
        made.close()


def added(bench: Bench, folder: pathlib.Path, name: str = "sherd.stl") -> Scan:
    """A scan, written to the folder, in the project that was looked at."""
    (folder / name).write_bytes(SCAN + name.encode())
    bench.bring(folder / name)
    scan = list(bench.project.scans.values())[-1]
    until(lambda: scan.look)
    return scan


@contextlib.contextmanager
def live(made: Bench) -> Iterator[str]:
    """The workbench answers at this address."""
    with server.listening() as place:
        port = place.getsockname()[1]
        program = uvicorn.Server(
            uvicorn.Config(server.application(made, TOKEN, port), log_level="error")
        )
        thread = threading.Thread(target=program.run, kwargs={"sockets": [place]})
        thread.start()
        try:
            until(lambda: program.started)
            yield f"http://127.0.0.1:{port}/?token={TOKEN}"
        finally:
            made.events.close()
            program.should_exit = True
            thread.join(timeout=30)


def client(made: Bench, language: str | None = None, known: bool = True) -> TestClient:
    """The user's browser; not `known`: a stranger. `language`: of the page, told at the start."""
    made.project.language = language or made.project.language
    asking = TestClient(
        server.application(made, TOKEN, PORT),
        base_url=HOST,
        headers={"Origin": HOST},
        follow_redirects=False,
    )
    if known:
        assert asking.get(f"/?token={TOKEN}").status_code == 303
    return asking
