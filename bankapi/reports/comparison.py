"""Comparing a register with the books: every row of it, and everything it should have had, in one pass each.

The database classifies, and gives back only what differs. A row has one difference at most, the first that applies:

    DUPLICATE       a second or further row of one reference; the first is classified by itself
    MISSING_HERE    we know nothing of the reference
    AMOUNT_DIFFERS  amount or currency
    (a match)       the dealer says CANCELLED, we declined or voided it: nothing stands on either side, on any day
    STATUS_DIFFERS  the state at the end of the day
    OTHER_DAY       the reference is ours, but had no event on this day

and what we have without a row is MISSING_THERE.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, case, func, null, or_, select

from bankapi.billing.money import Money
from bankapi.billing.payments import Disposition
from bankapi.billing.tables import cancellations, payments, terminals
from bankapi.reports.expected import OUR_SIDE, expected
from bankapi.reports.register_tables import register_parts, register_rows
from bankapi.reports.registers import Register, RowStatus
from bankapi.storage.rows import stream


class DifferenceKind(StrEnum):
    """In what way the two sides differ."""

    DUPLICATE = "DUPLICATE"
    MISSING_HERE = "MISSING_HERE"
    AMOUNT_DIFFERS = "AMOUNT_DIFFERS"
    STATUS_DIFFERS = "STATUS_DIFFERS"
    OTHER_DAY = "OTHER_DAY"
    MISSING_THERE = "MISSING_THERE"


@dataclass(frozen=True, slots=True)
class Side:
    """What one side has of a reference; None where it does not know."""

    status: str
    """REGISTERED or CANCELLED; on our side also DECLINED or VOIDED."""
    amount: Money | None
    business_on: date
    """Theirs is the register's day, ours the day of the event that led to the status."""
    occurred_at: datetime | None
    terminal: str | None
    payment_id: str | None


@dataclass(frozen=True, slots=True)
class Difference:
    """One reference on which the two sides differ."""

    number: int
    """From 1 on, in the order of the result."""
    kind: DifferenceKind
    row_number: int | None
    """Which row of the register, from 1 on."""
    reference: str
    theirs: Side | None
    ours: Side | None


_NOTHING_STANDS: Final = (Disposition.DECLINED, Disposition.VOIDED)


def compare(connection: Connection, register: Register) -> Iterator[Difference]:
    """The differences: rows of the register in their order, then what it lacks in the order it happened.

    Memory does not depend on how many there are.
    """
    day = register.announced.business_on
    rows_before = _rows_before(connection, register)
    number = 0
    for row in stream(connection, differing_rows(register)):
        number += 1
        ours = None if row.our_status is None else our_side(row)
        row_number = rows_before[row.part] + row.number
        yield Difference(number, DifferenceKind(row.kind), row_number, row.reference, their_side(row, day), ours)
    for query in missing_rows(register):
        for row in stream(connection, query):
            number += 1
            yield Difference(number, DifferenceKind.MISSING_THERE, None, row.reference, None, our_side(row))


def their_side(row: Row[Any], day: date) -> Side:
    """The dealer's side, from a row with columns named so."""
    amount = Money(row.their_amount_minor, row.their_currency)
    return Side(row.their_status, amount, day, row.their_occurred_at, row.their_terminal, row.their_payment_id)


def our_side(row: Row[Any]) -> Side:
    """Our side, from a row with columns named so."""
    amount = None if row.our_amount_minor is None else Money(row.our_amount_minor, row.our_currency)
    return Side(row.our_status, amount, row.our_business_on, row.our_occurred_at, row.our_terminal, row.our_payment_id)


def differing_rows(register: Register) -> Select[Any]:
    """The query for the register's rows that differ, with both sides."""
    day = register.announced.business_on
    theirs = _numbered_rows(register).subquery("theirs")
    our_status, *our_rest = OUR_SIDE
    is_known = payments.c.id.is_not(None)
    has_event = or_(
        and_(payments.c.disposition == Disposition.REGISTERED, payments.c.business_on == day),
        and_(cancellations.c.id.is_not(None), cancellations.c.business_on == day),
    )
    amount_differs = and_(
        payments.c.amount_minor.is_not(None),
        or_(payments.c.amount_minor != theirs.c.their_amount_minor, payments.c.currency != theirs.c.their_currency),
    )
    is_nothing_twice = and_(payments.c.disposition.in_(_NOTHING_STANDS), theirs.c.their_status == RowStatus.CANCELLED)
    kind: ColumnElement[Any] = case(
        (theirs.c.occurrence > 1, DifferenceKind.DUPLICATE),
        (~is_known, DifferenceKind.MISSING_HERE),
        (amount_differs, DifferenceKind.AMOUNT_DIFFERS),
        (is_nothing_twice, null()),
        (our_status != theirs.c.their_status, DifferenceKind.STATUS_DIFFERS),
        (~has_event, DifferenceKind.OTHER_DAY),
        else_=null(),
    )
    return (
        select(
            kind.label("kind"),
            theirs,
            case((is_known, our_status), else_=null()).label("our_status"),
            *our_rest,
        )
        .select_from(theirs)
        .outerjoin(
            payments,
            (payments.c.dealer_id == register.dealer_id) & (payments.c.reference == theirs.c.reference),
        )
        .outerjoin(cancellations, (cancellations.c.payment_id == payments.c.id) & (cancellations.c.business_on <= day))
        .outerjoin(terminals, terminals.c.id == payments.c.terminal_id)
        .where(kind.is_not(None))
        .order_by(theirs.c.part, theirs.c.number)
    )


def missing_rows(register: Register) -> tuple[Select[Any], Select[Any]]:
    """The queries for what the register should have had."""
    has_row = (
        select(register_rows.c.number)
        .where(register_rows.c.register_id == register.id, register_rows.c.reference == payments.c.reference)
        .correlate(payments)
        .exists()
    )
    registered, cancelled = expected(register.dealer_id, register.announced.business_on)
    return registered.where(~has_row), cancelled.where(~has_row)


def _numbered_rows(register: Register) -> Select[Any]:
    """The register's rows, each with how many rows of its reference there are up to it."""
    rows = register_rows.c
    up_to = func.row_number().over(partition_by=rows.reference, order_by=(rows.part, rows.number))
    return select(
        rows.part,
        rows.number,
        rows.reference,
        rows.status.label("their_status"),
        rows.amount_minor.label("their_amount_minor"),
        rows.currency.label("their_currency"),
        rows.occurred_at.label("their_occurred_at"),
        rows.terminal.label("their_terminal"),
        rows.payment_id.label("their_payment_id"),
        up_to.label("occurrence"),
    ).where(rows.register_id == register.id)


def _rows_before(connection: Connection, register: Register) -> dict[int, int]:
    """How many rows the parts before each part have. A join would look through all parts for every row."""
    parts = register_parts.c
    query = select(parts.part, parts.row_count).where(parts.register_id == register.id).order_by(parts.part)
    before, total = {}, 0
    for part, row_count in connection.execute(query):
        before[part] = total
        total += row_count
    return before
