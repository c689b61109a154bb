"""A headless Chromium driven over the Chrome DevTools Protocol, with nothing but the standard library.

The browser speaks the protocol over two pipes (`--remote-debugging-pipe`: messages of JSON, each ended by a zero
byte), so neither a port nor a WebSocket client is needed. Use it as

    with Chromium(tmp_path / "profile") as browser:
        browser.open(page.as_uri(), width=390, height=844)
        browser.wait_for("document.querySelector('h1')")
        assert not browser.console_errors
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

__all__ = ["BrowserError", "Chromium", "Request", "executable"]

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-sync",
    "--hide-scrollbars",
    "--metrics-recording-only",
    "--mute-audio",
    "--no-default-browser-check",
    "--no-first-run",
    "--no-pings",
    "--remote-debugging-pipe",
)


class BrowserError(AssertionError):
    """The browser refused a command, went away, or a page did not become what a test waits for."""


def executable() -> str:
    """The browser's program; the test is skipped, saying so, where there is none."""
    for name in _NAMES:
        found = shutil.which(name)
        if found is not None:
            return found
    pytest.skip(f"no browser: none of {', '.join(_NAMES)} is on PATH")


@dataclass(frozen=True, slots=True)
class Request:
    """One thing the page asked for.

    Attributes:
        url: Its address.
        kind: Document, Stylesheet, Image, Script, XHR, Fetch, WebSocket …
    """

    url: str
    kind: str

    @property
    def external(self) -> bool:
        """Whether it leaves this machine."""
        if self.url.startswith(("file:", "data:", "blob:", "about:", "chrome:", "devtools:")):
            return False
        host = self.url.split("://", 1)[-1].split("/", 1)[0]
        return not host.startswith(("localhost", "127.0.0.1", "[::1]"))


class Chromium:
    """One browser with one page.

    Args:
        profile: A folder of the browser's own; made if absent.
        timeout: Seconds that one command may take.

    Attributes:
        console_errors: Texts of console.error, uncaught exceptions and browser-logged errors, of the page now open.
        requests: What the page now open asked for, in order.
    """

    def __init__(self, profile: Path, *, timeout: float = 60) -> None:
        self.console_errors: list[str] = []
        self.requests: list[Request] = []
        self._timeout = timeout
        self._answers: dict[int, dict[str, Any]] = {}
        self._arrived = threading.Condition()
        self._loaded = False
        self._gone = False
        self._number = 0
        self._process, self._to_browser, self._from_browser = _start(profile)
        self._reader = threading.Thread(target=self._read, name="chromium-reader", daemon=True)
        self._reader.start()
        self._session: str | None = None
        target = self.send("Target.createTarget", {"url": "about:blank"})["targetId"]
        self._session = self.send("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")

    def __enter__(self) -> Chromium:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the browser and wait until it is gone."""
        with contextlib.suppress(BrowserError, OSError):
            self._session = None
            self.send("Browser.close")
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._to_browser.close()
        self._reader.join(10)
        self._from_browser.close()

    def send(self, method: str, parameters: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Call a method of the protocol and wait for its answer.

        Raises:
            BrowserError: The browser refused it, went away, or did not answer in time.
        """
        self._number += 1
        number = self._number
        message: dict[str, Any] = {"id": number, "method": method, "params": dict(parameters or {})}
        if self._session is not None:
            message["sessionId"] = self._session
        self._to_browser.write(json.dumps(message).encode() + b"\0")
        self._to_browser.flush()
        with self._arrived:
            self._arrived.wait_for(lambda: number in self._answers or self._gone, self._timeout)
            answer = self._answers.pop(number, None)
        if answer is None:
            raise BrowserError(f"{method}: the browser {'went away' if self._gone else 'did not answer'}")
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error'].get('message')}")
        result: dict[str, Any] = answer["result"]
        return result

    def open(self, url: str, *, width: int = 1280, height: int = 800, dark: bool = False) -> None:
        """Open a page and wait for its load event.

        Args:
            url: Such as `path.as_uri()` or http://localhost:5151.
            width: Of the window, in CSS pixels; below 600 the page is told that it is on a phone.
            height: Of the window, in CSS pixels.
            dark: Whether the page is told that dark colours are preferred.
        """
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.send("Emulation.setDeviceMetricsOverride", size)
        colours = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.send("Emulation.setEmulatedMedia", {"features": colours})
        # Let go of the page before, so that what its last breath logs or asks for is not counted for the next one.
        self._navigate("about:blank")
        self.console_errors.clear()
        self.requests.clear()
        self._navigate(url)

    def _navigate(self, url: str) -> None:
        self._loaded = False
        failure = self.send("Page.navigate", {"url": url}).get("errorText")
        if failure:
            raise BrowserError(f"{url}: {failure}")
        with self._arrived:
            if not self._arrived.wait_for(lambda: self._loaded or self._gone, self._timeout) or self._gone:
                raise BrowserError(f"{url}: not loaded within {self._timeout:.0f} s")

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page (a promise is awaited).

        Raises:
            BrowserError: It threw.
        """
        parameters = {"expression": expression, "returnByValue": True, "awaitPromise": True}
        answer = self.send("Runtime.evaluate", parameters)
        if "exceptionDetails" in answer:
            raise BrowserError(f"{expression}: {_exception_text(answer['exceptionDetails'])}")
        return answer["result"].get("value")

    def wait_for(self, expression: str, *, timeout: float = 30) -> Any:
        """Wait until a JavaScript expression is truthy, and give its value.

        Raises:
            BrowserError: It did not become so in time; the text of the page is in the message.
        """
        # An element as a value cannot leave the page.
        asked = f"(() => {{ const found = ({expression}); return found instanceof Node ? true : found; }})()"
        until = time.monotonic() + timeout
        while True:
            value = self.evaluate(asked)
            if value:
                return value
            if time.monotonic() > until:
                text = self.evaluate("document.body ? document.body.innerText : ''")
                raise BrowserError(f"not so within {timeout:.0f} s: {expression}\nthe page says:\n{str(text)[:2000]}")
            time.sleep(0.05)

    def click(self, expression: str, *, timeout: float = 30) -> None:
        """Click with the mouse in the middle of the element that a JavaScript expression gives, once it is there."""
        find = f"(() => {{ const e = ({expression}); if (!e) return null; e.scrollIntoView({{block: 'center'}});"
        find += " const b = e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        self.wait_for(f"({expression}) != null", timeout=timeout)
        # Things slide into place; a click goes where they have come to rest.
        before, place = None, self.evaluate(find)
        until = time.monotonic() + timeout
        while place is None or place != before:
            if time.monotonic() > until:
                raise BrowserError(f"it does not come to rest: {expression}")
            time.sleep(0.1)
            before, place = place, self.evaluate(find)
        x, y = place
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            button = {"button": "none"} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
            self.send("Input.dispatchMouseEvent", {"type": kind, "x": x, "y": y, **button})

    def press(self, key: str) -> None:
        """Press and release a key by its name, such as Tab, Enter, Escape."""
        codes = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowRight": 39, "ArrowLeft": 37}
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            code = codes.get(key, 0)
            self.send("Input.dispatchKeyEvent", {"type": kind, "key": key, "windowsVirtualKeyCode": code, **text})

    def screenshot(self, path: Path, *, full_page: bool = False) -> Path:
        """Write a PNG of the window, or of the whole page, and give its path."""
        data = self.send("Page.captureScreenshot", {"format": "png", "captureBeyondViewport": full_page})["data"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(data))
        return path

    @property
    def external_requests(self) -> list[Request]:
        """The requests that would leave this machine."""
        return [request for request in list(self.requests) if request.external]

    def _read(self) -> None:
        pending = b""
        while True:
            piece = self._from_browser.read1(1 << 20)
            if not piece:
                break
            *messages, pending = (pending + piece).split(b"\0")
            for message in messages:
                self._take(json.loads(message))
        with self._arrived:
            self._gone = True
            self._arrived.notify_all()

    def _take(self, message: dict[str, Any]) -> None:
        with self._arrived:
            if "id" in message:
                self._answers[message["id"]] = message
            else:
                self._note(message.get("method", ""), message.get("params", {}))
            self._arrived.notify_all()

    def _note(self, method: str, parameters: dict[str, Any]) -> None:
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Network.requestWillBeSent":
            self.requests.append(Request(parameters["request"]["url"], parameters.get("type", "Other")))
        elif method == "Network.webSocketCreated":
            self.requests.append(Request(parameters["url"], "WebSocket"))
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "assert"):
            texts = (str(each.get("value", each.get("description", ""))) for each in parameters["args"])
            self.console_errors.append(" ".join(texts))
        elif method == "Runtime.exceptionThrown":
            self.console_errors.append(_exception_text(parameters["exceptionDetails"]))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            entry = parameters["entry"]
            self.console_errors.append(f"{entry['text']} {entry.get('url', '')}".strip())


def _exception_text(details: Mapping[str, Any]) -> str:
    return str(details.get("exception", {}).get("description") or details.get("text", "exception"))


def _start(profile: Path) -> tuple[subprocess.Popen[bytes], Any, Any]:
    """The process, the pipe to write to and the pipe to read from."""
    program = executable()
    profile.mkdir(parents=True, exist_ok=True)
    browser_reads, we_write = os.pipe()
    we_read, browser_writes = os.pipe()
    # The browser wants the pipes as its descriptors 3 and 4; a shell puts them there without code after a fork.
    arrange = f'exec "$@" 3<&{browser_reads} 4>&{browser_writes}'
    arguments = ["bash", "-c", arrange, "chromium", program, *_FLAGS, f"--user-data-dir={profile}", "about:blank"]
    try:
        process = subprocess.Popen(
            arguments,
            pass_fds=(browser_reads, browser_writes),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    finally:
        os.close(browser_reads)
        os.close(browser_writes)
    return process, os.fdopen(we_write, "wb"), os.fdopen(we_read, "rb")
