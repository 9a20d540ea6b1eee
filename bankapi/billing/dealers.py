"""Dealers: whose terminals they are, and which ledger account their payments are booked against."""

from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, bindparam, func, select

from bankapi.billing import ledger
from bankapi.billing.ledger import Entry, LedgerAccount, LedgerAccountKind, TransactionKind
from bankapi.billing.money import Money
from bankapi.billing.tables import ledger_accounts, postings
from bankapi.billing.terminals import CancelRule, Scheme, Terminal

_BOOKED_AGAINST: Final = {
    Scheme.CREDIT_ADJUSTMENT: LedgerAccountKind.DEALER_RECEIVABLE,
    Scheme.DEBIT_ADJUSTMENT: LedgerAccountKind.DEALER_DEPOSIT,
}

_PAID_INTO: Final = {
    TransactionKind.DEPOSIT: LedgerAccountKind.DEALER_DEPOSIT,
    TransactionKind.SETTLEMENT: LedgerAccountKind.DEALER_RECEIVABLE,
}
_STANDING: Final = (
    select(ledger_accounts.c.kind, ledger_accounts.c.currency, func.sum(postings.c.amount_minor))
    .join_from(ledger_accounts, postings)
    .where(ledger_accounts.c.owner == bindparam("dealer"), ledger_accounts.c.kind.in_(list(_PAID_INTO.values())))
    .group_by(ledger_accounts.c.kind, ledger_accounts.c.currency)
    .order_by(ledger_accounts.c.kind, ledger_accounts.c.currency)
)


def ledger_account(connection: Connection, terminal: Terminal, currency: str) -> LedgerAccount:
    """Where the dealer's side of a payment is booked, by its scheme (design section 5)."""
    return ledger.open_account(connection, _BOOKED_AGAINST[terminal.scheme], terminal.dealer_name, currency)


def funds_suffice(connection: Connection, terminal: Terminal, amount: Money) -> bool:
    """Whether a debit-adjustment dealer's deposit and overdraft cover this payment; always for the other scheme.

    The deposit stays locked until the transaction ends, so that two payments cannot both have the last of it.
    """
    if terminal.scheme is Scheme.CREDIT_ADJUSTMENT:
        return True
    deposit = ledger.lock_balance(connection, ledger_account(connection, terminal, amount.currency), amount.currency)
    return Money(-terminal.overdraft_minor, amount.currency) <= deposit - amount


def pay_in(
    connection: Connection, kind: TransactionKind, *, dealer: str, amount: Money, now: datetime, business_on: date
) -> None:
    """Money a dealer gave us: a DEPOSIT ahead of its payments, or a SETTLEMENT of what it owes for them."""
    credited = ledger.open_account(connection, _PAID_INTO[kind], dealer, amount.currency)
    cash = ledger.open_account(connection, LedgerAccountKind.OPERATOR_CASH, "", amount.currency)
    entries = [Entry(credited, amount), Entry(cash, -amount)]
    ledger.post(connection, kind, entries, occurred_at=now, business_on=business_on)


def may_cancel(terminal: Terminal, registered_at: datetime, now: datetime) -> bool:
    """Whether the dealer's window for cancelling a payment of this instant is still open."""
    match terminal.cancel_rule:
        case CancelRule.ALWAYS:
            return True
        case CancelRule.NEVER:
            return False
        case CancelRule.SAME_BUSINESS_DAY:
            return business_day(terminal, registered_at) == business_day(terminal, now)
        case CancelRule.MINUTES:
            return now <= registered_at + timedelta(minutes=terminal.cancel_minutes)


def business_day(terminal: Terminal, instant: datetime) -> date:
    """The dealer's calendar day an instant falls on."""
    return calendar_day(terminal.time_zone, instant)


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
