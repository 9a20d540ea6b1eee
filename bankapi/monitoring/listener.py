"""`/health`, `/ready` and `/metrics` over plain HTTP, for the machine itself: no caller is asked who it is.

It runs in a process of its own beside the gateway's, one for an installation: it answers while they are busy, and
while they die and are started again.
"""

import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from bankapi.clock import Clock
from bankapi.monitoring import processes
from bankapi.monitoring.files import Files
from bankapi.monitoring.metrics import Metrics
from bankapi.monitoring.readiness import Readiness
from bankapi.monitoring.stock import Stock
from bankapi.settings import Settings
from bankapi.storage.engine import Store

LOG: Final = logging.getLogger(__name__)
CLIENTS_MAX: Final = 16
CLIENT_S: Final = 5.0
"""A client that says nothing for so long has gone."""
_JSON: Final = "application/json"

Answer = tuple[int, str, bytes]


def store_for(settings: Settings) -> Store:
    """A store that gives up sooner than the gateway's: who asks for metrics has little patience."""
    terms = replace(settings.storage, pool_size=2, pool_timeout_s=2.0, connect_timeout_s=2, statement_timeout_s=2.0)
    return Store(settings.database_url, terms)


class Monitor:
    """What one installation tells about itself."""

    def __init__(
        self, settings: Settings, store: Store, clock: Clock, directory: Path, *, is_sandbox: bool = False
    ) -> None:
        self._marks = {"sandbox": True} if is_sandbox else {}
        self._readiness = Readiness(settings, store, clock, directory)
        self._registry = CollectorRegistry()
        own = (_Checked(self._readiness), _Counted(directory), Stock(settings, store, clock), Files(settings))
        for collector in own:
            self._registry.register(collector)
        self._answers: dict[str, Callable[[str], Answer]] = {
            "/health": self._health,
            "/ready": self._ready,
            "/metrics": self._metrics,
        }

    def answer(self, path: str, accept: str) -> Answer:
        """Status, content type and body of a GET."""
        found = self._answers.get(path.partition("?")[0])
        return (404, "text/plain; charset=utf-8", b"") if found is None else found(accept)

    def _health(self, _: str) -> Answer:
        """This process ends with the gateway's: that it answers is the answer."""
        return 200, _JSON, _json({"status": "alive", **self._marks})

    def _ready(self, _: str) -> Answer:
        checks = self._readiness.checks()
        ready = all(check.reason is None for check in checks)
        shown = {check.name: check.shown for check in checks}
        return 200 if ready else 503, _JSON, _json({"ready": ready, **self._marks, "checks": shown})

    def _metrics(self, accept: str) -> Answer:
        encode, content_type = choose_encoder(accept)
        return 200, content_type, encode(self._registry)


class _Checked(Collector):
    """Readiness as a metric, so that an alert can name the check that does not hold."""

    def __init__(self, readiness: Readiness) -> None:
        self._readiness = readiness

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily("bankapi_ready", "1 when this check of /ready holds, else 0.", labels=("check",))
        for check in self._readiness.checks():
            family.add_metric([check.name], check.reason is None)
        yield family


class _Counted(Collector):
    """What all processes have counted; a metric that nothing has happened to is named, too."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._declared = list(Metrics().registry.collect())

    def collect(self) -> Iterator[Metric]:
        counted = processes.counted(self._directory)
        for declared in self._declared:
            found = Metric(declared.name, declared.documentation, declared.type)
            if declared.name in counted:
                found.samples = counted[declared.name].samples
            yield found


class Listener(ThreadingMixIn, HTTPServer):
    """The HTTP server of a monitor, on a socket that listens already."""

    daemon_threads = True

    def __init__(self, listening: socket.socket, monitor: Monitor) -> None:
        super().__init__(listening.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.monitor = monitor
        self._room = threading.BoundedSemaphore(CLIENTS_MAX)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """The client has gone; the base class would print a stack trace."""
        LOG.info("a client of the monitoring port has gone")


class _Handler(BaseHTTPRequestHandler):
    server: Listener
    server_version = "bankapi"
    sys_version = ""
    error_message_format = ""
    timeout = CLIENT_S

    def do_GET(self) -> None:
        try:
            status, content_type, body = self.server.monitor.answer(self.path, self.headers.get("Accept", ""))
        except Exception as error:
            LOG.error("monitoring failed", extra={"failure": type(error).__name__})
            status, content_type, body = 500, _JSON, _json({"ready": False})
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """A line per scrape tells nobody anything."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; OSError when the address is not ours, or somebody else's already."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family)


def _json(told: dict[str, Any]) -> bytes:
    return json.dumps(told, indent=2).encode() + b"\n"
