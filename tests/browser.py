"""A headless Chromium for tests of pages; skipped where there is none, but not in CI."""

import base64
import contextlib
import io
import os
import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

_ARGUMENTS = (
    "--headless --no-sandbox --disable-gpu --use-gl=angle --use-angle=swiftshader"
    " --enable-unsafe-swiftshader --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync"
)


@contextlib.contextmanager
def launched(*more: str) -> Iterator[Any]:
    """A browser with WebGL in software."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
    if found is None:
        reason = "there is no Chromium (on Debian: apt-get install chromium)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found, args=[*_ARGUMENTS.split(), *more]
        )
        yield browser
        browser.close()


class Opened:
    """A page in a browser, and what it asked for and complained about."""

    def __init__(self, browser, path, *, address=None, **options):
        options = {"viewport": {"width": 1000, "height": 800}} | options
        self.page = browser.new_page(**options)
        self.requests, self.complaints = [], []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._said)
        self.page.goto(address or path.as_uri())

    def _said(self, message):
        # The software renderer remarks on the screenshots that are taken here.
        if "GPU stall due to ReadPixels" not in message.text:
            self.complaints.append(message.text)

    def picture(self, what="canvas"):
        """The element as the browser draws it, once all frames are done."""
        self.page.evaluate(
            "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )
        shot = self.page.locator(what).screenshot()
        return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)

    def drawn(self):
        """The canvas's own pixels."""
        self.page.evaluate("() => new Promise(requestAnimationFrame)")
        url = self.page.evaluate("document.querySelector('canvas').toDataURL()")
        data = base64.b64decode(url.split(",")[1])
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA")).astype(int)
