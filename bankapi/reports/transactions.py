"""The transaction report: every event of a dealer's payments, by business day and in the order they happened.

An event is a fact: a payment that was registered and cancelled is two of them, each on its own business day. So the
report of a closed day never changes.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, Select, func, select, tuple_

from bankapi.billing.money import Money
from bankapi.billing.payments import Disposition
from bankapi.billing.tables import cancellations, payments, terminals
from bankapi.billing.terminals import Scheme
from bankapi.storage.rows import stream


class Event(StrEnum):
    """What happened to a payment."""

    REGISTERED = "REGISTERED"
    DECLINED = "DECLINED"
    CANCELLED = "CANCELLED"
    VOIDED = "VOIDED"


class Position(NamedTuple):
    """Where an event stands in a dealer's report; events sort by it, and no two have the same."""

    business_on: date
    event_id: str
    """The id of the payment or of the cancellation: a ULID, so that it sorts by time."""


class Transaction(NamedTuple):
    """One event. Amounts are of the payment, whatever happened to it; a voided reference has none."""

    position: Position
    occurred_at: datetime
    event: Event
    payment_id: str
    reference: str
    terminal: str
    """Where it happened: a payment may be cancelled at another terminal than it was made at."""
    scheme: Scheme
    payer_kind: str | None
    payer: str | None
    amount: Money | None
    credited: Money | None
    rate: Decimal | None
    fee: Money | None
    """What the dealer took on top of the amount, as it said."""
    result: str
    """Why it was declined."""
    cancel_reason: str | None
    rrn: str | None


@dataclass(frozen=True, slots=True)
class Selection:
    """Which events: of one dealer, of business days from the first to the last, both included."""

    dealer_id: int
    first_on: date
    last_on: date
    terminal: str | None = None
    scheme: Scheme | None = None
    currency: str | None = None
    events: frozenset[Event] = frozenset(Event)


_FACTS: Final = (
    payments.c.id.label("payment_id"),
    payments.c.reference,
    terminals.c.name.label("terminal"),
    payments.c.scheme,
    payments.c.payer_kind,
    payments.c.payer_value,
    payments.c.amount_minor,
    payments.c.currency,
    payments.c.credited_minor,
    payments.c.credited_currency,
    payments.c.rate,
    payments.c.fee_minor,
    payments.c.fee_currency,
    payments.c.result,
    payments.c.rrn,
)


def transactions(
    connection: Connection, selection: Selection, *, after: Position | None = None, most: int | None = None
) -> Iterator[Transaction]:
    """The selected events in order, from the one after a position on. Memory does not depend on how many there are.

    Whoever pages through sees everything that was booked before the first page, each event once. What is booked
    meanwhile, on a day that is not closed, may or may not come.
    """
    sources = []
    if selection.events - {Event.CANCELLED}:
        sources.append(map(_decided, stream(connection, _decisions(selection, after, most))))
    if Event.CANCELLED in selection.events:
        sources.append(map(_cancelled, stream(connection, _cancellations(selection, after, most))))
    found = heapq.merge(*sources, key=lambda transaction: transaction.position)
    return found if most is None else (each for each, _ in zip(found, range(most), strict=False))


def event_counts(connection: Connection, selection: Selection) -> dict[Event, int]:
    """How many of each event are selected."""
    found: dict[Event, int] = {}
    if selection.events - {Event.CANCELLED}:
        decisions = _decisions(selection, None, None).order_by(None)
        counted = decisions.with_only_columns(payments.c.disposition, func.count()).group_by(payments.c.disposition)
        found |= {Event(event): count for event, count in connection.execute(counted)}
    if Event.CANCELLED in selection.events:
        cancelled = _cancellations(selection, None, None).order_by(None).with_only_columns(func.count())
        found[Event.CANCELLED] = connection.execute(cancelled).scalar_one()
    return found


def _decisions(selection: Selection, after: Position | None, most: int | None) -> Select[Any]:
    query = (
        select(
            payments.c.business_on,
            payments.c.id.label("event_id"),
            payments.c.decided_at.label("occurred_at"),
            payments.c.disposition,
            *_FACTS,
        )
        .join_from(payments, terminals, terminals.c.id == payments.c.terminal_id)
        .where(payments.c.dealer_id == selection.dealer_id)
    )
    wanted = selection.events - {Event.CANCELLED}
    if len(wanted) < len(Disposition):
        query = query.where(payments.c.disposition.in_(sorted(wanted)))
    return _selected(query, payments, selection, after, most)


def _cancellations(selection: Selection, after: Position | None, most: int | None) -> Select[Any]:
    query = (
        select(
            cancellations.c.business_on,
            cancellations.c.id.label("event_id"),
            cancellations.c.cancelled_at.label("occurred_at"),
            cancellations.c.reason,
            *_FACTS,
        )
        .join_from(cancellations, payments, payments.c.id == cancellations.c.payment_id)
        .join(terminals, terminals.c.id == cancellations.c.terminal_id)
        .where(cancellations.c.dealer_id == selection.dealer_id)
    )
    return _selected(query, cancellations, selection, after, most)


def _selected(
    query: Select[Any], events: Any, selection: Selection, after: Position | None, most: int | None
) -> Select[Any]:
    first_on = selection.first_on if after is None else max(selection.first_on, after.business_on)
    query = query.where(events.c.business_on.between(first_on, selection.last_on))
    if after is not None:
        query = query.where(tuple_(events.c.business_on, events.c.id) > tuple_(*after))
    for column, value in (
        (terminals.c.name, selection.terminal),
        (payments.c.scheme, selection.scheme),
        (payments.c.currency, selection.currency),
    ):
        if value is not None:
            query = query.where(column == value)
    return query.order_by(events.c.business_on, events.c.id).limit(most)


def _decided(row: Row[Any]) -> Transaction:
    business_on, event_id, occurred_at, disposition, *facts = tuple(row)
    return _transaction(Position(business_on, event_id), occurred_at, Event(disposition), None, *facts)


def _cancelled(row: Row[Any]) -> Transaction:
    business_on, event_id, occurred_at, reason, *facts = tuple(row)
    return _transaction(Position(business_on, event_id), occurred_at, Event.CANCELLED, reason, *facts)


def _transaction(
    position: Position, occurred_at: datetime, event: Event, cancel_reason: str | None, /, *facts: Any
) -> Transaction:
    payment_id, reference, terminal, scheme, payer_kind, payer, amount, currency, *more = facts
    credited, credited_currency, rate, fee, fee_currency, result, rrn = more
    return Transaction(
        position,
        occurred_at,
        event,
        payment_id,
        reference,
        terminal,
        Scheme(scheme),
        payer_kind,
        payer,
        None if amount is None else Money(amount, currency),
        None if credited is None else Money(credited, credited_currency),
        rate,
        None if fee is None else Money(fee, fee_currency),
        result,
        cancel_reason,
        rrn,
    )
