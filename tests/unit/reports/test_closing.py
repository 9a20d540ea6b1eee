from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError

from bankapi.billing import dealers
from bankapi.billing.ledger import TransactionKind
from bankapi.billing.tables import payments
from bankapi.billing.terminals import CancelRule
from bankapi.operations.cancel_payment import CancelPayment, CancelReason, cancel_payment
from bankapi.operations.register_payment import RegisterPayment, register_payment
from bankapi.refusals import ResultCode
from bankapi.reports import closing, financial
from bankapi.reports.closing import CannotClose
from bankapi.reports.transactions import Event, Selection, transactions
from tests.unit.conftest import START, Books, by_phone, rub

TODAY = date(2026, 3, 1)
TOMORROW = date(2026, 3, 2)


def paid(books: Books, reference: str, amount: str = "100", terminal: str = "ATM-1") -> None:
    asked = RegisterPayment(reference, by_phone(1), rub(amount), books.now)
    assert books.call(register_payment, asked, terminal).result is ResultCode.OK


def dealer_id(books: Books, terminal: str = "ATM-1") -> int:
    return books.terminals[terminal].dealer_id


def events(books: Books, first: date, last: date) -> list[tuple[str, date, Event]]:
    with books.store.read() as connection:
        found = transactions(connection, Selection(dealer_id(books), first, last))
        return [(each.reference, each.position.business_on, each.event) for each in found]


def test_what_comes_after_the_close_belongs_to_the_next_open_day(books: Books) -> None:
    paid(books, "EARLY")
    assert closing.close(books.store, "BANK", TODAY, books.now) == [TODAY]
    paid(books, "LATE")
    assert events(books, TODAY, TODAY) == [("EARLY", TODAY, Event.REGISTERED)]
    assert events(books, TOMORROW, TOMORROW) == [("LATE", TOMORROW, Event.REGISTERED)]


def test_a_payment_of_a_closed_day_is_cancelled_on_an_open_one_and_its_report_stays(books: Books) -> None:
    paid(books, "P")
    books.terminals["ATM-1"] = replace(books.terminals["ATM-1"], cancel_rule=CancelRule.ALWAYS)
    closing.close(books.store, "BANK", TODAY, books.now)
    before = events(books, TODAY, TODAY)
    asked = CancelPayment(rub("100"), CancelReason.OTHER, reference="P")
    assert books.call(cancel_payment, asked).result is ResultCode.OK
    assert events(books, TODAY, TODAY) == before
    assert events(books, TOMORROW, TOMORROW) == [("P", TOMORROW, Event.CANCELLED)]


def test_the_same_business_day_ends_with_its_close(books: Books) -> None:
    paid(books, "P")
    closing.close(books.store, "BANK", TODAY, books.now)
    asked = CancelPayment(rub("100"), CancelReason.OTHER, reference="P")
    assert books.call(cancel_payment, asked).result is ResultCode.CANCEL_WINDOW_CLOSED


def test_closing_twice_closes_once(books: Books) -> None:
    paid(books, "P")
    assert closing.close(books.store, "BANK", TODAY, books.now) == [TODAY]
    assert closing.close(books.store, "BANK", TODAY, books.now) == []
    with books.store.read() as connection:
        (day,) = closing.list_closed(connection, "BANK", 10)
    assert (day.business_on, day.digest is not None) == (TODAY, True)


def test_a_day_that_has_not_begun_and_an_unknown_dealer_cannot_be_closed(books: Books) -> None:
    with pytest.raises(CannotClose, match="has not begun"):
        closing.close(books.store, "BANK", TOMORROW, books.now)
    with pytest.raises(CannotClose, match="no dealer"):
        closing.close(books.store, "NOBODY", TODAY, books.now)


def test_the_day_is_the_dealers_own(books: Books) -> None:
    """At 22:30 in UTC Moscow has the next day already."""
    books.now = datetime(2026, 3, 1, 22, 30, tzinfo=UTC)
    paid(books, "P")
    assert events(books, TODAY, TODAY) == []
    assert closing.close_ended(books.store, books.now, timedelta(hours=1)) == 1  # SHOP's day of its deposit: today
    assert closing.close_ended(books.store, books.now + timedelta(hours=24), timedelta(hours=1)) == 2


def test_the_database_refuses_a_payment_on_a_closed_day(books: Books) -> None:
    paid(books, "P")
    closing.close(books.store, "BANK", TODAY, books.now)
    row = {
        "id": "01KJ0000000000000000000000",
        "dealer_id": dealer_id(books),
        "terminal_id": books.terminals["ATM-1"].id,
        "scheme": "CREDIT_ADJUSTMENT",
        "reference": "LATE",
        "disposition": "VOIDED",
        "result": "REFERENCE_VOIDED",
        "decided_at": START,
        "business_on": TODAY,
        "exchange_id": "01KJ0000000000000000000000",
    }
    with pytest.raises((IntegrityError, DBAPIError), match="the business day is closed"):
        books.store.write(lambda connection: connection.execute(payments.insert(), row))


def test_money_paid_in_after_the_close_belongs_to_the_next_open_day(books: Books) -> None:
    closing.close(books.store, "SHOP", TODAY, books.now)
    books.store.write(
        lambda connection: dealers.pay_in(
            connection, TransactionKind.DEPOSIT, dealer="SHOP", amount=rub("7"), now=books.now
        )
    )
    with books.store.read() as connection:
        asked = (connection, dealer_id(books, "TILL-1"), "SHOP")
        (today,) = financial.balances(*asked, TODAY, TODAY)
        (tomorrow,) = financial.balances(*asked, TOMORROW, TOMORROW)
    assert (today.opening_minor, today.moved.paid_in_minor, today.closing_minor) == (0, 500_00, 500_00)
    assert (tomorrow.opening_minor, tomorrow.moved.paid_in_minor, tomorrow.closing_minor) == (500_00, 7_00, 507_00)


def test_days_nobody_closed_are_closed_with_the_next_one(books: Books) -> None:
    paid(books, "P")
    books.now += timedelta(days=3)
    paid(books, "Q")
    assert len(closing.close(books.store, "BANK", date(2026, 3, 4), books.now)) == 4
    with books.store.read() as connection:
        found = list(financial.lines(connection, dealer_id(books), TODAY, date(2026, 3, 9)))
    assert [(line.key.business_on.day, line.registered_minor) for line in found] == [(1, 100_00), (4, 100_00)]


def test_a_sheet_is_not_kept_when_payments_and_ledger_disagree(books: Books) -> None:
    with books.store.read() as connection:
        lines = financial.worked_out_lines(connection, dealer_id(books), TODAY, TODAY)
        balances = financial.balances(connection, dealer_id(books), "BANK", TODAY, TODAY)
    financial.assert_agree(lines, balances)
    key = financial.LineKey(TODAY, "ATM-1", books.terminals["ATM-1"].scheme, "RUB")
    with pytest.raises(financial.BooksDisagree):
        financial.assert_agree([financial.Line(key, 1, 100_00)], balances)
