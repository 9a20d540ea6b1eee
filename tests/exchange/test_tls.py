"""Who may connect, and for how long: RFC 8446, RFC 5280 section 6.3, design section 4 (Transport)."""

import contextlib
import os
import socket
import ssl
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from bankapi.cli.authority import Purpose
from bankapi.gateway import tls
from bankapi.gateway.tls import ServerTerms, client_context, identify
from bankapi.refusals import Refusal, Rule
from tests.exchange.serving import Home, Party, Server, ask, replace, request, serving
from tests.running import wait_until

VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
REFUSED = (ssl.SSLError, ConnectionError)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("foreign"))


@pytest.fixture(scope="module")
def server(home: Home) -> Iterator[Server]:
    with serving(home, workers=2) as started:
        yield started


def context_for(home: Home, party: Party, protocol: str) -> ssl.SSLContext:
    context = home.client_context(party)
    context.minimum_version = context.maximum_version = VERSIONS[protocol]
    return context


@pytest.mark.parametrize("protocol", VERSIONS)
def test_the_peer_is_its_certificate(home: Home, server: Server, protocol: str) -> None:
    answer = server.ask(context=context_for(home, home.terminal, protocol)).json

    assert answer["fingerprint"] == home.terminal.fingerprint
    assert answer["subject"] == "CN=terminal"
    assert answer["protocol"] == protocol


@pytest.mark.parametrize("environ", [{}, {"gunicorn.socket": None}, {"gunicorn.socket": socket.socket}])
def test_without_tls_there_is_no_identity(environ: dict[str, object]) -> None:
    with pytest.raises(Refusal) as refused:
        identify(environ)
    assert refused.value.rule is Rule.TLS_NO_CERTIFICATE


@pytest.mark.parametrize("protocol", VERSIONS)
@pytest.mark.parametrize("kind", ["no certificate", "foreign CA", "expired", "not for clients"])
def test_a_stranger_is_refused(home: Home, foreign: Home, server: Server, kind: str, protocol: str) -> None:
    party = {
        "no certificate": home.terminal,
        "foreign CA": foreign.terminal,
        "expired": home.party("expired", life=timedelta(seconds=-1)),
        "not for clients": home.party("not-for-clients", Purpose.TLS_SERVER),
    }[kind]
    context = context_for(home, party, protocol)
    if kind == "no certificate":
        context = ssl.create_default_context(cafile=home.ca_file)
        context.minimum_version = context.maximum_version = VERSIONS[protocol]

    with pytest.raises(REFUSED):
        server.ask(context=context)


@pytest.mark.parametrize(("kind", "reason"), [("no certificate", "REQUIRED"), ("foreign CA", "UNKNOWN_CA")])
def test_a_stranger_reads_why_though_it_goes_on_sending(
    home: Home, foreign: Home, server: Server, kind: str, reason: str
) -> None:
    """A client of TLS 1.3 sends before we have looked at its certificate (RFC 8446 section 2)."""
    context = ssl.create_default_context(cafile=home.ca_file)
    if kind == "foreign CA":
        context.load_cert_chain(foreign.terminal.certificate, foreign.terminal.key)
    with server.connect(context) as connection:
        for _ in range(5):
            connection.sendall(request())
            time.sleep(0.05)
        with pytest.raises(ssl.SSLError, match=reason):
            connection.recv(1)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", ["TLS 1.1", "key exchange without forward secrecy", "no authenticated encryption"])
def test_old_cryptography_is_refused(home: Home, server: Server, kind: str) -> None:
    context = context_for(home, home.terminal, "TLSv1.2")
    if kind == "TLS 1.1":
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    else:
        context.set_ciphers("AES128-GCM-SHA256" if kind.startswith("key") else "ECDHE-ECDSA-AES128-SHA256")

    with pytest.raises(REFUSED):
        server.ask(context=context)


@pytest.mark.parametrize("protocol", VERSIONS)
def test_a_session_is_resumed_while_nothing_changes(home: Home, server: Server, protocol: str) -> None:
    context = context_for(home, home.terminal, protocol)
    with server.connect(context) as first:
        assert not ask(first).json["resumed"]
        session = first.session

    answers = []
    for _ in range(4):
        with server.connect(context, session) as connection:
            answers.append(ask(connection).json)

    # Whichever worker it meets: tickets are good at all of them.
    assert [answer["resumed"] for answer in answers] == [True] * 4
    assert {answer["fingerprint"] for answer in answers} == {home.terminal.fingerprint}


@pytest.mark.parametrize("protocol", VERSIONS)
def test_revocation_takes_effect_at_once(home: Home, server: Server, protocol: str) -> None:
    party = home.party(f"to-revoke-{protocol}")
    context = context_for(home, party, protocol)
    kept_alive, idle = server.connect(context), server.connect(context)
    assert ask(kept_alive).status == ask(idle).status == 200
    session = kept_alive.session

    home.revoke(party)

    with pytest.raises(REFUSED):  # on the connection it had
        ask(kept_alive)
    with pytest.raises(REFUSED), server.connect(context, session) as resumed:
        ask(resumed)
    with pytest.raises(REFUSED):
        server.ask(context=context_for(home, party, protocol))
    idle.settimeout(10)
    with contextlib.suppress(ConnectionError):
        assert idle.recv(1) == b""  # and hung up by itself
    assert server.ask().json["fingerprint"] == home.terminal.fingerprint


def test_a_half_written_crl_changes_nothing(home: Home, server: Server) -> None:
    revoked = home.party("revoked-before")
    idle: dict[int, ssl.SSLSocket] = {}
    while len(idle) < 2:
        connection = server.connect()
        idle.setdefault(ask(connection).json["served_in"], connection)
    home.revoke(revoked)
    good = home.crl_file.read_bytes()
    for connection in idle.values():  # Both processes see it, without any traffic, and hang up.
        with contextlib.suppress(ConnectionError):
            assert connection.recv(1) == b""
    try:
        home.crl_file.write_bytes(good[: len(good) // 2])
        assert server.ask().status == 200
        with pytest.raises(REFUSED):
            server.ask(context=home.client_context(revoked))
        home.crl_file.unlink()
        assert server.ask().status == 200
    finally:
        replace(home.crl_file, good)
    assert "not usable" in server.log


def test_an_outdated_crl_lets_nobody_in(home: Home, server: Server) -> None:
    try:
        home.publish_crl(life=timedelta(seconds=-1))
        with pytest.raises(REFUSED):
            server.ask()
    finally:
        home.publish_crl()
    assert server.ask().status == 200


def test_terms_are_made_anew_only_when_a_file_changes(home: Home) -> None:
    terms = ServerTerms(home.path / "server.pem", home.path / "server-key.pem", home.ca_file, home.crl_file)
    first = terms.context()
    assert terms.context() is first
    os.utime(home.ca_file, ns=(time.time_ns(), time.time_ns()))
    second = terms.context()
    assert second is not first
    assert terms.context() is second


def test_new_ticket_keys_disturb_nobody_and_a_changed_file_still_does(home: Home) -> None:
    terms = ServerTerms(home.path / "server.pem", home.path / "server-key.pem", home.ca_file, home.crl_file)
    first = terms.context()
    terms._begun_at -= tls.TICKET_KEYS_LIFE_S
    second = terms.context()
    assert second is not first
    assert terms.still_allow(first)
    assert terms.still_allow(second)
    os.utime(home.crl_file, ns=(time.time_ns(), time.time_ns()))
    assert not terms.still_allow(first)
    assert not terms.still_allow(second)
    assert terms.still_allow(terms.context())


def test_a_connection_outlives_its_ticket_keys(home: Home) -> None:
    context = home.client_context()
    with serving(home, ticket_keys_life_s=8) as server, server.connect(context) as connection:
        assert ask(connection).status == 200

        def keys_are_new() -> bool:
            with server.connect(context, connection.session) as other:
                return not ask(other).json["resumed"]

        assert not keys_are_new()
        wait_until(keys_are_new)
        assert ask(connection).status == 200


@pytest.mark.parametrize("wrong", ["certificate", "key", "client_ca", "crl"])
def test_unusable_files_refuse_to_start(home: Home, foreign: Home, tmp_path: Path, wrong: str) -> None:
    files = {
        "certificate": home.path / "server.pem",
        "key": home.path / "server-key.pem",
        "client_ca": home.ca_file,
        "crl": home.crl_file,
    }
    (tmp_path / "empty").touch()
    for unusable in (tmp_path / "absent", tmp_path / "empty", foreign.path / "terminal-key.pem"):
        with pytest.raises((OSError, ValueError)):
            ServerTerms(**{**files, wrong: unusable})
    if wrong == "crl":
        with pytest.raises(ValueError, match="no CRL"):
            ServerTerms(**{**files, wrong: home.ca_file})


def test_our_client_believes_only_the_right_server(home: Home, foreign: Home, server: Server) -> None:
    stranger = client_context(home.terminal.certificate, home.terminal.key, foreign.ca_file)
    with pytest.raises(ssl.SSLCertVerificationError):
        server.ask(context=stranger)
    with pytest.raises(ssl.SSLCertVerificationError), server.connect_tcp() as client:
        home.client_context().wrap_socket(client, server_hostname="elsewhere.example")
