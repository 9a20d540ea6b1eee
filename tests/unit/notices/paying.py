"""Payments that queue notices, in the books of the unit tests."""

from contextlib import suppress
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from ulid import ULID

from bankapi.billing.payers import PayerKey
from bankapi.notices.outbox import Outbox
from bankapi.notices.tables import notice_attempts, notices
from bankapi.operations.call import Call
from bankapi.operations.cancel_payment import CancelPayment, CancelReason, PaymentCancellation, cancel_payment
from bankapi.operations.register_payment import PaymentRegistration, RegisterPayment, register_payment
from tests.unit.conftest import Books, by_phone, rub

FIRST = by_phone(1)
OUTBOX = Outbox("en", timedelta(hours=72))


def pay(
    books: Books, reference: str, payer: PayerKey = FIRST, *, outbox: Outbox | None = OUTBOX
) -> PaymentRegistration:
    books.now += timedelta(milliseconds=1)
    asked = RegisterPayment(reference, payer, rub("100"), books.now)
    return books.store.write(lambda c: register_payment(_call(books, c, outbox), asked))


def cancel(books: Books, reference: str) -> PaymentCancellation:
    books.now += timedelta(milliseconds=1)
    asked = CancelPayment(rub("100"), CancelReason.CUSTOMER_REQUEST, reference=reference)
    return books.store.write(lambda c: cancel_payment(_call(books, c, OUTBOX), asked))


def _call(books: Books, connection: Any, outbox: Outbox | None) -> Call:
    return Call(connection, books.terminals["ATM-1"], books.now, "en", str(ULID()), outbox)


def rows(books: Books) -> list[Any]:
    """All notices, in the order they were queued."""
    with books.store.read() as connection:
        return list(connection.execute(select(notices).order_by(notices.c.created_at, notices.c.id)).all())


def verdicts(books: Books) -> list[str]:
    """How all attempts ended, in order."""
    with books.store.read() as connection:
        return list(connection.execute(select(notice_attempts.c.verdict).order_by(notice_attempts.c.id)).scalars())


def pay_in_vain(books: Books, reference: str) -> None:
    """A registration whose transaction does not end well."""

    def work(connection: Any) -> None:
        register_payment(_call(books, connection, OUTBOX), RegisterPayment(reference, FIRST, rub("100"), books.now))
        raise RuntimeError("the answer could not be signed")

    with suppress(RuntimeError):
        books.store.write(work)
