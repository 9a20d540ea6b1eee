"""A real server in a process of its own, with real keys, for the tests of transport.

`python -m tests.exchange.serving HOME OPTIONS` serves `application` from the files that `Home` has made.
"""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPResponse
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from bankapi.cli.authority import Authority, Purpose, certificate_pem, key_pem, new_ec_key, subject_name
from bankapi.gateway import tls
from bankapi.gateway.server import ServerOptions, serve
from bankapi.gateway.tls import client_context, identify
from tests.running import free_port

BODY_BYTES_MAX = 64 * 1024
LONG = timedelta(days=1)


@dataclass(frozen=True)
class Party:
    """A certificate and its key, as files."""

    x509: x509.Certificate
    certificate: Path
    key: Path

    @property
    def fingerprint(self) -> str:
        return self.x509.fingerprint(hashes.SHA256()).hex()


class Home:
    """The files of one operator: CA, CRL, server, terminals."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = datetime.now(UTC)
        self.ca = Authority.create("Operator CA", self.now)
        self.ca_file = path / "ca.pem"
        self.ca_file.write_bytes(certificate_pem(self.ca.certificate))
        self.crl_file = path / "crl.pem"
        self.revoked: list[tuple[int, datetime]] = []
        self.publish_crl()
        self.party("server", Purpose.TLS_SERVER, hosts=["localhost", "127.0.0.1"])
        self.terminal = self.party("terminal")

    def party(
        self, name: str, purpose: Purpose = Purpose.TERMINAL, life: timedelta = LONG, hosts: list[str] | None = None
    ) -> Party:
        key = new_ec_key()
        certificate = self.ca.issue(subject_name(name), key.public_key(), purpose, self.now, life, hosts or [])
        party = Party(certificate, self.path / f"{name}.pem", self.path / f"{name}-key.pem")
        party.certificate.write_bytes(certificate_pem(certificate))
        party.key.write_bytes(key_pem(key))
        return party

    def publish_crl(self, life: timedelta = LONG) -> None:
        content = self.ca.revocation_list(self.revoked, self.now, life).public_bytes(Encoding.PEM)
        replace(self.crl_file, content)

    def revoke(self, party: Party) -> None:
        self.revoked.append((party.x509.serial_number, self.now))
        self.publish_crl()

    def client_context(self, party: Party | None = None) -> ssl.SSLContext:
        party = party or self.terminal
        return client_context(party.certificate, party.key, self.ca_file)


def replace(file: Path, content: bytes) -> None:
    """Change a file as a careful operator does."""
    new = file.with_suffix(".new")
    new.write_bytes(content)
    new.replace(file)


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def request(path: str = "/", body: bytes = b"", headers: str = "") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


def read_answer(connection: ssl.SSLSocket) -> Answer:
    response = HTTPResponse(connection, method="POST")
    response.begin()
    return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())


def ask(connection: ssl.SSLSocket, message: bytes | None = None) -> Answer:
    connection.sendall(request() if message is None else message)
    return read_answer(connection)


@dataclass
class Server:
    home: Home
    port: int
    process: "subprocess.Popen[str]"
    log_file: Path

    def connect_tcp(self, receive_buffer: int | None = None) -> socket.socket:
        client = socket.socket()
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.settimeout(20)
        client.connect(("127.0.0.1", self.port))
        return client

    def connect(
        self, context: ssl.SSLContext | None = None, session: ssl.SSLSession | None = None, **options: Any
    ) -> ssl.SSLSocket:
        context = context or self.home.client_context()
        return context.wrap_socket(self.connect_tcp(**options), server_hostname="localhost", session=session)

    def ask(self, message: bytes | None = None, context: ssl.SSLContext | None = None) -> Answer:
        """One request on a connection of its own."""
        with self.connect(context) as connection:
            return ask(connection, message)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    @property
    def log(self) -> str:
        return self.log_file.read_text()


@contextmanager
def serving(home: Home, **options: Any) -> Iterator[Server]:
    """A server that is ready; afterwards it is told to stop."""
    port = free_port()
    given = {"bind": f"127.0.0.1:{port}", "workers": 1, **options}
    log_file = home.path / f"log-{port}"
    command = [sys.executable, "-m", "tests.exchange.serving", str(home.path), json.dumps(given)]
    with log_file.open("w") as log:
        process = subprocess.Popen(command, stderr=log, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        ready = process.stdout.readline()
        assert ready == f"ready {process.pid}\n", log_file.read_text()
        yield Server(home, port, process, log_file)
    finally:
        process.send_signal(signal.SIGQUIT)
        process.wait(20)
        process.stdout.close()


def make_application() -> WSGIApplication:
    made_in = os.getpid()

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        kind, _, argument = environ["PATH_INFO"].strip("/").partition("/")
        if int(environ.get("CONTENT_LENGTH") or 0) > BODY_BYTES_MAX:
            start_response("413 Content Too Large", [("Content-Length", "0")])
            return []
        body = environ["wsgi.input"].read(BODY_BYTES_MAX + 1)
        if len(body) > BODY_BYTES_MAX:
            start_response("413 Content Too Large", [("Content-Length", "0")])
            return []
        answer = b""
        if kind == "sleep":
            time.sleep(float(argument))
        elif kind == "bytes":
            answer = bytes(int(argument))
        elif kind == "broken":
            raise RuntimeError("secret")
        if not answer:
            peer, connection = identify(environ), environ["gunicorn.socket"]
            answer = json.dumps(
                {
                    "fingerprint": peer.fingerprint.hex(),
                    "subject": peer.subject,
                    "protocol": peer.protocol,
                    "resumed": connection.session_reused,
                    "nodelay": connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY),
                    "body": body.decode(),
                    "made_in": made_in,
                    "served_in": os.getpid(),
                    "scheme": environ["wsgi.url_scheme"],
                    "address": environ["REMOTE_ADDR"],
                }
            ).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
        return [answer]

    return application


def _fail() -> WSGIApplication:
    raise RuntimeError("the database is not there")


def main(home: Path, options: dict[str, Any]) -> None:
    make: Callable[[], WSGIApplication] = _fail if options.pop("fail", False) else make_application
    files = {
        "certificate": home / "server.pem",
        "key": home / "server-key.pem",
        "client_ca": home / "ca.pem",
        "crl": home / "crl.pem",
    }
    tls.TICKET_KEYS_LIFE_S = options.pop("ticket_keys_life_s", tls.TICKET_KEYS_LIFE_S)
    chosen = ServerOptions(**{**files, "body_bytes_max": BODY_BYTES_MAX, **options})
    serve(make, chosen, lambda: print("ready", os.getpid(), flush=True))


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
