"""What a dealer's register of a business day must hold: our side of it.

Every reference with an event on that day, registered or cancelled, with its state at the end of the day. What was
declined or voided is no event: nothing of it ever stood.
"""

from collections.abc import Iterator
from datetime import date
from typing import Any, Final

from sqlalchemy import Connection, Select, case, select

from bankapi.billing.money import Money
from bankapi.billing.payments import Disposition
from bankapi.billing.tables import cancellations, payments, terminals
from bankapi.reports.registers import RegisterRow, RowStatus
from bankapi.storage.rows import stream

OUR_SIDE: Final = (
    case((cancellations.c.id.is_not(None), RowStatus.CANCELLED), else_=payments.c.disposition).label("our_status"),
    payments.c.amount_minor.label("our_amount_minor"),
    payments.c.currency.label("our_currency"),
    # The event that led to this state.
    case((cancellations.c.id.is_not(None), cancellations.c.business_on), else_=payments.c.business_on).label(
        "our_business_on"
    ),
    case((cancellations.c.id.is_not(None), cancellations.c.cancelled_at), else_=payments.c.decided_at).label(
        "our_occurred_at"
    ),
    terminals.c.name.label("our_terminal"),
    payments.c.id.label("our_payment_id"),
)
"""A payment at the end of a day, joined with its cancellation if that had come by then, and with its terminal."""


def expected(dealer_id: int, day: date) -> tuple[Select[Any], Select[Any]]:
    """Queries for the references with an event on the day: those registered on it, and older ones cancelled on it."""
    registered = (
        select(payments.c.reference, *OUR_SIDE)
        .join_from(payments, terminals, terminals.c.id == payments.c.terminal_id)
        .outerjoin(cancellations, (cancellations.c.payment_id == payments.c.id) & (cancellations.c.business_on <= day))
        .where(
            payments.c.dealer_id == dealer_id,
            payments.c.business_on == day,
            payments.c.disposition == Disposition.REGISTERED,
        )
        .order_by(payments.c.id)
    )
    cancelled = (
        select(payments.c.reference, *OUR_SIDE)
        .join_from(cancellations, payments, payments.c.id == cancellations.c.payment_id)
        .join(terminals, terminals.c.id == payments.c.terminal_id)
        .where(
            cancellations.c.dealer_id == dealer_id,
            cancellations.c.business_on == day,
            payments.c.business_on != day,
        )
        .order_by(cancellations.c.id)
    )
    return registered, cancelled


def our_register(connection: Connection, dealer_id: int, day: date) -> Iterator[RegisterRow]:
    """Our side as a register of the day; reconciled, it matches. Memory does not depend on how many rows there are."""
    for query in expected(dealer_id, day):
        for row in stream(connection, query):
            amount = Money(row.our_amount_minor, row.our_currency)
            status = RowStatus(row.our_status)
            yield RegisterRow(row.reference, status, amount, row.our_occurred_at, row.our_terminal, row.our_payment_id)
