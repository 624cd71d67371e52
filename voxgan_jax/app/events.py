"""Pages that look on: each is told at once what has changed."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

_BEAT_S = 15.0
"""After so long without news a line is sent all the same, by which a page that left is noticed."""


class Events:
    """Streams of server-sent events: the first is all that there is to know, as JSON; of the scans
    that were told before the later ones have what changed alone, with their numbers."""

    def __init__(self, state: Callable[[], Any]):
        self._state = state
        self._pages: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}
        self._ended = False

    def changed(self) -> None:
        """Tell all pages. May be called in any thread."""
        for event, loop in list(self._pages.items()):
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

    def close(self) -> None:
        """End all streams."""
        self._ended = True
        self.changed()

    async def stream(self) -> AsyncIterator[str]:
        """What one page is told: what there is, and again after each change."""
        event = asyncio.Event()
        self._pages[event] = asyncio.get_running_loop()
        event.set()
        known: dict[int, dict[str, Any]] = {}
        try:
            while True:
                try:
                    await asyncio.wait_for(event.wait(), _BEAT_S)
                except TimeoutError:
                    yield ": still here\n\n"
                    continue
                if self._ended:
                    return
                event.clear()
                told = self._state()
                news = [_news(scan, known.get(scan["id"], {})) for scan in told["scans"]]
                known = {scan["id"]: scan for scan in told["scans"]}
                told |= {"scans": news}
                yield f"data: {json.dumps(told, ensure_ascii=False, allow_nan=False)}\n\n"
        finally:
            del self._pages[event]


def _news(scan: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in scan.items() if k == "id" or k not in known or known[k] != v}
