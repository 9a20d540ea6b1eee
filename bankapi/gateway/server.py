"""Serving a WSGI application over mutual TLS, or to nginx over a unix socket: gunicorn's processes and HTTP, our terms.

The arbiter starts worker processes, replaces them on SIGHUP and lets them finish on SIGTERM. A socket that a service
manager hands over (sd_listen_fds(3)) is used instead of one of our own: requests wait in it while we are replaced.
"""

import os
import resource
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from wsgiref.types import WSGIApplication

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from gunicorn.systemd import sd_notify

from bankapi.gateway import tuning
from bankapi.gateway.deadlines import Deadlines
from bankapi.gateway.tls import ServerTerms
from bankapi.gateway.worker import PatientWorker

FILES_RESERVED = 128
"""File descriptors per worker that are not client connections: database, logs, pipes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """How to serve; incoherent values refuse to start."""

    bind: str
    """`host:port` for TLS of our own, `unix:/path` for a front that ends TLS."""
    certificate: Path | None = None
    key: Path | None = None
    client_ca: Path | None = None
    """The only CA whose client certificates are accepted."""
    crl: Path | None = None
    """Its CRL; read again whenever the file changes."""
    front_uid: int | None = None
    """The only user whose processes may connect to a unix socket."""
    front_gid: int | None = None
    """The group of a unix socket that we make; our own when None."""
    tuning_file: Path | None = None
    """`gunicorn.conf.py`; see `tuning`."""
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
            if name not in ("front_uid", "front_gid") and isinstance(value, int | float) and value <= 0:
                raise ValueError(f"{name} must be positive")
        is_front, has_files = self.is_behind_front, any((self.certificate, self.key, self.client_ca, self.crl))
        if is_front == has_files or is_front == (self.front_uid is None):
            raise ValueError("a unix socket needs the front's user and no TLS files; anything else needs TLS files")
        if self.connections <= self.threads:
            raise ValueError("connections must be more than threads")
        if self.graceful_timeout_s <= self.request_deadline_s + self.answer_deadline_s:
            raise ValueError("graceful_timeout_s must exceed request_deadline_s and answer_deadline_s together")

    @property
    def is_behind_front(self) -> bool:
        return self.bind.startswith("unix:")

    def terms(self) -> ServerTerms | None:
        """Our own TLS, or None behind a front. OSError or ValueError when the files are not usable."""
        if self.is_behind_front:
            return None
        if self.certificate is None or self.key is None or self.client_ca is None:
            raise ValueError("TLS needs certificate, key and client_ca")
        return ServerTerms(self.certificate, self.key, self.client_ca, self.crl)


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
        self.terms = options.terms()
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
            "certfile": self.options.certificate and str(self.options.certificate),
            "keyfile": self.options.key and str(self.options.key),
            "umask": 0o117,  # a unix socket is for its owner and its group
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
        for name, value in (settings | tuning.load(self.options.tuning_file)).items():
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
    _is_ready_for_the_first_time = True

    def start(self) -> None:
        # gunicorn tells the service manager that it is ready before a worker has made the application.
        manager = os.environ.pop("NOTIFY_SOCKET", None)
        super().start()
        if manager is not None:
            os.environ["NOTIFY_SOCKET"] = manager
        options = self.app.options
        if options.is_behind_front:
            if any(listener.FAMILY != socket.AF_UNIX for listener in self.LISTENERS):
                raise ValueError("a front is believed over a unix socket only, and the socket handed over is none")
            if options.front_gid is not None and not self.systemd:
                os.chown(options.bind.removeprefix("unix:"), -1, options.front_gid)

    def handle_hup(self) -> None:
        """New workers are made from the files as they are now; the old ones finish what they have begun."""
        try:
            tuning.load(self.app.options.tuning_file)
        except ValueError as error:
            self.log.error("not reloaded: %s", error)
            return
        sd_notify("RELOADING=1", self.log)
        self._workers_to_boot = None
        super().handle_hup()

    def manage_workers(self) -> None:
        if self.app.terms is not None:
            self.app.terms.context()  # A worker born later begins with the last terms that were good.
        super().manage_workers()
        sd_notify("WATCHDOG=1", self.log)
        if self._workers_to_boot is None:
            self._workers_to_boot = self.cfg.workers
        with suppress(BlockingIOError):
            booted = len(os.read(self.app.boots, 1024))
            if 0 < self._workers_to_boot <= booted:
                self._say_ready()
            self._workers_to_boot -= booted

    def stop(self, graceful: bool = True) -> None:
        sd_notify("STOPPING=1", self.log)
        super().stop(graceful)

    def _say_ready(self) -> None:
        sd_notify("READY=1", self.log)
        if self._is_ready_for_the_first_time:
            self._is_ready_for_the_first_time = False
            self.app.on_ready()
