"""A real browser, driven over a pipe by its own protocol: real keys, real clicks, real downloads.

https://chromedevtools.github.io/devtools-protocol/: JSON messages that end with a zero byte.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BROWSER = os.environ.get("MEDROV_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)

OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    *("--disable-background-networking", "--disable-component-update", "--disable-default-apps"),
    *("--disable-extensions", "--disable-sync", "--no-first-run", "--remote-debugging-pipe"),
    "--host-resolver-rules=MAP * ~NOTFOUND",  # whatever is asked for, nothing leaves this machine
)

LAUNCHER = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3]]
for number, end in zip((3, 4), ends):
    os.dup2(end, number)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""The protocol is spoken on the descriptors 3 and 4."""

KEY_CODES = {"ArrowLeft": 37, "ArrowRight": 39, "ArrowDown": 40, "Enter": 13, "Escape": 27, "Tab": 9}
SECONDS = 60


class Page:
    """The one tab of a browser.

    Attributes
    ----------
    events
        Everything that the browser has told unasked.
    """

    def __init__(self, reading: int, writing: int) -> None:
        self._reading, self._writing = reading, writing
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        targets = self.call("Target.getTargets")["targetInfos"]
        tab = next(target["targetId"] for target in targets if target["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=tab, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        """Call the browser, and return what it answers."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None and not method.startswith(("Browser.", "Target.")):
            message["sessionId"] = self._session
        os.write(self._writing, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            self.events.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def wait(self, method: str, **facts: Any) -> dict[str, Any]:
        """Return the parameters of the first event with these facts, waiting for it if need be."""
        seen = 0
        while True:
            for event in self.events[seen:]:
                if event.get("method") == method and facts.items() <= event["params"].items():
                    return event["params"]
            seen = len(self.events)
            self.events.append(self._next())

    def _next(self) -> dict[str, Any]:
        end = time.monotonic() + SECONDS
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._reading], [], [], max(end - time.monotonic(), 0))
            assert ready, "the browser says nothing"
            chunk = os.read(self._reading, 1 << 20)
            assert chunk, "the browser is gone"
            self._buffer += chunk
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)

    def open(self, page: Path, *, wait: bool = True) -> None:
        """Go to a page, and wait until it is loaded."""
        self.events.clear()
        self.call("Page.navigate", url=page.as_uri())
        if wait:
            self.wait("Page.loadEventFired")

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in the page, or of its promise."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            code = KEY_CODES.get(key, ord(key.upper()[0]))
            text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
            facts = {"key": key, "windowsVirtualKeyCode": code}
            kind = "keyDown" if text else "rawKeyDown"
            self.call("Input.dispatchKeyEvent", type=kind, text=text, **facts)
            self.call("Input.dispatchKeyEvent", type="keyUp", **facts)

    def click(self, identity: str) -> None:
        """Click into the middle of an element."""
        spot = self.evaluate(
            f"(() => {{ const e = document.getElementById({json.dumps(identity)}); e.scrollIntoView();"
            " const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call(
                "Input.dispatchMouseEvent", type=kind, x=spot[0], y=spot[1], button="left", clickCount=1
            )

    @property
    def complaints(self) -> list[dict[str, Any]]:
        """Return errors and everything that was written to the console."""
        kinds = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
        return [event for event in self.events if event.get("method") in kinds]

    @property
    def requests(self) -> list[str]:
        """Return the addresses that the page has asked for, other than itself and what it holds."""
        sent = [
            e["params"]["request"]["url"]
            for e in self.events
            if e.get("method") == "Network.requestWillBeSent"
        ]
        return [url for url in sent if not url.startswith(("data:", "file:", "blob:"))]


@contextlib.contextmanager
def browser(profile: Path) -> Iterator[Page]:
    """Run a browser with a profile of its own, and hand out its tab."""
    their_end, writing = os.pipe()
    reading, their_other_end = os.pipe()
    command = [str(BROWSER), *OPTIONS, f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, str(their_end), str(their_other_end), *command],
        pass_fds=(their_end, their_other_end),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(their_end)
    os.close(their_other_end)
    try:
        page = Page(reading, writing)
        yield page
        page.call("Browser.close")
        process.wait(SECONDS)
    finally:
        process.kill()
        process.wait()
        os.close(reading)
        os.close(writing)
