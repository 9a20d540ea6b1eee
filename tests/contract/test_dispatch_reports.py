"""What the operations of reports and registers are asked, and how every kind of answer is written."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from hashlib import sha256
from typing import Any

import pytest
import xmlschema
from lxml import etree

from bankapi.billing.money import Money
from bankapi.billing.payers import PayerKind
from bankapi.billing.terminals import Scheme
from bankapi.contract import messages
from bankapi.contract.application import Contract
from bankapi.operations import get_financial_report, get_reconciliation, get_transaction_report, submit_register
from bankapi.operations.call import Call
from bankapi.operations.cancel_payment import CancelReason
from bankapi.operations.get_financial_report import FinancialReport, GetFinancialReport
from bankapi.operations.get_reconciliation import GetReconciliation, ReconciliationReport
from bankapi.operations.get_transaction_report import GetTransactionReport, TransactionReport
from bankapi.operations.reporting import PAGE_ROWS_MAX
from bankapi.operations.submit_register import RegisterStatus, RegisterSubmission, SubmitRegister
from bankapi.refusals import Refusal, ResultCode, Rule
from bankapi.reports.comparison import Difference, DifferenceKind, Side
from bankapi.reports.financial import Balance, DealerAccount, Line, LineKey, Moved
from bankapi.reports.reconciliation import Reconciliation
from bankapi.reports.registers import (
    HASH_TOTAL_MAX,
    PART_ROWS_MAX,
    PARTS_MAX,
    Announcement,
    Register,
    RegisterRow,
    RegisterState,
    RowStatus,
    Totals,
)
from bankapi.reports.transactions import Event, Position, Transaction
from tests.contract.conftest import NOW, ULID, children, element, text

RUB = "RUB"
DAY = date(2026, 11, 23)
MONEY_MAX = Money(10**15 - 1, "JPY")
"""As many digits as an amount has in the contract."""


class Schemas:
    """Both engines; they must agree."""

    def __init__(self, libxml2: etree.XMLSchema, pure_python: xmlschema.XMLSchema) -> None:
        self._engines = libxml2, pure_python

    def assert_valid(self, element: etree._Element) -> None:
        libxml2, pure_python = self._engines
        libxml2.assertValid(element)
        pure_python.validate(element)

    def assert_invalid(self, element: etree._Element) -> None:
        libxml2, pure_python = self._engines
        assert not libxml2.validate(element)
        assert not pure_python.is_valid(element)


@pytest.fixture(scope="session")
def schemas(libxml2: etree.XMLSchema, pure_python: xmlschema.XMLSchema) -> Schemas:
    return Schemas(libxml2, pure_python)


def all_of(answer: etree._Element, name: str) -> list[etree._Element]:
    return answer.findall(f"{{urn:bankapi:v1}}{name}")


def names(parent: etree._Element) -> list[str]:
    return [etree.QName(each).localname for each in parent]


def amount(parent: etree._Element, name: str) -> tuple[str | None, str | None]:
    (found,) = all_of(parent, name)
    return found.text, found.get("currency")


# GetTransactionReport


def transaction(event: Event, **changes: Any) -> Transaction:
    """One event with everything that it can have."""
    full = Transaction(
        position=Position(DAY, ULID),
        occurred_at=NOW,
        event=event,
        payment_id=ULID,
        reference="R-1",
        terminal="ATM-0001",
        scheme=Scheme.CREDIT_ADJUSTMENT,
        payer_kind=PayerKind.MSISDN,
        payer="79160000001",
        amount=Money(100_00, RUB),
        credited=Money(1_09, "EUR"),
        rate=Decimal("0.0109"),
        fee=Money(0, RUB),
        result="PAYER_BLOCKED" if event is Event.DECLINED else "OK",
        cancel_reason="TIMEOUT" if event is Event.CANCELLED else None,
        rrn="123456789012",
    )
    return full._replace(**changes)


def reported(contract: Contract, call: Call, asked: Any, *transactions: Transaction, **more: Any) -> etree._Element:
    asked(
        get_transaction_report,
        "get_transaction_report",
        TransactionReport(ResultCode.OK, transactions, more.get("next_cursor")),
    )
    request = element("GetTransactionReport", children(From="2026-11-23", To="2026-11-23"))
    return contract.dispatch(request, call).answer


@pytest.mark.parametrize(
    ("members", "question"),
    [
        ({}, GetTransactionReport(DAY, DAY)),
        (
            {"Terminal": "ATM-0001", "Currency": "RUB", "PageSize": "500", "Cursor": "A-_9"},
            GetTransactionReport(DAY, DAY, terminal="ATM-0001", currency="RUB", page_rows=500, cursor="A-_9"),
        ),
    ],
)
def test_what_a_transaction_report_is_asked(
    contract: Contract,
    call: Call,
    schemas: Schemas,
    asked: Any,
    members: dict[str, str],
    question: GetTransactionReport,
) -> None:
    seen = asked(get_transaction_report, "get_transaction_report", TransactionReport(ResultCode.OK))
    request = element("GetTransactionReport", children(From="2026-11-23", To="2026-11-23", **members))
    schemas.assert_valid(request)
    done = contract.dispatch(request, call)
    assert seen == [question]
    schemas.assert_valid(done.answer)
    assert names(done.answer) == ["Result"]


def test_events_that_are_asked_for_come_in_any_number(
    contract: Contract, call: Call, schemas: Schemas, asked: Any
) -> None:
    seen = asked(get_transaction_report, "get_transaction_report", TransactionReport(ResultCode.OK))
    period = children(From="2026-11-23", To="2026-11-23")
    for events in ([Event.CANCELLED], list(Event), [Event.VOIDED, Event.VOIDED]):
        request = element("GetTransactionReport", period + "".join(children(Event=each) for each in events))
        schemas.assert_valid(request)
        contract.dispatch(request, call)
        assert seen.pop().events == frozenset(events)
    schemas.assert_invalid(element("GetTransactionReport", period + children(Event="PAID")))
    schemas.assert_invalid(element("GetTransactionReport", period + children(Event="VOIDED") * 5))


@pytest.mark.parametrize("event", Event)
def test_every_event_is_written(contract: Contract, call: Call, schemas: Schemas, asked: Any, event: Event) -> None:
    answer = reported(contract, call, asked, transaction(event), next_cursor="abc")
    schemas.assert_valid(answer)
    (written,) = all_of(answer, "Transaction")
    found = [text(written, name) for name in ("BusinessDay", "OccurredAt", "Event", "Reference", "Terminal", "Rrn")]
    assert found == ["2026-11-23", "2026-11-23T12:00:00.123Z", event, "R-1", "ATM-0001", "123456789012"]
    assert text(written, "Payer/Msisdn") == "79160000001"
    assert (amount(written, "Amount"), amount(written, "CreditedAmount")) == (("100.00", RUB), ("1.09", "EUR"))
    assert (text(written, "Rate"), amount(written, "Fee")) == ("0.0109", ("0.00", RUB))
    booked = event in (Event.REGISTERED, Event.CANCELLED)
    assert text(written, "PaymentId") == (ULID if booked else None), "only what was booked has an id to ask for"
    assert text(written, "DeclineCode") == ("PAYER_BLOCKED" if event is Event.DECLINED else None)
    assert text(written, "CancelReason") == ("TIMEOUT" if event is Event.CANCELLED else None)
    assert text(answer, "NextCursor") == "abc"


def test_a_voided_reference_has_neither_payer_nor_amounts(
    contract: Contract, call: Call, schemas: Schemas, asked: Any
) -> None:
    nothing = dict.fromkeys(("payer_kind", "payer", "amount", "credited", "rate", "fee", "rrn"))
    voided = transaction(Event.VOIDED, result="REFERENCE_VOIDED", **nothing)
    answer = reported(contract, call, asked, voided)
    schemas.assert_valid(answer)
    (written,) = all_of(answer, "Transaction")
    assert names(written) == ["BusinessDay", "OccurredAt", "Event", "Reference", "Terminal"]


def test_every_reason_and_kind_of_payer_is_written(
    contract: Contract, call: Call, schemas: Schemas, asked: Any
) -> None:
    rows = [transaction(Event.DECLINED, result=code) for code in ResultCode]
    rows += [transaction(Event.CANCELLED, cancel_reason=reason) for reason in CancelReason]
    rows += [transaction(Event.REGISTERED, payer_kind=kind, payer="123456789") for kind in PayerKind]
    answer = reported(contract, call, asked, *rows)
    schemas.assert_valid(answer)
    written = all_of(answer, "Transaction")
    assert [each for row in written if (each := text(row, "DeclineCode"))] == list(ResultCode)
    assert [each for row in written if (each := text(row, "CancelReason"))] == list(CancelReason)
    assert [names(row.find("{urn:bankapi:v1}Payer")) for row in written[-len(PayerKind) :]] == [[k] for k in PayerKind]


def test_the_largest_page_conforms_and_a_larger_one_would_not(
    contract: Contract, call: Call, schemas: Schemas, asked: Any
) -> None:
    rows = [transaction(Event.REGISTERED, amount=MONEY_MAX)] * PAGE_ROWS_MAX
    answer = reported(contract, call, asked, *rows, next_cursor="A" * 400)
    schemas.assert_valid(answer)
    schemas.assert_invalid(reported(contract, call, asked, *rows, rows[0]))


# GetFinancialReport


def test_what_a_financial_report_is_asked(contract: Contract, call: Call, schemas: Schemas, asked: Any) -> None:
    seen = asked(get_financial_report, "get_financial_report", FinancialReport(ResultCode.OK))
    period = {"From": "2026-01-01", "To": "2026-11-23"}
    for members in (period, {**period, "PageSize": "1", "Cursor": "c"}):
        request = element("GetFinancialReport", children(**members))
        schemas.assert_valid(request)
        done = contract.dispatch(request, call)
        schemas.assert_valid(done.answer)
        assert names(done.answer) == ["Result"]
    first_on = date(2026, 1, 1)
    assert seen == [GetFinancialReport(first_on, DAY), GetFinancialReport(first_on, DAY, 1, "c")]


def test_lines_and_balances_are_written_whatever_their_sign(
    contract: Contract, call: Call, schemas: Schemas, asked: Any
) -> None:
    owing = Balance(
        DealerAccount(1, Scheme.CREDIT_ADJUSTMENT, RUB),
        -1_000_00,
        Moved(registered_minor=500_00, cancelled_minor=20_05, paid_in_minor=-1, corrected_minor=-7_00),
    )
    ahead = Balance(DealerAccount(2, Scheme.DEBIT_ADJUSTMENT, "JPY"), MONEY_MAX.minor, Moved(corrected_minor=-1))
    line = Line(LineKey(DAY, "ATM-0001", Scheme.CREDIT_ADJUSTMENT, RUB), 1, 10_00, 2, 30_00, -1_50)
    other = Line(LineKey(DAY, "ATM-0002", Scheme.DEBIT_ADJUSTMENT, "KWD"), 999_999_999, 5, 0, 0, 0)
    report = FinancialReport(ResultCode.OK, (owing, ahead), (line, other), DAY, "next")
    asked(get_financial_report, "get_financial_report", report)
    request = element("GetFinancialReport", children(From="2026-11-23", To="2026-11-23"))
    answer = contract.dispatch(request, call).answer
    schemas.assert_valid(answer)
    assert (text(answer, "ClosedThrough"), text(answer, "NextCursor")) == ("2026-11-23", "next")
    first, second = all_of(answer, "DealerBalance")
    members = ("Opening", "Registered", "Cancelled", "PaidIn", "Corrected", "Closing")
    assert [text(first, name) for name in members] == ["-1000.00", "500.00", "20.05", "-0.01", "-7.00", "-1486.96"]
    assert [text(second, name) for name in members] == ["999999999999999", "0", "0", "0", "-1", "999999999999998"]
    assert (text(first, "Scheme"), amount(second, "Closing")[1]) == ("CREDIT_ADJUSTMENT", "JPY")
    first, second = all_of(answer, "Line")
    members = ("RegisteredCount", "Registered", "CancelledCount", "Cancelled", "Net", "Fees")
    assert [text(first, name) for name in members] == ["1", "10.00", "2", "30.00", "-20.00", "-1.50"]
    assert [text(second, name) for name in members] == ["999999999", "0.005", "0", "0.000", "0.005", "0.000"]
    assert [text(first, name) for name in ("BusinessDay", "Terminal", "Scheme")] == [
        "2026-11-23",
        "ATM-0001",
        "CREDIT_ADJUSTMENT",
    ]
    assert amount(second, "Registered")[1] == "KWD"


@pytest.mark.parametrize("code", [ResultCode.PERIOD_NOT_ACCEPTED, ResultCode.CURSOR_NOT_ACCEPTED])
def test_a_report_that_is_refused_says_no_more_than_why(
    contract: Contract, call: Call, schemas: Schemas, asked: Any, code: ResultCode
) -> None:
    asked(get_financial_report, "get_financial_report", FinancialReport(code))
    asked(get_transaction_report, "get_transaction_report", TransactionReport(code))
    for operation in ("GetFinancialReport", "GetTransactionReport"):
        done = contract.dispatch(element(operation, children(From="2026-11-23", To="2026-11-22")), call)
        schemas.assert_valid(done.answer)
        assert (done.result, names(done.answer)) == (code, ["Result"])


# SubmitRegister


def register_request(rows: str = "", **changes: str) -> etree._Element:
    members = {
        "RegisterReference": "REG/1",
        "BusinessDay": "2026-11-23",
        "RowCount": "2",
        "HashTotal": "30.5",
        "Part": "2",
        "Parts": "3",
    }
    return element("SubmitRegister", children(**members | changes) + rows)


def register_row(reference: str, amount: tuple[str, str] = ("10.00", RUB), **more: str) -> str:
    return children(Row=children(Reference=reference, Status="REGISTERED", Amount=amount, **more))


def reconciliation(**counts: int) -> Reconciliation:
    announced = Announcement("REG/1", DAY, 3, Totals(2, Decimal("30.5")))
    return Reconciliation(
        id=ULID,
        register=Register(ULID, 1, "DEMO-BANK", announced, NOW, RegisterState.ACCEPTED),
        run=2,
        as_of=NOW,
        day_is_closed=True,
        matched=7,
        counts={kind: counts.get(kind, 0) for kind in DifferenceKind},
        register_digest=sha256(b"register").digest(),
        digest=sha256(b"result").digest(),
    )


def test_what_a_register_is_submitted_as(contract: Contract, call: Call, schemas: Schemas, asked: Any) -> None:
    answer = RegisterSubmission(ResultCode.OK, False, RegisterStatus.INCOMPLETE, 1, Totals(2, Decimal("30.50")))
    seen = asked(submit_register, "submit_register", answer)
    rows = register_row("R-1", OccurredAt="2026-11-23T15:00:00.5+03:00") + children(
        Row=children(Reference="R-2", Status="CANCELLED", Amount=("20.5", "EUR"))
    )
    request = register_request(rows)
    schemas.assert_valid(request)
    done = contract.dispatch(request, call)
    at = datetime(2026, 11, 23, 12, 0, 0, 500000, tzinfo=UTC)
    assert seen == [
        SubmitRegister(
            reference="REG/1",
            business_on=DAY,
            row_count=2,
            hash_total=Decimal("30.5"),
            part=2,
            parts=3,
            rows=[
                RegisterRow("R-1", RowStatus.REGISTERED, Money(10_00, RUB), at),
                RegisterRow("R-2", RowStatus.CANCELLED, Money(20_50, "EUR")),
            ],
        )
    ]
    schemas.assert_valid(done.answer)
    found = [text(done.answer, name) for name in ("Replayed", "Status", "PartsReceived", "RowCount", "HashTotal")]
    assert found == ["false", "INCOMPLETE", "1", "2", "30.50"]
    assert text(done.answer, "Reconciliation/Run") is None


@pytest.mark.parametrize(
    ("changes", "is_valid"),
    [
        ({"RowCount": "0", "HashTotal": "0", "Part": "1", "Parts": "1"}, True),
        ({"HashTotal": "999999999999999999.9999", "Part": "10000", "Parts": "10000"}, True),
        ({"Part": "0"}, False),
        ({"Parts": "10001"}, False),
        ({"RowCount": "-1"}, False),
        ({"HashTotal": "-1"}, False),
        ({"HashTotal": "0.00001"}, False),
        ({"HashTotal": "1e3"}, False),
        ({"BusinessDay": "2026-02-30"}, False),
        ({"BusinessDay": "2026-11-23+03:00"}, False),
        ({"RegisterReference": "a b"}, False),
    ],
)
def test_what_may_be_said_of_a_register(
    contract: Contract, call: Call, schemas: Schemas, asked: Any, changes: dict[str, str], is_valid: bool
) -> None:
    request = register_request(**changes)
    if not is_valid:
        schemas.assert_invalid(request)
        return
    schemas.assert_valid(request)
    seen = asked(submit_register, "submit_register", RegisterSubmission(ResultCode.OK))
    contract.dispatch(request, call)
    (question,) = seen
    assert str(question.hash_total) == changes["HashTotal"]
    assert (question.part, question.rows) == (int(changes["Part"]), [])
    totals = Totals(question.row_count, question.hash_total)
    Announcement(question.reference, question.business_on, question.parts, totals)  # what the XSD takes, it takes


def test_an_amount_with_too_many_decimals_names_its_row(
    contract: Contract, call: Call, schemas: Schemas, asked: Any
) -> None:
    seen = asked(submit_register, "submit_register", RegisterSubmission(ResultCode.OK))
    rows = [register_row(f"R-{number}") for number in range(1, 11)]
    rows[6] = register_row("R-7", ("1.005", RUB))
    request = register_request("".join(rows))
    schemas.assert_valid(request)  # XSD 1.0 cannot say how many decimals a currency has
    with pytest.raises(Refusal) as refused:
        contract.dispatch(request, call)
    assert seen == []
    assert refused.value.rule is Rule.SCHEMA
    (violation,) = refused.value.violations
    assert violation.path == "/soap:Envelope/soap:Body/SubmitRegisterRequest/Row[7]/Amount"
    assert violation.rule == "currency-exponent"
    assert "1.005" not in violation.reason


def test_a_part_holds_so_many_rows(schemas: Schemas) -> None:
    rows = [register_row(f"R-{number}") for number in range(PART_ROWS_MAX + 1)]
    schemas.assert_valid(register_request("".join(rows[1:])))
    schemas.assert_invalid(register_request("".join(rows)))


@pytest.mark.parametrize("status", RegisterStatus)
def test_every_status_of_a_register_is_answered(
    contract: Contract, call: Call, schemas: Schemas, asked: Any, status: RegisterStatus
) -> None:
    found = reconciliation() if status is RegisterStatus.RECONCILED else None
    counted = Totals(PARTS_MAX * PART_ROWS_MAX, Decimal(HASH_TOTAL_MAX))
    result = ResultCode.REGISTER_TOTALS_DIFFER if status is RegisterStatus.REJECTED else ResultCode.OK
    asked(submit_register, "submit_register", RegisterSubmission(result, True, status, PARTS_MAX, counted, found))
    asked(get_reconciliation, "get_reconciliation", ReconciliationReport(ResultCode.OK, status, found))
    done = contract.dispatch(register_request(), call)
    schemas.assert_valid(done.answer)
    assert (done.result, text(done.answer, "Replayed"), text(done.answer, "Status")) == (result, "true", status)
    assert text(done.answer, "RowCount") == "9000000"
    assert ("Reconciliation" in names(done.answer)) == (found is not None)
    shown = contract.dispatch(element("GetReconciliation", children(RegisterReference="REG/1")), call).answer
    schemas.assert_valid(shown)
    assert (text(shown, "Status"), "Reconciliation" in names(shown)) == (status, found is not None)


def test_what_was_not_kept_is_answered_without_a_status(
    contract: Contract, call: Call, schemas: Schemas, asked: Any
) -> None:
    for code in (ResultCode.REGISTER_CONFLICT, ResultCode.PERIOD_NOT_ACCEPTED, ResultCode.REGISTER_TOTALS_DIFFER):
        asked(submit_register, "submit_register", RegisterSubmission(code))
        done = contract.dispatch(register_request(), call)
        schemas.assert_valid(done.answer)
        assert (done.result, names(done.answer)) == (code, ["Result", "Replayed"])
    for code in (ResultCode.REGISTER_NOT_FOUND, ResultCode.CURSOR_NOT_ACCEPTED):
        asked(get_reconciliation, "get_reconciliation", ReconciliationReport(code))
        done = contract.dispatch(element("GetReconciliation", children(RegisterReference="REG/1")), call)
        schemas.assert_valid(done.answer)
        assert (done.result, names(done.answer)) == (code, ["Result"])


# GetReconciliation


def test_what_a_reconciliation_is_asked_and_counts(
    contract: Contract, call: Call, schemas: Schemas, asked: Any
) -> None:
    counts = {kind.value: number for number, kind in enumerate(DifferenceKind, 1)}
    report = ReconciliationReport(ResultCode.OK, RegisterStatus.RECONCILED, reconciliation(**counts), (), "next")
    seen = asked(get_reconciliation, "get_reconciliation", report)
    request = element("GetReconciliation", children(RegisterReference="REG/1", PageSize="7", Cursor="c"))
    schemas.assert_valid(request)
    answer = contract.dispatch(request, call).answer
    assert seen == [GetReconciliation("REG/1", 7, "c")]
    schemas.assert_valid(answer)
    (written,) = all_of(answer, "Reconciliation")
    found = {name: text(written, name) for name in names(written)}
    assert found == {
        "ReconciliationId": ULID,
        "Run": "2",
        "AsOf": "2026-11-23T12:00:00.123Z",
        "DayIsClosed": "true",
        "Matched": "7",
        "Duplicate": "1",
        "MissingHere": "2",
        "AmountDiffers": "3",
        "StatusDiffers": "4",
        "OtherDay": "5",
        "MissingThere": "6",
        "RegisterDigest": found["RegisterDigest"],
        "Digest": found["Digest"],
    }
    assert found["RegisterDigest"] != found["Digest"]
    assert text(answer, "NextCursor") == "next"


IN_MOSCOW = NOW.astimezone(timezone(timedelta(hours=3)))
YOURS = Side("REGISTERED", Money(99_99, RUB), DAY, IN_MOSCOW, "ATM-9", "not for us to say")
OURS = Side("REGISTERED", Money(100_00, RUB), DAY, NOW, "ATM-0001", ULID)


def differences() -> Iterator[Difference]:
    """Every kind with the sides it has, ours in every state."""
    kind = DifferenceKind
    yield Difference(1, kind.DUPLICATE, 2, "R-1", YOURS, OURS)
    yield Difference(2, kind.DUPLICATE, 3, "R-2", YOURS, None)
    yield Difference(3, kind.MISSING_HERE, 4, "R-3", replace(YOURS, occurred_at=None), None)
    yield Difference(4, kind.AMOUNT_DIFFERS, 5, "R-4", YOURS, replace(OURS, amount=Money(1, "KWD")))
    yield Difference(5, kind.STATUS_DIFFERS, 6, "R-5", YOURS, replace(OURS, status="CANCELLED"))
    yield Difference(6, kind.STATUS_DIFFERS, 7, "R-6", YOURS, replace(OURS, status="DECLINED"))
    yield Difference(7, kind.STATUS_DIFFERS, 8, "R-7", YOURS, replace(OURS, status="VOIDED", amount=None))
    yield Difference(8, kind.OTHER_DAY, 9, "R-8", YOURS, replace(OURS, business_on=DAY - timedelta(days=1)))
    yield Difference(9, kind.MISSING_THERE, None, "R-9", None, OURS)


def test_both_sides_of_every_kind_of_difference_are_written(
    contract: Contract, call: Call, schemas: Schemas, asked: Any
) -> None:
    every = tuple(differences())
    assert {each.kind for each in every} == set(DifferenceKind)
    report = ReconciliationReport(ResultCode.OK, RegisterStatus.RECONCILED, reconciliation(), every)
    asked(get_reconciliation, "get_reconciliation", report)
    request = element("GetReconciliation", children(RegisterReference="REG/1"))
    answer = contract.dispatch(request, call).answer
    schemas.assert_valid(answer)
    written = all_of(answer, "Difference")
    assert [(text(each, "Kind"), text(each, "Reference"), text(each, "Row")) for each in written] == [
        (each.kind, each.reference, None if each.row_number is None else str(each.row_number)) for each in every
    ]
    for each, found in zip(every, written, strict=True):
        yours, ours = all_of(found, "Yours"), all_of(found, "Ours")
        assert (bool(yours), bool(ours)) == (each.theirs is not None, each.ours is not None)
        if yours:
            assert names(yours[0]) == (["Status", "Amount", "OccurredAt"] if each.number != 3 else ["Status", "Amount"])
            assert amount(yours[0], "Amount") == ("99.99", RUB)
        if each.ours is not None:
            assert text(ours[0], "Status") == each.ours.status
            assert ("Amount" in names(ours[0])) == (each.ours.amount is not None)
            booked = each.ours.status in ("REGISTERED", "CANCELLED")
            assert text(ours[0], "PaymentId") == (ULID if booked else None)
            assert text(ours[0], "Terminal") == "ATM-0001"
    assert text(written[0], "Yours/OccurredAt") == "2026-11-23T12:00:00.123Z"
    assert text(written[3], "Ours/Amount") == "0.001"
    assert text(written[7], "Ours/BusinessDay") == "2026-11-22"


def test_the_largest_page_of_differences_conforms(contract: Contract, call: Call, schemas: Schemas, asked: Any) -> None:
    most = Difference(1, DifferenceKind.AMOUNT_DIFFERS, PARTS_MAX * PART_ROWS_MAX, "R" * 64, YOURS, OURS)
    report = ReconciliationReport(ResultCode.OK, RegisterStatus.RECONCILED, reconciliation(), (most,) * PAGE_ROWS_MAX)
    asked(get_reconciliation, "get_reconciliation", report)
    request = element("GetReconciliation", children(RegisterReference="REG/1"))
    schemas.assert_valid(contract.dispatch(request, call).answer)


def test_every_currency_and_scheme_of_a_dealer_has_room(
    contract: Contract, call: Call, schemas: Schemas, asked: Any
) -> None:
    one = Balance(DealerAccount(1, Scheme.CREDIT_ADJUSTMENT, RUB), 0, Moved())
    report = FinancialReport(ResultCode.OK, (one,) * messages.BALANCES_MAX)
    asked(get_financial_report, "get_financial_report", report)
    request = element("GetFinancialReport", children(From="2026-11-23", To="2026-11-23"))
    schemas.assert_valid(contract.dispatch(request, call).answer)
