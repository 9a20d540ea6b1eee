"""nginx in front: who it says is at the other end, and when it is believed.

The front ends TLS and asks for client certificates; the gateway listens on a unix socket instead of TCP. A header
field is a claim that anybody can write, so three things have to hold before one is read: the connection came over the
unix socket (`FrontSocket`), the kernel names the front's user as its other end, and the front has verified the
certificate. The fields are set by `deploy/nginx.conf`, which passes none of a client's own header fields but those
that SOAP needs. The certificate itself is looked up on every request, as with TLS of our own.
"""

import re
import socket
import struct
from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from bankapi.refusals import Refusal, Rule

VERDICT: Final = "HTTP_X_SSL_CLIENT_VERIFY"
CERTIFICATE: Final = "HTTP_X_SSL_CLIENT_CERT"
PROTOCOL: Final = "HTTP_X_SSL_PROTOCOL"
_PROTOCOLS: Final = ("TLSv1.2", "TLSv1.3")
_ONE_CERTIFICATE: Final = re.compile(
    rb"-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----\n?", re.ASCII
)


class FrontSocket(socket.socket):
    """A connection whose other end the kernel has named as the front. Made by the worker that accepted it."""


def is_front(connection: socket.socket, front_uid: int) -> bool:
    """Whether a process of the front's user has opened this connection (unix(7), SO_PEERCRED)."""
    if connection.family != socket.AF_UNIX:
        return False
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", credentials)
    return bool(uid == front_uid)


def peer(environ: Mapping[str, object]) -> tuple[bytes, str]:
    """The client's certificate (DER) and the version of TLS, of a request that came over a FrontSocket.

    Refusal when the front has not verified one. A field that came twice holds a comma and is none of these.
    """
    verdict, escaped, protocol = (environ.get(name) for name in (VERDICT, CERTIFICATE, PROTOCOL))
    if verdict != "SUCCESS" or not isinstance(escaped, str) or not isinstance(protocol, str):
        raise Refusal(Rule.TLS_NO_CERTIFICATE, "the front has verified none")
    if protocol not in _PROTOCOLS:
        raise Refusal(Rule.TLS_NO_CERTIFICATE, "the front speaks another protocol")
    return _certificate(escaped), protocol


@lru_cache(maxsize=4096)
def _certificate(escaped: str) -> bytes:
    """The certificate of nginx's `$ssl_client_escaped_cert`: PEM with percent-encoding (RFC 3986 section 2.1)."""
    pem = unquote_to_bytes(escaped)
    if not _ONE_CERTIFICATE.fullmatch(pem):
        raise Refusal(Rule.TLS_NO_CERTIFICATE, "not one certificate")
    try:
        return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    except ValueError as error:
        raise Refusal(Rule.TLS_NO_CERTIFICATE, "not a certificate") from error
