"""Chromium without a screen and with a client certificate, driven over a pipe by its DevTools protocol.

The certificate is where a person's is: in the browser's own store (NSS), beside the operator's CA. A person would be
asked once which certificate to show; a content setting of the profile answers that.
"""

import base64
import contextlib
import fcntl
import json
import os
import select
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-pipe"),
]
PASSWORD = "transport"
PATIENCE_S = 40
_SPOKEN = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Audits.issueAdded")


class Chromium:
    """One window."""

    def __init__(self, process: "subprocess.Popen[bytes]", to: int, back: int) -> None:
        self._process = process
        self._to = os.fdopen(to, "wb", buffering=0)
        self._back = back
        self._number = 0
        self._received = b""
        self._session: str | None = None
        self.said: list[dict[str, Any]] = []
        """What the browser had to say about the page: errors, warnings, broken policies."""
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Audits"):
            self._ask(f"{domain}.enable")

    def resize(self, width: int, height: int, *, dark: bool = False) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._ask("Emulation.setDeviceMetricsOverride", **metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._ask("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, url: str) -> str:
        """Go there; the browser's own word for what went wrong, or nothing."""
        self.said.clear()
        error = str(self._ask("Page.navigate", url=url).get("errorText", ""))
        give_up_at = time.monotonic() + PATIENCE_S
        while not error and self.value("document.readyState") != "complete":
            assert time.monotonic() < give_up_at, f"{url} is never complete"
        return error

    def value(self, expression: str) -> Any:
        """What JavaScript makes of an expression in the page. The page's policy does not hold for DevTools."""
        found = self._ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def press(self, key: str) -> None:
        """A key that has no character, such as Tab."""
        for kind in ("rawKeyDown", "keyUp"):
            self._ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode={"Tab": 9}[key])

    def picture(self, file: Path) -> None:
        """The whole page, as long as it is."""
        size = self._ask("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 16_000), "scale": 1}
        shot = self._ask("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        file.write_bytes(base64.b64decode(shot["data"]))

    def printed(self, file: Path) -> None:
        paper = self._ask("Page.printToPDF", preferCSSPageSize=True, printBackground=True)
        file.write_bytes(base64.b64decode(paper["data"]))

    def close(self) -> None:
        self._session = None
        with contextlib.suppress(OSError):
            self._ask("Browser.close")
        self._to.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
        os.close(self._back)

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        self._to.write(json.dumps(message).encode() + b"\0")
        while True:
            received = self._next()
            if received.get("method") in _SPOKEN:
                self.said.append(received["params"])
            if received.get("id") == self._number:
                assert "error" not in received, received
                return dict(received["result"])

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._received:
            ready, _, _ = select.select([self._back], [], [], PATIENCE_S)
            if not ready:
                raise TimeoutError("the browser says nothing")
            more = os.read(self._back, 1 << 20)
            if not more:
                raise ConnectionError("the browser has ended")
            self._received += more
        message, _, self._received = self._received.partition(b"\0")
        return dict(json.loads(message))


@contextlib.contextmanager
def chromium(folder: Path, site: str, ca: Path, certificate: Path | None, key: Path | None) -> Iterator[Chromium]:
    """A browser with a home of its own, which shows this certificate, or none, to this site (`https://host:port`)."""
    store = _store(folder, ca)
    if certificate is not None:
        _keep(folder, store, certificate, key)
    preferences = folder / "profile" / "Default" / "Preferences"
    preferences.parent.mkdir(parents=True)
    chosen = {f"{site},*": {"setting": {"filters": [{}]}}}
    exceptions = {"exceptions": {"auto_select_certificate": chosen}}
    preferences.write_text(json.dumps({"profile": {"content_settings": exceptions}}))
    (their_in, our_out), (our_in, their_out) = os.pipe(), os.pipe()
    theirs = [fcntl.fcntl(end, fcntl.F_DUPFD, 20) for end in (their_in, their_out)]
    command = ["chromium", *FLAGS, f"--user-data-dir={folder / 'profile'}"]
    with (folder / "chromium.log").open("wb") as log:
        process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{theirs[0]} 4>&{theirs[1]}', "bash", *command],
            env={**os.environ, "HOME": str(folder)},
            pass_fds=theirs,
            stdout=log,
            stderr=log,
        )
    for end in (their_in, their_out, *theirs):
        os.close(end)
    browser = Chromium(process, our_out, our_in)
    try:
        yield browser
    finally:
        browser.close()


def _store(folder: Path, ca: Path) -> str:
    """As `certutil` and `pk12util` (libnss3-tools) do it for a person."""
    place = folder / ".pki" / "nssdb"
    place.mkdir(parents=True)
    _run("certutil", "-N", "-d", f"sql:{place}", "--empty-password")
    _run("certutil", "-A", "-d", f"sql:{place}", "-n", "operator", "-t", "C,,", "-i", str(ca))
    return f"sql:{place}"


def _keep(folder: Path, store: str, certificate: Path, key: Path | None) -> None:
    archive = str(folder / "client.p12")
    pair = ("-in", str(certificate), "-inkey", str(key))
    _run("openssl", "pkcs12", "-export", *pair, "-out", archive, "-passout", f"pass:{PASSWORD}")
    _run("pk12util", "-i", archive, "-d", store, "-W", PASSWORD, "-K", "")


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=60)
