"""What staff change by commands, the running gateway obeys: at once, and without a restart."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from bankapi.cli.client import Answer, TerminalClient
from bankapi.cli.documents import Amount
from bankapi.cli.payments import terminal_client
from bankapi.gateway import tls
from bankapi.settings import Settings
from tests.conftest import copy_home
from tests.running import RunningGateway, start_gateway
from tests.unit.cli.commands import RSA, assert_sound, done, new_request, run

_numbers = count(1)


@pytest.fixture(scope="module")
def administered(demo_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway of this module's own: its terminals are blocked and revoked here."""
    with start_gateway(copy_home(demo_home, tmp_path_factory.mktemp("administered") / "var")) as running:
        yield running
        assert_sound(running.settings)


@pytest.fixture
def settings(administered: RunningGateway) -> Settings:
    return administered.settings


@dataclass(frozen=True)
class Pair:
    """A certificate that was issued for a request, and the key that never left the bank."""

    certificate: Path
    key: Path
    fingerprint: str

    def client(self, settings: Settings) -> TerminalClient:
        return TerminalClient(
            settings.gateway.url,
            certificate=self.certificate,
            key=self.key,
            ca=settings.ca_certificate,
            gateway_certificates=settings.signing_certificates,
        )


@dataclass(frozen=True)
class Bank:
    """Somebody with openssl who asks the operator's staff for certificates."""

    settings: Settings
    folder: Path

    def asks(self, *command: str, key: tuple[str, ...] = ()) -> Pair:
        name = f"request-{next(_numbers)}"
        request, key_file = new_request(self.folder, name, *key)
        certificate = self.folder / f"{name}.pem"
        issued = done(self.settings, *command, "--csr", request, "--out", certificate)
        return Pair(certificate, key_file, issued["fingerprint"])

    def enrols(self, terminal: str, dealer: str = "DEMO-BANK", key: tuple[str, ...] = ()) -> Pair:
        return self.asks("terminal", "enrol", terminal, "--dealer", dealer, key=key)


@pytest.fixture
def bank(settings: Settings, tmp_path: Path) -> Bank:
    return Bank(settings, tmp_path)


def pay(atm: TerminalClient, reference: str, amount: str = "100.00") -> Answer:
    fields: list[Any] = [
        ("Reference", reference),
        ("Payer", [("Msisdn", "79160000001")]),
        ("Amount", Amount(amount, "RUB")),
        ("PaidAt", "2026-03-01T12:00:00+03:00"),
    ]
    return atm.call("RegisterPayment", fields)


def ping(atm: TerminalClient) -> str:
    return str(atm.call("Ping", []).fields["code"])


def assert_refused(atm: TerminalClient) -> None:
    """Over an open connection: a signed no, unless the gateway has ended the connection before, as new terms do."""
    try:
        assert ping(atm) == "SECURITY"
    except ConnectionError:
        assert_no_handshake(atm)


def assert_no_handshake(atm: TerminalClient) -> None:
    for _ in range(4):  # both workers
        with pytest.raises(OSError, match=r"(?i)revoked|reset|closed|broken"):
            ping(atm)


@pytest.mark.parametrize("key", [(), RSA], ids=["P-256", "RSA"])
def test_a_terminal_enrolled_from_a_request_pays_at_once(bank: Bank, key: tuple[str, ...]) -> None:
    terminal = f"ENROL-{next(_numbers)}"
    paid = pay(bank.enrols(terminal, key=key).client(bank.settings), f"{terminal}-1")
    assert paid.fields["code"] == "OK"
    shown = done(bank.settings, "payment", "show", "--reference", f"{terminal}-1", "--dealer", "DEMO-BANK")
    assert (shown["payment_id"], shown["terminal"], shown["state"], shown["payer_name"]) == (
        paid.fields["payment_id"],
        terminal,
        "REGISTERED",
        "I*** P.",
    )
    assert [(each["kind"], each["account"], each["amount"]["amount"]) for each in shown["postings"]] == [
        ("PAYMENT", "DEALER_RECEIVABLE", "-100.00"),
        ("PAYMENT", "CUSTOMER", "100.00"),
    ]


def test_blocking_a_terminal_or_its_dealer_ends_a_kept_alive_connection_at_the_next_request(
    bank: Bank, settings: Settings
) -> None:
    done(settings, "dealer", "add", "BLOCKED-BANK", "--scheme", "credit", "--time-zone", "UTC")
    atm = bank.enrols("BLOCK-1", "BLOCKED-BANK").client(settings)
    for thing, name in (("terminal", "BLOCK-1"), ("dealer", "BLOCKED-BANK")):
        assert ping(atm) == "OK"
        done(settings, thing, "block", name)
        assert ping(atm) == "SECURITY"
        done(settings, thing, "unblock", name)
    assert ping(atm) == "OK"


def test_during_the_overlap_both_certificates_work_and_after_it_only_the_new_one(
    bank: Bank, settings: Settings
) -> None:
    first = bank.enrols("ROTATE-1").client(settings)
    second = bank.asks("terminal", "rotate", "ROTATE-1", "--overlap-days", "7").client(settings)
    assert (ping(first), ping(second)) == ("OK", "OK")
    third = bank.asks("terminal", "rotate", "ROTATE-1", "--overlap-days", "0").client(settings)
    assert (ping(first), ping(second), ping(third)) == ("SECURITY", "SECURITY", "OK")
    states = [each["state"] for each in done(settings, "terminal", "show", "ROTATE-1")["certificates"]]
    assert states == ["ENDED", "ENDED", "VALID"]


def test_a_revoked_certificate_is_refused_on_its_open_connection_and_at_the_next_handshake(
    bank: Bank, settings: Settings
) -> None:
    lost, kept = bank.enrols("REVOKE-1"), bank.enrols("REVOKE-2")
    open_connection = lost.client(settings)
    assert ping(open_connection) == "OK"
    done(settings, "terminal", "revoke", "REVOKE-1", "--fingerprint", lost.fingerprint)
    assert_refused(open_connection)
    assert_no_handshake(lost.client(settings))
    assert ping(kept.client(settings)) == "OK"
    again = bank.enrols("REVOKE-1").client(settings)
    assert ping(again) == "OK"


def test_a_channel_forwards_for_the_terminals_of_its_dealer_only_and_until_it_is_revoked(
    bank: Bank, settings: Settings
) -> None:
    channel = bank.asks("channel", "enrol", "DEMO-BANK")

    def through_the_channel(terminal: str) -> TerminalClient:
        atm = terminal_client(settings, terminal)
        atm._caller._context = tls.client_context(channel.certificate, channel.key, settings.ca_certificate)
        return atm

    forwarded = {name: through_the_channel(name) for name in ("ATM-0001", "ATM-0002", "ATM-0101")}
    assert {name: ping(atm) for name, atm in forwarded.items()} == {
        "ATM-0001": "OK",
        "ATM-0002": "OK",
        "ATM-0101": "SECURITY",
    }
    assert ping(channel.client(settings)) == "SECURITY", "a channel signs for nobody"
    listed = {each["fingerprint"]: each["state"] for each in done(settings, "channel", "list", "--dealer", "DEMO-BANK")}
    assert (len(listed), listed[channel.fingerprint]) == (2, "VALID"), "the demo has one, too"
    done(settings, "channel", "revoke", "DEMO-BANK", "--all")
    assert_refused(forwarded["ATM-0001"])
    assert_no_handshake(through_the_channel("ATM-0002"))
    assert ping(terminal_client(settings, "ATM-0001")) == "OK"


def test_a_terminal_calls_what_it_is_allowed_to(bank: Bank, settings: Settings) -> None:
    atm = bank.enrols("ALLOW-1").client(settings)
    done(settings, "terminal", "set", "ALLOW-1", "--operations", "GetPaymentStatus")
    assert pay(atm, "ALLOW-1-1").fields["code"] == "OPERATION_NOT_ALLOWED"
    status = atm.call("GetPaymentStatus", [("Reference", "ALLOW-1-1")])
    assert (status.fields["code"], status.fields["status"]) == ("OK", "NEVER_SEEN")
    done(settings, "terminal", "set", "ALLOW-1", "--operations", "all")
    assert pay(atm, "ALLOW-1-1").fields["code"] == "OK"


def test_an_imported_customer_can_be_paid_for_and_a_wrong_file_changes_nothing(
    bank: Bank, settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "customers.csv"
    heading = "customer_number,name,account_number,currency,msisdns\n"
    good = "I-1,Ann Li,I-1,RUB,79190000001\n"
    file.write_text(heading + good + "I-2,Ann Li,I-2,RUB,79160000001\n")
    ended = run(settings, "customer", "import", file)
    assert (ended.exit_code, ended.err.splitlines()[0]) == (1, "line 3: msisdns: is in the database already")
    by_phone = ("validate", "--msisdn", "79190000001", "--amount", "10")
    unknown = run(settings, *by_phone, "--json")
    assert (unknown.exit_code, unknown.json["code"]) == (1, "PAYER_NOT_FOUND")
    file.write_text(heading + good)
    done(settings, "customer", "import", file)
    assert done(settings, *by_phone)["payer_name"] == "A*** L."


def test_a_top_up_lets_a_refused_payment_succeed_under_a_new_reference(bank: Bank, settings: Settings) -> None:
    done(settings, "dealer", "add", "POOR-SHOP", "--scheme", "debit", "--time-zone", "UTC")
    till = bank.enrols("POOR-1", "POOR-SHOP").client(settings)
    assert pay(till, "POOR-1-1").fields["code"] == "DEALER_FUNDS_INSUFFICIENT"
    done(settings, "dealer", "top-up", "POOR-SHOP", "--amount", "150")
    assert pay(till, "POOR-1-1").fields["code"] == "DEALER_FUNDS_INSUFFICIENT", "a decline is final"
    assert pay(till, "POOR-1-2").fields["code"] == "OK"
    shown = done(settings, "dealer", "show", "POOR-SHOP")
    assert shown["deposit"] == [{"amount": "50.00", "currency": "RUB"}]
    listed = done(settings, "payment", "list", "--dealer", "POOR-SHOP")
    assert [(each["reference"], each["state"]) for each in listed] == [
        ("POOR-1-2", "REGISTERED"),
        ("POOR-1-1", "DECLINED"),
    ]


def test_what_a_dealer_owes_is_settled(bank: Bank, settings: Settings) -> None:
    done(settings, "dealer", "add", "RICH-BANK", "--scheme", "credit", "--time-zone", "UTC")
    assert pay(bank.enrols("RICH-1", "RICH-BANK").client(settings), "RICH-1-1").fields["code"] == "OK"
    settled = done(settings, "dealer", "settle", "RICH-BANK", "--amount", "60")
    assert settled["receivable"] == [{"amount": "40.00", "currency": "RUB"}]
    assert run(settings, "dealer", "settle", "RICH-BANK", "--amount", "41").exit_code == 1


def test_a_limit_holds_from_the_next_payment_on(bank: Bank, settings: Settings) -> None:
    atm = bank.enrols("LIMIT-1").client(settings)
    done(settings, "limit", "set", "--scope", "terminal", "--name", "LIMIT-1", "--max", "99.99")
    assert pay(atm, "LIMIT-1-1").fields["code"] == "AMOUNT_TOO_LARGE"


def test_a_payment_is_cancelled_and_seen_on_the_statement(settings: Settings) -> None:
    """The demo ATM's own commands, and staff's look at what they did."""
    payer = ("--msisdn", "79160000007")
    paid = done(settings, "pay", *payer, "--amount", "12.50", "--reference", "CANCEL-1")
    key = ("--payment-id", paid["payment_id"])
    wrong = run(settings, "cancel", *key, "--amount", "12.51", "--json")
    assert (wrong.exit_code, wrong.json["code"]) == (1, "AMOUNT_MISMATCH")
    done(settings, "cancel", *key, "--amount", "12.50", "--reason", "DUPLICATE")
    assert done(settings, "balance", *payer)["balance"] == {"amount": "0.00", "currency": "RUB"}
    shown = done(settings, "payment", "show", paid["payment_id"])
    assert (shown["state"], shown["cancel_reason"], len(shown["postings"])) == ("CANCELLED", "DUPLICATE", 4)
    newest, oldest = done(settings, "statement", *payer)["transactions"]
    assert (newest["kind"], oldest["kind"]) == ("CANCELLATION", "PAYMENT")
    table = run(settings, "statement", *payer).out.partition("\ntransactions\n")[2].splitlines()
    assert [line.split()[1:4] for line in table[1:]] == [
        ["CANCELLATION", "-12.50", "RUB"],
        ["PAYMENT", "12.50", "RUB"],
    ]
    assert run(settings, "cancel", "--amount", "1").exit_code == 2
