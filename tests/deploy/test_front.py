"""Through nginx as deployed: payments pass, strangers and forged header fields do not."""

import contextlib
import http.client
import os
import re
import socket
import ssl
import stat
import threading
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from lxml import etree

from bankapi.cli.authority import Purpose
from bankapi.cli.client import TerminalClient
from bankapi.gateway import tls
from bankapi.wsse.names import SOAP
from tests.deploy.conftest import Deployment
from tests.exchange.serving import Home
from tests.exchange.test_registration import code, payment
from tests.running import wait_until

pytestmark = pytest.mark.slow
CONTENT_TYPE = {"Content-Type": "text/xml; charset=utf-8"}


def test_a_payment_passes_once(deployment: Deployment) -> None:
    atm = deployment.client()
    paid, again = (atm.call("RegisterPayment", payment("FRONT-1")) for _ in range(2))
    assert (code(paid), paid.fields["replayed"]) == ("OK", False)
    assert (code(again), again.fields["replayed"]) == ("OK", True)
    assert paid.fields["payment_id"] == again.fields["payment_id"]


def test_the_published_documents_pass_and_nothing_else_is_there(deployment: Deployment) -> None:
    found = {path: _get(deployment, path) for path in ("/soap/v1?wsdl", "/schemas/bankapi-v1.xsd")}
    assert all(status == 200 and body for status, body in found.values())
    for path in ("/metrics", "/health", "/soap/v1/../../metrics", "/index.html", "/kit/", "/kit/../metrics"):
        assert _get(deployment, path) == (404, b""), path


def test_the_page_for_people_passes_with_all_it_links_to(deployment: Deployment) -> None:
    status, page = _get(deployment, "/")
    assert status == 200
    assert b"ATM-0001" in page
    links = {link.partition("#")[0] for link in re.findall(r'href="(/[^"]*)"', page.decode())}
    assert len(links) > 8
    for link in links:
        status, body = _get(deployment, link)
        assert (status, len(body) > 500) == (200, True), link


def test_the_socket_is_for_nginx_and_the_gateway_alone(deployment: Deployment) -> None:
    mode = deployment.socket_file.stat()
    assert stat.S_IMODE(mode.st_mode) == 0o660


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else than nginx here")
def test_whoever_is_not_nginx_is_refused_at_the_socket_whatever_it_says(deployment: Deployment) -> None:
    pem = deployment.settings.terminal_file("ATM-0001", "cert.pem").read_text()
    message = deployment.client().sign("RegisterPayment", payment("FRONT-SOCKET"))
    head = (
        "POST /soap/v1 HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nX-SSL-Client-Verify: SUCCESS\r\n"
        f"X-SSL-Protocol: TLSv1.3\r\nX-SSL-Client-Cert: {quote(pem, safe='-')}\r\n"
        f"Content-Length: {len(message)}\r\n\r\n"
    )
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(deployment.socket_file))
        answer = b""
        with contextlib.suppress(ConnectionError):
            connection.sendall(head.encode() + message)
            answer = connection.recv(1000)
    assert answer == b""
    assert "not the front's" in deployment.log()
    assert _status_of(deployment, "FRONT-SOCKET") == "NEVER_SEEN"


def test_a_stranger_gets_a_bare_no(deployment: Deployment, tmp_path: Path) -> None:
    foreign = Home(tmp_path)
    ours = ssl.create_default_context(cafile=deployment.settings.ca_certificate)
    stranger = ssl.create_default_context(cafile=deployment.settings.ca_certificate)
    stranger.load_cert_chain(foreign.terminal.certificate, foreign.terminal.key)
    own = deployment.settings
    server = ssl.create_default_context(cafile=own.ca_certificate)
    server.load_cert_chain(own.gateway_file("cert.pem"), own.gateway_file("key.pem"))
    for context in (ours, stranger, server):
        assert _post(deployment, b"<x/>", context)[:2] == (400, b"")
    expired = foreign.party("expired", Purpose.TERMINAL, timedelta(seconds=-1))
    stranger.load_cert_chain(expired.certificate, expired.key)
    assert _post(deployment, b"<x/>", stranger)[0] == 400


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_both_versions_of_tls_pass(deployment: Deployment, version: str) -> None:
    context = _context(deployment, "ATM-0002")
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    atm = deployment.client("ATM-0002")
    message = atm.sign("Ping", [])
    status, body, _ = _post(deployment, message, context)
    assert status == 200
    assert code(atm.verified(message, body)) == "OK"


@pytest.mark.parametrize(
    "name", ["X-SSL-Client-Cert", "x-ssl-client-cert", "X_SSL_CLIENT_CERT", "X-SSL-Client_Cert", "X-SSL_Client-Cert"]
)
@pytest.mark.parametrize("times", [1, 2])
def test_a_forged_certificate_field_changes_nothing(deployment: Deployment, name: str, times: int) -> None:
    """A shop's terminal sends what a bank's terminal has signed, and says that it is the bank's."""
    victim = deployment.client("ATM-0001")
    forged = quote(deployment.settings.terminal_file("ATM-0001", "cert.pem").read_text(), safe="-")
    reference = f"FORGED-{times}-{name}"
    message = victim.sign("RegisterPayment", payment(reference))
    fields = [(name, forged), ("X-SSL-Client-Verify", "SUCCESS"), ("X-SSL-Protocol", "TLSv1.3")] * times
    status, body, _ = _post(deployment, message, _context(deployment, "ATM-0101"), fields)
    refused = victim.verified(message, body)
    assert (status, refused.is_fault, refused.fields["code"]) == (500, True, "SECURITY")
    assert "admission.signer-not-tls-peer" in deployment.log()
    assert _status_of(deployment, reference) == "NEVER_SEEN"


def test_what_is_too_long_is_told_in_a_signed_fault_and_what_is_far_too_long_by_its_status(
    deployment: Deployment,
) -> None:
    context = _context(deployment, "ATM-0001")
    long = b"<" + b"x" * (300 * 1024) + b"/>"
    status, body, _ = _post(deployment, long, context)
    fault = deployment.client().verified(b"", body)  # what was not read has the digest of nothing
    assert (status, fault.is_fault, fault.fields["code"]) == (500, True, "MESSAGE_TOO_LARGE")
    assert _post(deployment, b"x" * (600 * 1024), context)[:2] == (413, b"")


def test_what_is_not_soap_gets_the_gateways_own_signed_fault(deployment: Deployment) -> None:
    status, body, _ = _post(deployment, b"<html/>", _context(deployment, "ATM-0001"))
    assert status == 500
    assert etree.fromstring(body).find(f".//{{{SOAP}}}Fault") is not None


def test_nothing_of_a_message_or_a_certificate_is_logged(deployment: Deployment) -> None:
    assert code(deployment.client().call("RegisterPayment", payment("NOT-LOGGED"))) == "OK"
    wait_until(lambda: '"path":"/soap/v1","status":200' in deployment.journal.text())
    logged = deployment.journal.text() + deployment.log()
    for secret in ("NOT-LOGGED", "7916000", "BEGIN CERTIFICATE", "wsdl", "Envelope"):
        assert secret not in logged, secret


def _context(deployment: Deployment, terminal: str) -> ssl.SSLContext:
    own = deployment.settings
    return tls.client_context(
        own.terminal_file(terminal, "cert.pem"), own.terminal_file(terminal, "key.pem"), own.ca_certificate
    )


def _connection(deployment: Deployment, context: ssl.SSLContext) -> http.client.HTTPSConnection:
    return http.client.HTTPSConnection("localhost", deployment.front.port, timeout=30, context=context)


def _post(
    deployment: Deployment, body: bytes, context: ssl.SSLContext, fields: list[tuple[str, str]] | None = None
) -> tuple[int, bytes, http.client.HTTPMessage]:
    connection = _connection(deployment, context)
    try:
        connection.putrequest("POST", "/soap/v1")
        for name, value in [*CONTENT_TYPE.items(), ("Content-Length", str(len(body))), *(fields or [])]:
            connection.putheader(name, value)
        connection.endheaders()
        with contextlib.suppress(ConnectionError):  # refused by its length, before it was read
            connection.send(body)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers
    finally:
        connection.close()


def _get(deployment: Deployment, path: str) -> tuple[int, bytes]:
    connection = _connection(deployment, _context(deployment, "ATM-0001"))
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _status_of(deployment: Deployment, reference: str) -> str:
    client: TerminalClient = deployment.client()
    return str(client.call("GetPaymentStatus", [("Reference", reference)]).fields["status"])


def test_who_asks_too_much_is_told_to_come_later(deployment: Deployment) -> None:
    """One certificate may ask 200 times a second, and some hundred times more in a burst; another is not concerned."""
    refused: list[http.client.HTTPMessage] = []

    def ask() -> None:
        connection = _connection(deployment, _context(deployment, "ATM-0101"))
        with contextlib.closing(connection):
            for _ in range(1500):
                connection.request("GET", "/soap/v1")
                answer = connection.getresponse()
                body = answer.read()
                if answer.status == 503:
                    assert (body, answer.headers["Retry-After"]) == (b"", "5")
                    refused.append(answer.headers)
                if refused:
                    return

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused
    assert code(deployment.client("ATM-0001").call("Ping", [])) == "OK"
