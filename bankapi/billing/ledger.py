"""The ledger: balanced, append-only billing transactions.

Every amount is credit-positive (see `tables`). A transaction's postings sum to zero in each currency, or it is
not written.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, bindparam, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from bankapi.billing.money import Money
from bankapi.billing.tables import balances, billing_transactions, ledger_accounts, postings
from bankapi.storage.rows import insert


class LedgerAccountKind(StrEnum):
    """What a ledger account stands for."""

    CUSTOMER = "CUSTOMER"
    """What we owe a customer: the balance of one billing account."""
    DEALER_RECEIVABLE = "DEALER_RECEIVABLE"
    """What a dealer owes us for payments taken on credit adjustment (negative)."""
    DEALER_DEPOSIT = "DEALER_DEPOSIT"
    """What a dealer paid ahead for payments on debit adjustment."""
    CONVERSION = "CONVERSION"
    """The operator's position in a currency: where a payment leaves one currency and goes on in another."""
    OPERATOR_REVENUE = "OPERATOR_REVENUE"
    """What customers were charged."""
    OPERATOR_CASH = "OPERATOR_CASH"
    """The operator's own side of opening balances, top-ups and settlements."""


class TransactionKind(StrEnum):
    """Why money moved."""

    PAYMENT = "PAYMENT"
    CANCELLATION = "CANCELLATION"
    CHARGE = "CHARGE"
    """A customer used the service."""
    OPENING = "OPENING"
    """A customer's balance brought along."""
    DEPOSIT = "DEPOSIT"
    """Money a dealer paid ahead."""
    SETTLEMENT = "SETTLEMENT"
    """A dealer paid what it owed."""
    CORRECTION = "CORRECTION"
    """The operator put a difference right that a reconciliation had shown."""


@dataclass(frozen=True, slots=True)
class LedgerAccount:
    """A place money can be, in one currency."""

    id: int
    kind: LedgerAccountKind


@dataclass(frozen=True, slots=True)
class Entry:
    """One side of a transaction: `amount` is added to the ledger account, credit-positive."""

    account: LedgerAccount
    amount: Money


_KEPT: Final = frozenset({LedgerAccountKind.CUSTOMER, LedgerAccountKind.DEALER_DEPOSIT})
"""The kinds whose balance is kept beside the postings. A dealer's receivable is not: it would be one row that all
its payments wait for."""


_FIND: Final = select(ledger_accounts.c.id).where(
    ledger_accounts.c.kind == bindparam("kind"),
    ledger_accounts.c.owner == bindparam("owner"),
    ledger_accounts.c.currency == bindparam("currency"),
)
_OPEN: Final = {
    dialect: insert_or_wait(ledger_accounts).on_conflict_do_nothing().returning(ledger_accounts.c.id)
    for dialect, insert_or_wait in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}
_MOVE: Final = (
    update(balances)
    .where(balances.c.ledger_account_id == bindparam("ledger_account"))
    .values(balance_minor=balances.c.balance_minor + bindparam("amount"))
    .returning(balances.c.balance_minor)
)
_LOCK_BALANCE: Final = (
    select(balances.c.balance_minor)
    .where(balances.c.ledger_account_id == bindparam("ledger_account"))
    .with_for_update()
)
_OF_PAYMENT: Final = (
    select(
        postings.c.billing_transaction_id,
        postings.c.ledger_account_id,
        ledger_accounts.c.kind,
        postings.c.amount_minor,
        postings.c.currency,
    )
    .join_from(billing_transactions, postings)
    .join(ledger_accounts, ledger_accounts.c.id == postings.c.ledger_account_id)
    .where(
        billing_transactions.c.payment_id == bindparam("payment_id"), billing_transactions.c.kind == bindparam("kind")
    )
    .order_by(postings.c.id)
)
_POSTING_OF_PAYMENT: Final = (
    select(postings.c.id, postings.c.billing_transaction_id, postings.c.balance_after_minor, postings.c.amount_minor)
    .join_from(billing_transactions, postings)
    .where(
        billing_transactions.c.payment_id == bindparam("payment_id"),
        billing_transactions.c.kind == bindparam("kind"),
        postings.c.ledger_account_id == bindparam("ledger_account"),
    )
)
_TAKEN_BACK_SINCE: Final = (
    select(func.coalesce(func.sum(postings.c.amount_minor), 0))
    .join_from(postings, billing_transactions)
    .where(
        postings.c.ledger_account_id == bindparam("ledger_account"),
        postings.c.id > bindparam("posting"),
        billing_transactions.c.reverses_id < bindparam("transaction"),
    )
)
_INSERT_TRANSACTION: Final = billing_transactions.insert()
_INSERT_POSTINGS: Final = postings.insert().inline()


def open_account(connection: Connection, kind: LedgerAccountKind, owner: str, currency: str) -> LedgerAccount:
    """A ledger account, created at its first use."""
    key = {"kind": kind, "owner": owner, "currency": currency}
    found = connection.execute(_FIND, key).scalar()
    if found is None:
        found = connection.execute(_OPEN[connection.dialect.name], key).scalar()
        if found is not None and kind in _KEPT:
            connection.execute(balances.insert(), {"ledger_account_id": found, "balance_minor": 0})
    if found is None:  # somebody else's first use of it was first
        found = connection.execute(_FIND, key).scalar_one()
    return LedgerAccount(found, kind)


def lock_balance(connection: Connection, account: LedgerAccount, currency: str) -> Money:
    """The kept balance, which nobody else can move until this transaction ends."""
    return Money(connection.execute(_LOCK_BALANCE, {"ledger_account": account.id}).scalar_one(), currency)


def post(
    connection: Connection,
    kind: TransactionKind,
    entries: Sequence[Entry],
    *,
    occurred_at: datetime,
    business_on: date,
    payment_id: str | None = None,
    reverses_id: int | None = None,
) -> dict[int, int]:
    """Write one billing transaction and move the kept balances.

    Returns the new balance, in minor units, of each ledger account that keeps one.

    AssertionError when the entries do not sum to zero per currency: that would be our own mistake.
    """
    facts = {"occurred_at": occurred_at, "business_on": business_on, "payment_id": payment_id}
    _, moved = _post(connection, entries, {"kind": kind, "reverses_id": reverses_id, **facts})
    return moved


def post_correction(
    connection: Connection, entries: Sequence[Entry], *, occurred_at: datetime, business_on: date
) -> int:
    """Write a CORRECTION as `post` does; returns the number of the billing transaction, for what tells its reason."""
    facts = {"occurred_at": occurred_at, "business_on": business_on, "payment_id": None, "reverses_id": None}
    transaction_id, _ = _post(connection, entries, {"kind": TransactionKind.CORRECTION, **facts})
    return transaction_id


def _post(
    connection: Connection, entries: Sequence[Entry], transaction: Mapping[str, object]
) -> tuple[int, dict[int, int]]:
    """The number of the transaction, and the balances it left."""
    sums: Counter[str] = Counter()
    for entry in entries:
        sums[entry.amount.currency] += entry.amount.minor
    assert entries, "a billing transaction without postings"
    assert not any(sums.values()), "unbalanced billing transaction"
    transaction_id = insert(connection, _INSERT_TRANSACTION, transaction)
    moved = {entry.account.id: _move_balance(connection, entry) for entry in entries if entry.account.kind in _KEPT}
    connection.execute(
        _INSERT_POSTINGS,
        [
            {
                "billing_transaction_id": transaction_id,
                "ledger_account_id": entry.account.id,
                "amount_minor": entry.amount.minor,
                "currency": entry.amount.currency,
                "balance_after_minor": moved.get(entry.account.id),
            }
            for entry in entries
        ],
    )
    return transaction_id, moved


def reverse(connection: Connection, payment_id: str, *, occurred_at: datetime, business_on: date) -> dict[int, int]:
    """Write the equal and opposite transaction of a payment's; returns as `post` does.

    IntegrityError when it is reversed already: the database allows one.
    """
    rows = connection.execute(_OF_PAYMENT, {"payment_id": payment_id, "kind": TransactionKind.PAYMENT}).all()
    entries = [
        Entry(LedgerAccount(row.ledger_account_id, LedgerAccountKind(row.kind)), Money(-row.amount_minor, row.currency))
        for row in rows
    ]
    return post(
        connection,
        TransactionKind.CANCELLATION,
        entries,
        occurred_at=occurred_at,
        business_on=business_on,
        payment_id=payment_id,
        reverses_id=rows[0].billing_transaction_id,
    )


def balance_before(connection: Connection, payment_id: str, account: LedgerAccount) -> int:
    """The balance, in minor units, of an account that keeps one, right before a payment was posted to it.

    What was cancelled since does not count as having been there.
    """
    asked = {"payment_id": payment_id, "kind": TransactionKind.PAYMENT, "ledger_account": account.id}
    posting, transaction, after, amount = connection.execute(_POSTING_OF_PAYMENT, asked).one()
    since = {"ledger_account": account.id, "posting": posting, "transaction": transaction}
    return int(after - amount + connection.execute(_TAKEN_BACK_SINCE, since).scalar_one())


def _move_balance(connection: Connection, entry: Entry) -> int:
    moved = {"ledger_account": entry.account.id, "amount": entry.amount.minor}
    return int(connection.execute(_MOVE, moved).scalar_one())


def trial_balance(connection: Connection) -> dict[str, int]:
    """The sum of all postings per currency, in minor units; every value of a sound ledger is zero."""
    totals = select(postings.c.currency, func.sum(postings.c.amount_minor)).group_by(postings.c.currency)
    return {currency: int(total) for currency, total in connection.execute(totals)}


def balances_that_differ(connection: Connection) -> list[str]:
    """Owners (account numbers, dealers) whose kept balance is not the sum of their postings; empty when sound."""
    summed = (
        select(postings.c.ledger_account_id, func.sum(postings.c.amount_minor).label("total"))
        .group_by(postings.c.ledger_account_id)
        .subquery()
    )
    differing = (
        select(ledger_accounts.c.owner)
        .join_from(ledger_accounts, balances)
        .outerjoin(summed, summed.c.ledger_account_id == balances.c.ledger_account_id)
        .where(balances.c.balance_minor != func.coalesce(summed.c.total, 0))
        .order_by(ledger_accounts.c.owner)
    )
    return list(connection.execute(differing).scalars())
