"""No thread ever waits for a client, and a client cannot take longer than its deadline.

gunicorn's gthread worker gives a connection a thread, which then waits for the handshake, for the request and for
the client to read the answer: a few slow clients hold all threads. Here a connection goes as far as it can without
waiting, and waits without a thread. Each stage has one absolute deadline, which dripping bytes do not move:

    accepted -> HANDSHAKE -> REQUEST -> (application, in a thread) -> ANSWER -> idle -> REQUEST ... -> CLOSING

Behind nginx there is no handshake, and everything else is the same: its deadlines are a second line behind nginx's own.
"""

import re
import socket
import ssl
import struct
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from gunicorn.http.errors import ChunkMissingTerminator, InvalidChunkSize, LimitRequestHeaders, NoMoreData
from gunicorn.http.parser import RequestParser
from gunicorn.workers.gthread import TConn

from bankapi.gateway.front import FrontSocket
from bankapi.gateway.tls import ServerTerms

HEAD_BYTES_MAX = 32 * 1024
CHUNK_LINE_BYTES_MAX = 1024
RECEIVE_BYTES = 64 * 1024
"""More than a TLS record holds (RFC 8446 section 5.1), so no read leaves bytes in OpenSSL, unseen by the poller."""
SEND_BYTES = 64 * 1024
LINGER_BYTES_MAX = 1024 * 1024
NO_LINGER = struct.pack("ii", 1, 0)
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
NOT_YET = (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError)
"""The client has to do something before this can go on."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds a client has for each stage, and the body it may send."""

    handshake_s: float
    request_s: float
    answer_s: float
    linger_s: float
    body_bytes_max: int


class Stage(Enum):
    """What a connection waits for."""

    HANDSHAKE = auto()
    REQUEST = auto()
    ANSWER = auto()
    CLOSING = auto()
    """We have said our last word and let the client finish reading it (RFC 9112 section 9.6)."""


class Inbox:
    """The bytes of the request being received, and whether it is all here.

    This decides only when a request is worth a thread. What the bytes mean is for gunicorn's parser to say, over
    the very same bytes: a head that looks odd counts as complete, to be refused there.
    """

    def __init__(self, body_bytes_max: int) -> None:
        self._body_bytes_max = body_bytes_max
        self._received = bytearray()
        self._begin()

    def _begin(self) -> None:
        self._body_at = 0
        self._complete_at = 0
        self._chunked = False
        self._chunk_at = 0
        self._chunks_bytes = 0
        self.awaits_continue = False
        self.is_cut = False

    def put(self, received: bytes) -> None:
        self._received += received

    def take(self) -> bytes:
        """Everything received, for the parser; what follows the request comes back by `put`."""
        taken = bytes(self._received)
        self._received.clear()
        self._begin()
        return taken

    def complete(self) -> bool:
        """Whether the whole request is here, or as much of it as shows that it must be refused.

        A body declared longer than the limit is not waited for, a chunked one no further than a byte beyond it.
        """
        if not self._body_at and not self._find_head():
            return False
        if self._chunked:
            return self._all_chunks()
        return len(self._received) >= self._complete_at

    def _find_head(self) -> bool:
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            if len(self._received) > HEAD_BYTES_MAX:
                raise LimitRequestHeaders("head too long")
            # With a bare LF (RFC 9112 section 2.2) the head never ends; the parser refuses it.
            return self._received.count(b"\n") != self._received.count(b"\r\n")
        self._body_at = self._chunk_at = self._complete_at = end + 4
        head = bytes(self._received[: end + 2]).lower()
        lengths = re.findall(rb"\ncontent-length:[ \t]*([0-9]{1,10})[ \t]*\r", head)
        self._chunked = b"\ntransfer-encoding:" in head and not lengths
        if len(lengths) == 1 and b"\ntransfer-encoding:" not in head:
            self.is_cut = int(lengths[0]) > self._body_bytes_max
            self._complete_at += 0 if self.is_cut else int(lengths[0])
        self.awaits_continue = re.search(rb"\nexpect:[ \t]*100-continue[ \t]*\r", head) is not None
        return True

    def _all_chunks(self) -> bool:
        """RFC 9112 section 7.1: chunks, each after a line with its size; size 0, trailers and an empty line end it."""
        if len(self._received) > 4 * self._body_bytes_max + HEAD_BYTES_MAX:
            raise InvalidChunkSize(b"more framing than content")
        while True:
            line_end = self._received.find(b"\r\n", self._chunk_at)
            line = self._received[self._chunk_at : line_end if line_end >= 0 else None]
            if b"\n" in line or len(line) > CHUNK_LINE_BYTES_MAX:
                raise InvalidChunkSize(b"no CRLF")
            if line_end < 0:
                return False
            digits = bytes(line.partition(b";")[0]).rstrip(b" \t")
            if not re.fullmatch(rb"[0-9A-Fa-f]{1,8}", digits):
                raise InvalidChunkSize(b"not hexadecimal")
            size = int(digits, 16)
            if size == 0:
                if len(self._received) - line_end > HEAD_BYTES_MAX:
                    raise LimitRequestHeaders("trailers too long")
                return self._received.find(b"\r\n\r\n", line_end) >= 0
            begin, room = line_end + 2, self._body_bytes_max - self._chunks_bytes
            if size > room:
                self.is_cut = len(self._received) > begin + room
                return self.is_cut
            if len(self._received) < begin + size + 2:
                return False
            if self._received[begin + size : begin + size + 2] != b"\r\n":
                raise ChunkMissingTerminator(b"")
            self._chunk_at = begin + size + 2
            self._chunks_bytes += size


def waited_s(environ: Mapping[str, object]) -> float:
    """How long this request has waited for a thread: its client may have given up by now."""
    connection = environ.get("gunicorn.socket")
    return time.monotonic() - connection.queued_at if isinstance(connection, _AnsweringConnection) else 0.0


class NothingMore:
    """What a parser reads after a received request: there is nothing, and waiting will not bring it."""

    def recv(self, size: int) -> bytes:
        raise NoMoreData()


class _AnsweringConnection(socket.socket):
    """A connection whose writes wait in an outbox, so that nobody waits for the client to read.

    A head and a short body also leave together, as one TLS record instead of two.
    """

    queued_at: float = 0.0
    """When the request being answered began to wait for a thread, on the monotonic clock."""
    _outbox: bytearray | None = None

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Keep for `flush`; this is what gunicorn calls."""
        if self._outbox is None:
            self._outbox = bytearray()
        self._outbox += data

    def flush(self) -> None:
        """Send as much as the client takes in; one of NOT_YET when some is left."""
        while self._outbox:
            sent = self.send(bytes(self._outbox[:SEND_BYTES]))
            del self._outbox[:sent]


class AnsweringSocket(_AnsweringConnection, ssl.SSLSocket):
    """A client that has connected to us over TLS."""


class AnsweringFrontSocket(_AnsweringConnection, FrontSocket):
    """A client that has connected to nginx, which passes its requests on."""


class Connection(TConn):  # type: ignore[misc]
    """One client: the stage it is in, and until when.

    The poller or a thread works on it, never both.
    """

    sock: Any
    keep_alive: object = False
    queued_at: float = 0.0
    is_cut: bool = False
    """Whether the body of the received request is longer than we take: what is left of it is never read."""

    def __init__(
        self, cfg: Any, sock: socket.socket, client: Any, server: Any, terms: ServerTerms | None, deadlines: Deadlines
    ) -> None:
        """`terms` are None for an AnsweringFrontSocket: TLS has ended before."""
        super().__init__(cfg, sock, client, server)
        self.stage = Stage.HANDSHAKE
        self.deadline: float | None = time.monotonic() + deadlines.handshake_s
        self._terms = terms
        self._deadlines = deadlines
        self._inbox = Inbox(deadlines.body_bytes_max)
        self._lingered_bytes = 0

    def is_late(self, now: float) -> bool:
        return self.deadline is not None and now >= self.deadline

    def receive(self) -> bool:
        """Go on with the handshake and the request; True when a whole request waits in the parser.

        ssl.SSLError when the handshake fails, NoMoreData when the client has gone or must connect anew,
        gunicorn's ParseException when the bytes cannot become a request.
        """
        try:
            self.sock.setblocking(False)
            if self.stage is Stage.HANDSHAKE:
                self._shake_hands()
            if self.deadline is None:
                self.deadline = time.monotonic() + self._deadlines.request_s
            self._receive_request()
        except NOT_YET:
            self._acknowledge()
            return False
        if self._terms is not None and not self._terms.still_allow(self.sock.context):
            raise NoMoreData()
        self.is_cut = self._inbox.is_cut
        self.parser.unreader.unread(self._inbox.take())
        return True

    def _shake_hands(self) -> None:
        if self._terms is not None:
            if not isinstance(self.sock, ssl.SSLSocket):
                context = self._terms.context()
                context.sslsocket_class = AnsweringSocket
                self.sock = context.wrap_socket(self.sock, server_side=True, do_handshake_on_connect=False)
            self.sock.do_handshake()
        self.initialized = True
        self.parser = RequestParser(self.cfg, NothingMore(), self.client)
        self.stage, self.deadline = Stage.REQUEST, None

    def _receive_request(self) -> None:
        self._inbox.put(self.parser.unreader.take_buffered())
        while not self._inbox.complete():
            if self._inbox.awaits_continue:
                self._inbox.awaits_continue = False
                self.sock.sendall(CONTINUE)
                self.sock.flush()
            received = self.sock.recv(RECEIVE_BYTES)
            if not received:
                raise NoMoreData()
            self._inbox.put(received)

    def _acknowledge(self) -> None:
        """Acknowledge at once what has arrived: many a client holds back the rest until then.

        Nagle's algorithm (RFC 1122 section 4.2.3.4) meets a delayed acknowledgement, and 40 ms are lost.
        """
        if self._terms is not None and hasattr(socket, "TCP_QUICKACK"):
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def begin_answer(self, keep_alive: object) -> None:
        """The answer is written; `keep_alive` is whether another request may follow it."""
        self.keep_alive = keep_alive
        self.stage, self.deadline = Stage.ANSWER, time.monotonic() + self._deadlines.answer_s

    def answer(self) -> bool:
        """Go on sending the answer; True when all of it has gone. OSError when the client has gone."""
        try:
            self.sock.setblocking(False)
            self.sock.flush()
        except NOT_YET:
            return False
        self.stage, self.deadline = Stage.REQUEST, None
        return True

    def begin_closing(self) -> None:
        """Say goodbye (RFC 8446 section 6.1) and stop writing; OSError when the connection is already gone.

        After a failed handshake OpenSSL has sent an alert, the last word. A client of TLS 1.3 thinks itself connected
        by then: a browser that finds the connection half closed reports that, and not the alert it has yet to read.
        """
        self.sock.setblocking(False)
        if self.stage is Stage.REQUEST and isinstance(self.sock, ssl.SSLSocket):
            with suppress(OSError, ValueError):
                self.sock.unwrap()
        if self.stage is not Stage.HANDSHAKE:
            self.sock.shutdown(socket.SHUT_WR)
        self.stage, self.deadline = Stage.CLOSING, time.monotonic() + self._deadlines.linger_s

    def close(self, graceful: bool = False) -> None:
        """Close at once; an answer that the client was too slow to read leaves the kernel's buffers too."""
        if self.stage is Stage.ANSWER:
            with suppress(OSError):
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        super().close()

    def has_closed(self) -> bool:
        """Throw away what a client still sends, below TLS; whether it has closed too, or sends without end."""
        try:
            received = len(socket.socket.recv(self.sock, RECEIVE_BYTES))
        except BlockingIOError:
            return False
        except OSError:
            return True
        self._lingered_bytes += received
        return received == 0 or self._lingered_bytes > LINGER_BYTES_MAX
