"""Payments over several business days, and registers that dealers make of them."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from bankapi.billing.money import Money
from bankapi.billing.terminals import CancelRule
from bankapi.operations.cancel_payment import CancelPayment, CancelReason, cancel_payment
from bankapi.operations.register_payment import RegisterPayment, register_payment
from bankapi.refusals import ResultCode
from bankapi.reports import reconciliation, registers
from bankapi.reports.comparison import Difference, DifferenceKind
from bankapi.reports.reconciliation import Reconciliation
from bankapi.reports.registers import (
    PART_ROWS_MAX,
    Announcement,
    RegisterRow,
    RegisterState,
    RowStatus,
    Submission,
    Totals,
    totals_of,
)
from tests.unit.conftest import START, Books, by_phone, rub

DAY = START.date()
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what does not depend on the database: every one of them takes time."""
REGISTERED, CANCELLED = RowStatus.REGISTERED, RowStatus.CANCELLED


def at(day: int) -> datetime:
    """Noon in Moscow, so many days after the first."""
    return START + timedelta(days=day)


def on(day: int) -> date:
    return DAY + timedelta(days=day)


def cancel_always(books: Books) -> None:
    for name, terminal in books.terminals.items():
        books.terminals[name] = replace(terminal, cancel_rule=CancelRule.ALWAYS)


def pay(books: Books, reference: str, amount: str = "100", *, day: int = 0, terminal: str = "ATM-1") -> None:
    books.now = at(day)
    asked = RegisterPayment(reference, by_phone(1), rub(amount), books.now)
    assert books.call(register_payment, asked, terminal).result is ResultCode.OK


def decline(books: Books, reference: str, amount: str = "100", *, day: int = 0) -> None:
    books.now = at(day)
    asked = RegisterPayment(reference, by_phone(3), rub(amount), books.now)
    assert books.call(register_payment, asked).result is ResultCode.PAYER_BLOCKED


def cancel(books: Books, reference: str, amount: str = "100", *, day: int = 0) -> None:
    """A reference that was never registered is voided."""
    books.now = at(day)
    asked = CancelPayment(rub(amount), CancelReason.OTHER, reference=reference)
    assert books.call(cancel_payment, asked).result is ResultCode.OK


def row(reference: str, status: RowStatus = REGISTERED, amount: str = "100", currency: str = "RUB") -> RegisterRow:
    return RegisterRow(reference, status, Money.from_decimal(Decimal(amount), currency))


def submit(
    books: Books,
    rows: Sequence[RegisterRow],
    *,
    reference: str = "R-1",
    day: int = 0,
    part: int = 1,
    parts: int = 1,
    totals: Totals | None = None,
) -> Submission:
    """One part; the totals are those of its own rows unless others are given."""
    announced = Announcement(reference, on(day), parts, totals or totals_of(rows))
    dealer_id = books.terminals["ATM-1"].dealer_id
    return books.store.write(
        lambda connection: registers.submit_part(connection, dealer_id, announced, part, rows, now=books.now)
    )


def accepted(books: Books, rows: Iterable[RegisterRow], *, reference: str = "R-1", day: int = 0) -> str:
    """A whole register, in as many parts as it takes; returns its id."""
    every = list(rows)
    cut = [every[first : first + PART_ROWS_MAX] for first in range(0, len(every), PART_ROWS_MAX)] or [[]]
    for part, some in enumerate(cut, 1):
        done = submit(books, some, reference=reference, day=day, part=part, parts=len(cut), totals=totals_of(every))
    assert done.register is not None
    assert done.register.state is RegisterState.ACCEPTED
    return done.register.id


def reconciled(books: Books, rows: Iterable[RegisterRow], *, reference: str = "R-1", day: int = 0) -> Reconciliation:
    return reconciliation.reconcile(books.store, accepted(books, rows, reference=reference, day=day), books.now)


def found(books: Books, result: Reconciliation) -> list[Difference]:
    with books.store.read() as connection:
        return list(reconciliation.differences(connection, result))


def kinds(books: Books, rows: Iterable[RegisterRow], *, reference: str = "R-1", day: int = 0) -> list[tuple[str, str]]:
    """Kind and reference of each difference, in order; the counts agree with them."""
    result = reconciled(books, rows, reference=reference, day=day)
    differences = found(books, result)
    counted = {kind: sum(each.kind is kind for each in differences) for kind in DifferenceKind}
    assert counted == result.counts
    return [(each.kind.value, each.reference) for each in differences]
