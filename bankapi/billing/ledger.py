"""The ledger: balanced, append-only billing transactions.

Every amount is credit-positive (see `tables`). A transaction's postings sum to zero in each currency, or it is
not written.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, bindparam, func, select, update

from bankapi.billing.money import Money
from bankapi.billing.tables import accounts, billing_transactions, ledger_accounts, postings
from bankapi.storage.rows import insert


class LedgerAccountKind(StrEnum):
    """What a ledger account stands for."""

    CUSTOMER = "CUSTOMER"
    """What we owe a customer: the balance of one billing account."""
    DEALER_RECEIVABLE = "DEALER_RECEIVABLE"
    """What a dealer owes us for payments taken on credit adjustment (negative)."""
    DEALER_DEPOSIT = "DEALER_DEPOSIT"
    """What a dealer paid ahead for payments on debit adjustment."""
    OPERATOR_CASH = "OPERATOR_CASH"
    """The operator's own side of opening balances, top-ups and settlements."""


class TransactionKind(StrEnum):
    """Why money moved."""

    PAYMENT = "PAYMENT"
    CANCELLATION = "CANCELLATION"
    OPENING = "OPENING"


@dataclass(frozen=True, slots=True)
class Entry:
    """One side of a transaction: `amount` is added to the ledger account, credit-positive."""

    ledger_account_id: int
    amount: Money
    customer: bool = False
    """Whether it is a customer's account, whose balance is kept up to date."""


_FIND: Final = select(ledger_accounts.c.id).where(
    ledger_accounts.c.kind == bindparam("kind"),
    ledger_accounts.c.owner == bindparam("owner"),
    ledger_accounts.c.currency == bindparam("currency"),
)
_MOVE: Final = (
    update(accounts)
    .where(accounts.c.ledger_account_id == bindparam("ledger_account"))
    .values(balance_minor=accounts.c.balance_minor + bindparam("amount"))
    .returning(accounts.c.balance_minor)
)
_INSERT_TRANSACTION: Final = billing_transactions.insert()
_INSERT_POSTINGS: Final = postings.insert().inline()


def open_account(connection: Connection, kind: LedgerAccountKind, owner: str, currency: str) -> int:
    """The id of a ledger account, created at its first use."""
    key = {"kind": kind, "owner": owner, "currency": currency}
    found = connection.execute(_FIND, key).scalar()
    if found is None:
        found = connection.execute(ledger_accounts.insert().returning(ledger_accounts.c.id), key).scalar_one()
    return int(found)


def post(
    connection: Connection,
    kind: TransactionKind,
    entries: Sequence[Entry],
    *,
    occurred_at: datetime,
    business_on: date,
    payment_id: str | None = None,
) -> int:
    """Write one billing transaction and move the customers' balances; returns its id.

    AssertionError when the entries do not sum to zero per currency: that would be our own mistake.
    """
    sums: Counter[str] = Counter()
    for entry in entries:
        sums[entry.amount.currency] += entry.amount.minor
    assert entries, "a billing transaction without postings"
    assert not any(sums.values()), "unbalanced billing transaction"
    transaction_id = insert(
        connection,
        _INSERT_TRANSACTION,
        {"kind": kind, "occurred_at": occurred_at, "business_on": business_on, "payment_id": payment_id},
    )
    connection.execute(
        _INSERT_POSTINGS,
        [
            {
                "billing_transaction_id": transaction_id,
                "ledger_account_id": entry.ledger_account_id,
                "amount_minor": entry.amount.minor,
                "currency": entry.amount.currency,
                "balance_after_minor": _move_balance(connection, entry),
            }
            for entry in entries
        ],
    )
    return transaction_id


def _move_balance(connection: Connection, entry: Entry) -> int | None:
    if not entry.customer:
        return None
    moved = {"ledger_account": entry.ledger_account_id, "amount": entry.amount.minor}
    return int(connection.execute(_MOVE, moved).scalar_one())


def trial_balance(connection: Connection) -> dict[str, int]:
    """The sum of all postings per currency, in minor units; every value of a sound ledger is zero."""
    totals = select(postings.c.currency, func.sum(postings.c.amount_minor)).group_by(postings.c.currency)
    return {currency: int(total) for currency, total in connection.execute(totals)}


def balances_that_differ(connection: Connection) -> list[str]:
    """Account numbers whose kept balance is not the sum of their postings; empty in a sound ledger."""
    summed = (
        select(postings.c.ledger_account_id, func.sum(postings.c.amount_minor).label("total"))
        .group_by(postings.c.ledger_account_id)
        .subquery()
    )
    differing = (
        select(accounts.c.account_number)
        .outerjoin(summed, summed.c.ledger_account_id == accounts.c.ledger_account_id)
        .where(accounts.c.balance_minor != func.coalesce(summed.c.total, 0))
        .order_by(accounts.c.account_number)
    )
    return list(connection.execute(differing).scalars())
