"""The man in the middle: ends the client's TLS, changes the bytes, and speaks to the gateway as the terminal.

He holds what an attacker must never have, the gateway's TLS key and the terminal's: so the clients under test run as
they are, and what stops him is the signatures alone.
"""

import contextlib
import http.client
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from bankapi.settings import Settings

Change = Callable[[bytes], bytes]


def unchanged(message: bytes) -> bytes:
    return message


@dataclass
class Middle:
    """Where the clients find him, and what went through him: as the client sent it, as the gateway answered it."""

    url: str = ""
    requests: list[bytes] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)


@contextlib.contextmanager
def man_in_the_middle(
    settings: Settings, terminal: str, *, of_request: Change = unchanged, of_answer: Change = unchanged
) -> Iterator[Middle]:
    upstream = urlsplit(settings.gateway.url)
    as_terminal = ssl.create_default_context(cafile=str(settings.ca_certificate))
    as_terminal.load_cert_chain(
        settings.terminal_file(terminal, "cert.pem"), settings.terminal_file(terminal, "key.pem")
    )
    middle = Middle()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = self.rfile.read(int(self.headers["Content-Length"]))
            middle.requests.append(request)
            headers = {name: self.headers[name] for name in ("Content-Type", "SOAPAction")}
            gateway = http.client.HTTPSConnection(
                str(upstream.hostname), upstream.port, context=as_terminal, timeout=30
            )
            with contextlib.closing(gateway):
                gateway.request("POST", upstream.path, of_request(request), headers)
                response = gateway.getresponse()
                answer = response.read()
            middle.answers.append(answer)
            changed = of_answer(answer)
            self.send_response(response.status)
            self.send_header("Content-Type", response.headers["Content-Type"])
            self.send_header("Content-Length", str(len(changed)))
            self.end_headers()
            self.wfile.write(changed)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.socket = _as_gateway(settings).wrap_socket(server.socket, server_side=True)
        middle.url = f"https://localhost:{server.server_port}{upstream.path}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield middle
        finally:
            server.shutdown()
            thread.join()


def _as_gateway(settings: Settings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(settings.gateway_file("cert.pem"), settings.gateway_file("key.pem"))
    context.load_verify_locations(cafile=str(settings.ca_certificate))
    context.verify_mode = ssl.CERT_REQUIRED
    return context
