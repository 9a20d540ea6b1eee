"""What a request and its answer say became of a payment."""

from dataclasses import replace
from typing import Any

import pytest
from lxml import etree

from bankapi.billing.money import Money
from bankapi.contract.types import NAMESPACE
from bankapi.gateway.monitoring import event_of
from bankapi.monitoring.watch import Happening, PaymentEvent
from bankapi.operations.get_payment_status import PaymentState
from bankapi.refusals import ResultCode
from tests.unit.conftest import Books

TEN = Money(1000, "RUB")


def element(name: str, content: str) -> Any:
    return etree.fromstring(f'<{name} xmlns="{NAMESPACE}">{content}</{name}>')


def happened(
    books: Books,
    operation: str,
    result: ResultCode,
    *,
    state: PaymentState | None = None,
    replayed: str = "false",
    currency: str = "RUB",
) -> PaymentEvent | None:
    request = element(f"{operation}Request", f'<Amount currency="{currency}">10.00</Amount>')
    status = "" if state is None else f"<Status>{state}</Status>"
    answer = element(f"{operation}Response", f"<Result/><Replayed>{replayed}</Replayed>{status}")
    return event_of(operation, request, answer, result, books.terminals["ATM-1"])


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_payment_is_counted_once_for_what_became_of_it(books: Books) -> None:
    registered = happened(books, "RegisterPayment", ResultCode.OK)
    assert registered == PaymentEvent(Happening.REGISTERED, "BANK", TEN, is_known_currency=True)
    assert happened(books, "RegisterPayment", ResultCode.OK, replayed="true") is None
    declined = happened(books, "RegisterPayment", ResultCode.PAYER_BLOCKED)
    assert declined == replace(registered, happening=Happening.DECLINED)
    assert happened(books, "RegisterPayment", ResultCode.PAYER_BLOCKED, replayed="true") is None
    for undecided in (
        ResultCode.OPERATION_NOT_ALLOWED,
        ResultCode.REFERENCE_CONFLICT,
        ResultCode.REFERENCE_VOIDED,
        ResultCode.ALREADY_CANCELLED,
    ):
        assert happened(books, "RegisterPayment", undecided) is None


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_cancellation_is_counted_when_it_takes_something_back_or_settles_a_reference(books: Books) -> None:
    ends = {
        state: event and event.happening
        for state in (PaymentState.CANCELLED, PaymentState.VOIDED, PaymentState.DECLINED)
        for event in [happened(books, "CancelPayment", ResultCode.OK, state=state)]
    }
    assert ends == {
        PaymentState.CANCELLED: Happening.CANCELLED,
        PaymentState.VOIDED: Happening.VOIDED,
        PaymentState.DECLINED: None,
    }
    assert happened(books, "CancelPayment", ResultCode.OK, state=PaymentState.CANCELLED, replayed="true") is None
    assert happened(books, "CancelPayment", ResultCode.CANCEL_WINDOW_CLOSED) is None


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_currency_that_a_caller_made_up_is_no_label(books: Books) -> None:
    event = happened(books, "RegisterPayment", ResultCode.CURRENCY_NOT_ACCEPTED, currency="XQZ")
    assert event is not None
    assert not event.is_known_currency


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_question_is_no_event(books: Books) -> None:
    assert happened(books, "ValidatePayment", ResultCode.OK) is None
    assert happened(books, "GetBalance", ResultCode.PAYER_NOT_FOUND) is None
