"""The application: what can be asked of it, and its start.

What a request names is looked up: a scan by its number, a file by its name among those that were
written. No path of a request is opened.
"""

import contextlib
import io
import json
import pathlib
import secrets
import socket
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from voxgan_jax import render
from voxgan_jax.app import texts, uploads
from voxgan_jax.app.bench import Bench
from voxgan_jax.app.guard import Guard
from voxgan_jax.app.project import Project, Scan
from voxgan_jax.language import speaking, told
from voxgan_jax.restore import files

_PARTS = ("", "_base", "_choices", "_events", "_picture", "_result", "_rim", "_stage")
_SCRIPTS = [f"app{part}.js" for part in _PARTS]
ASSETS = ("page.css", "app.css", *_SCRIPTS, "vendor/three_viewer.min.js")
"""Files of the package's folder `viewer` that the page asks for."""

DEEDS = {
    **{deed: (deed, None) for deed in ("undo", "flip", "look", "restore", "stop")},
    **{"choices": ("change", "choices"), "rim": ("by_rim", "points"), "take": ("take", "place")},
}
"""What can be done with a scan: a method of the bench, and the name of what is told it."""

MOST_SAID = 65_536
"""Bytes of what a page says, but for scans."""


class Application:
    """What is answered, for one workbench."""

    def __init__(self, bench: Bench):
        self.bench = bench

    def routes(self) -> list[Route]:
        """The addresses and who answers them."""
        scan = "/scans/{number:int}"
        return [
            Route("/", self.page),
            Route("/assets/{name:path}", self.asset),
            Route("/texts", self.texts),
            Route("/language", self.speak, methods=["POST"]),
            Route("/events", self.events),
            Route("/scans", self.receive, methods=["POST"]),
            Route(scan, self.remove, methods=["DELETE"]),
            Route(f"{scan}/{{deed}}", self.act, methods=["POST"]),
            Route(f"{scan}/view/{{kind}}", self.view),
            Route(f"{scan}/drawing", self.drawing),
            Route(f"{scan}/files/{{name}}", self.file),
            Route(f"{scan}/all", self.all_files),
        ]

    async def page(self, request: Request) -> Response:
        """The page, in the language of its user, in which all pages are made from now on."""
        self.bench.language = self._language(request)
        return Response(texts.page(self.bench.language), media_type="text/html")

    async def texts(self, request: Request) -> Response:
        """The texts that its script shows."""
        return JSONResponse(texts.catalogue(self._language(request)))

    async def speak(self, request: Request) -> Response:
        """Have the page in the language that is sent as JSON."""
        self.bench.speak((await self._said(request)).get("language"))
        return Response(status_code=204)

    def _language(self, request: Request) -> str:
        wished = request.headers.get("accept-language", "")
        return texts.chosen(wished, self.bench.project.language)

    async def asset(self, request: Request) -> Response:
        """A script or a style sheet."""
        name = request.path_params["name"]
        if name not in ASSETS:
            raise HTTPException(404)
        kind = "css" if name.endswith(".css") else "javascript"
        found = speaking(self._language(request), render.asset, name)
        return Response(found, media_type=f"text/{kind}")

    async def events(self, request: Request) -> Response:
        """All that there is to know, again at each change."""
        del request
        return StreamingResponse(self.bench.events.stream(), media_type="text/event-stream")

    async def receive(self, request: Request) -> Response:
        """Keep a scan: its name is in the address, its bytes are what is sent."""
        length = request.headers.get("content-length", "0")
        size = int(length) if length.isdecimal() else 0
        with self.bench.coming(request.query_params.get("name", "")) as place:
            await uploads.receive(place, request.stream(), size)
            scan = await run_in_threadpool(self.bench.add, place.name)
        return JSONResponse({"id": scan.id}, 201)

    def remove(self, request: Request) -> Response:
        """Take a scan out of the project."""
        self.bench.remove(self._scan(request).id)
        return Response(status_code=204)

    async def act(self, request: Request) -> Response:
        """Do with a scan what the address says, with what is sent as JSON."""
        number, said = self._scan(request).id, await self._said(request)
        if request.path_params["deed"] not in DEEDS:
            raise HTTPException(404)
        method, name = DEEDS[request.path_params["deed"]]
        what = [said.get(name)] if name else []
        await run_in_threadpool(getattr(self.bench, method), number, *what)
        return Response(status_code=204)

    async def _said(self, request: Request) -> dict[str, Any]:
        data = b""
        async for chunk in request.stream():
            data += chunk
            if len(data) > MOST_SAID:
                raise ValueError(f"more than {MOST_SAID} bytes were sent")
        said = json.loads(data or b"{}")
        if not isinstance(said, dict):
            raise ValueError("an object of JSON was expected")
        return said

    def view(self, request: Request) -> Response:
        """What is shown of a scan in 3D."""
        kind, scan = request.path_params["kind"], self._scan(request)
        if kind not in ("scan", "first", "pot"):
            raise HTTPException(404)
        seen: str | bytes = self.bench.first_view(scan.id) if kind == "first" else ""
        if not seen:
            # The whole pot may have come since it was told of.
            path = self.bench.project.view(scan, "scan" if kind == "scan" else "pot")
            try:
                seen = path.read_bytes()  # At once: another may take its place.
            except FileNotFoundError:
                raise HTTPException(404) from None
        return Response(seen, media_type="application/json")

    def drawing(self, request: Request) -> Response:
        """The section drawing, to be looked at."""
        for name, path in self.bench.project.files(self._scan(request)).items():
            if name.endswith("_section.svg"):
                policy = "default-src 'none'; style-src 'unsafe-inline'"  # Its lines have them.
                headers = {"Content-Security-Policy": policy}
                return self._whole(path, "image/svg+xml", headers=headers)
        raise HTTPException(404)

    def file(self, request: Request) -> Response:
        """A file of a restored pot, to be kept."""
        name = request.path_params["name"]
        path = self.bench.project.files(self._scan(request)).get(name)
        if path is None:
            raise HTTPException(404)
        # Never shown here: the pot's own page has scripts in it.
        return self._whole(path, "application/octet-stream", filename=name)

    def all_files(self, request: Request) -> Response:
        """All files of a restored pot in one archive."""
        scan = self._scan(request)
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as archive:
            for name, path in self.bench.project.files(scan).items():
                with contextlib.suppress(FileNotFoundError):
                    archive.write(path, name)
        if not archive.namelist():
            raise HTTPException(404)
        answer = Response(packed.getvalue(), media_type="application/zip")
        # Of letters that may stand in a header.
        plain = scan.name.encode("ascii", "replace").decode().replace("?", "_")
        answer.headers["Content-Disposition"] = f'attachment; filename="{plain}.zip"'
        return answer

    def fault(self, status: int, why: Callable[[Any], str] = str) -> Callable[..., Any]:
        """Answers with the reason, which the page shows: what `why` says of the error."""

        async def answer(request: Request, error: Exception) -> Response:
            text = speaking(self._language(request), told, why(error))
            return JSONResponse({"fault": text}, status)

        return answer

    def _scan(self, request: Request) -> Scan:
        return self.bench.project.scans[request.path_params["number"]]

    def _whole(self, path: pathlib.Path, kind: str, **how: Any) -> Response:
        if not path.is_file():
            raise HTTPException(404)
        return FileResponse(path, media_type=kind, **how)


def application(bench: Bench, token: str, port: int) -> Guard:
    """The application of a workbench, which answers only who has the token (`guard`)."""
    answers = Application(bench)
    wrong: Any = (ValueError, TypeError, OverflowError, RecursionError, ClientDisconnect)
    faults = dict.fromkeys(wrong, answers.fault(400)) | {
        OSError: answers.fault(500, bench.project.fault),
        KeyError: answers.fault(404, lambda _: "there is no such scan, or no longer"),
    }
    return Guard(Starlette(routes=answers.routes(), exception_handlers=faults), token, port)


class _Server(uvicorn.Server):
    """A server whose streams of events end when it is told to."""

    def __init__(self, config: uvicorn.Config, bench: Bench):
        super().__init__(config)
        self.bench = bench

    def handle_exit(self, sig: int, frame: Any) -> None:
        """End the streams, for which it would wait."""
        self.bench.events.close()
        super().handle_exit(sig, frame)


def listening(port: int = 0) -> socket.socket:
    """A socket of this machine alone; 0 takes any port that is free.

    Raises:
        OSError: the port is taken.
    """
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind(("127.0.0.1", port))
    except (OSError, OverflowError) as error:
        found.close()
        why = getattr(error, "strerror", error)
        raise OSError(f"port {port}: {why}; name another by --port") from error
    found.listen()
    return found


def run(
    project: pathlib.Path,
    inputs: Sequence[str],
    tell: Callable[[str], None],
    *,
    port: int = 0,
    language: str | None = None,
) -> None:
    """Serve a project until Ctrl-C.

    Args:
        inputs: files, folders and globs of scans that are copied into it.
        tell: is told the address, with its token, as soon as it is answered.
        port: as of `listening`.
        language: of the page; None takes that chosen in it before, or the browser's.
    """
    with listening(port) as place, contextlib.closing(Bench(Project(project))) as bench:
        if language:
            bench.speak(language)
        for path in files.collect(inputs):
            bench.bring(path)
        port, token = place.getsockname()[1], secrets.token_urlsafe(32)
        config = uvicorn.Config(
            application(bench, token, port),
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=2,
        )
        tell(f"http://127.0.0.1:{port}/?token={token}")
        _Server(config, bench).run(sockets=[place])
