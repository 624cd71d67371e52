"""Who is answered, and what a browser may do with the answer.

Other pages in the user's browser, and other programs on the machine, can send requests here as
well. They do not know the token; a page of another origin is refused by its Origin, and a name that
somebody made to lead here (DNS rebinding) by its Host.
"""

import secrets
from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:;"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""On every answer that does not say otherwise."""

READING = ("GET", "HEAD")


class Guard:
    """An application of which only its user's own page is answered.

    Args:
        token: what the address of the page holds once, and a cookie from then on.
        port: on which the application listens.
    """

    def __init__(self, inner: ASGIApp, token: str, port: int):
        self.inner, self.token = inner, token
        self.hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}
        # Browsers keep one jar for all ports of a host.
        self.cookie = f"voxgan_{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request of HTTP, the refused ones too; nothing else is served."""
        if scope["type"] != "http":
            return
        request = Request(scope)
        answer: ASGIApp = self._first_answer(request) or self.inner
        await answer(scope, receive, _with_headers(send))

    def _first_answer(self, request: Request) -> Response | None:
        """A refusal, or the way to the page for one who has the token; None where all is well."""
        if why := self._refusal(request):
            return PlainTextResponse(why, 403)
        told = request.query_params.get("token")
        if told is None:
            if self._known(request.cookies.get(self.cookie, "")):
                return None
            return PlainTextResponse(
                "Open the address that voxgan app printed; each start has a new one.\n", 403
            )
        if request.url.path != "/" or request.method not in READING or not self._known(told):
            return PlainTextResponse("This address is of another start of voxgan app.\n", 403)
        # The token leaves the address, and so the browser's history and what is shown.
        answer = RedirectResponse("/", 303)
        answer.set_cookie(self.cookie, self.token, httponly=True, samesite="strict")
        return answer

    def _known(self, token: str) -> bool:
        return secrets.compare_digest(token.encode(), self.token.encode())

    def _refusal(self, request: Request) -> str | None:
        """Why a request is none of this application's page, whatever token it has."""
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        if host not in self.hosts:
            return f"Host {host[:80]!r} is not this application.\n"
        if origin is None:
            if request.method not in READING:
                return "A change needs the header Origin, which every browser sends.\n"
        elif origin != f"http://{host}":
            return f"Origin {origin[:80]!r} is not this application's page.\n"
        if request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return "Another page asked for this.\n"
        return None


def _with_headers(send: Send) -> Send:
    """Send, with HEADERS on what has none of its own."""

    async def sending(message: MutableMapping[str, Any] | Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sending
