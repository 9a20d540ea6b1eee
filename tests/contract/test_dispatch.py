"""One request element in, one conforming answer element out; exceptions come through as themselves."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from lxml import etree

from bankapi.billing.ledger import TransactionKind
from bankapi.billing.money import Money
from bankapi.billing.payers import PayerKey, PayerKind, ServiceStatus
from bankapi.billing.statements import LINES_MAX, StatementLine
from bankapi.contract import messages
from bankapi.contract.application import Contract, card_bin, exchange_header, fault_detail, requested_language, server
from bankapi.operations import (
    cancel_payment,
    get_balance,
    get_mini_statement,
    get_payment_status,
    ping,
    register_payment,
    validate_payment,
)
from bankapi.operations.call import Call
from bankapi.operations.cancel_payment import PaymentCancellation
from bankapi.operations.get_balance import BalanceSheet
from bankapi.operations.get_mini_statement import MiniStatement
from bankapi.operations.get_payment_status import PaymentState, PaymentStatus
from bankapi.operations.register_payment import PaymentRegistration, RegisterPayment
from bankapi.operations.validate_payment import PaymentValidation
from bankapi.refusals import Failure, FaultCode, Refusal, ResultCode, Rule, SchemaViolation
from tests.contract.conftest import NOW, ULID, cancellation, children, element, payer, registration, text

RUB = "RUB"


def test_register_payment(contract: Contract, call: Call, libxml2: etree.XMLSchema, asked: Any) -> None:
    answer = PaymentRegistration(
        ResultCode.OK, True, ULID, NOW, Money(10050, RUB), Decimal("0.0109"), ("Line 1", "Line <2>")
    )
    seen = asked(register_payment, "register_payment", answer)
    done = contract.dispatch(registration(), call)
    assert seen == [
        RegisterPayment(
            reference="ATM-0001/20261123/1",
            payer=PayerKey(PayerKind.MSISDN, "79160000001"),
            amount=Money(10000, RUB),
            paid_at=datetime(2026, 11, 23, 12, 0, 0, 500000, tzinfo=UTC),
            validation_id=ULID,
            card_bin="220012",
            card_last_four="1234",
            rrn="123456789012",
            authorization_code="A1B2C3",
            fee=Money(0, RUB),
        )
    ]
    assert (done.operation, done.result) == ("RegisterPayment", ResultCode.OK)
    libxml2.assertValid(done.answer)
    assert text(done.answer, "Replayed") == "true"
    assert text(done.answer, "RegisteredAt") == "2026-11-23T12:00:00.123Z"
    assert text(done.answer, "CreditedAmount") == "100.50"
    assert text(done.answer, "Rate") == "0.0109"
    assert [line.text for line in done.answer.iterfind("{urn:bankapi:v1}ReceiptLine")] == ["Line 1", "Line <2>"]


def test_a_business_no_is_an_answer(contract: Contract, call: Call, libxml2: etree.XMLSchema, asked: Any) -> None:
    asked(register_payment, "register_payment", PaymentRegistration(ResultCode.LIMIT_EXCEEDED))
    done = contract.dispatch(registration(Fee=None, PaidAt=" 2026-11-23T12:00:00Z "), call)
    libxml2.assertValid(done.answer)
    assert done.result is ResultCode.LIMIT_EXCEEDED
    assert (text(done.answer, "Result/Code"), text(done.answer, "Result/Retry")) == ("LIMIT_EXCEEDED", "LATER")
    message = done.answer.find("{urn:bankapi:v1}Result/{urn:bankapi:v1}Message")
    assert message is not None
    assert message.get("{http://www.w3.org/XML/1998/namespace}lang") == "en"


def test_validate_payment(contract: Contract, call: Call, libxml2: etree.XMLSchema, asked: Any) -> None:
    money = Money(1000000000000, "KWD")
    in_moscow = NOW.astimezone(timezone(timedelta(hours=3)))
    answer = PaymentValidation(
        ResultCode.OK, ULID, in_moscow, "I*** P.", ServiceStatus.SUSPENDED, money, money, money, money, Decimal("1E+1")
    )
    asked(validate_payment, "validate_payment", answer)
    request = element("ValidatePayment", children(Payer=payer(CustomerNumber="C1"), Amount=("1", RUB)))
    done = contract.dispatch(request, call)
    libxml2.assertValid(done.answer)
    assert text(done.answer, "Fee") == "1000000000.000"
    assert text(done.answer, "Rate") == "10"
    assert text(done.answer, "ValidUntil") == "2026-11-23T12:00:00.123Z"
    assert text(done.answer, "ServiceStatus") == "SUSPENDED"


@pytest.mark.parametrize(
    ("changes", "reference", "payment_id"),
    [({}, "R-1", None), ({"Reference": None, "PaymentId": ULID}, None, ULID)],
)
def test_cancel_payment(
    contract: Contract,
    call: Call,
    libxml2: etree.XMLSchema,
    asked: Any,
    changes: dict[str, Any],
    reference: str | None,
    payment_id: str | None,
) -> None:
    answer = PaymentCancellation(
        ResultCode.OK, PaymentState.CANCELLED, True, "R-1", ULID, Money(10000, RUB), cancelled_at=NOW
    )
    seen = asked(cancel_payment, "cancel_payment", answer)
    done = contract.dispatch(cancellation(**changes), call)
    assert seen == [
        cancel_payment.CancelPayment(Money(10000, RUB), cancel_payment.CancelReason.TIMEOUT, reference, payment_id)
    ]
    assert isinstance(seen[0].reason, cancel_payment.CancelReason)
    libxml2.assertValid(done.answer)
    found = [text(done.answer, name) for name in ("Replayed", "Status", "Reference", "PaymentId", "Amount")]
    assert found == ["true", "CANCELLED", "R-1", ULID, "100.00"]
    assert text(done.answer, "CancelledAt") == "2026-11-23T12:00:00.123Z"


@pytest.mark.parametrize(
    "code", [ResultCode.AMOUNT_MISMATCH, ResultCode.CANCEL_WINDOW_CLOSED, ResultCode.FUNDS_ALREADY_USED]
)
def test_a_refused_cancellation_says_no_more_than_why(
    contract: Contract, call: Call, libxml2: etree.XMLSchema, asked: Any, code: ResultCode
) -> None:
    asked(cancel_payment, "cancel_payment", PaymentCancellation(code))
    done = contract.dispatch(cancellation(), call)
    libxml2.assertValid(done.answer)
    assert [etree.QName(each).localname for each in done.answer] == ["Result", "Replayed"]
    assert (done.result, text(done.answer, "Replayed")) == (code, "false")


def test_get_balance(contract: Contract, call: Call, libxml2: etree.XMLSchema, asked: Any) -> None:
    zero = Money(0, RUB)
    answer = BalanceSheet(
        ResultCode.OK, Money(-5, RUB), Money(1000, RUB), Money(995, RUB), zero, ServiceStatus.ACTIVE, NOW
    )
    seen = asked(get_balance, "get_balance", answer)
    done = contract.dispatch(element("GetBalance", children(Payer=payer(AccountNumber="1"))), call)
    assert seen == [get_balance.GetBalance(PayerKey(PayerKind.ACCOUNT_NUMBER, "1"))]
    libxml2.assertValid(done.answer)
    found = [text(done.answer, name) for name in ("Balance", "CreditLimit", "Available", "Due", "ServiceStatus")]
    assert found == ["-0.05", "10.00", "9.95", "0.00", "ACTIVE"]
    assert text(done.answer, "AsOf") == "2026-11-23T12:00:00.123Z"


def test_get_mini_statement(contract: Contract, call: Call, libxml2: etree.XMLSchema, asked: Any) -> None:
    kinds = set(TransactionKind) - {TransactionKind.DEPOSIT, TransactionKind.SETTLEMENT}
    lines = [StatementLine(NOW, kind, Money(-1500, RUB), Money(-1, RUB)) for kind in sorted(kinds)]
    lines += lines[:1] * (LINES_MAX - len(lines))
    seen = asked(
        get_mini_statement,
        "get_mini_statement",
        MiniStatement(ResultCode.OK, Money(-1, RUB), NOW, tuple(lines)),
    )
    done = contract.dispatch(element("GetMiniStatement", children(Payer=payer())), call)
    assert seen == [get_mini_statement.GetMiniStatement(PayerKey(PayerKind.MSISDN, "79160000001"))]
    libxml2.assertValid(done.answer)
    written = done.answer.findall("{urn:bankapi:v1}Transaction")
    assert [text(each, "Kind") for each in written] == [line.kind for line in lines]
    assert {text(each, "Amount") for each in written} == {"-15.00"}
    assert {text(each, "Balance") for each in written} == {text(done.answer, "Balance")} == {"-0.01"}


@pytest.mark.parametrize("operation", ["GetBalance", "GetMiniStatement"])
def test_an_unknown_payer_has_no_balance(
    contract: Contract, call: Call, libxml2: etree.XMLSchema, asked: Any, operation: str
) -> None:
    asked(get_balance, "get_balance", BalanceSheet(ResultCode.PAYER_NOT_FOUND))
    asked(get_mini_statement, "get_mini_statement", MiniStatement(ResultCode.PAYER_NOT_FOUND))
    done = contract.dispatch(element(operation, children(Payer=payer())), call)
    libxml2.assertValid(done.answer)
    assert [etree.QName(each).localname for each in done.answer] == ["Result"]


REQUESTS = {
    "ValidatePayment": element("ValidatePayment", children(Payer=payer(), Amount=("1", RUB))),
    "RegisterPayment": registration(Amount=("1.001", RUB)),
    "CancelPayment": cancellation(Amount=("1.001", RUB)),
    "GetPaymentStatus": element("GetPaymentStatus", children(Reference="R-1")),
    "GetBalance": element("GetBalance", children(Payer=payer())),
    "GetMiniStatement": element("GetMiniStatement", children(Payer=payer())),
    "GetTransactionReport": element("GetTransactionReport", children(From="2026-03-02", To="2026-03-01")),
    "GetFinancialReport": element("GetFinancialReport", children(From="2026-03-02", To="2026-03-01")),
    "SubmitRegister": element(
        "SubmitRegister",
        children(RegisterReference="R-1", BusinessDay="2026-03-01", RowCount="0", HashTotal="0", Part="1", Parts="1"),
    ),
    "GetReconciliation": element("GetReconciliation", children(RegisterReference="R-1")),
}
"""Of every operation that can be denied; even an amount its currency cannot have is not looked at."""


def test_every_operation_but_ping_can_be_denied(contract: Contract) -> None:
    assert REQUESTS.keys() == contract.operations - {"Ping"}


@pytest.mark.parametrize("operation", REQUESTS)
def test_an_operation_that_is_not_allowed_is_not_run(
    contract: Contract, call: Call, libxml2: etree.XMLSchema, operation: str
) -> None:
    """There is no database behind `call`: an operation that ran would fail."""
    others = frozenset(contract.operations - {operation})
    done = contract.dispatch(REQUESTS[operation], denied(call, others))
    libxml2.assertValid(done.answer)
    assert (done.operation, done.result) == (operation, ResultCode.OPERATION_NOT_ALLOWED)
    assert (text(done.answer, "Result/Retry"), text(done.answer, "Replayed")) in (("NO", "false"), ("NO", None))
    assert {etree.QName(each).localname for each in done.answer} <= {"Result", "Replayed"}


def test_an_operation_that_is_allowed_by_name_is_run(contract: Contract, call: Call, asked: Any) -> None:
    seen = asked(get_balance, "get_balance", BalanceSheet(ResultCode.PAYER_NOT_FOUND))
    contract.dispatch(REQUESTS["GetBalance"], denied(call, frozenset({"GetBalance"})))
    assert len(seen) == 1


def test_ping_is_always_allowed(contract: Contract, call: Call) -> None:
    assert contract.dispatch(element("Ping"), denied(call, frozenset())).result is ResultCode.OK


def denied(call: Call, but: frozenset[str]) -> Call:
    """The call of a terminal that may call nothing but these."""
    return replace(call, terminal=replace(call.terminal, operations=but))


@pytest.mark.parametrize("state", PaymentState)
def test_get_payment_status(
    contract: Contract, call: Call, libxml2: etree.XMLSchema, asked: Any, state: PaymentState
) -> None:
    answer = PaymentStatus(
        ResultCode.OK, state, "R-1", ULID, Money(1, "JPY"), NOW, NOW, ResultCode.PAYER_BLOCKED, NOW, NOW
    )
    seen = asked(get_payment_status, "get_payment_status", answer)
    done = contract.dispatch(element("GetPaymentStatus", children(PaymentId=ULID)), call)
    assert seen == [get_payment_status.GetPaymentStatus(None, ULID)]
    libxml2.assertValid(done.answer)
    assert text(done.answer, "Amount") == "1"
    assert text(done.answer, "Status") == state


def test_ping(contract: Contract, call: Call, libxml2: etree.XMLSchema, asked: Any) -> None:
    asked(ping, "ping", ping.Availability(ping.ServiceState.AVAILABLE, NOW))
    done = contract.dispatch(element("Ping"), call)
    libxml2.assertValid(done.answer)
    assert text(done.answer, "ContractVersion") == contract.version


def test_the_answer_stands_alone(contract: Contract, call: Call, asked: Any) -> None:
    asked(register_payment, "register_payment", PaymentRegistration(ResultCode.OK))
    answer = contract.dispatch(registration(), call).answer
    assert answer.getparent() is None
    assert {uri for each in answer.iter() for uri in each.nsmap.values()} == {"urn:bankapi:v1"}


@pytest.mark.parametrize(
    "error", [Refusal(Rule.CARD_NUMBER), Failure(FaultCode.OVERLOADED), ZeroDivisionError("ours"), KeyboardInterrupt()]
)
def test_exceptions_come_through_as_themselves(
    contract: Contract, call: Call, asked: Any, error: BaseException
) -> None:
    asked(register_payment, "register_payment", error)
    with pytest.raises(type(error)) as raised:
        contract.dispatch(registration(), call)
    assert raised.value is error


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"Amount": ("1.001", "RUB")}, "/soap:Envelope/soap:Body/RegisterPaymentRequest/Amount"),
        ({"Amount": ("1.5", "JPY")}, "/soap:Envelope/soap:Body/RegisterPaymentRequest/Amount"),
        ({"Fee": ("0.001", "RUB")}, "/soap:Envelope/soap:Body/RegisterPaymentRequest/Fee"),
    ],
)
def test_an_amount_its_currency_cannot_have_is_refused(
    contract: Contract, call: Call, libxml2: etree.XMLSchema, asked: Any, changes: dict[str, Any], path: str
) -> None:
    seen = asked(register_payment, "register_payment", PaymentRegistration(ResultCode.OK))
    with pytest.raises(Refusal) as refused:
        contract.dispatch(registration(**changes), call)
    assert seen == []
    assert refused.value.rule is Rule.SCHEMA
    (violation,) = refused.value.violations
    assert (violation.path, violation.rule) == (path, "currency-exponent")


@pytest.mark.parametrize("code", FaultCode)
def test_fault_detail(libxml2: etree.XMLSchema, code: FaultCode) -> None:
    violations = [SchemaViolation("/a" * 400, "pattern", "not\nwhat was agreed")] * (messages.VIOLATIONS_MAX + 1)
    detail = fault_detail(code, "No.", "en", ULID, violations)
    libxml2.assertValid(detail)
    assert text(detail, "Retry") == code.retry
    assert len(detail.findall("{urn:bankapi:v1}Violation")) == messages.VIOLATIONS_MAX
    libxml2.assertValid(fault_detail(code, "No.", "ru", ULID, ()))


def test_exchange_header(libxml2: etree.XMLSchema) -> None:
    header = exchange_header(ULID, bytes(32))
    libxml2.assertValid(header)
    assert text(header, "RequestDigest") == "A" * 43 + "="


def test_what_the_language_is_chosen_by() -> None:
    assert (requested_language(registration()), card_bin(registration())) == ("ru", "220012")
    assert (requested_language(element("Ping")), card_bin(element("Ping"))) == (None, None)


def test_calls_do_not_meet(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new contract under many threads at once, so that its caches fill while it is used."""
    monkeypatch.setattr(
        get_payment_status,
        "get_payment_status",
        lambda _, asked: PaymentStatus(ResultCode.OK, PaymentState.NEVER_SEEN, asked.reference),
    )
    server.cache_clear()
    fresh = Contract()
    references = [f"R-{number}" for number in range(2000)]

    def echo(reference: str) -> str | None:
        request = element("GetPaymentStatus", children(Reference=reference))
        return text(fresh.dispatch(request, call).answer, "Reference")

    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(echo, references)) == references


def test_a_misspelt_member_is_found() -> None:
    with pytest.raises(TypeError, match="Replaid"):
        messages.RegisterPaymentResponse(Replaid=True)


def test_soap_action_of_an_unknown_operation(contract: Contract) -> None:
    with pytest.raises(KeyError):
        contract.soap_action("Pong")
