"""A worker process: its poller holds every connection that waits for its client, its threads answer requests."""

import errno
import socket
import ssl
import time
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ, EVENT_WRITE
from typing import Any

from gunicorn.http.errors import (
    ExpectationFailed,
    InvalidHeader,
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
    UnsupportedTransferCoding,
)
from gunicorn.workers.gthread import ThreadWorker

from bankapi.gateway import front
from bankapi.gateway.deadlines import AnsweringFrontSocket, Connection, Deadlines, Stage
from bankapi.gateway.tls import ServerTerms
from bankapi.monitoring import metrics, processes

WAIT = object()
"""What a thread answers about a connection that must wait for its client."""
DEADLINES_CHECKED_S = 0.1
NO_CERTIFICATE = frozenset({"PEER_DID_NOT_RETURN_A_CERTIFICATE"})
"""What OpenSSL says of a client that has none."""
STATUSES = {
    LimitRequestLine: "414 URI Too Long",
    LimitRequestHeaders: "431 Request Header Fields Too Large",
    ExpectationFailed: "417 Expectation Failed",
    UnsupportedTransferCoding: "501 Not Implemented",
}


class PatientWorker(ThreadWorker):  # type: ignore[misc]
    """gthread whose connections wait in the poller for everything a client is to send."""

    def init_process(self) -> None:
        self.terms: ServerTerms | None = self.app.terms
        self.front_uid: int | None = self.app.options.front_uid
        self.deadlines: Deadlines = self.app.deadlines
        self.context = self.terms and self.terms.context()
        self.waiting: dict[Connection, None] = {}
        self.deadlines_checked_at = 0.0
        processes.take_turn()
        self.metrics = metrics.ours()
        self.metrics.workers.set(1)
        super().init_process()

    def handle_quit(self, sig: int, frame: object) -> None:
        # gunicorn's own takes the thread pool's lock here, in a signal handler whose thread may hold it already.
        super(ThreadWorker, self).handle_quit(sig, frame)

    def is_parent_alive(self) -> bool:
        # gunicorn's own leaves `alive` as it is: clients that send on would keep this worker, and with it the port that
        # the next gateway waits for, for the whole graceful timeout, while new connections wait for nobody.
        if super().is_parent_alive():
            return True
        self.alive = False
        return False

    # In the poller

    def accept(self, listener: Any) -> None:
        try:
            client, address = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._make_room()
            elif error.errno not in (errno.EAGAIN, errno.ECONNABORTED):
                raise
            return
        if self.terms is None:
            if self.front_uid is None or not front.is_front(client, self.front_uid):
                self.log.warning("a connection to the unix socket that is not the front's is refused")
                client.close()
                return
            client = AnsweringFrontSocket(fileno=client.detach())
        self.nr_conns += 1
        self._wait(Connection(self.cfg, client, address, listener.getsockname(), self.terms, self.deadlines))
        if self.nr_conns >= self.worker_connections:
            self._make_room()

    def finish_request(self, conn: Connection, future: "Future[object]") -> None:
        result = None if future.cancelled() or future.exception() else future.result()
        if result is WAIT:
            self._wait(conn)
        elif result:
            super().finish_request(conn, future)
        else:
            self._hang_up(conn)

    def murder_keepalived(self, force: bool = False) -> None:
        """Also ends idle connections made on terms that no longer hold: their clients may have been revoked."""
        if self.terms is not None and (current := self.terms.context()) is not self.context:
            force = force or not self.terms.still_allow(self.context)
            self.context = current
        super().murder_keepalived(force)

    def murder_pending(self) -> None:
        now = time.monotonic()
        if now < self.deadlines_checked_at + DEADLINES_CHECKED_S:
            return
        self.deadlines_checked_at = now
        for conn in [conn for conn in self.waiting if conn.is_late(now)]:
            self._drop_late(conn)
        self.metrics.beat_at.set_to_current_time()
        self.metrics.connections.set(self.nr_conns)
        self.metrics.waiting.set(self.tpool._work_queue.qsize())

    def enqueue_req(self, conn: Connection) -> None:
        conn.queued_at = time.monotonic()
        super().enqueue_req(conn)

    def _wait(self, conn: Connection) -> None:
        if conn.is_late(time.monotonic()):  # A client that drips is often not here when all are looked at.
            self._drop_late(conn)
            return
        self.waiting[conn] = None
        try:
            conn.sock.setblocking(False)
            event = EVENT_WRITE if conn.stage is Stage.ANSWER else EVENT_READ
            self.poller.register(conn.sock, event, partial(self._on_event, conn))
        except (OSError, ValueError):
            self._drop(conn)

    def _on_event(self, conn: Connection, _: object) -> None:
        if conn.stage is not Stage.CLOSING:
            self._stop_waiting(conn)
            self.enqueue_req(conn)
        elif conn.has_closed():
            self._drop(conn)

    def _hang_up(self, conn: Connection) -> None:
        try:
            conn.begin_closing()
        except OSError:
            self._drop(conn)
        else:
            self._wait(conn)

    def _make_room(self) -> None:
        for conn in self.waiting:
            if conn.stage is not Stage.REQUEST:
                self._drop(conn)
                return

    def _stop_waiting(self, conn: Connection) -> None:
        self.waiting.pop(conn, None)
        with suppress(OSError, KeyError, ValueError):
            self.poller.unregister(conn.sock)

    def _drop_late(self, conn: Connection) -> None:
        if conn.stage is not Stage.CLOSING:  # there it is we who have said the last word
            self.metrics.late_connections.labels(conn.stage.name.lower()).inc()
        self._drop(conn)

    def _drop(self, conn: Connection) -> None:
        self._stop_waiting(conn)
        self.nr_conns -= 1
        conn.close()

    # In a thread

    def handle(self, conn: Connection) -> object:
        """WAIT when the client has to do something first, else whether it may send another request."""
        try:
            if conn.stage is not Stage.ANSWER:
                if not conn.receive():
                    return WAIT
                conn.sock.queued_at = conn.queued_at
                conn.begin_answer(keep_alive=super().handle(conn))
            return conn.keep_alive if conn.answer() else WAIT
        except ParseException as error:
            self.handle_error(None, conn.sock, conn.client, error)
            conn.begin_answer(keep_alive=False)
            return self.handle(conn)
        except ssl.SSLError as error:
            if conn.stage is Stage.HANDSHAKE:
                self.metrics.handshake_failures.labels(_reason(error)).inc()
            self.log.info("%s: TLS refused: %s", conn.client[0], error.reason or error)
        except OSError:
            pass  # The client has gone.
        return False

    def handle_request(self, req: Any, conn: Connection) -> object:
        # RFC 9112 section 6.1 lets a server refuse other codings; gunicorn passes `gzip, chunked` on undecoded.
        if any(name == "TRANSFER-ENCODING" and value.lower() != "chunked" for name, value in req.headers):
            raise InvalidHeader("TRANSFER-ENCODING", req=req)
        if conn.is_cut:
            req.force_close()  # and the answer announces it (RFC 9112 section 9.6)
        req._expected_100_continue = False  # The body is here already (RFC 9110 section 10.1.1).
        return super().handle_request(req, conn)

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:
        """Answer with a bare status: nothing of the request, of ours or of gunicorn's is repeated in it."""
        ours = isinstance(exc, InvalidResponseHeader | InvalidResponseHeaderName)
        if isinstance(exc, ParseException) and not ours:
            status = STATUSES.get(type(exc), "400 Bad Request")
            self.metrics.http_refusals.labels(type(exc).__name__).inc()
            self.log.warning("%s: HTTP refused: %s", addr[0] if addr else "front", type(exc).__name__)
        else:
            status = "500 Internal Server Error"
            self.log.error("request failed", exc_info=exc)
        client.sendall(f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode("ascii"))


def _reason(error: ssl.SSLError) -> str:
    """One of three words: what a client sends must not make up names of its own."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "certificate"
    return "no-certificate" if error.reason in NO_CERTIFICATE else "protocol"
