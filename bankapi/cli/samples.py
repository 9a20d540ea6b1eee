"""Making the kit's samples: a throw-away demo installation answers what `kit/samples` asks, and is thrown away.

Everything is real but the clock and the wire: keys, signatures, database, and the way of a request behind nginx.
"""

import io
import logging
import socket
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from lxml import etree

from bankapi.cli import home
from bankapi.evidence import sealing
from bankapi.evidence.sealing import NewestCheckpoint
from bankapi.gateway import exchange, front, keys, wsgi
from bankapi.gateway.exchange import journal
from bankapi.gateway.front import FrontSocket
from bankapi.kit import samples
from bankapi.settings import Settings
from bankapi.wsse import signing

TERMINAL: Final = "ATM-0001"
_BETWEEN: Final = timedelta(seconds=10)


@dataclass
class _Clock:
    now: datetime

    def __call__(self) -> datetime:
        return self.now


@dataclass(frozen=True, slots=True)
class Made:
    """Requests and answers as they would have gone over the wire, and the certificates they are verified by."""

    exchanges: tuple[tuple[bytes, bytes], ...]
    certificates: Mapping[str, bytes]


def make(asked: Iterable[etree._Element]) -> Made:
    """Have an installation of its own answer these request elements, one after the other."""
    journal.addHandler(logging.NullHandler())  # a fault's line there is nobody's concern here
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder) / "home")
        home.create(settings, demo=True, now=samples.ASKED_AT)
        files = {
            samples.CA: settings.ca_certificate,
            samples.TERMINAL: settings.terminal_file(TERMINAL, "cert.pem"),
            samples.GATEWAY: settings.gateway_file("signing-cert.pem"),
        }
        return Made(tuple(_answered(settings, asked)), {name: file.read_bytes() for name, file in files.items()})


def _answered(settings: Settings, asked: Iterable[etree._Element]) -> Iterator[tuple[bytes, bytes]]:
    certificate, key = (settings.terminal_file(TERMINAL, name) for name in ("cert.pem", "key.pem"))
    identity, clock = keys.load_identity(certificate, key), _Clock(samples.ASKED_AT)
    gateway = replace(wsgi.create_gateway(settings), clock=clock)
    try:
        for element in asked:
            clock.now += _BETWEEN
            request = signing.sign_envelope(element, identity, now=clock.now)
            with _connection() as connection:
                answer = exchange.answer(gateway, _environ(request, certificate.read_text(), connection))
            yield request, answer.body
            # What the background worker does, so that the next answer shows a signed head of the journal.
            sealing.seal(gateway.store)
            sealing.sign_checkpoint(gateway.store, settings.evidence.origin, gateway.identity, clock.now)
            gateway = replace(gateway, checkpoints=NewestCheckpoint(gateway.store))
    finally:
        gateway.store.close()


@contextmanager
def _connection() -> Iterator[FrontSocket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with theirs, FrontSocket(fileno=ours.detach()) as accepted:
        yield accepted


def _environ(request: bytes, certificate: str, connection: FrontSocket) -> dict[str, Any]:
    """What gunicorn makes of a request that nginx passes on."""
    return {
        "REQUEST_METHOD": "POST",
        "CONTENT_TYPE": "text/xml; charset=utf-8",
        "CONTENT_LENGTH": str(len(request)),
        "wsgi.input": io.BytesIO(request),
        "gunicorn.socket": connection,
        front.VERDICT: "SUCCESS",
        front.CERTIFICATE: quote(certificate, safe="-"),
        front.PROTOCOL: "TLSv1.3",
    }
