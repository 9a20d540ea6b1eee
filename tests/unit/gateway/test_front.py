"""When nginx is believed about a client's certificate: never over TCP, from another user, or without its verdict."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from bankapi.gateway import front, tls
from bankapi.gateway.deadlines import AnsweringFrontSocket
from bankapi.refusals import Refusal, Rule
from tests.exchange.serving import Home


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> x509.Certificate:
    return Home(tmp_path_factory.mktemp("home")).terminal.x509


@pytest.fixture
def connection() -> Iterator[AnsweringFrontSocket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with theirs, AnsweringFrontSocket(fileno=ours.detach()) as accepted:
        yield accepted


def escaped(certificate: x509.Certificate) -> str:
    return quote(certificate.public_bytes(Encoding.PEM).decode(), safe="-")


def environ(connection: object, certificate: x509.Certificate, **other: str) -> dict[str, object]:
    return {
        "gunicorn.socket": connection,
        front.VERDICT: "SUCCESS",
        front.CERTIFICATE: escaped(certificate),
        front.PROTOCOL: "TLSv1.3",
        **other,
    }


def test_the_peer_is_the_certificate_that_the_front_has_verified(
    connection: AnsweringFrontSocket, certificate: x509.Certificate
) -> None:
    peer = tls.identify(environ(connection, certificate))
    assert peer.fingerprint == certificate.fingerprint(hashes.SHA256())
    assert (peer.subject, peer.protocol) == ("CN=terminal", "TLSv1.3")


@pytest.mark.parametrize(
    "wrong",
    [
        {front.VERDICT: "NONE"},
        {front.VERDICT: "FAILED:certificate revoked"},
        {front.VERDICT: "SUCCESS,SUCCESS"},
        {front.VERDICT: ""},
        {front.PROTOCOL: "TLSv1.1"},
        {front.PROTOCOL: ""},
        {front.CERTIFICATE: ""},
        {front.CERTIFICATE: "%2D"},
        {front.CERTIFICATE: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"},
    ],
    ids=str,
)
def test_without_the_fronts_verdict_there_is_no_peer(
    connection: AnsweringFrontSocket, certificate: x509.Certificate, wrong: dict[str, str]
) -> None:
    with pytest.raises(Refusal) as refused:
        tls.identify(environ(connection, certificate, **wrong))
    assert refused.value.rule is Rule.TLS_NO_CERTIFICATE


def test_two_certificates_are_none(connection: AnsweringFrontSocket, certificate: x509.Certificate) -> None:
    for joined in ("", ","):
        twice = escaped(certificate) + joined + escaped(certificate)
        with pytest.raises(Refusal):
            tls.identify(environ(connection, certificate, **{front.CERTIFICATE: twice}))


def test_header_fields_are_nothing_over_any_other_connection(certificate: x509.Certificate) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as over_tcp:
        ours, theirs = socket.socketpair(socket.AF_UNIX)
        with ours, theirs:
            for connection in (over_tcp, ours, None):
                with pytest.raises(Refusal) as refused:
                    tls.identify(environ(connection, certificate))
                assert refused.value.rule is Rule.TLS_NO_CERTIFICATE
        assert not front.is_front(over_tcp, os.getuid())


def test_only_the_fronts_own_user_is_the_front(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(str(tmp_path / "s"))
        server.listen()
        client.connect(str(tmp_path / "s"))
        accepted, _ = server.accept()
        with accepted:
            assert front.is_front(accepted, os.getuid())
            assert not front.is_front(accepted, os.getuid() + 1)
