"""A bank's evening against the real gateway: its reports in pages, its register, and what the two sides differ in."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from bankapi import clock
from bankapi.billing import dealers
from bankapi.cli.client import Answer
from bankapi.cli.documents import Amount
from bankapi.cli.payments import terminal_client
from bankapi.reports import closing
from bankapi.reports.registers import PART_ROWS_MAX
from bankapi.storage.engine import Store
from tests.conftest import copy_home
from tests.running import RunningGateway, start_gateway

BODY_BYTES_MAX = 256 * 1024
PAYMENTS = 12
AMOUNT = "100.25"
FEE = "1.50"
Ask = Callable[..., Answer]


@pytest.fixture(scope="module")
def running(demo_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway nobody else pays at."""
    with start_gateway(copy_home(demo_home, tmp_path_factory.mktemp("reports") / "var")) as running:
        yield running


@pytest.fixture(scope="module")
def ask(running: RunningGateway) -> Ask:
    """One signed question of a terminal; the Body of the signed answer conforms to the published schema."""
    schema = etree.XMLSchema(
        etree.fromstring(resources.files("bankapi.schemas").joinpath("bankapi-v1.xsd").read_bytes())
    )
    clients = {name: terminal_client(running.settings, name) for name in ("ATM-0001", "ATM-0002", "ATM-0101")}

    def ask(operation: str, fields: list[Any], terminal: str = "ATM-0001") -> Answer:
        answer = clients[terminal].call(operation, fields)
        if not answer.is_fault:
            _, body = etree.fromstring(answer.answer)
            schema.assertValid(etree.ElementTree(etree.fromstring(etree.tostring(body[0]))))
        return answer

    return ask


def ok(answer: Answer) -> dict[str, Any]:
    assert answer.fields["code"] == "OK", answer.fields
    return answer.fields


@dataclass(frozen=True)
class BusyDay:
    """What DEMO-BANK did on a day before it was closed; what came later belongs to the next one."""

    on: date

    @property
    def period(self) -> list[Any]:
        return [("From", self.on.isoformat()), ("To", self.on.isoformat())]

    @property
    def both(self) -> list[Any]:
        return [("From", self.on.isoformat()), ("To", (self.on + timedelta(days=1)).isoformat())]


@pytest.fixture(scope="module")
def day(running: RunningGateway, ask: Ask) -> BusyDay:
    """Twelve payments at two terminals, one cancelled, a decline and a voided reference; then the day is closed."""

    def pay(reference: str, terminal: str, msisdn: str = "79160000001") -> Answer:
        fields = [("Reference", reference), ("Payer", [("Msisdn", msisdn)]), ("Amount", Amount(AMOUNT, "RUB"))]
        return ask(
            "RegisterPayment", [*fields, ("PaidAt", "2026-03-01T12:00:00Z"), ("Fee", Amount(FEE, "RUB"))], terminal
        )

    def cancel(reference: str) -> Answer:
        fields = [("Reference", reference), ("Amount", Amount(AMOUNT, "RUB")), ("Reason", "CUSTOMER_REQUEST")]
        return ask("CancelPayment", fields)

    for number in range(1, PAYMENTS + 1):
        ok(pay(f"P-{number}", f"ATM-000{number % 2 + 1}"))
    assert pay("D-1", "ATM-0001", "79160000019").fields["code"] == "PAYER_BLOCKED"
    ok(cancel("P-2"))
    ok(cancel("V-1"))
    ok(pay("P-1", "ATM-0101"))  # another dealer's payment under the same reference
    store = Store(running.settings.database_url)
    now = clock.utc_now()
    today = dealers.calendar_day("Europe/Moscow", now)
    closing.close(store, "DEMO-BANK", today, now)
    store.close()
    ok(pay("P-LATE", "ATM-0001"))
    return BusyDay(today)


def paged(ask: Ask, operation: str, fields: list[Any], size: int, terminal: str = "ATM-0001") -> list[dict[str, Any]]:
    """The answers to one question, page by page."""
    answers: list[dict[str, Any]] = []
    cursor: list[Any] = []
    while not answers or "next_cursor" in answers[-1]:
        answers.append(ok(ask(operation, [*fields, ("PageSize", str(size)), *cursor], terminal)))
        cursor = [("Cursor", answers[-1].get("next_cursor", ""))]
    return answers


def test_the_days_transactions_come_in_pages(ask: Ask, day: BusyDay) -> None:
    answers = paged(ask, "GetTransactionReport", day.period, 4)
    assert [len(each["transactions"]) for each in answers] == [4, 4, 4, 3]
    found = [each for answer in answers for each in answer["transactions"]]
    assert {each["business_day"] for each in found} == {day.on.isoformat()}
    assert Counter(each["event"] for each in found) == {
        "REGISTERED": PAYMENTS,
        "CANCELLED": 1,
        "DECLINED": 1,
        "VOIDED": 1,
    }
    assert [each["reference"] for each in found if each["event"] == "REGISTERED"] == [
        f"P-{number}" for number in range(1, PAYMENTS + 1)
    ]
    first = found[0]
    assert (first["terminal"], first["payer"]) == ("ATM-0002", {"msisdn": "79160000001"})
    assert (first["amount"], first["fee"]) == (
        {"amount": AMOUNT, "currency": "RUB"},
        {"amount": FEE, "currency": "RUB"},
    )
    known = {each["reference"] for each in found if "payment_id" in each}
    assert known == {f"P-{number}" for number in range(1, PAYMENTS + 1)}
    assert found == ok(ask("GetTransactionReport", day.period))["transactions"]


def test_only_the_events_and_terminal_that_were_asked_for(ask: Ask, day: BusyDay) -> None:
    chosen = [*day.both, ("Terminal", "ATM-0001"), ("Event", "CANCELLED"), ("Event", "REGISTERED"), ("Currency", "RUB")]
    found = ok(ask("GetTransactionReport", chosen))["transactions"]
    assert [each["reference"] for each in found if each["event"] == "CANCELLED"] == ["P-2"]
    assert {each["reference"] for each in found} == {f"P-{number}" for number in range(2, 13, 2)} | {"P-LATE"}


def test_the_financial_report_ties(ask: Ask, day: BusyDay) -> None:
    answers = paged(ask, "GetFinancialReport", day.both, 1)
    (balance,) = answers[0]["dealer_balances"]
    assert [each["dealer_balances"] for each in answers] == [[balance]] * 3
    lines = [line for each in answers for line in each["lines"]]
    assert [(line["business_day"], line["terminal"]) for line in lines] == [
        (day.on.isoformat(), "ATM-0001"),
        (day.on.isoformat(), "ATM-0002"),
        ((day.on + timedelta(days=1)).isoformat(), "ATM-0001"),
    ]

    def value(of: dict[str, Any], name: str) -> Decimal:
        return Decimal(of[name]["amount"])

    for name in ("registered", "cancelled"):
        assert value(balance, name) == sum(value(line, name) for line in lines)
    assert value(balance, "registered") == (PAYMENTS + 1) * Decimal(AMOUNT)
    assert value(balance, "closing") == (
        value(balance, "opening")
        - value(balance, "registered")
        + value(balance, "cancelled")
        + value(balance, "paid_in")
        + value(balance, "corrected")
    )
    assert sum(value(line, "fees") for line in lines) == PAYMENTS * Decimal(FEE)
    assert {each["closed_through"] for each in answers} == {day.on.isoformat()}


def test_another_dealer_sees_its_own_day_only(ask: Ask, day: BusyDay) -> None:
    found = ok(ask("GetTransactionReport", day.both, "ATM-0101"))["transactions"]
    assert [(each["reference"], each["terminal"]) for each in found] == [("P-1", "ATM-0101")]
    assert "transactions" not in ok(ask("GetTransactionReport", [*day.both, ("Terminal", "ATM-0001")], "ATM-0101"))
    (line,) = ok(ask("GetFinancialReport", day.both, "ATM-0101"))["lines"]
    assert (line["terminal"], line["scheme"]) == ("ATM-0101", "DEBIT_ADJUSTMENT")
    cursor = ok(ask("GetTransactionReport", [*day.both, ("PageSize", "1")]))["next_cursor"]
    stolen = ask("GetTransactionReport", [*day.both, ("PageSize", "1"), ("Cursor", cursor)], "ATM-0101")
    assert stolen.fields["code"] == "CURSOR_NOT_ACCEPTED"


def register(
    reference: str, day: BusyDay, rows: list[Any], part: tuple[int, int] = (1, 1), whole: tuple[int, str] | None = None
) -> list[Any]:
    """A part; `whole` are the rows and the hash total of all of them."""
    total = sum((Decimal(dict(row)["Amount"].value) for row in rows), Decimal(0))
    count, hash_total = whole or (len(rows), str(total))
    return [
        ("RegisterReference", reference),
        ("BusinessDay", day.on.isoformat()),
        ("RowCount", str(count)),
        ("HashTotal", hash_total),
        ("Part", str(part[0])),
        ("Parts", str(part[1])),
        *(("Row", row) for row in rows),
    ]


def row(reference: str, status: str = "REGISTERED", amount: str = AMOUNT) -> list[Any]:
    return [("Reference", reference), ("Status", status), ("Amount", Amount(amount, "RUB"))]


def test_a_register_is_reconciled_and_every_difference_has_both_sides(ask: Ask, day: BusyDay) -> None:
    good = [row(f"P-{number}") for number in range(5, PAYMENTS + 1)]
    seeded = [
        row("P-1"),
        row("P-1"),  # twice
        row("P-2"),  # cancelled here
        row("P-3", amount="99.00"),
        row("X-1"),  # never seen here
        row("D-1"),  # declined here
        row("P-LATE"),  # the next day here; and P-4 is left out
    ]
    total = str(sum(Decimal(dict(each)["Amount"].value) for each in good + seeded))
    whole = (len(good) + len(seeded), total)
    second = register("EVENING-1", day, seeded, (2, 2), whole)
    first = register("EVENING-1", day, good, (1, 2), whole)
    assert ok(ask("SubmitRegister", second))["status"] == "INCOMPLETE"
    done = ok(ask("SubmitRegister", first, "ATM-0002"))  # any terminal speaks for its dealer
    assert (done["status"], done["parts_received"], done["row_count"]) == ("RECONCILED", "2", "15")
    again = ok(ask("SubmitRegister", second))
    assert again["replayed"] is True
    assert again["reconciliation"] == done["reconciliation"]
    result = done["reconciliation"]
    assert (result["matched"], result["day_is_closed"], result["run"]) == ("9", True, "1")
    answers = paged(ask, "GetReconciliation", [("RegisterReference", "EVENING-1")], 3)
    assert [len(each["differences"]) for each in answers] == [3, 3, 1]
    assert all(each["reconciliation"] == result for each in answers)
    found = {each["reference"]: each for answer in answers for each in answer["differences"]}
    assert {(each["kind"], each["reference"], each.get("row")) for each in found.values()} == {
        ("DUPLICATE", "P-1", "10"),
        ("STATUS_DIFFERS", "P-2", "11"),
        ("AMOUNT_DIFFERS", "P-3", "12"),
        ("MISSING_HERE", "X-1", "13"),
        ("STATUS_DIFFERS", "D-1", "14"),
        ("OTHER_DAY", "P-LATE", "15"),
        ("MISSING_THERE", "P-4", None),
    }
    sides = {
        name: (each.get("yours", {}).get("status"), each.get("ours", {}).get("status")) for name, each in found.items()
    }
    assert sides["P-2"] == ("REGISTERED", "CANCELLED")
    assert sides["X-1"] == ("REGISTERED", None)
    assert sides["D-1"] == ("REGISTERED", "DECLINED")
    assert sides["P-4"] == (None, "REGISTERED")
    assert found["P-3"]["yours"]["amount"]["amount"] == "99.00"
    assert found["P-3"]["ours"]["amount"]["amount"] == AMOUNT
    assert found["P-LATE"]["ours"]["business_day"] == (day.on + timedelta(days=1)).isoformat()


def test_another_dealer_knows_nothing_of_a_register(ask: Ask, day: BusyDay) -> None:
    ok(ask("SubmitRegister", register("OURS-ALONE", day, [row("P-1")])))
    question = [("RegisterReference", "OURS-ALONE")]
    assert ask("GetReconciliation", question, "ATM-0101").fields["code"] == "REGISTER_NOT_FOUND"
    own = ok(ask("SubmitRegister", register("OURS-ALONE", day, [row("P-1", amount=AMOUNT)]), "ATM-0101"))
    assert (own["replayed"], own["reconciliation"]["matched"]) == (False, "1")
    other = ask("SubmitRegister", register("OURS-ALONE", day, [row("P-1", amount="1.00")]))
    assert other.fields["code"] == "REGISTER_CONFLICT"


def long_rows(count: int) -> list[Any]:
    """Rows as long as they can be: every member, in its longest form that a bank may have."""
    at = ("OccurredAt", "2026-03-01T12:00:00.123456789+03:00")
    return [
        [*row(f"{number:06d}{'-long' * 11}-.."[:64], "REGISTERED", "9999999999999.99"), at] for number in range(count)
    ]


def test_the_largest_part_fits_into_a_message_and_one_row_more_is_a_violation(ask: Ask, day: BusyDay) -> None:
    done = ask("SubmitRegister", register("LARGE-1", day, long_rows(PART_ROWS_MAX)))
    assert (ok(done)["row_count"], done.fields["reconciliation"]["missing_here"]) == ("900", "900")
    prefixes = 2 * 4 * len(etree.fromstring(done.request).findall(".//{*}Row//*")) + 2 * 4 * PART_ROWS_MAX
    assert len(done.request) + prefixes < BODY_BYTES_MAX, "a stack that writes a prefix of four characters everywhere"
    refused = ask("SubmitRegister", register("LARGE-2", day, long_rows(PART_ROWS_MAX + 1)))
    assert refused.is_fault
    assert refused.fields["code"] == "SCHEMA_VIOLATION"
    assert refused.fields["violations"][0]["path"].endswith("/SubmitRegisterRequest")
    unknown = ask("GetReconciliation", [("RegisterReference", "LARGE-2")])
    assert unknown.fields["code"] == "REGISTER_NOT_FOUND"


def test_an_amount_of_a_row_with_too_many_decimals_is_named_by_its_place(ask: Ask, day: BusyDay) -> None:
    rows = [row(f"N-{number}") for number in range(1, 11)]
    rows[6] = row("N-7", amount="1.005")
    refused = ask("SubmitRegister", register("DECIMALS", day, rows))
    (violation,) = refused.fields["violations"]
    assert (violation["path"].rpartition("Request/")[2], violation["rule"]) == ("Row[7]/Amount", "currency-exponent")
