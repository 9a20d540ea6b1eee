from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bankapi.billing import limits
from bankapi.billing.limits import EVERY_PAYER, Limit, Scope
from bankapi.billing.money import Money
from bankapi.operations.cancel_payment import CancelPayment, CancelReason, cancel_payment
from bankapi.operations.register_payment import RegisterPayment, register_payment
from bankapi.operations.validate_payment import ValidatePayment, validate_payment
from bankapi.refusals import ResultCode
from tests.unit.conftest import START, Books, by_phone, rub

OWNER = {Scope.TERMINAL: "ATM-1", Scope.DEALER: "BANK", Scope.PAYER: EVERY_PAYER}
ELSEWHERE = {
    Scope.TERMINAL: (("ATM-2", 1), ("TILL-1", 1)),
    Scope.DEALER: (("TILL-1", 1),),
    Scope.PAYER: (("ATM-1", 2), ("TILL-1", 2)),
}
"""The terminals and payers of whom a scope's limit is not used up by ATM-1 paying for payer 1."""
TEN = rub("10")


def set_limit(books: Books, scope: Scope = Scope.DEALER, **given: int | None) -> None:
    limit = Limit(scope, OWNER[scope], "RUB", **given)
    books.store.write(lambda connection: limits.set_limit(connection, limit))


class Payments:
    """Payments of 10.00, each under a new reference."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.number = 0

    def __call__(self, terminal: str = "ATM-1", payer: int = 1, amount: Money = TEN) -> ResultCode:
        self.number += 1
        asked = RegisterPayment(f"N{self.number}", by_phone(payer), amount, START)
        return self.books.call(register_payment, asked, terminal).result

    def cancel(self, number: int, terminal: str = "ATM-1") -> ResultCode:
        asked = CancelPayment(rub("10"), CancelReason.OTHER, reference=f"N{number}")
        return self.books.call(cancel_payment, asked, terminal).result


@pytest.fixture
def pay(books: Books) -> Payments:
    return Payments(books)


@pytest.mark.parametrize("scope", Scope)
@pytest.mark.parametrize("given", [{"day_count_max": 2}, {"day_amount_max_minor": 20_00}], ids=["count", "amount"])
def test_a_limit_per_day_holds_for_its_scope_and_no_other(
    books: Books, pay: Payments, scope: Scope, given: dict[str, int]
) -> None:
    set_limit(books, scope, **given)
    assert [pay(), pay(), pay()] == [ResultCode.OK, ResultCode.OK, ResultCode.LIMIT_EXCEEDED]
    for terminal, payer in ELSEWHERE[scope]:
        assert pay(terminal, payer) is ResultCode.OK
    euro = books.call(validate_payment, ValidatePayment(by_phone(1), rub("10")))
    assert euro.result is ResultCode.LIMIT_EXCEEDED


@pytest.mark.parametrize("scope", Scope)
@pytest.mark.parametrize("given", [{"day_count_max": 2}, {"day_amount_max_minor": 20_00}], ids=["count", "amount"])
def test_a_cancelled_payment_gives_back_what_it_took(
    books: Books, pay: Payments, scope: Scope, given: dict[str, int]
) -> None:
    set_limit(books, scope, **given)
    assert [pay(), pay(), pay()] == [ResultCode.OK, ResultCode.OK, ResultCode.LIMIT_EXCEEDED]
    assert pay.cancel(1, "ATM-2") is ResultCode.OK  # at another terminal: it is given back where it was taken
    assert pay.cancel(1) is ResultCode.OK  # repeated: only once
    assert pay.cancel(3) is ResultCode.OK  # declined: nothing to give back
    assert [pay(), pay()] == [ResultCode.OK, ResultCode.LIMIT_EXCEEDED]


def test_a_payment_made_before_the_limit_gives_nothing_back(books: Books, pay: Payments) -> None:
    pay()
    set_limit(books, day_count_max=1)
    assert pay() is ResultCode.OK
    assert pay.cancel(1) is ResultCode.OK
    assert pay() is ResultCode.LIMIT_EXCEEDED


def test_a_cancellation_on_the_next_day_gives_nothing_to_the_next_day(books: Books, pay: Payments) -> None:
    books.terminals["ATM-1"] = replace(books.terminals["ATM-1"], cancel_rule="ALWAYS")
    set_limit(books, day_count_max=1)
    assert pay() is ResultCode.OK
    books.now += timedelta(days=1)
    assert pay.cancel(1) is ResultCode.OK
    assert [pay(), pay()] == [ResultCode.OK, ResultCode.LIMIT_EXCEEDED]


def test_the_day_is_the_dealers(books: Books, pay: Payments) -> None:
    set_limit(books, day_count_max=1)
    books.now = datetime(2026, 3, 1, 20, 59, 58, tzinfo=UTC)
    assert [pay(), pay()] == [ResultCode.OK, ResultCode.LIMIT_EXCEEDED]
    books.now = datetime(2026, 3, 1, 21, 0, tzinfo=UTC)  # midnight in Moscow
    assert [pay(), pay()] == [ResultCode.OK, ResultCode.LIMIT_EXCEEDED]


def test_the_narrowest_of_all_amounts_decides(books: Books, pay: Payments) -> None:
    set_limit(books, Scope.DEALER, amount_min_minor=5_00, amount_max_minor=1_000_00)
    set_limit(books, Scope.TERMINAL, amount_min_minor=10_00)
    set_limit(books, Scope.PAYER, amount_max_minor=20_00)
    known = books.call(validate_payment, ValidatePayment(by_phone(1), rub("15")))
    assert (known.amount_min, known.amount_max) == (rub("10"), rub("20"))
    assert [pay(amount=rub(amount)) for amount in ("9.99", "10", "20", "20.01")] == [
        ResultCode.AMOUNT_TOO_SMALL,
        ResultCode.OK,
        ResultCode.OK,
        ResultCode.AMOUNT_TOO_LARGE,
    ]


def test_a_limit_that_is_set_again_replaces_the_first_and_keeps_its_count(books: Books, pay: Payments) -> None:
    set_limit(books, day_count_max=1)
    assert [pay(), pay()] == [ResultCode.OK, ResultCode.LIMIT_EXCEEDED]
    set_limit(books, day_count_max=2)
    assert [pay(), pay()] == [ResultCode.OK, ResultCode.LIMIT_EXCEEDED]
    set_limit(books)
    assert pay() is ResultCode.OK
    with books.store.read() as connection:
        assert limits.list_limits(connection) == [Limit(Scope.DEALER, "BANK", "RUB")]


def test_a_repetition_is_not_counted(books: Books, pay: Payments) -> None:
    set_limit(books, day_count_max=2)
    asked = RegisterPayment("same", by_phone(1), rub("10"), START)
    assert {books.call(register_payment, asked).result for _ in range(5)} == {ResultCode.OK}
    assert [pay(), pay()] == [ResultCode.OK, ResultCode.LIMIT_EXCEEDED]
