"""Dealers: whose terminals they are, and which ledger account their payments are booked against."""

from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from bankapi.billing import ledger
from bankapi.billing.ledger import Entry, LedgerAccount, LedgerAccountKind, TransactionKind
from bankapi.billing.money import Money
from bankapi.billing.terminals import Scheme, Terminal

_BOOKED_AGAINST: Final = {
    Scheme.CREDIT_ADJUSTMENT: LedgerAccountKind.DEALER_RECEIVABLE,
    Scheme.DEBIT_ADJUSTMENT: LedgerAccountKind.DEALER_DEPOSIT,
}


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


def deposit(connection: Connection, *, dealer: str, amount: Money, now: datetime, business_on: date) -> None:
    """Money a dealer paid ahead, for payments on debit adjustment."""
    paid_ahead = ledger.open_account(connection, LedgerAccountKind.DEALER_DEPOSIT, dealer, amount.currency)
    cash = ledger.open_account(connection, LedgerAccountKind.OPERATOR_CASH, "", amount.currency)
    ledger.post(
        connection,
        TransactionKind.DEPOSIT,
        [Entry(paid_ahead, amount), Entry(cash, -amount)],
        occurred_at=now,
        business_on=business_on,
    )


def business_day(terminal: Terminal, instant: datetime) -> date:
    """The dealer's calendar day an instant falls on."""
    return instant.astimezone(ZoneInfo(terminal.time_zone)).date()
