"""A load generator that costs little: messages are signed beforehand, connections are kept alive unless asked not to.

`run` finds the ceiling: each connection sends as soon as it has its answer. `arrive` asks what a rate below it feels
like: requests are due at fixed times whether or not the ones before are answered, and their latency counts from then,
so that a stall is felt by everybody who would have come meanwhile (no coordinated omission).
"""

import socket
import ssl
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from urllib.parse import urlsplit

from bankapi.gateway import tls
from bankapi.settings import Settings


@dataclass(frozen=True)
class Load:
    """What a run gave: latencies in seconds of the answered requests, and how many of them were faults."""

    latencies: list[float]
    faults: int
    wall_s: float

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.wall_s

    def percentile_ms(self, percent: int) -> float:
        return statistics.quantiles(self.latencies, n=100, method="inclusive")[percent - 1] * 1000


def run(
    settings: Settings,
    terminal: str,
    messages: Sequence[bytes],
    action: str,
    connections: int,
    *,
    keep_alive: bool = True,
) -> Load:
    """Send all messages over so many connections, each one waiting for its answer."""
    parts = [messages[n::connections] for n in range(connections)]

    def drive(number: int, begun_at: float, line: _Line) -> None:
        for message in parts[number]:
            line.send(message, since=time.perf_counter())

    return _drive(settings, terminal, action, connections, drive, keep_alive=keep_alive)


def arrive(
    settings: Settings,
    terminal: str,
    messages: Sequence[bytes],
    action: str,
    connections: int,
    per_second: float,
    *,
    keep_alive: bool = True,
) -> Load:
    """Send messages at fixed times, so many per second, by whichever connection is free; latency counts from them."""
    turns = count()

    def drive(number: int, begun_at: float, line: _Line) -> None:
        while (turn := next(turns)) < len(messages):
            due_at = begun_at + turn / per_second
            time.sleep(max(0.0, due_at - time.perf_counter()))
            line.send(messages[turn], since=due_at)

    return _drive(settings, terminal, action, connections, drive, keep_alive=keep_alive)


class _Line:
    """One client: its connection, and what it has seen."""

    def __init__(self, connect: Callable[[], ssl.SSLSocket], head: bytes, *, keep_alive: bool) -> None:
        self.latencies: list[float] = []
        self.faults = 0
        self._connect = connect
        self._head = head
        self._keep_alive = keep_alive
        self._connection = connect() if keep_alive else None

    def send(self, message: bytes, since: float) -> None:
        connection = self._connection or self._connect()
        connection.sendall(self._head + str(len(message)).encode() + b"\r\n\r\n" + message)
        self.faults += not _read_answer(connection)
        self.latencies.append(time.perf_counter() - since)
        if not self._keep_alive:
            connection.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


def _drive(
    settings: Settings,
    terminal: str,
    action: str,
    connections: int,
    drive: Callable[[int, float, _Line], None],
    *,
    keep_alive: bool,
) -> Load:
    """Run so many clients at once, from one common beginning."""
    context = tls.client_context(
        settings.terminal_file(terminal, "cert.pem"),
        settings.terminal_file(terminal, "key.pem"),
        settings.ca_certificate,
    )
    url = urlsplit(settings.gateway.url)
    head = (
        f"POST {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Type: text/xml; charset=utf-8\r\n"
        f"Connection: {'keep-alive' if keep_alive else 'close'}\r\n"
        f'SOAPAction: "{action}"\r\nContent-Length: '
    ).encode()

    def connect() -> ssl.SSLSocket:
        return _connect(context, url.hostname or "", url.port or 443)

    lines = [_Line(connect, head, keep_alive=keep_alive) for _ in range(connections)]
    begun = time.perf_counter()
    threads = [threading.Thread(target=drive, args=(n, begun, line)) for n, line in enumerate(lines)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall_s = time.perf_counter() - begun
    for line in lines:
        line.close()
    return Load([each for line in lines for each in line.latencies], sum(line.faults for line in lines), wall_s)


def _connect(context: ssl.SSLContext, host: str, port: int) -> ssl.SSLSocket:
    plain = socket.create_connection((host, port))
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(plain, server_hostname=host)


def _read_answer(connection: ssl.SSLSocket) -> bool:
    received = connection.recv(65536)
    end = received.index(b"\r\n\r\n")
    head = received[:end].lower()
    length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
    missing = end + 4 + length - len(received)
    while missing > 0:
        missing -= len(connection.recv(65536))
    return head.startswith(b"http/1.1 200")
