"""Payments as the operator's staff look them up: of every dealer, with everything that is known."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Connection, select

from bankapi.billing.ledger import LedgerAccountKind, TransactionKind
from bankapi.billing.money import Money
from bankapi.billing.tables import (
    accounts,
    billing_transactions,
    cancellations,
    customers,
    dealers,
    ledger_accounts,
    payments,
    postings,
    terminals,
)

_cancelled_at = terminals.alias("cancelled_at")
_LINES: Final = (
    select(
        payments,
        dealers.c.name.label("dealer"),
        terminals.c.name.label("terminal"),
        cancellations.c.cancelled_at,
        cancellations.c.reason.label("cancel_reason"),
        _cancelled_at.c.name.label("cancel_terminal"),
        accounts.c.account_number,
        customers.c.name.label("payer_name"),
    )
    .join_from(payments, dealers, dealers.c.id == payments.c.dealer_id)
    .join(terminals, terminals.c.id == payments.c.terminal_id)
    .outerjoin(cancellations, cancellations.c.payment_id == payments.c.id)
    .outerjoin(_cancelled_at, _cancelled_at.c.id == cancellations.c.terminal_id)
    .outerjoin(accounts, accounts.c.id == payments.c.account_id)
    .outerjoin(customers, customers.c.id == accounts.c.customer_id)
)


@dataclass(frozen=True, slots=True)
class Movement:
    """One posting of a payment or of its cancellation."""

    occurred_at: datetime
    kind: TransactionKind
    account: LedgerAccountKind
    owner: str
    amount: Money


def list_payments(
    connection: Connection,
    *,
    dealer: str | None = None,
    terminal: str | None = None,
    first_on: date | None = None,
    last_on: date | None = None,
    most: int,
) -> list[Any]:
    """Settled references with their columns, newest first. The days are business days of each dealer."""
    query = _LINES
    if dealer is not None:
        query = query.where(dealers.c.name == dealer)
    if terminal is not None:
        query = query.where(terminals.c.name == terminal)
    if first_on is not None:
        query = query.where(payments.c.business_on >= first_on)
    if last_on is not None:
        query = query.where(payments.c.business_on <= last_on)
    return list(connection.execute(query.order_by(payments.c.id.desc()).limit(most)))


def find_payment(
    connection: Connection, *, payment_id: str | None = None, dealer: str | None = None, reference: str | None = None
) -> Any | None:
    """One settled reference with its columns: by our id, or by the dealer's reference."""
    if payment_id is not None:
        return connection.execute(_LINES.where(payments.c.id == payment_id)).first()
    return connection.execute(_LINES.where(dealers.c.name == dealer, payments.c.reference == reference)).first()


def movements(connection: Connection, payment_id: str) -> list[Movement]:
    """Every posting that a payment and its cancellation made."""
    query = (
        select(
            billing_transactions.c.occurred_at,
            billing_transactions.c.kind,
            ledger_accounts.c.kind.label("account"),
            ledger_accounts.c.owner,
            postings.c.amount_minor,
            postings.c.currency,
        )
        .join_from(billing_transactions, postings)
        .join(ledger_accounts, ledger_accounts.c.id == postings.c.ledger_account_id)
        .where(billing_transactions.c.payment_id == payment_id)
        .order_by(postings.c.id)
    )
    return [
        Movement(
            row.occurred_at,
            TransactionKind(row.kind),
            LedgerAccountKind(row.account),
            row.owner,
            Money(row.amount_minor, row.currency),
        )
        for row in connection.execute(query)
    ]
