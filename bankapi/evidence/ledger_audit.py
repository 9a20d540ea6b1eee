"""The books by themselves: every billing transaction sums to zero, and every payment and cancellation has the one it
should have. The database does the sums and gives back only what is wrong.
"""

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, and_, case, func, select

from bankapi.billing import ledger
from bankapi.billing.dealers import BOOKED_AGAINST
from bankapi.billing.ledger import LedgerAccountKind, TransactionKind
from bankapi.billing.payments import Disposition
from bankapi.billing.tables import (
    accounts,
    balances,
    billing_transactions,
    cancellations,
    dealers,
    ledger_accounts,
    payments,
    postings,
)
from bankapi.evidence.findings import Findings, Kind
from bankapi.evidence.reading import raw
from bankapi.storage.rows import stream

_SCHEME: Final = case({kind: scheme for scheme, kind in BOOKED_AGAINST.items()}, value=ledger_accounts.c.kind)
_KEPT_KINDS: Final = (LedgerAccountKind.CUSTOMER, LedgerAccountKind.DEALER_DEPOSIT)
_IS_REGISTERED: Final = payments.c.disposition == Disposition.REGISTERED
_transactions: Final = billing_transactions


def _of_payment(kind: TransactionKind, payment_id: ColumnElement[Any]) -> ColumnElement[bool]:
    return and_(_transactions.c.payment_id == payment_id, _transactions.c.kind == kind)


def _unbalanced() -> Select[Any]:
    return (
        select(raw(postings.c.billing_transaction_id))
        .group_by(postings.c.billing_transaction_id, postings.c.currency)
        .having(func.sum(postings.c.amount_minor) != 0)
    )


def _without_postings() -> Select[Any]:
    return (
        select(raw(_transactions.c.id))
        .join_from(_transactions, postings, postings.c.billing_transaction_id == _transactions.c.id, isouter=True)
        .where(postings.c.id.is_(None))
    )


def _loose_postings() -> Select[Any]:
    """Without their transaction, or not to an account of their currency."""
    return (
        select(raw(postings.c.id))
        .join_from(postings, _transactions, postings.c.billing_transaction_id == _transactions.c.id, isouter=True)
        .outerjoin(
            ledger_accounts,
            and_(
                ledger_accounts.c.id == postings.c.ledger_account_id,
                ledger_accounts.c.currency == postings.c.currency,
            ),
        )
        .where(_transactions.c.id.is_(None) | ledger_accounts.c.id.is_(None))
    )


def _not_booked_once() -> Select[Any]:
    return (
        select(raw(payments.c.id))
        .join_from(payments, _transactions, _of_payment(TransactionKind.PAYMENT, payments.c.id), isouter=True)
        .where(_IS_REGISTERED)
        .group_by(payments.c.id)
        .having(func.count(_transactions.c.id) != 1)
    )


def _booked_for_nothing() -> Select[Any]:
    return (
        select(raw(_transactions.c.id))
        .join_from(
            _transactions, payments, and_(payments.c.id == _transactions.c.payment_id, _IS_REGISTERED), isouter=True
        )
        .where(_transactions.c.kind == TransactionKind.PAYMENT, payments.c.id.is_(None))
    )


def _not_credited() -> Select[Any]:
    """The payer's account got what was credited; every payment has the transaction, or another query says so."""
    return (
        select(raw(payments.c.id))
        .join_from(payments, _transactions, _of_payment(TransactionKind.PAYMENT, payments.c.id))
        .outerjoin(accounts, accounts.c.id == payments.c.account_id)
        .outerjoin(
            postings,
            and_(
                postings.c.billing_transaction_id == _transactions.c.id,
                postings.c.ledger_account_id == accounts.c.ledger_account_id,
                postings.c.currency == payments.c.credited_currency,
            ),
        )
        .where(_IS_REGISTERED)
        .group_by(payments.c.id, payments.c.credited_minor)
        .having(func.coalesce(func.sum(postings.c.amount_minor), 0) != func.coalesce(payments.c.credited_minor, -1))
    )


def _not_charged() -> Select[Any]:
    """The dealer's account, the one of the payment's scheme, gave what was paid on the payment's business day."""
    charged = (
        select(
            postings.c.billing_transaction_id,
            postings.c.currency,
            postings.c.amount_minor,
            ledger_accounts.c.owner,
            _SCHEME.label("scheme"),
        )
        .join_from(postings, ledger_accounts, ledger_accounts.c.id == postings.c.ledger_account_id)
        .subquery()
    )
    return (
        select(raw(payments.c.id))
        .join_from(payments, _transactions, _of_payment(TransactionKind.PAYMENT, payments.c.id))
        .outerjoin(dealers, dealers.c.id == payments.c.dealer_id)
        .outerjoin(
            charged,
            and_(
                charged.c.billing_transaction_id == _transactions.c.id,
                charged.c.currency == payments.c.currency,
                charged.c.owner == dealers.c.name,
                charged.c.scheme == payments.c.scheme,
                _transactions.c.business_on == payments.c.business_on,
            ),
        )
        .where(_IS_REGISTERED)
        .group_by(payments.c.id, payments.c.amount_minor)
        .having(func.coalesce(func.sum(charged.c.amount_minor), 0) != -func.coalesce(payments.c.amount_minor, -1))
    )


def _not_reversed_once() -> Select[Any]:
    """A cancellation is of a registered payment of its dealer, and reverses its one transaction on its business day."""
    booked = _transactions.alias("booked")
    return (
        select(raw(cancellations.c.payment_id))
        .join_from(
            cancellations,
            payments,
            and_(
                payments.c.id == cancellations.c.payment_id,
                payments.c.dealer_id == cancellations.c.dealer_id,
                _IS_REGISTERED,
            ),
            isouter=True,
        )
        .outerjoin(
            _transactions,
            and_(
                _of_payment(TransactionKind.CANCELLATION, payments.c.id),
                _transactions.c.business_on == cancellations.c.business_on,
            ),
        )
        .outerjoin(booked, and_(booked.c.id == _transactions.c.reverses_id, booked.c.payment_id == payments.c.id))
        .group_by(cancellations.c.payment_id)
        .having((func.count(_transactions.c.id) != 1) | (func.count(booked.c.id) != 1))
    )


def _reversed_for_nothing() -> Select[Any]:
    return (
        select(raw(_transactions.c.id))
        .join_from(_transactions, cancellations, cancellations.c.payment_id == _transactions.c.payment_id, isouter=True)
        .where(_transactions.c.kind == TransactionKind.CANCELLATION, cancellations.c.id.is_(None))
    )


def _not_opposite() -> Select[Any]:
    """After a cancellation a payment has moved nothing, on any account."""
    return (
        select(raw(cancellations.c.payment_id))
        .join_from(cancellations, _transactions, _transactions.c.payment_id == cancellations.c.payment_id)
        .join(postings, postings.c.billing_transaction_id == _transactions.c.id)
        .group_by(cancellations.c.payment_id, postings.c.ledger_account_id, postings.c.currency)
        .having(func.sum(postings.c.amount_minor) != 0)
    )


def _without_balance() -> Select[Any]:
    return (
        select(raw(ledger_accounts.c.id))
        .join_from(ledger_accounts, balances, balances.c.ledger_account_id == ledger_accounts.c.id, isouter=True)
        .where(ledger_accounts.c.kind.in_(_KEPT_KINDS), balances.c.ledger_account_id.is_(None))
    )


_QUESTIONS: Final = (
    (_unbalanced, Kind.LEDGER_UNBALANCED, "billing transaction", "its postings do not sum to zero"),
    (_without_postings, Kind.LEDGER_INCOMPLETE, "billing transaction", "it has no postings"),
    (_loose_postings, Kind.LEDGER_INCOMPLETE, "posting", "its transaction is missing, or its account's currency other"),
    (_not_booked_once, Kind.LEDGER_PAYMENT, "payment", "it does not have exactly one PAYMENT transaction"),
    (_booked_for_nothing, Kind.LEDGER_PAYMENT, "billing transaction", "there is no registered payment for it"),
    (_not_credited, Kind.LEDGER_PAYMENT, "payment", "its postings do not credit the payer's account as answered"),
    (_not_charged, Kind.LEDGER_PAYMENT, "payment", "its postings do not charge the dealer with the amount"),
    (_not_reversed_once, Kind.LEDGER_CANCELLATION, "payment", "its cancellation does not reverse exactly its booking"),
    (_reversed_for_nothing, Kind.LEDGER_CANCELLATION, "billing transaction", "there is no cancellation for it"),
    (_without_balance, Kind.LEDGER_BALANCE, "ledger account", "its balance is not kept"),
    (_not_opposite, Kind.LEDGER_CANCELLATION, "payment", "its reversal is not equal and opposite"),
)


def check_ledger(connection: Connection, findings: Findings) -> None:
    """Ask the books everything."""
    for question, kind, place, what in _QUESTIONS:
        for name in _names(connection, question()):
            findings.add(kind, f"{place} {name}", what)
    for owner in ledger.balances_that_differ(connection):
        findings.add(Kind.LEDGER_BALANCE, f"balance of {owner}", "the kept balance is not the sum of its postings")
    for currency, total in ledger.trial_balance(connection).items():
        if total:
            findings.add(Kind.LEDGER_UNBALANCED, f"currency {currency}", "all postings together do not sum to zero")


def _names(connection: Connection, query: Select[Any]) -> Iterator[object]:
    return (row[0] for row in stream(connection, query))
