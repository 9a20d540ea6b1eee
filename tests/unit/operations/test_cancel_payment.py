from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from bankapi.billing import customers, rates
from bankapi.billing.money import Money
from bankapi.billing.payers import PayerKey, PayerKind
from bankapi.billing.terminals import CancelRule
from bankapi.operations.cancel_payment import CancelPayment, CancelReason, cancel_payment
from bankapi.operations.get_payment_status import GetPaymentStatus, PaymentState, get_payment_status
from bankapi.operations.register_payment import RegisterPayment, register_payment
from bankapi.refusals import ResultCode
from tests.unit.conftest import START, Books, by_phone, rub

PAY = RegisterPayment("R1", by_phone(1), rub("100"), START)
CANCEL = CancelPayment(rub("100"), CancelReason.CUSTOMER_REQUEST, reference="R1")
MOSCOW_MIDNIGHT = datetime(2026, 3, 1, 21, 0, tzinfo=UTC)


def with_rule(books: Books, **agreed: Any) -> None:
    books.terminals["ATM-1"] = replace(books.terminals["ATM-1"], **agreed)


def at(books: Books, instant: datetime, do: Callable[..., Any], asked: Any) -> Any:
    books.now = instant - timedelta(milliseconds=1)  # each call is a millisecond after the last
    return do(asked)


def charge(books: Books, number: int, amount: str) -> None:
    def work(connection: Any) -> None:
        account = customers.find_account(connection, by_phone(number))
        assert account is not None
        customers.charge(connection, account, rub(amount), now=books.now, business_on=books.now.date())

    books.store.write(work)


def test_a_cancelled_payment_is_gone_and_stays_gone(books: Books) -> None:
    payment = books.call(register_payment, PAY)
    first = books.call(cancel_payment, CANCEL)
    assert (first.result, first.state, first.replayed) == (ResultCode.OK, PaymentState.CANCELLED, False)
    assert (first.payment_id, first.amount) == (payment.payment_id, rub("100"))
    assert books.balance(by_phone(1)) == rub("0")
    late = books.call(register_payment, PAY)
    assert (late.result, late.replayed, late.payment_id) == (ResultCode.ALREADY_CANCELLED, True, payment.payment_id)
    assert books.balance(by_phone(1)) == rub("0")


def test_cancelling_again_gives_the_first_answer_however_late_and_by_whatever_name(books: Books) -> None:
    with_rule(books, cancel_rule=CancelRule.MINUTES, cancel_minutes=5)
    payment = books.call(register_payment, PAY)
    first = books.call(cancel_payment, CANCEL)
    books.now += timedelta(days=400)
    for again in (CANCEL, replace(CANCEL, reference=None, payment_id=payment.payment_id)):
        assert books.call(cancel_payment, again) == replace(first, replayed=True)
    assert books.call(cancel_payment, CANCEL, "ATM-2") == replace(first, replayed=True)


@pytest.mark.parametrize(
    ("rule", "registered_at", "asked_at", "result"),
    [
        ("ALWAYS", START, START + timedelta(days=3650), ResultCode.OK),
        ("NEVER", START, START, ResultCode.CANCEL_WINDOW_CLOSED),
        ("MINUTES", START, START + timedelta(minutes=30), ResultCode.OK),
        ("MINUTES", START, START + timedelta(minutes=30, microseconds=1000), ResultCode.CANCEL_WINDOW_CLOSED),
        # The dealer's day is Moscow's: it ends at 21:00 UTC, and a day later in UTC may be the same one there.
        ("SAME_BUSINESS_DAY", START, MOSCOW_MIDNIGHT - timedelta(milliseconds=1), ResultCode.OK),
        ("SAME_BUSINESS_DAY", START, MOSCOW_MIDNIGHT, ResultCode.CANCEL_WINDOW_CLOSED),
        ("SAME_BUSINESS_DAY", MOSCOW_MIDNIGHT, MOSCOW_MIDNIGHT + timedelta(hours=23, minutes=59), ResultCode.OK),
        ("SAME_BUSINESS_DAY", MOSCOW_MIDNIGHT - timedelta(milliseconds=2), MOSCOW_MIDNIGHT, None),
    ],
)
def test_the_dealers_window_decides(
    books: Books, rule: str, registered_at: datetime, asked_at: datetime, result: ResultCode | None
) -> None:
    with_rule(books, cancel_rule=CancelRule(rule), cancel_minutes=30)
    at(books, registered_at, lambda asked: books.call(register_payment, asked), PAY)
    asked_at = max(asked_at, books.now)
    answer = at(books, asked_at, lambda asked: books.call(cancel_payment, asked), CANCEL)
    assert answer.result is (result or ResultCode.CANCEL_WINDOW_CLOSED)
    assert books.balance(by_phone(1)) == rub("0" if result is ResultCode.OK else "100")


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York", "Asia/Kathmandu", "Pacific/Kiritimati"])
def test_midnight_is_the_dealers_own_even_when_its_clocks_change(books: Books, zone: str) -> None:
    from zoneinfo import ZoneInfo

    with_rule(books, time_zone=zone)
    midnight = datetime(2026, 3, 9, tzinfo=ZoneInfo(zone)).astimezone(UTC)  # New York's clocks changed on the 8th
    for reference, registered, asked, result in (
        ("A", midnight - timedelta(hours=22), midnight - timedelta(seconds=1), ResultCode.OK),
        ("B", midnight - timedelta(seconds=1), midnight, ResultCode.CANCEL_WINDOW_CLOSED),
        ("C", midnight, midnight + timedelta(hours=23), ResultCode.OK),
    ):
        at(books, registered, lambda pay: books.call(register_payment, pay), replace(PAY, reference=reference))
        answer = at(books, asked, lambda no: books.call(cancel_payment, no), replace(CANCEL, reference=reference))
        assert answer.result is result, reference


def test_what_the_customer_has_used_is_not_taken_back(books: Books) -> None:
    books.call(register_payment, PAY)
    charge(books, 1, "0.01")
    assert books.call(cancel_payment, CANCEL).result is ResultCode.FUNDS_ALREADY_USED
    assert books.balance(by_phone(1)) == rub("99.99")
    books.call(register_payment, replace(PAY, reference="R2", amount=rub("1")))
    assert books.call(cancel_payment, CANCEL).result is ResultCode.OK


def test_a_debt_there_was_before_is_not_the_payments_use(books: Books) -> None:
    books.call(register_payment, replace(PAY, payer=by_phone(2)))
    assert books.call(cancel_payment, CANCEL).result is ResultCode.OK
    assert books.balance(by_phone(2)) == rub("-100")


@pytest.mark.parametrize("order", [("R1", "R2"), ("R2", "R1")])
def test_payments_to_a_debtor_are_cancelled_in_any_order(books: Books, order: tuple[str, str]) -> None:
    for reference in ("R1", "R2"):
        books.call(register_payment, replace(PAY, reference=reference, payer=by_phone(2), amount=rub("30")))
    for reference in order:
        answer = books.call(cancel_payment, replace(CANCEL, reference=reference, amount=rub("30")))
        assert answer.result is ResultCode.OK
    assert books.balance(by_phone(2)) == rub("-100")


@pytest.mark.parametrize("amount", [rub("99.99"), rub("100.01"), Money(100_00, "EUR"), Money(100, "JPY")])
def test_another_amount_is_a_mismatch_before_and_after_cancelling(books: Books, amount: Money) -> None:
    books.call(register_payment, PAY)
    assert books.call(cancel_payment, replace(CANCEL, amount=amount)).result is ResultCode.AMOUNT_MISMATCH
    assert books.balance(by_phone(1)) == rub("100")
    books.call(cancel_payment, CANCEL)
    assert books.call(cancel_payment, replace(CANCEL, amount=amount)).result is ResultCode.AMOUNT_MISMATCH


def test_the_amount_is_judged_before_the_window_and_the_window_before_the_funds(books: Books) -> None:
    with_rule(books, cancel_rule=CancelRule.NEVER)
    books.call(register_payment, PAY)
    charge(books, 1, "50")
    assert books.call(cancel_payment, replace(CANCEL, amount=rub("1"))).result is ResultCode.AMOUNT_MISMATCH
    assert books.call(cancel_payment, CANCEL).result is ResultCode.CANCEL_WINDOW_CLOSED
    with_rule(books, cancel_rule=CancelRule.ALWAYS)
    assert books.call(cancel_payment, CANCEL).result is ResultCode.FUNDS_ALREADY_USED


def test_a_reference_never_seen_is_voided_and_what_comes_late_is_refused(books: Books) -> None:
    first = books.call(cancel_payment, CANCEL)
    assert (first.result, first.state, first.replayed) == (ResultCode.OK, PaymentState.VOIDED, False)
    late = books.call(register_payment, PAY)
    assert (late.result, late.payment_id) == (ResultCode.REFERENCE_VOIDED, None)
    again = books.call(cancel_payment, replace(CANCEL, amount=rub("7")))
    assert again == replace(first, replayed=True)
    status = books.call(get_payment_status, GetPaymentStatus(reference="R1"))
    assert (status.state, status.voided_at) == (PaymentState.VOIDED, first.cancelled_at)
    assert books.balance(by_phone(1)) == rub("0")
    assert books.call(register_payment, PAY, "TILL-1").result is ResultCode.OK  # another dealer's own reference


def test_a_declined_payment_has_nothing_to_cancel_and_says_so(books: Books) -> None:
    books.call(register_payment, replace(PAY, payer=by_phone(3)))
    answer = books.call(cancel_payment, CANCEL)
    assert (answer.result, answer.state) == (ResultCode.OK, PaymentState.DECLINED)


def test_a_payment_id_nobody_or_another_dealer_has_is_not_found(books: Books) -> None:
    payment = books.call(register_payment, PAY)
    by_id = replace(CANCEL, reference=None, payment_id=payment.payment_id)
    assert books.call(cancel_payment, by_id, "TILL-1").result is ResultCode.PAYMENT_NOT_FOUND
    unknown = replace(by_id, payment_id="01ARZ3NDEKTSV4RRFFQ69G5FAV")
    assert books.call(cancel_payment, unknown).result is ResultCode.PAYMENT_NOT_FOUND
    assert books.balance(by_phone(1)) == rub("100")


def test_a_cancelled_payment_returns_the_dealers_deposit(books: Books) -> None:
    whole = replace(PAY, amount=rub("500"))
    for reference in ("R1", "R2", "R3"):
        assert books.call(register_payment, replace(whole, reference=reference), "TILL-1").result is ResultCode.OK
        cancelled = replace(CANCEL, reference=reference, amount=rub("500"))
        assert books.call(cancel_payment, cancelled, "TILL-1").result is ResultCode.OK


def test_a_converted_payment_is_taken_back_as_it_was_credited(books: Books) -> None:
    for day, rate in ((0, "90.255"), (1, "50")):
        since = START + timedelta(hours=day)
        books.store.write(
            lambda connection, rate=rate, since=since: rates.add_rate(connection, "EUR", "RUB", Decimal(rate), since)
        )
    pay = replace(PAY, amount=Money(1_00, "EUR"))
    assert books.call(register_payment, pay).credited == rub("90.26")
    books.now += timedelta(hours=2)
    answer = books.call(cancel_payment, replace(CANCEL, amount=Money(1_00, "EUR")))
    assert (answer.result, answer.amount) == (ResultCode.OK, Money(1_00, "EUR"))
    assert books.balance(by_phone(1)) == rub("0")


def test_cancelling_works_whatever_became_of_the_customer(books: Books) -> None:
    owed = replace(PAY, payer=PayerKey(PayerKind.ACCOUNT_NUMBER, "A4"), amount=rub("50"))
    assert books.call(register_payment, owed).result is ResultCode.OK
    assert books.call(cancel_payment, replace(CANCEL, amount=rub("50"))).result is ResultCode.OK
    assert books.balance(by_phone(4)) == rub("-50")
