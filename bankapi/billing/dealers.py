"""Dealers: whose terminals they are, and which ledger account their payments are booked against."""

from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, bindparam, func, select

from bankapi.billing import ledger
from bankapi.billing.ledger import Entry, LedgerAccount, LedgerAccountKind, TransactionKind
from bankapi.billing.money import Money
from bankapi.billing.tables import dealers as dealer_rows
from bankapi.billing.tables import ledger_accounts, postings
from bankapi.billing.terminals import CancelRule, Scheme, Terminal

BOOKED_AGAINST: Final = {
    Scheme.CREDIT_ADJUSTMENT: LedgerAccountKind.DEALER_RECEIVABLE,
    Scheme.DEBIT_ADJUSTMENT: LedgerAccountKind.DEALER_DEPOSIT,
}
"""The dealer's side of a payment, by its scheme (design section 5)."""

_PAID_INTO: Final = {
    TransactionKind.DEPOSIT: LedgerAccountKind.DEALER_DEPOSIT,
    TransactionKind.SETTLEMENT: LedgerAccountKind.DEALER_RECEIVABLE,
}
_HELD_OPEN: Final = (
    select(dealer_rows.c.time_zone, dealer_rows.c.closed_through_on)
    .where(dealer_rows.c.name == bindparam("dealer"))
    .with_for_update(read=True)
)
_STANDING: Final = (
    select(ledger_accounts.c.kind, ledger_accounts.c.currency, func.sum(postings.c.amount_minor))
    .join_from(ledger_accounts, postings)
    .where(ledger_accounts.c.owner == bindparam("dealer"), ledger_accounts.c.kind.in_(list(_PAID_INTO.values())))
    .group_by(ledger_accounts.c.kind, ledger_accounts.c.currency)
    .order_by(ledger_accounts.c.kind, ledger_accounts.c.currency)
)


def ledger_account(connection: Connection, terminal: Terminal, currency: str) -> LedgerAccount:
    """Where the dealer's side of a payment is booked, by its scheme (design section 5)."""
    return ledger.open_account(connection, BOOKED_AGAINST[terminal.scheme], terminal.dealer_name, currency)


def funds_suffice(connection: Connection, terminal: Terminal, amount: Money) -> bool:
    """Whether a debit-adjustment dealer's deposit and overdraft cover this payment; always for the other scheme.

    The deposit stays locked until the transaction ends, so that two payments cannot both have the last of it.
    """
    if terminal.scheme is Scheme.CREDIT_ADJUSTMENT:
        return True
    deposit = ledger.lock_balance(connection, ledger_account(connection, terminal, amount.currency), amount.currency)
    return Money(-terminal.overdraft_minor, amount.currency) <= deposit - amount


def pay_in(connection: Connection, kind: TransactionKind, *, dealer: str, amount: Money, now: datetime) -> None:
    """Money a dealer gave us: a DEPOSIT ahead of its payments, or a SETTLEMENT of what it owes for them."""
    credited = ledger.open_account(connection, _PAID_INTO[kind], dealer, amount.currency)
    cash = ledger.open_account(connection, LedgerAccountKind.OPERATOR_CASH, "", amount.currency)
    entries = [Entry(credited, amount), Entry(cash, -amount)]
    business_on = open_business_day(connection, dealer, now)
    ledger.post(connection, kind, entries, occurred_at=now, business_on=business_on)


def may_cancel(terminal: Terminal, registered_at: datetime, registered_on: date, now: datetime) -> bool:
    """Whether the dealer's window for cancelling a payment of this instant and business day is still open."""
    match terminal.cancel_rule:
        case CancelRule.ALWAYS:
            return True
        case CancelRule.NEVER:
            return False
        case CancelRule.SAME_BUSINESS_DAY:
            return registered_on == business_day(terminal, now)
        case CancelRule.MINUTES:
            return now <= registered_at + timedelta(minutes=terminal.cancel_minutes)


def business_day(terminal: Terminal, instant: datetime) -> date:
    """The day an event of this instant belongs to: the calendar day, or the first one that is not closed."""
    return _first_open(calendar_day(terminal.time_zone, instant), terminal.closed_through_on)


def open_business_day(connection: Connection, dealer: str, instant: datetime) -> date:
    """As `business_day`, for what is no terminal's request; the day cannot be closed until the transaction ends."""
    time_zone, closed_through_on = connection.execute(_HELD_OPEN, {"dealer": dealer}).one()
    return _first_open(calendar_day(time_zone, instant), closed_through_on)


def _first_open(day: date, closed_through_on: date | None) -> date:
    return day if closed_through_on is None else max(day, closed_through_on + timedelta(days=1))


def calendar_day(time_zone: str, instant: datetime) -> date:
    """The day an instant falls on in a time zone."""
    return instant.astimezone(ZoneInfo(time_zone)).date()


def standing(connection: Connection, dealer: str) -> dict[LedgerAccountKind, list[Money]]:
    """The dealer's deposit and receivable in each currency, credit-positive, from the postings themselves."""
    rows = connection.execute(_STANDING, {"dealer": dealer})
    sums: dict[LedgerAccountKind, list[Money]] = {kind: [] for kind in _PAID_INTO.values()}
    for kind, currency, total in rows:
        sums[LedgerAccountKind(kind)].append(Money(int(total), currency))
    return sums
