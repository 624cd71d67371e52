"""Pages that look on: each is told at once when anything has changed."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

_BEAT_S = 15.0
"""After so long without news a line is sent all the same, by which a page that left is noticed."""


class Events:
    """Streams of server-sent events; each event is all that there is to know, as JSON."""

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
                yield f"data: {json.dumps(self._state(), ensure_ascii=False)}\n\n"
        finally:
            del self._pages[event]
