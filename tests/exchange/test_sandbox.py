"""A real sandbox: `bankapi serve` with two workers, mutual TLS, and answers that fail as they were agreed to."""

import json
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from bankapi import clock, settings
from bankapi.cli import home as homes
from bankapi.cli.client import Answer, TerminalClient
from bankapi.cli.payments import terminal_client
from bankapi.contract.types import NAMESPACE
from bankapi.gateway import tls
from bankapi.sandbox.contract import PING_WORDS, RECEIPT_WORDS
from bankapi.sandbox.numbers import SLOW_S, Behaviour, number_of
from bankapi.settings import Settings
from tests.conftest import copy_home
from tests.exchange.test_registration import code, payment
from tests.postgres import Postgres, postgres  # noqa: F401
from tests.running import RunningGateway, free_port, start_gateway
from tests.unit.cli.commands import done

pytestmark = pytest.mark.slow

SOAP = {"Content-Type": "text/xml; charset=utf-8"}


@pytest.fixture(scope="module")
def monitoring_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def running(
    sandbox_home: Path, tmp_path_factory: pytest.TempPathFactory, monitoring_port: int
) -> Iterator[RunningGateway]:
    own = copy_home(sandbox_home, tmp_path_factory.mktemp("running") / "var")
    with start_gateway(own, BANKAPI_MONITORING_PORT=str(monitoring_port)) as running:
        yield running
    audited = done(own, "audit", "verify")
    assert (audited["sound"], audited["findings"]) == (True, [])


@pytest.fixture
def ask(running: RunningGateway) -> Callable[..., Answer]:
    """One request over a connection of its own: whichever worker takes it."""
    return lambda *asked, terminal="ATM-0001": terminal_client(running.settings, terminal).call(*asked)


def pay(reference: str, behaviour: Behaviour) -> tuple[str, list[Any]]:
    return "RegisterPayment", payment(reference, msisdn=number_of(behaviour))


def status(reference: str) -> tuple[str, list[Any]]:
    return "GetPaymentStatus", [("Reference", reference)]


def cancel(reference: str) -> tuple[str, list[Any]]:
    return "CancelPayment", [("Reference", reference), payment("-")[2], ("Reason", "TIMEOUT")]


def test_an_answer_is_lost_after_booking_and_comes_when_asked_for_again(
    running: RunningGateway, ask: Callable[..., Answer]
) -> None:
    atm = terminal_client(running.settings, "ATM-0001")
    for asked, state in ((pay("LOST-1", Behaviour.LOST), "REGISTERED"), (cancel("LOST-1"), "CANCELLED")):
        request = atm.sign(*asked)
        assert read_to_the_end(running.settings, asked[0], request) == b""
        assert ask(*status("LOST-1")).fields["status"] == state
        again = ask(*asked)
        assert (code(again), again.fields["replayed"]) == ("OK", True)


def read_to_the_end(home: Settings, operation: str, request: bytes, *, in_order: bool = True) -> bytes:
    """Every byte that comes until the connection is closed: `in_order` with TLS's own goodbye."""
    address = urlsplit(home.gateway.url)
    context = tls.client_context(
        home.terminal_file("ATM-0001", "cert.pem"), home.terminal_file("ATM-0001", "key.pem"),
        home.ca_certificate,
    )  # fmt: skip
    head = (
        f"POST {address.path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {SOAP['Content-Type']}\r\n"
        f'SOAPAction: "{NAMESPACE}/{operation}"\r\nContent-Length: {len(request)}\r\n\r\n'
    )
    with (
        socket.create_connection(("127.0.0.1", address.port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=not in_order) as secure,
    ):
        secure.sendall(head.encode() + request)
        return b"".join(iter(lambda: secure.recv(4096), b""))


@pytest.mark.parametrize(
    ("behaviour", "is_fault", "first"),
    [
        (Behaviour.UNAVAILABLE, False, "TEMPORARILY_UNAVAILABLE"),
        (Behaviour.OVERLOADED, True, "OVERLOADED"),
        (Behaviour.INTERNAL, True, "INTERNAL"),
    ],
)
def test_what_fails_once_succeeds_the_second_time_in_any_process(
    ask: Callable[..., Answer], behaviour: Behaviour, is_fault: bool, first: str
) -> None:
    for number in range(2):
        asked = pay(f"{behaviour.name}-{number}", behaviour)
        failed = ask(*asked)
        assert (failed.is_fault, code(failed), failed.fields["retry"]) == (is_fault, first, "SAME_REFERENCE")
        assert ask(*status(f"{behaviour.name}-{number}")).fields["status"] == "NEVER_SEEN"
        second, third = ask(*asked), ask(*asked)
        assert [(code(each), each.fields["replayed"]) for each in (second, third)] == [("OK", False), ("OK", True)]


@pytest.mark.parametrize("terminal", ["ATM-0001", "ATM-0101"])
def test_numbers_answer_alike_over_the_wire_whoever_asks(ask: Callable[..., Answer], terminal: str) -> None:
    expected = {
        Behaviour.UNKNOWN: "PAYER_NOT_FOUND",
        Behaviour.BLOCKED: "PAYER_BLOCKED",
        Behaviour.LIMIT: "LIMIT_EXCEEDED",
        Behaviour.NO_FUNDS: "DEALER_FUNDS_INSUFFICIENT",
        Behaviour.NOT_ALLOWED: "OPERATION_NOT_ALLOWED",
    }
    for behaviour, declined in expected.items():
        for number in range(2):
            answer = ask(*pay(f"{terminal}-{behaviour.name}-{number}", behaviour), terminal=terminal)
            assert code(answer) == declined
    for behaviour, kept in (
        (Behaviour.WINDOW_CLOSED, "CANCEL_WINDOW_CLOSED"),
        (Behaviour.USES_FUNDS, "FUNDS_ALREADY_USED"),
    ):
        reference = f"{terminal}-{behaviour.name}"
        assert code(ask(*pay(reference, behaviour), terminal=terminal)) == "OK"
        assert code(ask(*cancel(reference), terminal=terminal)) == kept


def test_everything_says_that_it_is_a_sandbox(
    running: RunningGateway, ask: Callable[..., Answer], monitoring_port: int
) -> None:
    receipt = ask(*pay("MARKED", Behaviour.PAYS)).fields["receipt_lines"]
    assert receipt[0] == RECEIPT_WORDS
    assert ask("Ping", []).fields["message"] == PING_WORDS
    for method, path in (("GET", "/soap/v1?wsdl"), ("POST", "/soap/v1"), ("GET", "/nowhere")):
        assert header(running.settings, method, path) == "yes"
    lines = running.log().splitlines()
    assert sum('"WARNING"' in line and "this is a SANDBOX" in line for line in lines) == 1
    assert [line for line in lines if line.startswith("{") and '"sandbox": true' not in line] == []
    for path in ("/ready", "/health"):
        asked = HTTPConnection("127.0.0.1", monitoring_port, timeout=10)
        asked.request("GET", path)
        assert json.loads(asked.getresponse().read())["sandbox"] is True
        asked.close()
    with socket.create_connection(("127.0.0.1", running.settings.gateway.port)) as plain:
        context = tls.client_context(
            running.settings.terminal_file("ATM-0001", "cert.pem"),
            running.settings.terminal_file("ATM-0001", "key.pem"),
            running.settings.ca_certificate,
        )
        with context.wrap_socket(plain, server_hostname="localhost") as secure:
            assert "SANDBOX" in str(secure.getpeercert())


def header(home: Settings, method: str, path: str) -> str | None:
    connection = HTTPSConnection(
        "localhost",
        urlsplit(home.gateway.url).port,
        timeout=10,
        context=tls.client_context(
            home.terminal_file("ATM-0001", "cert.pem"),
            home.terminal_file("ATM-0001", "key.pem"),
            home.ca_certificate,
        ),
    )
    try:
        connection.request(method, path, b"" if method == "POST" else None)
        return connection.getresponse().getheader("Bankapi-Sandbox")
    finally:
        connection.close()


def test_in_production_the_numbers_are_nobodys_and_nothing_says_sandbox(
    gateway: RunningGateway, client: Callable[[str], TerminalClient]
) -> None:
    atm = client("ATM-0001")
    for behaviour in (Behaviour.PAYS, Behaviour.LOST, Behaviour.SLOW, Behaviour.INTERNAL, Behaviour.NO_FUNDS):
        answer = atm.call(*pay(f"PRODUCTION-{behaviour.name}", behaviour))
        assert (answer.is_fault, code(answer)) == (False, "PAYER_NOT_FOUND")
    assert header(gateway.settings, "GET", "/soap/v1?wsdl") is None
    assert "sandbox" not in gateway.log().lower()


def test_a_sandbox_on_postgresql_fails_as_it_was_agreed(postgres: Postgres, tmp_path: Path) -> None:  # noqa: F811
    port = free_port()
    with postgres.database("template1") as url:
        environment = {"BANKAPI_STORAGE_URL": url, "BANKAPI_GATEWAY_PORT": str(port)}
        environment["BANKAPI_GATEWAY_URL"] = f"https://localhost:{port}/soap/v1"
        home = settings.load(tmp_path / "var", environment)
        homes.create(home, demo=False, sandbox=True, now=clock.utc_now())
        with start_gateway(home, **environment):

            def ask(*asked: Any) -> Answer:
                return terminal_client(home, "ATM-0001").call(*asked)

            assert code(ask(*pay("ONCE", Behaviour.UNAVAILABLE))) == "TEMPORARILY_UNAVAILABLE"
            assert code(ask(*pay("ONCE", Behaviour.UNAVAILABLE))) == "OK"
            assert ask(*pay("FAULT", Behaviour.INTERNAL)).is_fault
            assert code(ask(*pay("FAULT", Behaviour.INTERNAL))) == "OK"
            request = terminal_client(home, "ATM-0001").sign(*pay("LOST", Behaviour.LOST))
            assert read_to_the_end(home, "RegisterPayment", request) == b""
            assert ask(*status("LOST")).fields["status"] == "REGISTERED"
            assert code(ask(*pay("USED", Behaviour.USES_FUNDS))) == "OK"
            assert code(ask(*cancel("USED"))) == "FUNDS_ALREADY_USED"


def test_a_slow_answer_keeps_nobody_else_waiting(running: RunningGateway, ask: Callable[..., Answer]) -> None:
    """Four callers at once wait for slow answers of two workers; everybody else is served meanwhile."""
    took_s: list[float] = []

    def wait(number: int) -> None:
        begun = time.monotonic()
        assert code(ask(*pay(f"SLOW-{number}", Behaviour.SLOW))) == "OK"
        took_s.append(time.monotonic() - begun)

    waiting = [threading.Thread(target=wait, args=(number,)) for number in range(4)]
    for thread in waiting:
        thread.start()
    time.sleep(2)
    served = 0
    until = time.monotonic() + 10
    while time.monotonic() < until:
        begun = time.monotonic()
        assert code(ask(*pay(f"MEANWHILE-{served}", Behaviour.PAYS))) == "OK"
        assert time.monotonic() - begun < SLOW_S / 4
        served += 1
    assert [ask(*status(f"SLOW-{number}")).fields["status"] for number in range(4)] == ["REGISTERED"] * 4
    assert took_s == [], "they are not late"
    for thread in waiting:
        thread.join(timeout=60)
    print(f"{served} payments while 4 waited {', '.join(f'{each:.1f}' for each in took_s)} s", file=sys.stderr)
    assert len(took_s) == 4
    assert min(took_s) >= SLOW_S
    assert ask("Ping", []).fields["status"] == "AVAILABLE"


def test_there_is_room_for_so_many_slow_answers_and_again_when_they_have_come(ask: Callable[..., Answer]) -> None:
    """Two workers with eight threads each hold back four answers each; who is one too many is told to come again."""
    for turn in range(2):
        with ThreadPoolExecutor(20) as threads:
            asked = [pay(f"MANY-{turn}-{number}", Behaviour.SLOW) for number in range(20)]
            answers = list(threads.map(lambda each: ask(*each), asked))
        codes = Counter(map(code, answers))
        assert set(codes) == {"OK", "OVERLOADED"}
        assert 4 <= codes["OK"] <= 8, "connections are not shared out evenly"
        for number, answer in enumerate(answers):
            expected = "REGISTERED" if code(answer) == "OK" else "NEVER_SEEN"
            assert ask(*status(f"MANY-{turn}-{number}")).fields["status"] == expected
