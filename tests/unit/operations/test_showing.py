"""GetBalance, GetMiniStatement and ValidatePayment: what a payer's number shows, and to whom."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from bankapi.billing import customers, rates
from bankapi.billing.harvesting import WINDOW
from bankapi.billing.ledger import TransactionKind
from bankapi.billing.money import Money
from bankapi.billing.payers import PayerKey, PayerKind, ServiceStatus
from bankapi.operations.cancel_payment import CancelPayment, CancelReason, cancel_payment
from bankapi.operations.get_balance import GetBalance, get_balance
from bankapi.operations.get_mini_statement import GetMiniStatement, get_mini_statement
from bankapi.operations.register_payment import RegisterPayment, register_payment
from bankapi.operations.validate_payment import VALIDATION_LIFE, ValidatePayment, validate_payment
from bankapi.refusals import ResultCode
from tests.unit.conftest import START, Books, by_phone, rub

PAY = RegisterPayment("R1", by_phone(1), rub("100"), START)
EVERY_KIND = (
    by_phone(5),
    PayerKey(PayerKind.ACCOUNT_NUMBER, "A5"),
    PayerKey(PayerKind.CUSTOMER_NUMBER, "C5"),
)
UNKNOWN = by_phone(999)


def open_account(books: Books, number: int, **named: Any) -> None:
    known = {"name": "Ivan Petrov", "currency": "RUB", "msisdns": (by_phone(number).value,)} | named
    books.store.write(
        lambda connection: customers.add_customer(
            connection,
            customer_number=f"C{number}",
            account_number=f"A{number}",
            now=START,
            business_on=START.date(),
            **known,
        )
    )


def charge(books: Books, number: int, amount: str) -> None:
    def work(connection: Any) -> None:
        account = customers.find_account(connection, by_phone(number))
        assert account is not None
        customers.charge(connection, account, rub(amount), now=books.now, business_on=books.now.date())

    books.store.write(work)


def status_of(books: Books, number: int) -> ServiceStatus | None:
    return books.call(get_balance, GetBalance(by_phone(number))).service_status


@pytest.mark.parametrize(
    ("opening", "limit", "available", "due"),
    [
        (0, 0, "0", "0"),
        (5_00, 0, "5", "0"),
        (-5_00, 0, "0", "5"),
        (-5_00, 20_00, "15", "5"),
        (-30_00, 20_00, "0", "30"),
    ],
)
@pytest.mark.parametrize("payer", EVERY_KIND, ids=lambda payer: payer.kind)
def test_a_balance_sheet_says_what_there_is_and_what_is_owed(
    books: Books, payer: PayerKey, opening: int, limit: int, available: str, due: str
) -> None:
    open_account(books, 5, opening_balance_minor=opening, credit_limit_minor=limit)
    sheet = books.call(get_balance, GetBalance(payer))
    assert (sheet.result, sheet.as_of) == (ResultCode.OK, books.now)
    assert (sheet.balance, sheet.credit_limit) == (Money(opening, "RUB"), Money(limit, "RUB"))
    assert (sheet.available, sheet.due) == (rub(available), rub(due))


@pytest.mark.parametrize("payer", EVERY_KIND, ids=lambda payer: payer.kind)
def test_a_mini_statement_has_the_last_ten_lines_each_with_the_balance_after_it(books: Books, payer: PayerKey) -> None:
    open_account(books, 5, opening_balance_minor=10_00)
    for n in range(12):
        books.call(register_payment, replace(PAY, reference=f"R{n}", payer=payer, amount=rub("100")))
    books.call(cancel_payment, CancelPayment(rub("100"), CancelReason.OTHER, reference="R11"))
    charge(books, 5, "0.50")
    statement = books.call(get_mini_statement, GetMiniStatement(payer))
    assert (statement.result, statement.balance) == (ResultCode.OK, rub("1109.50"))
    assert [line.kind for line in statement.lines[:3]] == ["CHARGE", "CANCELLATION", "PAYMENT"]
    assert [line.amount for line in statement.lines[:3]] == [rub("-0.50"), rub("-100"), rub("100")]
    assert len(statement.lines) == 10
    assert statement.lines[0].balance == statement.balance
    for newer, older in zip(statement.lines, statement.lines[1:], strict=False):
        assert newer.balance == older.balance + newer.amount


def test_a_new_account_has_an_empty_statement_and_an_opened_one_its_first_line(books: Books) -> None:
    assert books.call(get_mini_statement, GetMiniStatement(by_phone(1))).lines == ()
    open_account(books, 5, opening_balance_minor=-7_00)
    (line,) = books.call(get_mini_statement, GetMiniStatement(by_phone(5))).lines
    assert (line.kind, line.amount, line.balance) == (TransactionKind.OPENING, rub("-7"), rub("-7"))


def test_a_payment_that_restores_the_balance_lifts_a_suspension(books: Books) -> None:
    books.call(register_payment, replace(PAY, payer=by_phone(2), amount=rub("99.99")))
    assert status_of(books, 2) is ServiceStatus.SUSPENDED
    books.call(register_payment, replace(PAY, reference="R2", payer=by_phone(2), amount=rub("1")))
    assert status_of(books, 2) is ServiceStatus.ACTIVE


@pytest.mark.parametrize(("cancelled", "amount"), [("R1", "99.99"), ("R2", "1")])
def test_cancelling_either_payment_of_a_lifted_suspension_brings_it_back(
    books: Books, cancelled: str, amount: str
) -> None:
    for reference, paid in (("R1", "99.99"), ("R2", "1")):
        books.call(register_payment, replace(PAY, reference=reference, payer=by_phone(2), amount=rub(paid)))
    cancel = CancelPayment(rub(amount), CancelReason.OTHER, reference=cancelled)
    assert books.call(cancel_payment, cancel).result is ResultCode.OK
    assert status_of(books, 2) is ServiceStatus.SUSPENDED
    books.call(register_payment, replace(PAY, reference="R3", payer=by_phone(2), amount=rub("100")))
    assert status_of(books, 2) is ServiceStatus.ACTIVE


def test_a_payment_after_the_lifting_had_no_part_in_it(books: Books) -> None:
    books.call(register_payment, replace(PAY, payer=by_phone(2)))
    charge(books, 2, "100")
    books.call(register_payment, replace(PAY, reference="R2", payer=by_phone(2), amount=rub("30")))
    cancel = CancelPayment(rub("30"), CancelReason.OTHER, reference="R2")
    assert books.call(cancel_payment, cancel).result is ResultCode.OK
    assert (books.balance(by_phone(2)), status_of(books, 2)) == (rub("-100"), ServiceStatus.ACTIVE)


def test_a_credit_limit_counts_for_a_suspension(books: Books) -> None:
    open_account(
        books, 5, service_status=ServiceStatus.SUSPENDED, opening_balance_minor=-50_00, credit_limit_minor=30_00
    )
    books.call(register_payment, replace(PAY, payer=by_phone(5), amount=rub("20")))
    assert status_of(books, 5) is ServiceStatus.ACTIVE


def test_cancelling_lifts_no_suspension_and_suspends_nobody_else(books: Books) -> None:
    books.call(register_payment, PAY)
    books.store.write(lambda connection: customers.set_service_status(connection, "A1", ServiceStatus.SUSPENDED))
    cancel = CancelPayment(rub("100"), CancelReason.OTHER, reference="R1")
    assert books.call(cancel_payment, cancel).result is ResultCode.OK
    assert status_of(books, 1) is ServiceStatus.SUSPENDED
    books.store.write(lambda connection: customers.set_service_status(connection, "A2", ServiceStatus.ACTIVE))
    books.call(register_payment, replace(PAY, reference="R2", payer=by_phone(2), amount=rub("100")))
    books.call(cancel_payment, replace(cancel, reference="R2"))
    assert (books.balance(by_phone(2)), status_of(books, 2)) == (rub("-100"), ServiceStatus.ACTIVE)


@pytest.mark.parametrize(
    ("operation", "asked"),
    [
        (get_balance, GetBalance(UNKNOWN)),
        (get_mini_statement, GetMiniStatement(UNKNOWN)),
        (validate_payment, ValidatePayment(UNKNOWN, rub("100"))),
    ],
)
def test_who_tries_numbers_out_gets_no_more_answers_until_the_window_has_passed(
    books: Books, operation: Any, asked: Any
) -> None:
    books.terminals["ATM-1"] = replace(books.terminals["ATM-1"], misses_max=3)
    known = replace(asked, payer=by_phone(1))
    for _ in range(3):
        assert books.call(operation, asked).result is ResultCode.PAYER_NOT_FOUND
        books.now += timedelta(minutes=1)
    assert books.call(operation, known).result is ResultCode.LIMIT_EXCEEDED
    assert books.call(operation, asked).result is ResultCode.LIMIT_EXCEEDED
    assert books.call(operation, known, "ATM-2").result is ResultCode.OK
    assert books.call(register_payment, PAY).result is ResultCode.OK  # paying is not asking
    books.now += WINDOW - timedelta(minutes=3)  # the first miss has left the window, one more is allowed
    assert books.call(operation, known).result is ResultCode.OK
    assert books.call(operation, asked).result is ResultCode.PAYER_NOT_FOUND
    assert books.call(operation, known).result is ResultCode.LIMIT_EXCEEDED


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Ivan Petrov", "I*** P."),
        ("Мария Ивановна Петрова", "М*** И. П."),
        ("Madonna", "M***"),
        ("X", "X***"),
        ("  Ivan   Petrov  ", "I*** P."),
        ("李 小龍", "李*** 小."),
        ("Anna-Maria O'Neil", "A*** O."),
        ("", None),
        (" ", None),
    ],
)
def test_a_name_is_masked_to_initials(books: Books, name: str, shown: str | None) -> None:
    open_account(books, 5, name=name)
    assert books.call(validate_payment, ValidatePayment(by_phone(5), rub("10"))).payer_name == shown


def test_a_name_is_whole_where_the_agreement_says_so(books: Books) -> None:
    books.terminals["ATM-1"] = replace(books.terminals["ATM-1"], names_unmasked=True)
    assert books.call(validate_payment, ValidatePayment(by_phone(1), rub("10"))).payer_name == "Ivan Petrov"


def test_a_validation_promises_its_rate_to_that_payment_for_that_long(books: Books) -> None:
    def set_rate(rate: str) -> None:
        books.store.write(lambda connection: rates.add_rate(connection, "EUR", "RUB", Decimal(rate), books.now))

    euro = Money(10_00, "EUR")
    set_rate("90")
    promised = books.call(validate_payment, ValidatePayment(by_phone(1), euro))
    assert (promised.credited, promised.rate) == (rub("900"), Decimal(90))
    assert promised.valid_until == books.now + VALIDATION_LIFE
    until = promised.valid_until
    books.now += timedelta(minutes=1)
    set_rate("80")
    pay = replace(PAY, amount=euro, validation_id=promised.validation_id)
    credited = {
        "promised": books.call(register_payment, pay).credited,
        "other amount": books.call(register_payment, replace(pay, reference="R2", amount=Money(20_00, "EUR"))).credited,
        "other payer": books.call(register_payment, replace(pay, reference="R3", payer=by_phone(2))).credited,
        "not asked for": books.call(register_payment, replace(pay, reference="R4", validation_id=None)).credited,
    }
    assert credited == {
        "promised": rub("900"),
        "other amount": rub("1600"),
        "other payer": rub("800"),
        "not asked for": rub("800"),
    }
    books.now = until - timedelta(milliseconds=1)
    assert books.call(register_payment, replace(pay, reference="R5")).credited == rub("900")
    assert books.call(register_payment, replace(pay, reference="R6")).credited == rub("800")
