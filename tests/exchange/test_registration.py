"""The main job against the real gateway: gunicorn with two workers, mutual TLS, signed both ways."""

import sqlite3
import subprocess
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from bankapi.billing import ledger, terminals
from bankapi.billing.terminals import AccessStatus
from bankapi.cli.client import Answer, TerminalClient
from bankapi.cli.documents import Amount
from bankapi.contract.types import NAMESPACE
from bankapi.storage.engine import Store
from tests.programs import needs
from tests.running import RunningGateway

Clients = Callable[[str], TerminalClient]


def payment(reference: str, amount: str = "100.00", msisdn: str = "79160000001") -> list[Any]:
    return [
        ("Reference", reference),
        ("Payer", [("Msisdn", msisdn)]),
        ("Amount", Amount(amount, "RUB")),
        ("PaidAt", "2026-03-01T12:00:00+03:00"),
    ]


def code(answer: Answer) -> str:
    return str(answer.fields["code"])


def test_a_payment_is_validated_registered_and_found_again(client: Clients) -> None:
    atm = client("ATM-0001")
    checked = atm.call("ValidatePayment", payment("-")[1:3])
    assert (code(checked), checked.fields["payer_name"]) == ("OK", "I*** P.")
    registered = atm.call("RegisterPayment", payment("MAIN-1"))
    assert (code(registered), registered.fields["replayed"]) == ("OK", False)
    assert registered.fields["credited_amount"] == {"amount": "100.00", "currency": "RUB"}
    assert registered.fields["receipt_lines"]
    found = atm.call("GetPaymentStatus", [("Reference", "MAIN-1")])
    assert (found.fields["status"], found.fields["payment_id"]) == ("REGISTERED", registered.fields["payment_id"])
    unknown = atm.call("GetPaymentStatus", [("Reference", "MAIN-NEVER")])
    assert unknown.fields["status"] == "NEVER_SEEN"


@pytest.mark.parametrize(
    "payer", [("Msisdn", "79160000007"), ("AccountNumber", "100000007"), ("CustomerNumber", "200000007")]
)
def test_a_payment_is_seen_cancelled_and_gone_whatever_the_payer_is_named_by(
    client: Clients, payer: tuple[str, str]
) -> None:
    atm, reference = client("ATM-0001"), f"CANCEL-{payer[0]}"
    before = atm.call("GetBalance", [("Payer", [payer])]).fields["balance"]
    fields = [("Reference", reference), ("Payer", [payer]), *payment("-", "12.34")[2:]]
    assert code(atm.call("RegisterPayment", fields)) == "OK"
    statement = atm.call("GetMiniStatement", [("Payer", [payer])]).fields
    newest = statement["transactions"][0]
    assert (newest["kind"], newest["amount"]["amount"]) == ("PAYMENT", "12.34")
    assert newest["balance"] == statement["balance"] == atm.call("GetBalance", [("Payer", [payer])]).fields["balance"]
    cancel = [("Reference", reference), ("Amount", Amount("12.34", "RUB")), ("Reason", "CUSTOMER_REQUEST")]
    first, again = atm.call("CancelPayment", cancel), atm.call("CancelPayment", cancel)
    assert [each.fields["replayed"] for each in (first, again)] == [False, True]
    assert first.fields["cancelled_at"] == again.fields["cancelled_at"]
    assert atm.call("GetBalance", [("Payer", [payer])]).fields["balance"] == before
    late = atm.call("RegisterPayment", fields)
    assert (code(late), late.fields["retry"]) == ("ALREADY_CANCELLED", "NO")


def test_a_cancelled_reference_that_comes_late_is_refused_for_ever(client: Clients) -> None:
    atm = client("ATM-0001")
    cancel = [("Reference", "NEVER-CAME"), ("Amount", Amount("1.00", "RUB")), ("Reason", "TIMEOUT")]
    assert atm.call("CancelPayment", cancel).fields["status"] == "VOIDED"
    assert code(atm.call("RegisterPayment", payment("NEVER-CAME"))) == "REFERENCE_VOIDED"
    assert atm.call("GetPaymentStatus", [("Reference", "NEVER-CAME")]).fields["status"] == "VOIDED"


def test_concurrent_copies_of_one_registration_make_one_payment(gateway: RunningGateway, client: Clients) -> None:
    """32 copies, each signed anew, over 8 connections and 2 workers; then other content under the reference."""
    before = _credited(gateway)
    atms = [client(f"ATM-000{n % 2 + 1}") for n in range(8)]

    def four_copies(atm: TerminalClient) -> list[Answer]:
        return [atm.call("RegisterPayment", payment("TWINS-1")) for _ in range(4)]

    with ThreadPoolExecutor(8) as threads:
        answers = [answer for part in threads.map(four_copies, atms) for answer in part]
    assert [code(answer) for answer in answers] == ["OK"] * 32
    assert len({answer.fields["payment_id"] for answer in answers}) == 1
    assert sum(answer.fields["replayed"] is False for answer in answers) == 1
    other = atms[0].call("RegisterPayment", payment("TWINS-1", amount="100.01"))
    assert (code(other), other.fields["retry"]) == ("REFERENCE_CONFLICT", "NO")
    assert _credited(gateway) - before == 10_000
    _assert_sound(gateway)


def test_each_dealer_pays_by_its_scheme_and_the_ledger_sums_to_zero(gateway: RunningGateway, client: Clients) -> None:
    assert code(client("ATM-0101").call("RegisterPayment", payment("SHOP-1", "9000.00"))) == "OK"
    refused = client("ATM-0101").call("RegisterPayment", payment("SHOP-2", "9000.00"))
    assert (code(refused), refused.fields["retry"]) == ("DEALER_FUNDS_INSUFFICIENT", "LATER")
    _assert_sound(gateway)


def test_the_evidence_is_the_bytes_that_were_sent_and_answered(gateway: RunningGateway, client: Clients) -> None:
    answer = client("ATM-0001").call("RegisterPayment", payment("EVIDENCE-1"))
    with sqlite3.connect(gateway.settings.home / "bankapi.db") as database:
        request, kept = database.execute(
            "SELECT e.request, e.answer FROM exchanges e JOIN payments p ON p.exchange_id = e.exchange_id"
            " WHERE p.reference = 'EVIDENCE-1'"
        ).fetchone()
    assert zlib.decompress(request) == answer.request
    assert zlib.decompress(kept) == answer.answer


def test_header_and_body_of_an_answer_conform_to_the_published_schema(client: Clients) -> None:
    schema = etree.XMLSchema(
        etree.fromstring(resources.files("bankapi.schemas").joinpath("bankapi-v1.xsd").read_bytes())
    )
    for fields in (payment("CONFORM-1"), payment("CONFORM-1", amount="0.001")):
        header, body = etree.fromstring(client("ATM-0001").call("RegisterPayment", fields).answer)
        (exchange,) = header.findall(f"{{{NAMESPACE}}}Exchange")
        (answer,) = body.find("*/detail") if body.find("*/detail") is not None else body
        for element in (exchange, answer):
            schema.assertValid(etree.ElementTree(etree.fromstring(etree.tostring(element))))


@needs("xmlsec1")
def test_xmlsec1_alone_verifies_request_and_answer(gateway: RunningGateway, client: Clients, tmp_path: Path) -> None:
    answer = client("ATM-0001").call("RegisterPayment", payment("XMLSEC-1"))
    certificates = {
        "request": gateway.settings.terminal_file("ATM-0001", "cert.pem"),
        "answer": gateway.settings.gateway_file("signing-cert.pem"),
    }
    for name, certificate in certificates.items():
        message = tmp_path / f"{name}.xml"
        message.write_bytes(getattr(answer, name))
        assert _xmlsec1(message, certificate) == 0
        message.write_bytes(getattr(answer, name).replace(b"XMLSEC-1", b"XMLSEC-2").replace(b">true<", b">false<"))
        if message.read_bytes() != getattr(answer, name):
            assert _xmlsec1(message, certificate) != 0


def test_blocking_a_terminal_ends_a_kept_alive_connection_at_once(gateway: RunningGateway, client: Clients) -> None:
    atm = client("ATM-0002")
    assert code(atm.call("Ping", [])) == "OK"
    store = Store(gateway.settings.database_url)
    try:
        store.write(lambda c: terminals.set_terminal_status(c, "ATM-0002", AccessStatus.BLOCKED))
        refused = atm.call("Ping", [])
        assert (refused.is_fault, code(refused)) == (True, "SECURITY")
    finally:
        store.write(lambda c: terminals.set_terminal_status(c, "ATM-0002", AccessStatus.ACTIVE))
        store.close()
    assert "admission.terminal-blocked" in gateway.log()
    assert code(atm.call("Ping", [])) == "OK"


def _xmlsec1(message: Path, certificate: Path) -> int:
    identifiers = [part for name in ("Body", "Timestamp", "Exchange") for part in ("--id-attr:Id", name)]
    command = ["xmlsec1", "--verify", *identifiers, "--pubkey-cert-pem", str(certificate), str(message)]
    return subprocess.run(command, capture_output=True, check=False).returncode


def _credited(gateway: RunningGateway) -> int:
    with sqlite3.connect(gateway.settings.home / "bankapi.db") as database:
        return int(
            database.execute(
                "SELECT sum(balance_minor) FROM balances b JOIN ledger_accounts l ON l.id = b.ledger_account_id"
                " WHERE l.kind = 'CUSTOMER'"
            ).fetchone()[0]
        )


def _assert_sound(gateway: RunningGateway) -> None:
    store = Store(gateway.settings.database_url)
    with store.read() as connection:
        assert set(ledger.trial_balance(connection).values()) == {0}
        assert ledger.balances_that_differ(connection) == []
    store.close()
