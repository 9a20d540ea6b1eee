"""Serving a WSGI application over mutual TLS: gunicorn's processes and HTTP, our terms and deadlines.

The arbiter starts worker processes, replaces them on SIGHUP and lets them finish on SIGTERM.
"""

import os
import resource
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from wsgiref.types import WSGIApplication

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger

from bankapi.gateway.deadlines import Deadlines
from bankapi.gateway.tls import ServerTerms
from bankapi.gateway.worker import PatientWorker

FILES_RESERVED = 128
"""File descriptors per worker that are not client connections: database, logs, pipes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """How to serve; incoherent values refuse to start."""

    bind: str
    """`host:port`."""
    certificate: Path
    key: Path
    client_ca: Path
    """The only CA whose client certificates are accepted."""
    crl: Path | None = None
    """Its CRL; read again whenever the file changes."""
    workers: int = 2
    threads: int = 8
    """Per worker: how many requests are worked on at once."""
    connections: int = 1000
    """Per worker: beyond it the connection that has been longest in its handshake gives way."""
    backlog: int = 512
    keepalive_s: int = 60
    """How long an idle connection stays open."""
    handshake_deadline_s: float = 5.0
    request_deadline_s: float = 10.0
    """From a request's first byte to its last."""
    answer_deadline_s: float = 10.0
    """From the end of the application's work until the client has taken in the whole answer."""
    linger_s: float = 2.0
    graceful_timeout_s: int = 30
    """How long a stopping worker may take for the requests in flight."""
    body_bytes_max: int = 256 * 1024
    """A longer body is not waited for. The application sees it by CONTENT_LENGTH, or by reading one byte more."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if isinstance(value, int | float) and value <= 0:
                raise ValueError(f"{name} must be positive")
        if self.connections <= self.threads:
            raise ValueError("connections must be more than threads")
        if self.graceful_timeout_s <= self.request_deadline_s + self.answer_deadline_s:
            raise ValueError("graceful_timeout_s must exceed request_deadline_s and answer_deadline_s together")


def serve(
    make_application: Callable[[], WSGIApplication],
    options: ServerOptions,
    on_ready: Callable[[], None] = lambda: None,
) -> None:
    """Serve until SIGTERM or SIGINT, then leave by SystemExit.

    `make_application` is called in every worker, after the fork, so that no database connection is shared between
    processes. `on_ready` is called once, in the calling process, when all workers accept connections.
    OSError or ValueError when the TLS files or the limits of this process do not allow a start.
    """
    _allow_open_files(options.connections + FILES_RESERVED)
    _Server(make_application, options, on_ready).run()


def _allow_open_files(needed: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < needed:
        if hard < needed:
            raise ValueError(f"{needed} open files are needed and {hard} allowed: lower `connections`")
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


class _Server(BaseApplication):  # type: ignore[misc]
    """gunicorn's view of us. Every setting that matters is written out, defaults included."""

    def __init__(
        self, make_application: Callable[[], WSGIApplication], options: ServerOptions, on_ready: Callable[[], None]
    ) -> None:
        self.load = make_application
        self.options = options
        self.on_ready = on_ready
        self.terms = ServerTerms(options.certificate, options.key, options.client_ca, options.crl)
        self.deadlines = Deadlines(
            handshake_s=options.handshake_deadline_s,
            request_s=options.request_deadline_s,
            answer_s=options.answer_deadline_s,
            linger_s=options.linger_s,
            body_bytes_max=options.body_bytes_max,
        )
        self.boots, self._booted = os.pipe()
        os.set_blocking(self.boots, False)
        super().__init__()

    def load_config(self) -> None:
        settings = {
            "bind": self.options.bind,
            "backlog": self.options.backlog,
            "workers": self.options.workers,
            "threads": self.options.threads,
            "worker_class": PatientWorker,
            "worker_connections": self.options.connections,
            "keepalive": self.options.keepalive_s,
            "graceful_timeout": self.options.graceful_timeout_s,
            "timeout": 30,
            "certfile": str(self.options.certificate),
            "keyfile": str(self.options.key),
            "post_worker_init": self._announce_worker,
            "proc_name": "bankapi",
            # One version of HTTP, one parser for it, and nothing believed about forwarding.
            "http_protocols": "h1",
            "http2_cleartext": "off",
            "http_parser": "python",
            "proxy_protocol": "off",
            "proxy_allow_ips": "",
            "forwarded_allow_ips": "",
            "forwarder_headers": "",
            "secure_scheme_headers": {},
            "header_map": "drop",
            "permit_obsolete_folding": False,
            "permit_unconventional_http_method": False,
            "permit_unconventional_http_version": False,
            "casefold_http_method": False,
            "strip_header_spaces": False,
            "limit_request_line": 2048,
            "limit_request_fields": 64,
            "limit_request_field_size": 4096,
            "sendfile": False,
            "reload": False,
            "control_socket_disable": True,
            "accesslog": None,
            "errorlog": "-",
            "loglevel": "info",
            "logger_class": _OurLogs,
        }
        for name, value in settings.items():
            self.cfg.set(name, value)

    def run(self) -> None:
        _Arbiter(self).run()

    def _announce_worker(self, worker: Any) -> None:
        os.write(self._booted, b".")
        # The arbiter sleeps until a signal: this one costs it a look for dead children, and there are none.
        os.kill(worker.ppid, signal.SIGCHLD)


class _OurLogs(Logger):  # type: ignore[misc]
    """gunicorn's messages in the log of this process, with all others."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True


class _Arbiter(Arbiter):  # type: ignore[misc]
    """gunicorn's arbiter, which also watches the TLS files and says when its workers are up."""

    _workers_to_boot: int | None = None

    def manage_workers(self) -> None:
        self.app.terms.context()  # A worker born later begins with the last terms that were good.
        super().manage_workers()
        if self._workers_to_boot is None:
            self._workers_to_boot = self.cfg.workers
        with suppress(BlockingIOError):
            booted = len(os.read(self.app.boots, 1024))
            if 0 < self._workers_to_boot <= booted:
                self.app.on_ready()
            self._workers_to_boot -= booted
