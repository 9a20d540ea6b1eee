"""The page for people over real TLS: who may read it, that all it links to is there, and what HTTP says around it."""

import http.client
import io
import re
import shutil
import sqlite3
import ssl
import time
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree
from sqlalchemy import event

from bankapi import clock
from bankapi.billing import directory
from bankapi.cli.authority import Authority, Purpose, certificate_pem, key_pem, new_ec_key, subject_name
from bankapi.cli.payments import terminal_client
from bankapi.gateway import keys, tls
from bankapi.kit import page
from bankapi.kit.page_reference import TYPES_PATH
from bankapi.monitoring import readiness
from bankapi.settings import Settings
from bankapi.storage.engine import Store
from bankapi.wsse.trust import fingerprint
from tests import journals
from tests.conftest import copy_home
from tests.exchange.test_kit import follow_guide
from tests.exchange.test_registration import code, payment
from tests.running import RunningGateway, start_gateway
from tests.unit.cli.commands import done

pytestmark = pytest.mark.slow

TYPES = {"css": "text/css; charset=utf-8", "html": page.HTML, "pem": "application/x-pem-file", "zip": "application/zip"}
XML = "text/xml; charset=utf-8"


class Reader:
    """A browser's HTTP, without the browser; one connection."""

    def __init__(self, running: RunningGateway, certificate: Path, key: Path) -> None:
        context = tls.client_context(certificate, key, running.settings.ca_certificate)
        port = running.settings.gateway.port
        self._connection = http.client.HTTPSConnection("localhost", port, timeout=30, context=context)

    def ask(self, path: str = "/", method: str = "GET") -> tuple[int, http.client.HTTPMessage, bytes]:
        self._connection.request(method, path)
        answer = self._connection.getresponse()
        return answer.status, answer.headers, answer.read()

    def close(self) -> None:
        self._connection.close()


@contextmanager
def reading(running: RunningGateway, terminal: str = "ATM-0001") -> Iterator[Reader]:
    files = (running.settings.terminal_file(terminal, f"{name}.pem") for name in ("cert", "key"))
    with closing(Reader(running, *files)) as reader:
        yield reader


@pytest.fixture(scope="module")
def administered(demo_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway of this module's own: its terminals are blocked and revoked here."""
    with start_gateway(copy_home(demo_home, tmp_path_factory.mktemp("page") / "var")) as running:
        yield running


def shown(body: bytes) -> str:
    return " ".join("".join(etree.HTML(body.decode()).itertext()).split())


def test_a_terminal_reads_who_it_is_and_how_to_pay(gateway: RunningGateway) -> None:
    with reading(gateway) as reader:
        status, headers, body = reader.ask()
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert body.startswith(b'<!DOCTYPE html>\n<html lang="en">')
    assert "ATM-0001 of DEMO-BANK" in shown(body)
    assert gateway.url in shown(body)
    assert "AVAILABLE Payments are being registered." in shown(body)
    for stranger in ("ATM-0002", "ATM-0101", "DEMO-SHOP", "Ivan", str(gateway.settings.home)):
        assert stranger not in shown(body), stranger
    assert len(body) < 100_000


def test_a_channel_reads_it_too(gateway: RunningGateway) -> None:
    files = (gateway.settings.channel_file("DEMO-BANK", f"{name}.pem") for name in ("cert", "key"))
    with closing(Reader(gateway, *files)) as reader:
        status, _, body = reader.ask()
    assert status == 200
    assert "DEMO-BANK, by a channel of its processing centre" in shown(body)


def test_without_a_certificate_there_is_no_page(gateway: RunningGateway) -> None:
    context = ssl.create_default_context(cafile=gateway.settings.ca_certificate)
    connection = http.client.HTTPSConnection("localhost", gateway.settings.gateway.port, timeout=30, context=context)

    def ask() -> None:
        connection.request("GET", "/")
        connection.getresponse()

    with closing(connection), pytest.raises((ssl.SSLError, ConnectionError)):
        ask()


def test_all_it_links_to_is_there_with_its_type(gateway: RunningGateway) -> None:
    with reading(gateway) as reader:
        pages = [etree.HTML(reader.ask(path)[2].decode()) for path in ("/", TYPES_PATH)]
        links = {str(link).partition("#")[0] for each in pages for link in each.xpath("//@href | //@src")} - {""}
        assert links >= {"/", TYPES_PATH, page.STYLE_PATH, "/soap/v1?wsdl", "/kit/ca.pem", "/kit/samples.zip"}
        assert all(link.startswith("/") and not link.startswith("//") for link in links), "nothing from elsewhere"
        for link in sorted(links):
            status, headers, body = reader.ask(link)
            expected = TYPES.get(link.rpartition(".")[2], page.HTML if link == "/" else XML)
            assert (status, headers["Content-Type"]) == (200, expected), link
            assert len(body) > 500, link
            if expected != XML:
                assert headers["X-Content-Type-Options"] == "nosniff", link
            again, same, nothing = reader.ask(link, "HEAD")
            assert (again, nothing, same["Content-Type"]) == (200, b"", expected), link
            assert same["Content-Length"] == str(len(body)), link


def test_what_is_downloaded_is_what_the_installation_has(gateway: RunningGateway) -> None:
    with reading(gateway) as reader:
        assert reader.ask("/kit/ca.pem")[2] == gateway.settings.ca_certificate.read_bytes()
        assert (
            reader.ask("/kit/gateway-signing-cert.pem")[2]
            == gateway.settings.gateway_file("signing-cert.pem").read_bytes()
        )
        assert reader.ask("/kit/gateway-next-signing-cert.pem")[0] == 404
        for elsewhere in (
            "/kit/",
            "/kit/signing-key.pem",
            "/kit/gateway-signing-key.pem",
            "/kit/../gateway/signing-key.pem",
            "/kit/client-none.zip",
        ):
            assert reader.ask(elsewhere)[::2] == (404, b""), elsewhere


def test_a_clients_guide_leads_to_a_payment_with_the_archive_and_ones_own_key(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    with reading(gateway) as reader, zipfile.ZipFile(io.BytesIO(reader.ask("/kit/client-zeep.zip")[2])) as packed:
        packed.extractall(tmp_path)
    folder = tmp_path / "bankapi-zeep"
    for name in ("cert", "key"):
        shutil.copy(gateway.settings.terminal_file("ATM-0001", f"{name}.pem"), folder / f"terminal-{name}.pem")
    said = follow_guide(folder, "zeep", "PAGE-1")
    assert [each["answer"]["Result"]["Code"] for each in said] == ["OK", "OK"]


def test_a_browser_is_told_to_run_nothing_and_to_keep_nothing(gateway: RunningGateway) -> None:
    with reading(gateway) as reader:
        for path in ("/", TYPES_PATH):
            _, headers, body = reader.ask(path)
            policy = dict(part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";"))
            assert policy == {
                "default-src": "'none'",
                "style-src": "'self'",
                "base-uri": "'none'",
                "form-action": "'none'",
                "frame-ancestors": "'none'",
            }
            assert (headers["Referrer-Policy"], headers["Cache-Control"]) == ("no-referrer", "no-store")
            assert not re.search(rb"<(script|img|iframe|form|style|object)\b|\son[a-z]+=|\sstyle=", body)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_it_is_only_read(gateway: RunningGateway, method: str) -> None:
    with reading(gateway) as reader:
        for path in ("/", "/kit/ca.pem"):
            status, headers, body = reader.ask(path, method)
            assert (status, headers["Allow"], body) == (405, "GET, HEAD", b"")


def refused(reader: Reader, running: RunningGateway, rule: str) -> str:
    status, headers, body = reader.ask()
    assert (status, headers["Content-Type"]) == (403, page.HTML)
    assert headers["Content-Security-Policy"] == page.POLICY
    assert rule in running.log()
    assert "page refused" in running.log()
    assert reader.ask(page.STYLE_PATH)[0] == 200
    return shown(body)


def test_a_certificate_that_is_not_registered_is_refused(administered: RunningGateway, tmp_path: Path) -> None:
    own = administered.settings
    key = new_ec_key()
    authority = Authority.load(own.ca_certificate, own.ca_key)
    name = subject_name("ATM-0001", "DEMO-BANK")
    certificate = authority.issue(name, key.public_key(), Purpose.TERMINAL, clock.utc_now())
    files = tmp_path / "cert.pem", tmp_path / "key.pem"
    for file, content in zip(files, (certificate_pem(certificate), key_pem(key)), strict=True):
        file.write_bytes(content)
    with closing(Reader(administered, *files)) as reader:
        said = refused(reader, administered, "tls.certificate-unknown")
    assert "ATM-0001" not in said


def test_whoever_is_blocked_or_revoked_is_refused_on_the_same_connection(administered: RunningGateway) -> None:
    with reading(administered, "ATM-0101") as reader:
        said = set()
        assert reader.ask()[0] == 200
        for what, name, rule in (
            ("terminal", "ATM-0101", "admission.terminal-blocked"),
            ("dealer", "DEMO-SHOP", "admission.dealer-blocked"),
        ):
            done(administered.settings, what, "block", name)
            said.add(refused(reader, administered, rule))
            done(administered.settings, what, "unblock", name)
            assert reader.ask()[0] == 200
        # In the books only: by the command the connection may end before, as its terms have changed.
        with closing(Store(administered.settings.database_url)) as store:
            store.write(
                lambda connection: directory.revoke(
                    connection, directory.terminal_certificates(connection, "ATM-0101"), clock.utc_now()
                )
            )
        said.add(refused(reader, administered, "admission.certificate-revoked"))
    assert len(said) == 1, "the reason is the operator's to tell"


def test_a_blocked_dealer_reads_nothing_by_its_channel(administered: RunningGateway) -> None:
    files = (administered.settings.channel_file("DEMO-BANK", f"{name}.pem") for name in ("cert", "key"))
    with closing(Reader(administered, *files)) as reader:
        done(administered.settings, "dealer", "block", "DEMO-BANK")
        refused(reader, administered, "admission.dealer-blocked")
        done(administered.settings, "dealer", "unblock", "DEMO-BANK")
        assert reader.ask()[0] == 200


def test_its_state_is_that_of_ping_and_without_a_database_it_is_unavailable(installation: Settings) -> None:
    with (
        start_gateway(installation, BANKAPI_MONITORING_SLOW_REQUEST_MS="0.01", BANKAPI_GATEWAY_WORKERS="1") as running,
        reading(running) as reader,
    ):
        atm = terminal_client(installation, "ATM-0001")
        for number in range(8):
            assert code(atm.call("RegisterPayment", payment(f"SLOW-{number}"))) == "OK"
        assert atm.call("Ping", []).fields["status"] == "DEGRADED"
        assert "DEGRADED Payments are being registered, but slowly" in shown(reader.ask()[2])
        with sqlite3.connect(installation.home / "bankapi.db", timeout=30) as database:
            database.execute("ALTER TABLE certificates RENAME TO certificates_away")
        status, headers, body = reader.ask()
        assert (status, headers["Retry-After"], headers["Content-Type"]) == (503, "5", page.HTML)
        assert "UNAVAILABLE" in shown(body)
        assert "DEMO-BANK" not in shown(body)
        with sqlite3.connect(installation.home / "bankapi.db", timeout=30) as database:
            database.execute("ALTER TABLE certificates_away RENAME TO certificates")
        assert reader.ask()[0] == 200


def test_a_database_that_can_only_be_read_is_unavailable(
    installation: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = keys.load_certificate(installation.terminal_file("ATM-0001", "cert.pem"))
    peer = tls.TLSIdentity(fingerprint(certificate), "ATM-0001", "TLSv1.3")
    monkeypatch.setattr(tls, "identify", lambda environ: peer)
    impatient = Store(installation.database_url)
    event.listen(impatient.engine, "connect", lambda connection, _: connection.execute("PRAGMA busy_timeout=100"))
    with journals.opened(installation) as journal, closing(impatient):
        door = page.doors(installation, replace(journal.gateway, store=impatient))["GET", "/"]
        assert "ServiceAVAILABLE " in shown(door({}).body)
        with closing(sqlite3.connect(installation.home / "bankapi.db", isolation_level=None)) as hog:
            hog.execute("BEGIN IMMEDIATE")
            time.sleep(readiness.LIFE_S)
            answer = door({})
            assert answer.status == "200 OK"
            assert "ServiceUNAVAILABLE " in shown(answer.body)
            assert "ATM-0001 of DEMO-BANK" in shown(answer.body)


def test_it_takes_no_turns_from_payments_and_holds_no_thread_for_long(
    installation: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = keys.load_certificate(installation.terminal_file("ATM-0001", "cert.pem"))
    peer = tls.TLSIdentity(fingerprint(certificate), "ATM-0001", "TLSv1.3")
    monkeypatch.setattr(tls, "identify", lambda environ: peer)
    begun: list[str] = []
    with journals.opened(installation) as journal, closing(Store(installation.database_url)) as store:
        event.listen(store.engine, "begin", lambda connection: begun.append("turn"))
        door = page.doors(installation, replace(journal.gateway, store=store))["GET", "/"]
        door({})
        once = len(begun)
        answers = [door({}) for _ in range(5)]
        assert {answer.status for answer in answers} == {"200 OK"}
        assert len(begun) - once <= 7, "each looks its reader up; one or two of them ask for a turn"
        with closing(sqlite3.connect(installation.home / "bankapi.db", isolation_level=None)) as hog:
            hog.execute("BEGIN IMMEDIATE")
            time.sleep(readiness.LIFE_S)
            since = time.monotonic()
            assert "ServiceUNAVAILABLE " in shown(door({}).body)
            assert time.monotonic() - since < 15, "not the half minute that a payment may wait"
