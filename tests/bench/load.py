"""A load generator that costs little: messages are signed beforehand, connections are kept alive."""

import socket
import ssl
import statistics
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
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


def run(settings: Settings, terminal: str, messages: Sequence[bytes], action: str, connections: int) -> Load:
    """Send all messages over so many kept-alive connections, each one waiting for its answer."""
    context = tls.client_context(
        settings.terminal_file(terminal, "cert.pem"),
        settings.terminal_file(terminal, "key.pem"),
        settings.ca_certificate,
    )
    url = urlsplit(settings.gateway.url)
    head = (
        f"POST {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Type: text/xml; charset=utf-8\r\n"
        f'SOAPAction: "{action}"\r\nContent-Length: '
    ).encode()
    parts = [messages[n::connections] for n in range(connections)]
    latencies: list[list[float]] = [[] for _ in parts]
    faults = [0] * connections
    ready = threading.Barrier(connections + 1)

    def drive(number: int) -> None:
        connection = _connect(context, url.hostname or "", url.port or 443)
        ready.wait()
        for message in parts[number]:
            begun = time.perf_counter()
            connection.sendall(head + str(len(message)).encode() + b"\r\n\r\n" + message)
            ok = _read_answer(connection)
            latencies[number].append(time.perf_counter() - begun)
            faults[number] += not ok

    threads = [threading.Thread(target=drive, args=(n,)) for n in range(connections)]
    for thread in threads:
        thread.start()
    ready.wait()
    begun = time.perf_counter()
    for thread in threads:
        thread.join()
    return Load([each for part in latencies for each in part], sum(faults), time.perf_counter() - begun)


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
