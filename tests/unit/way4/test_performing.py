"""Reversals on both databases: whatever comes first, and at once, nothing of the payment stands afterwards."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier
from zoneinfo import ZoneInfo

import pytest
from ulid import ULID

from bankapi.billing import payments
from bankapi.billing.terminals import CancelRule
from bankapi.operations.call import Call
from bankapi.operations.get_payment_status import PaymentState
from bankapi.refusals import Failure, ResultCode
from bankapi.way4 import performing
from bankapi.way4.configuration import Operation
from bankapi.way4.performing import Done
from bankapi.way4.reading import UfxRequest
from tests.unit.conftest import Books, by_phone, rub

UTC = ZoneInfo("UTC")
EVENING, NIGHT = (datetime.fromisoformat(text) for text in ("2026-03-01T23:59:59", "2026-03-02T00:00:10"))


def request(operation: Operation, number: int, local_at: datetime) -> UfxRequest:
    days = (local_at, local_at - timedelta(days=1))[: 1 if operation is Operation.REGISTER else 2]
    return UfxRequest(
        operation=operation,
        contract_number="ATM-1",
        terminal="ATM-1",
        payer=by_phone(1),
        amount=rub("10"),
        references=tuple(f"ATM-1/{day:%Y-%m-%d}/{number:012}" for day in days),
        local_at=local_at,
    )


def perform(books: Books, asked: UfxRequest) -> Done:
    return books.store.write(
        lambda connection: performing.perform(
            Call(connection, books.terminals["ATM-1"], books.now, "en", str(ULID())), asked, UTC
        )
    )


def stands(books: Books, asked: UfxRequest) -> bool:
    with books.store.read() as connection:
        found = payments.find_by_reference(connection, books.terminals["ATM-1"].dealer_id, asked.reference or "")
    return found is not None and found.amount is not None and found.cancelled_at is None


def test_the_evening_is_found_at_night_and_settled_where_there_is_nothing(books: Books) -> None:
    paid, reversal = request(Operation.REGISTER, 1, EVENING), request(Operation.CANCEL, 1, NIGHT)
    assert perform(books, paid).result is ResultCode.OK
    assert perform(books, reversal).answered["status"] is PaymentState.CANCELLED
    assert not stands(books, paid)
    never = request(Operation.CANCEL, 2, NIGHT)
    assert perform(books, never).answered["status"] is PaymentState.VOIDED
    for local_at in (EVENING, NIGHT):
        assert perform(books, request(Operation.REGISTER, 2, local_at)).result is ResultCode.REFERENCE_VOIDED
    assert perform(books, never).answered["replayed"] is True


def test_a_refused_reversal_says_why_and_the_payment_stands(books: Books) -> None:
    paid = request(Operation.REGISTER, 3, EVENING)
    perform(books, paid)
    object.__setattr__(books.terminals["ATM-1"], "cancel_rule", CancelRule.NEVER)
    assert perform(books, request(Operation.CANCEL, 3, NIGHT)).result is ResultCode.CANCEL_WINDOW_CLOSED
    assert perform(books, request(Operation.STATUS, 3, NIGHT)).is_posted
    assert stands(books, paid)


def test_a_reversal_and_its_payment_at_once_leave_nothing_that_stands(books: Books) -> None:
    """The reversal is repeated until it is answered, as its sender does."""
    with ThreadPoolExecutor(2) as threads:
        for number in range(100, 112):
            start = Barrier(2)

            def pay(number: int = number, start: Barrier = start) -> Done:
                start.wait()
                return perform(books, request(Operation.REGISTER, number, EVENING))

            def reverse(number: int = number, start: Barrier = start) -> Done:
                start.wait()
                for _ in range(20):
                    try:
                        return perform(books, request(Operation.CANCEL, number, NIGHT))
                    except Failure:
                        continue
                pytest.fail("it is never answered")

            paid, reversed_ = threads.submit(pay), threads.submit(reverse)
            assert reversed_.result().result is ResultCode.OK
            assert paid.result().result in (ResultCode.OK, ResultCode.REFERENCE_VOIDED)
            assert not stands(books, request(Operation.REGISTER, number, EVENING))
