"""Who is at the other end of the TLS connection, and on what terms we speak at all (RFC 8446, RFC 9325).

Only the operator's CA is believed, never the system's store: the certificate of a terminal is an account, not a
web identity. The terms are files, and files change while we serve: a changed CRL, CA or certificate makes a *new*
context. A new context has new session ticket keys and an empty session cache, so a session of a client that has
been revoked since cannot be resumed; a CRL loaded into the living context would leave it resumable.

Where nginx ends TLS, it says who the peer is, in header fields. They are believed on one kind of connection only: one
from nginx's own user, over the unix socket this gateway listens on (`gateway/front`).
"""

import hashlib
import logging
import os
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from cryptography import x509

from bankapi.gateway import front
from bankapi.gateway.front import FrontSocket
from bankapi.refusals import Refusal, Rule

LOG = logging.getLogger(__name__)
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:@SECLEVEL=2"
"""What TLS 1.2 may use: ephemeral keys and authenticated encryption only (RFC 9325 section 4.2)."""
TICKET_KEYS_LIFE_S = 24 * 3600
"""How long a context, and with it its session ticket keys, may live (RFC 9325 section 3.4)."""


@dataclass(frozen=True, slots=True)
class TLSIdentity:
    """The peer has proved that it holds the key of this certificate, which our CA issued. Made here only."""

    fingerprint: bytes
    """SHA-256 of the certificate's DER."""
    subject: str
    """The subject as RFC 4514 writes it."""
    protocol: str
    """As OpenSSL names it: `TLSv1.2` or `TLSv1.3`."""


def identify(environ: Mapping[str, object]) -> TLSIdentity:
    """The TLS peer of this request, asked on every request: a kept-alive connection outlives a registration."""
    connection = environ.get("gunicorn.socket")
    if isinstance(connection, FrontSocket):
        return _identity(*front.peer(environ))
    if not isinstance(connection, ssl.SSLSocket):
        raise Refusal(Rule.TLS_NO_CERTIFICATE, "not a TLS connection")
    certificate, protocol = connection.getpeercert(True), connection.version()
    if certificate is None or protocol is None:
        raise Refusal(Rule.TLS_NO_CERTIFICATE)
    return _identity(certificate, protocol)


@lru_cache(maxsize=4096)
def _identity(certificate: bytes, protocol: str) -> TLSIdentity:
    subject = x509.load_der_x509_certificate(certificate).subject.rfc4514_string()
    return TLSIdentity(hashlib.sha256(certificate).digest(), subject, protocol)


def server_context(certificate: Path, key: Path, client_ca: Path, crl: Path | None) -> ssl.SSLContext:
    """Terms on which we accept a connection. OSError (`ssl.SSLError` too) or ValueError when a file is not usable.

    With a CRL, a client whose issuer's CRL is missing or out of date is refused like a revoked one (RFC 5280
    section 6.3): the operator must publish a new CRL before the old one's nextUpdate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _set_common_terms(context, certificate, key)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cafile=client_ca)
    if context.cert_store_stats()["x509_ca"] == 0:
        raise ValueError(f"no CA certificate in {client_ca}")
    if crl is not None:
        context.load_verify_locations(cafile=crl)
        if context.cert_store_stats()["crl"] == 0:
            raise ValueError(f"no CRL in {crl}")
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    return context


def client_context(certificate: Path, key: Path, server_ca: Path) -> ssl.SSLContext:
    """Terms on which our own client speaks: its certificate, and a server of this CA with the name we dialled."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _set_common_terms(context, certificate, key)
    context.check_hostname = True
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cafile=server_ca)
    return context


def _set_common_terms(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION
    context.set_ciphers(CIPHERS)
    context.load_cert_chain(certificate, key)


class ServerTerms:
    """The server context that fits the files as they are now.

    Made before the workers fork, so that all of them share the first context's ticket keys and a session can be
    resumed with any of them.
    """

    def __init__(self, certificate: Path, key: Path, client_ca: Path, crl: Path | None) -> None:
        self._files = (certificate, key, client_ca, crl)
        self._lock = threading.Lock()
        self._begun_at = time.monotonic()
        self._seen = self._state()
        self._context = server_context(*self._files)
        self._before: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        """The context for a new connection; the last good one while the files make no sense (half-written)."""
        if self._state() != self._seen:
            with self._lock:
                state = self._state()
                if state != self._seen:
                    self._renew(state)
        return self._context

    def still_allow(self, context: ssl.SSLContext) -> bool:
        """Whether a connection made on this context may go on: only its ticket keys may have become too old since.

        When a file has changed it may not, for the CRL may name this client by now: it must prove itself again.
        """
        return context in (self.context(), self._before)

    def _renew(self, state: "_State") -> None:
        try:
            context = server_context(*self._files)
        except (OSError, ValueError) as error:
            LOG.error("TLS files are not usable, the last good ones stay in force: %s", error)
        else:
            self._before = self._context if state.files == self._seen.files else None
            self._context = context
            LOG.info("a new TLS context serves new connections: files have changed, or the ticket keys are old")
        self._seen = state

    def _state(self) -> "_State":
        # Ages since the server began, so that not all servers of the world renew their keys at the same instant.
        age_s = time.monotonic() - self._begun_at
        return _State(int(age_s / TICKET_KEYS_LIFE_S), tuple(_version(file) for file in self._files if file))


class _State(NamedTuple):
    """What a context was made of: it is made anew when this changes."""

    ticket_keys: int
    files: tuple[tuple[int, int, int] | None, ...]


def _version(file: Path) -> tuple[int, int, int] | None:
    try:
        status = os.stat(file)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
